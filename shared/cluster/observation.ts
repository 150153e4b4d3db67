/**
 * What the watch saw at one moment: what AWS described, what the canaries answered, when the issuing CAs end. Plain
 * data, so that every rule is a function of it, of the thresholds and of the time. States are AWS's own words and open:
 * one that nobody has seen before is a finding, not a crash. Times are milliseconds since the epoch.
 */
export interface Parts {
  /**
   * From the issuers table: which cluster and key store this Region's canary, and so the watch, belongs to. In a stage
   * without CloudHSM there is none, which is known without looking.
   */
  readonly canary: WatchedCluster | NoCluster;
  /** From the issuers table. */
  readonly issuers: readonly WatchedIssuer[];
  /** DescribeKey (KMS API reference), of each active issuer whose key is in KMS. */
  readonly issuerKeys: readonly IssuerKey[];
  /** DescribeClusters (CloudHSM v2 API reference). */
  readonly cluster: Cluster;
  /** DescribeBackups, all pages, in every state; this cluster's. */
  readonly backups: readonly Backup[];
  /** DescribeCustomKeyStores (KMS API reference). */
  readonly keyStore: KeyStore;
  /** A fixed ciphertext handed to kms:Decrypt. */
  readonly keyStoreCanary: KeyStoreCanary;
  /** A digest signed in the HSM with the canary's own key. */
  readonly signingCanary: SigningCanary;
}

export type PartName = keyof Parts;

/** Each part by itself, for one that cannot be seen hides no other. */
export type Observation = { readonly [Name in PartName]: Observed<Parts[Name]> };

export type Observed<Part> = { readonly value: Part } | { readonly failure: Failure };

/** Why a part could not be looked at. */
export interface Failure {
  /**
   * - `denied`: the caller may not.
   * - `throttled`: asked too often, also after the client's own retries.
   * - `unreachable`: no answer from AWS at all.
   * - `deadline`: no answer in time.
   * - `absent`: there is no such thing.
   * - `malformed`: there was an answer, or a row, and it lacks what it must have.
   * - `refused`: any other answer that is an error.
   * - `unexpected`: an error of our own that nobody foresaw.
   * - `not-asked`: not looked at: because of another part's failure, because the stage has no such thing, or because
   *   nobody wanted it.
   */
  readonly reason:
    | 'denied'
    | 'throttled'
    | 'unreachable'
    | 'deadline'
    | 'absent'
    | 'malformed'
    | 'refused'
    | 'unexpected'
    | 'not-asked';
  /** AWS's name of the error and its message, or a sentence of ours. */
  readonly detail: string;
}

export interface WatchedCluster {
  readonly clusterId: string;
  readonly customKeyStoreId: string;
}

/** Of a stage whose CA keys are all in KMS. */
export interface NoCluster {
  readonly clusterId?: never;
  readonly customKeyStoreId?: never;
}

export interface WatchedIssuer {
  readonly issuerId: string;
  readonly state: string;
  /** The first end, inclusive, among its certificate and those of its chain; absent when one cannot be read. */
  readonly notAfter?: number;
  /** Of its signerUri (RFC 3986 section 3.1), such as pkcs11 or awskms. */
  readonly signerScheme?: string;
  /** The CloudHSM cluster that its row says its key is in. */
  readonly clusterId?: string;
}

/** Each by itself, for one key that cannot be described hides no other. */
export interface IssuerKey {
  readonly issuerId: string;
  readonly key: Observed<KmsKey>;
}

export interface KmsKey {
  /** As the issuer's row names it: an ARN or a key id. */
  readonly keyId: string;
  readonly state?: string;
  readonly usage?: string;
  /** Of a key in a custom key store. */
  readonly customKeyStoreId?: string;
  /** Present while the state is PendingDeletion. */
  readonly deletionDate?: number;
  /** Whether its public key is the one in the issuer's certificate; absent of a key that does not give it, in its usage or state. */
  readonly isOfCertificate?: boolean;
}

export interface Cluster {
  readonly clusterId: string;
  readonly state?: string;
  readonly stateMessage?: string;
  readonly createdAt?: number;
  readonly hsms: readonly Hsm[];
}

export interface Hsm {
  readonly hsmId: string;
  readonly state?: string;
  readonly stateMessage?: string;
  readonly availabilityZone?: string;
}

export interface Backup {
  readonly backupId: string;
  readonly state?: string;
  /** Of the content: a copy keeps its source's (CloudHSM v2 API reference, Backup). */
  readonly createdAt?: number;
}

export interface KeyStore {
  readonly customKeyStoreId: string;
  readonly connectionState?: string;
  /** Present while the state is FAILED. */
  readonly connectionErrorCode?: string;
  /** The cluster that it is on. */
  readonly clusterId?: string;
}

export type KeyStoreCanary =
  | { readonly outcome: 'decrypted' }
  /** kms:Decrypt answered, with something else than what was encrypted. */
  | { readonly outcome: 'wrong' }
  | { readonly outcome: 'failed'; readonly detail: string };

export type SigningCanary =
  /** How long the signature took, without opening the session. */
  | { readonly outcome: 'signed'; readonly milliseconds: number }
  /** There is a signature, and the canary's public key does not verify it. */
  | { readonly outcome: 'wrong' }
  | {
      readonly outcome: 'failed';
      /** One of ours (shared/errors.ts). */
      readonly code: string;
      readonly detail: string;
    };

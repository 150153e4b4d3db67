import type { Caller } from './cloudtrail/caller.ts';
import type { SigningAlgorithm, SigningKeySpec } from './kms/key-specs.ts';

/** Everything the stub knows: plain data, changed by operations in place, gone when the process ends. */

export const clusterStates = [
  'CREATE_IN_PROGRESS',
  'UNINITIALIZED',
  'INITIALIZE_IN_PROGRESS',
  'INITIALIZED',
  'ACTIVE',
  'UPDATE_IN_PROGRESS',
  'MODIFY_IN_PROGRESS',
  'ROLLBACK_IN_PROGRESS',
  'DELETE_IN_PROGRESS',
  'DELETED',
  'DEGRADED',
] as const;
export type ClusterState = (typeof clusterStates)[number];

export const hsmStates = ['CREATE_IN_PROGRESS', 'ACTIVE', 'DEGRADED', 'DELETE_IN_PROGRESS', 'DELETED'] as const;
export type HsmState = (typeof hsmStates)[number];

export const backupStates = ['CREATE_IN_PROGRESS', 'READY', 'DELETED', 'PENDING_DELETION'] as const;
export type BackupState = (typeof backupStates)[number];

export const connectionStates = ['CONNECTED', 'CONNECTING', 'FAILED', 'DISCONNECTED', 'DISCONNECTING'] as const;
export type ConnectionState = (typeof connectionStates)[number];

/** The ConnectionErrorCodes of a CloudHSM key store (KMS API reference, CustomKeyStoresListEntry). */
export const connectionErrorCodes = [
  'CLUSTER_NOT_FOUND',
  'INSUFFICIENT_CLOUDHSM_HSMS',
  'INSUFFICIENT_FREE_ADDRESSES_IN_SUBNET',
  'INTERNAL_ERROR',
  'INVALID_CREDENTIALS',
  'NETWORK_ERRORS',
  'SUBNET_NOT_FOUND',
  'USER_LOCKED_OUT',
  'USER_LOGGED_IN',
  'USER_NOT_FOUND',
] as const;
export type ConnectionErrorCode = (typeof connectionErrorCodes)[number];

/** Times are milliseconds since the epoch, on the stub's clock. */
export interface Hsm {
  readonly hsmId: string;
  readonly availabilityZone: string;
  readonly subnetId: string;
  readonly eniId: string;
  readonly eniIp: string;
  state: HsmState;
  stateMessage?: string;
}

export interface Cluster {
  readonly clusterId: string;
  readonly createdAt: number;
  readonly hsmType: string;
  readonly mode: 'FIPS' | 'NON_FIPS';
  readonly vpcId: string;
  readonly securityGroup: string;
  /** Availability Zone → subnet. */
  readonly subnetMapping: Readonly<Record<string, string>>;
  readonly backupRetentionDays: number;
  /** PEM: the cluster's certificate, signed by the trust anchor. */
  readonly clusterCertificate: string;
  /** PEM: what AWS's guides call customerCA.crt. */
  readonly trustAnchorCertificate: string;
  state: ClusterState;
  stateMessage?: string;
  hsms: Hsm[];
  /** Whether a backup is made for every 24 hours of the clock; off when a drill wants a gap. */
  automaticBackups: boolean;
}

export interface Backup {
  readonly backupId: string;
  readonly clusterId: string;
  readonly createdAt: number;
  readonly state: BackupState;
  readonly neverExpires: boolean;
  readonly hsmType: string;
  readonly mode: 'FIPS' | 'NON_FIPS';
  readonly copiedAt?: number;
  readonly sourceRegion?: string;
  readonly sourceBackup?: string;
  readonly sourceCluster?: string;
  readonly deleteAt?: number;
}

export interface CustomKeyStore {
  readonly customKeyStoreId: string;
  readonly customKeyStoreName: string;
  readonly cloudHsmClusterId: string;
  readonly trustAnchorCertificate: string;
  readonly createdAt: number;
  connectionState: ConnectionState;
  connectionErrorCode?: ConnectionErrorCode;
  /** When CONNECTING or DISCONNECTING ends; absent where an operator set the state to stay. */
  settlesAt?: number;
}

/** What is in a key: a symmetric key that encrypts, or a key pair that signs. */
export type KeyMaterial =
  | {
      readonly keySpec: 'SYMMETRIC_DEFAULT';
      readonly keyUsage: 'ENCRYPT_DECRYPT';
      /** Of a key that KMS itself holds: 64 hexadecimal digits. */
      readonly keyMaterialId?: string;
    }
  | {
      readonly keySpec: SigningKeySpec;
      readonly keyUsage: 'SIGN_VERIFY';
      /** DER SubjectPublicKeyInfo (RFC 5280, 4.1). */
      readonly publicKey: Buffer;
    };

export interface Key {
  readonly keyId: string;
  readonly arn: string;
  readonly createdAt: number;
  readonly description: string;
  readonly origin: 'AWS_KMS' | 'AWS_CLOUDHSM';
  readonly material: KeyMaterial;
  readonly customKeyStoreId?: string;
  readonly cloudHsmClusterId?: string;
  enabled: boolean;
  /** Present while the key is pending deletion. */
  deletionDate?: number;
}

export interface Alias {
  readonly aliasName: string;
  readonly aliasArn: string;
  readonly targetKeyId: string;
  readonly createdAt: number;
  readonly lastUpdatedAt: number;
}

/** What goes wrong with the next `remaining` calls of an operation; -1: with all until the faults are set again. */
export type Fault = {
  /** As in X-Amz-Target, such as `TrentService.Decrypt`. */
  readonly operation: string;
  remaining: number;
} & FaultEffect;

export type FaultEffect =
  /** Fails with `code`; when `after`, with its effect. */
  | {
      readonly effect: 'error';
      readonly code: string;
      readonly message?: string | undefined;
      readonly when: 'before' | 'after';
    }
  /** The connection is closed without an answer, before or after the effect. */
  | { readonly effect: 'connection-dropped'; readonly when: 'before' | 'after' }
  /** The last bit of the answer's Signature is flipped. */
  | { readonly effect: 'corrupt-signature' }
  /** The call is carried out so much later. */
  | { readonly effect: 'slow'; readonly milliseconds: number };

/** One signature that was made, whoever got it. */
export interface Signature {
  /** Milliseconds since the epoch, on the stub's clock. */
  readonly at: number;
  readonly keyId: string;
  readonly signingAlgorithm: SigningAlgorithm;
  /** Lower-case hex. */
  readonly digest: string;
}

/** One call of KMS's API, as CloudTrail has it: nothing of what was signed, encrypted or decrypted. */
export interface KmsCall {
  readonly eventId: string;
  readonly requestId: string;
  /** Milliseconds since the epoch, on the stub's clock. */
  readonly at: number;
  /** The operation, such as `Sign`. */
  readonly eventName: string;
  readonly readOnly: boolean;
  readonly caller: Caller;
  readonly requestParameters: Readonly<Record<string, unknown>> | null;
  /** Of the key that it was about, if it was. */
  readonly keyArn?: string;
  /** Of a call that was refused. */
  readonly errorCode?: string;
  readonly errorMessage?: string;
}

export interface StubState {
  readonly clusters: Map<string, Cluster>;
  backups: Backup[];
  readonly customKeyStores: Map<string, CustomKeyStore>;
  readonly keys: Map<string, Key>;
  readonly aliases: Map<string, Alias>;
  /** Every signature since the start, oldest first. */
  readonly signatures: Signature[];
  /** Every call of KMS since the start, oldest first. */
  readonly kmsCalls: KmsCall[];
  faults: Fault[];
  /** Added to the time passed in. Milliseconds. */
  clockOffset: number;
}

export function emptyState(): StubState {
  return {
    clusters: new Map(),
    backups: [],
    customKeyStores: new Map(),
    keys: new Map(),
    aliases: new Map(),
    signatures: [],
    kmsCalls: [],
    faults: [],
    clockOffset: 0,
  };
}

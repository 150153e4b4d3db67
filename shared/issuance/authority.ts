import type { MintmarkError } from '../errors.ts';
import type {
  CompromisedKeys,
  DeviceRows,
  Devices,
  Failures,
  IssuanceLedger,
  IssuerNames,
  KeyClaims,
  RateBuckets,
  Revocations,
  Senders,
} from '../ledger/index.ts';
import type { KeyPair } from './key-checks/issuer-key.ts';
import type { LintedTbsCertificate } from './lint.ts';
import type { OpenIssuer, RefusedPin } from './open-issuers.ts';
import type { Outcome } from './outcome.ts';
import type { Profile } from './profile.ts';
import type { SignatureCounts } from './signature-counts.ts';

/** Issuing CAs with their signers open: see OpenIssuers, and AdmittedIssuers for one batch of a queue. */
export interface IssuerSource {
  /** By the issuer's row, which may be read from memory. @throws MintmarkError ISSUER_NOT_ACTIVE, the store's */
  requireActive(issuerId: string): Promise<void>;
  /** @param deadline milliseconds since the epoch */
  open(issuerId: string, deadline: number): Promise<OpenIssuer>;
  /**
   * As `open`, after reading the issuer's row past the cache.
   * @param refusedPin what of a PIN that was refused and is still the row's; it stays refused where nothing is said
   */
  openNow(issuerId: string, deadline: number, refusedPin?: RefusedPin): Promise<OpenIssuer>;
  /**
   * The keys of every issuing CA in the table, active or retired; they may be from memory, a minute old.
   * @throws MintmarkError the store's
   */
  keyPairs(): Promise<ReadonlySet<KeyPair>>;
}

/** Everything that finishing a recorded intent needs from outside; made once for a process. */
export interface FinishingAuthority {
  readonly profiles: ReadonlyMap<string, Profile>;
  readonly ledger: IssuanceLedger<LintedTbsCertificate>;
  readonly revocations: Revocations;
  readonly devices: Devices;
  readonly deviceRows: DeviceRows;
  readonly senders: Senders;
  readonly compromisedKeys: CompromisedKeys;
  readonly issuers: IssuerSource;
  readonly issuerNames: Pick<IssuerNames, 'lastTargets'>;
  /** Tells whoever listens how requests ended; answers with the outcomes that could not be told, and why. */
  readonly publish: (outcomes: readonly Outcome[]) => Promise<ReadonlyMap<Outcome, MintmarkError>>;
  /** Hears of each call to a signer, part by part, each before the step that it must outlive: it returns when that is told. */
  readonly onSigned: (counts: SignatureCounts) => void;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** Everything that issuing needs from outside; made once for a process. */
export interface Authority extends FinishingAuthority {
  readonly rateBuckets: RateBuckets;
  readonly issuerNames: Pick<IssuerNames, 'lastTargets' | 'resolve' | 'resolveNow'>;
  readonly keyClaims: KeyClaims;
  readonly failures: Failures;
  readonly randomBytes: (count: number) => Uint8Array;
  /** How long an intent may be signed after it was recorded. */
  readonly signBeforeSeconds: number;
  /** How long a message is tried after it was sent. */
  readonly giveUpAfterSeconds: number;
}

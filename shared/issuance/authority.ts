import type { MintmarkError } from '../errors.ts';
import type { Devices, Failures, IssuanceLedger, Revocations } from '../ledger/index.ts';
import type { LintedTbsCertificate } from './lint.ts';
import type { OpenIssuers } from './open-issuers.ts';
import type { Outcome } from './outcome.ts';
import type { Profile } from './profile.ts';

/** Everything that issuing needs from outside; made once for a process. */
export interface Authority {
  readonly profiles: ReadonlyMap<string, Profile>;
  readonly ledger: IssuanceLedger<LintedTbsCertificate>;
  readonly revocations: Revocations;
  readonly devices: Devices;
  readonly failures: Failures;
  readonly issuers: OpenIssuers;
  /** Tells whoever listens how requests ended; answers with the outcomes that could not be told, and why. */
  readonly publish: (outcomes: readonly Outcome[]) => Promise<ReadonlyMap<Outcome, MintmarkError>>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly randomBytes: (count: number) => Uint8Array;
  /** How long an intent may be signed after it was recorded. */
  readonly signBeforeSeconds: number;
  /** How long a message is tried after it was sent. */
  readonly giveUpAfterSeconds: number;
}

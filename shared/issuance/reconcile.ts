import { asMintmarkError, type ErrorCode, type MintmarkError } from '../errors.ts';
import {
  type AbandonReason,
  type IssuedRow,
  keyOf,
  type OpenIntents,
  type RecordedIntent,
  type RequestKey,
} from '../ledger/index.ts';
import { abandon, settleAbandoned } from './abandon.ts';
import type { FinishingAuthority } from './authority.ts';
import type { Outcome } from './outcome.ts';
import { type Owed, owedTo } from './owed.ts';
import { resume } from './resume.ts';
import { type Signable, signAndStore } from './sign.ts';

/** What became of one request. */
export type Reconciled = RequestKey &
  (
    | { readonly became: 'finished'; readonly serialNumber: string }
    | { readonly became: 'abandoned'; readonly serialNumber: string; readonly reason: AbandonReason }
    /** What an earlier worker owed has been made good. */
    | { readonly became: 'revoked' }
    | { readonly became: 'announced'; readonly serialNumber: string }
    /** It is young yet. */
    | { readonly became: 'left' }
    /** Something was in the way; the next run looks again. */
    | { readonly became: 'hindered'; readonly error: MintmarkError }
  );

export interface ReconcileOptions {
  readonly authority: FinishingAuthority;
  readonly openIntents: OpenIntents;
  /** How old an intent must be to be finished without its message, in milliseconds. */
  readonly patience: number;
  /** The shard to begin with, 0 to 15. */
  readonly firstShard: number;
  /** Milliseconds since the epoch: no page is begun, and no signer waited for, beyond it. */
  readonly deadline: number;
}

export interface Reconciliation {
  /** Of each request that something was owed to, and that had not gone on by itself. */
  readonly requests: readonly Reconciled[];
  /** How many are past their signBefore and still owed something: as far as was looked, and none should stay so. */
  readonly overdue: number;
  /** False when time ran out before everything was looked at. */
  readonly isComplete: boolean;
}

/**
 * Looks at every open intent and does what its message should have done. What is due comes first and needs no HSM:
 * abandoning, revoking, announcing. Only then are intents finished, after the looks that a redelivery takes.
 *
 * That every signature belongs to an intent, and every certificate to a signature, is kept by the order of steps (sign.ts:
 * what is signed was recorded, what is stored was signed and told of) and is watched elsewhere: by the counts of
 * signature-metrics.ts, on which deploy/signing-alarms.yml has alarms, and by shared/audit, which `mintmark audit
 * signatures` runs. Here only what is open is looked at.
 * @throws MintmarkError of the index; what is in one request's way is said of that request
 */
export async function reconcile(options: ReconcileOptions): Promise<Reconciliation> {
  const { authority, openIntents, firstShard, deadline } = options;
  const now = authority.now();
  const unusable: UnusableIssuers = new Map();
  const requests: Reconciled[] = [];
  let overdue = 0;
  for await (const keys of openIntents.due(now, firstShard)) {
    if (authority.now() >= deadline) return { requests, overdue: overdue + keys.length, isComplete: false };
    const page = await reconcilePage(options, keys, unusable);
    overdue += page.filter(({ became }) => became === 'hindered').length;
    requests.push(...page);
  }
  for await (const keys of openIntents.pending(now, firstShard)) {
    if (authority.now() >= deadline) return { requests, overdue, isComplete: false };
    requests.push(...(await reconcilePage(options, keys, unusable)));
  }
  return { requests, overdue, isComplete: true };
}

/** Issuers that did not sign in this run, and why: each further try would cost as long. */
type UnusableIssuers = Map<string, MintmarkError>;

/** What says that the next request of this issuer would fare the same. */
const ofTheIssuer: ReadonlySet<ErrorCode> = new Set([
  'ISSUER_NOT_ACTIVE',
  'PIN_UNSEAL_FAILED',
  'PIN_UNSEAL_REFUSED',
  'SIGNER_DEADLINE',
  'SIGNER_MISCONFIGURED',
  'SIGNER_PAUSED',
  'SIGNER_PIN_REFUSED',
  'SIGNER_UNAVAILABLE',
]);

/** A stored certificate whose announcement is owed, and what became of its request once that is made. */
interface Unannounced {
  readonly row: IssuedRow;
  readonly became: 'finished' | 'announced';
}

async function reconcilePage(
  options: ReconcileOptions,
  keys: readonly RequestKey[],
  unusable: UnusableIssuers,
): Promise<Reconciled[]> {
  const { authority, patience } = options;
  const rows = authority.ledger.read(keys);
  const steps = await Promise.all(
    keys.map((key) =>
      hindering(key, async () => {
        const owed = owedTo((await rows).get(keyOf(key)), authority.now(), patience);
        return payOrPrepare(options, owed, idOf(key), unusable);
      }),
    ),
  );
  const done: Reconciled[] = [];
  const signables: Signable[] = [];
  const unannounced: Unannounced[] = [];
  for (const step of steps) {
    if (step === undefined) continue;
    if ('issuer' in step) signables.push(step);
    else if ('row' in step) unannounced.push(step);
    else done.push(step);
  }
  for (const step of await finish(options, signables, unusable)) {
    if ('row' in step) unannounced.push(step);
    else done.push(step);
  }
  return [...done, ...(await announceAll(authority, unannounced))];
}

/** What can be done without the HSM is done; a certificate that is owed is prepared. Undefined where nothing is owed. */
async function payOrPrepare(
  { authority, deadline }: ReconcileOptions,
  owed: Owed,
  id: RequestKey,
  unusable: UnusableIssuers,
): Promise<Reconciled | Signable | Unannounced | undefined> {
  switch (owed.owed) {
    case 'abandonment':
      return abandonIntent(authority, owed.intent, 'deadline-passed');
    case 'certificate':
      return takeUp(authority, owed.intent, deadline, unusable);
    case 'revocation':
      await settleAbandoned(authority, owed.row);
      return { ...id, became: 'revoked' };
    case 'announcement':
      return { row: owed.row, became: 'announced' };
    case 'patience':
      return { ...id, became: 'left' };
    case 'nothing':
      return undefined;
  }
}

/** The looks that a redelivery takes, with the row's sender and the profile as it is today. */
async function takeUp(
  authority: FinishingAuthority,
  intent: RecordedIntent,
  deadline: number,
  unusable: UnusableIssuers,
): Promise<Reconciled | Signable | undefined> {
  const profile = authority.profiles.get(intent.profile);
  // Whoever took the profile away lets nobody issue by it any more.
  if (profile === undefined) return abandonIntent(authority, intent, 'profile-unknown');
  const refused = unusable.get(intent.issuerId);
  if (refused !== undefined) throw refused;
  try {
    const resumption = await resume(authority, { intent, sender: intent.sender, profile }, deadline);
    if (resumption.next === 'sign') return { intent, issuer: resumption.issuer, isResumed: true };
    return await abandonIntent(authority, intent, resumption.reason);
  } catch (thrown) {
    const error = asMintmarkError(thrown);
    // Should its message come again, it becomes a row in `failures`; of the intent nobody else says anything.
    if (error.code === 'SENDER_NOT_ALLOWED') return abandonIntent(authority, intent, 'sender-not-allowed');
    if (ofTheIssuer.has(error.code)) unusable.set(intent.issuerId, error);
    throw error;
  }
}

/** Undefined when another worker was first: its write stands. */
async function abandonIntent(
  authority: FinishingAuthority,
  intent: RecordedIntent,
  reason: AbandonReason,
): Promise<Reconciled | undefined> {
  const isAbandoned = await abandon(authority, intent, reason);
  return isAbandoned ? { ...idOf(intent), became: 'abandoned', serialNumber: intent.serialNumber, reason } : undefined;
}

/** Signs and stores; an issuer that gave no signature at all is not asked again in this run. */
async function finish(
  { authority, deadline }: ReconcileOptions,
  signables: readonly Signable[],
  unusable: UnusableIssuers,
): Promise<(Reconciled | Unannounced)[]> {
  const results = await signAndStore(authority, signables, deadline, (intent, certificate, now) =>
    authority.ledger.storeUnannouncedCertificate(intent, certificate, now),
  );
  const signing = new Set<string>();
  const failing = new Map<string, MintmarkError>();
  const steps = signables.map(({ intent }, index): Reconciled | Unannounced => {
    const result = results[index];
    if (result?.status !== 'fulfilled') {
      const error = asMintmarkError(result?.reason);
      if (ofTheIssuer.has(error.code)) failing.set(intent.issuerId, error);
      return hindered(intent, error);
    }
    signing.add(intent.issuerId);
    const { row, isOurs } = result.value;
    // What another worker stored is that worker's to announce.
    if (isOurs) return { row, became: 'finished' };
    return { ...idOf(row), became: 'finished', serialNumber: row.serialNumber };
  });
  for (const [issuerId, error] of failing) if (!signing.has(issuerId)) unusable.set(issuerId, error);
  return steps;
}

/** Publishes, then says in the rows that it was: what dies in between is published again by the next run. */
async function announceAll(authority: FinishingAuthority, unannounced: readonly Unannounced[]): Promise<Reconciled[]> {
  const outcomes = unannounced.map(({ row }): Outcome => ({ kind: 'issued', row }));
  const untold = await authority.publish(outcomes);
  return Promise.all(
    unannounced.map(({ row, became }, index) =>
      hindering(row, async (): Promise<Reconciled> => {
        const error = untold.get(outcomes[index] as Outcome);
        if (error !== undefined) throw error;
        await authority.ledger.settle(row);
        return { ...idOf(row), became, serialNumber: row.serialNumber };
      }),
    ),
  );
}

/** What is thrown is in this request's way, and in no other's. */
async function hindering<Step>(key: RequestKey, work: () => Promise<Step>): Promise<Step | Reconciled> {
  try {
    return await work();
  } catch (thrown) {
    return hindered(key, asMintmarkError(thrown));
  }
}

const hindered = (key: RequestKey, error: MintmarkError): Reconciled => ({ ...idOf(key), became: 'hindered', error });

const idOf = ({ deviceId, requestId }: RequestKey): RequestKey => ({ deviceId, requestId });

import { asMintmarkError, type ErrorCode, MintmarkError } from '../errors.ts';
import { flag, type Item, number, readNumber, readString, readTimestamp, string, timestamp } from '../ledger/index.ts';

/**
 * An issuer's breaker: a row of the issuers table that says whether its signer may be asked. Every condition that
 * breakers.ts puts on a write is made from `transitions`, so what is not listed here cannot happen, however many workers
 * there are.
 */

export type BreakerState = 'closed' | 'open' | 'half-open';

/** Why it is open: the error of the batch that opened it, or an operator. */
export type BreakerReason = ErrorCode | 'OPERATOR';

/**
 * On whose word a half-open breaker is tried: check-signer's, whose canary signs or cannot be asked; an operator's; or a
 * gate's own, because nobody had looked for long.
 */
export type TriedBy = 'check-signer' | 'operator' | 'gate';

/** A change of state or hold, as it is told on the operations topic. */
export interface BreakerEvent {
  readonly from: BreakerState;
  readonly to: BreakerState;
  readonly held: boolean;
  /** The record's since then. */
  readonly revision: number;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly reason?: BreakerReason;
  readonly detail?: string;
}

export interface BreakerRecord {
  readonly issuerId: string;
  readonly state: BreakerState;
  /**
   * Grows with every change of state or hold. Who changes the breaker names the revision that the change was decided on,
   * so a batch that began before the last change has nothing to say about it.
   */
  readonly revision: number;
  /** How many batches in a row had no signature because of the signer; of a closed one. */
  readonly failures: number;
  /** How many batches had no signature because a PIN could not be unsealed, with none that signed since; of a closed one. */
  readonly unsealFailures: number;
  /** Milliseconds since the epoch: of the first of them. */
  readonly unsealFailingSince?: number;
  /** How many batches may still ask the signer; of a half-open one. */
  readonly probesLeft: number;
  /** Of a half-open one. */
  readonly triedBy?: TriedBy;
  /** Milliseconds since the epoch: when a batch last took a probe; of a half-open one. */
  readonly probedAt?: number;
  /** Open until an operator says otherwise: the canary does not make it half-open. */
  readonly held: boolean;
  /**
   * A PIN was refused, and none was taken since: whatever the reason is by now, one attempt at a time. A signature in a
   * session from before says nothing of it, so whoever tries logs in anew (gate.ts): an HSM counts wrong logins until one
   * is right.
   */
  readonly isPinDoubtful?: true;
  /** Milliseconds since the epoch, of the present state; undefined for one that has always been closed. */
  readonly since?: number;
  /** Milliseconds since the epoch: when it was last seen closed; of one that is not. */
  readonly openedAt?: number;
  readonly reason?: BreakerReason;
  /** A sentence about the reason. */
  readonly detail?: string;
  /** Changes that have not been published yet, oldest first: written with the change, so none is lost with its process. */
  readonly untold: readonly BreakerEvent[];
}

/** What the record must be for a transition to take it; `absent` is no record at all, which is a closed one. */
type Origin =
  | 'absent'
  | 'closed'
  | 'closed-failed-enough'
  | 'closed-unseal-failed-enough'
  | 'open'
  | 'open-not-held'
  | 'open-held'
  | 'half-open'
  | 'half-open-with-probes'
  | 'half-open-without-probes';

export const transitions = {
  /** A batch had no signature because of the signer. Said again, it is the same batch: DynamoDB's clients repeat a call. */
  countFailure: { from: ['absent', 'closed'], to: 'closed' },
  /** A batch had none because a PIN could not be unsealed: whoever has its PIN may be signing. Said again, it is the same batch. */
  countUnsealFailure: { from: ['absent', 'closed'], to: 'closed' },
  /** A batch had one, after others had none. */
  forgetFailures: { from: ['closed'], to: 'closed' },
  /** Enough batches in a row had none, or a probe had none. */
  open: { from: ['closed-failed-enough', 'half-open'], to: 'open' },
  /** Enough batches could not unseal a PIN, for long enough, and none signed. */
  openUnsealed: { from: ['closed-unseal-failed-enough'], to: 'open' },
  /** A PIN was refused, or an operator pauses: open until an operator resumes. */
  hold: { from: ['absent', 'closed', 'half-open', 'open-not-held'], to: 'open' },
  /** A PIN was refused, and it is held already: no operator may resume without hearing of it. */
  doubt: { from: ['open-held'], to: 'open' },
  /** The canary signs: a few batches may try. */
  halfOpen: { from: ['open-not-held'], to: 'half-open' },
  /** An operator says that it may be tried, held or not. */
  resume: { from: ['open'], to: 'half-open' },
  /** A batch is one of those that may try. */
  takeProbe: { from: ['half-open-with-probes'], to: 'half-open' },
  /** Nobody has looked for long: one batch tries by itself. */
  probeUnaided: { from: ['open-not-held', 'half-open-without-probes'], to: 'half-open' },
  /** None of those that tried has said how it went. */
  giveProbes: { from: ['half-open-without-probes'], to: 'half-open' },
  /** A probe had a signature, or nothing waits for one. */
  close: { from: ['half-open'], to: 'closed' },
} as const satisfies Record<string, { from: readonly Origin[]; to: BreakerState }>;

export type BreakerTransition = keyof typeof transitions;

const conditions: Readonly<Record<Origin, string>> = {
  absent: 'attribute_not_exists(issuerId)',
  closed: '(#state = :closed AND revision = :revision)',
  'closed-failed-enough': '(#state = :closed AND revision = :revision AND size(failedBatches) >= :enough)',
  // The count that was read, and not one that has begun since.
  'closed-unseal-failed-enough':
    '(#state = :closed AND revision = :revision AND size(unsealFailedBatches) >= :enough AND unsealFailingSince = :since)',
  open: '(#state = :open AND revision = :revision)',
  'open-not-held': '(#state = :open AND revision = :revision AND held = :false)',
  'open-held': '(#state = :open AND revision = :revision AND held = :true)',
  'half-open': '(#state = :halfOpen AND revision = :revision)',
  // As many as were read: a call that the client repeats, because its reply was lost, takes no second one.
  'half-open-with-probes':
    '(#state = :halfOpen AND revision = :revision AND probesLeft > :none AND probesLeft = :probesLeft)',
  'half-open-without-probes': '(#state = :halfOpen AND revision = :revision AND probesLeft = :none)',
};

/** DynamoDB's condition for a transition, with the placeholders of `conditions`. */
export function conditionOf(transition: BreakerTransition): string {
  return transitions[transition].from.map((origin) => conditions[origin]).join(' OR ');
}

/** Clauses of an UpdateExpression, without their verbs. */
interface Effect {
  readonly set?: string;
  readonly add?: string;
  readonly remove?: string;
}

/** Puts a change among those that are to be told. */
export const appendUntold = 'untold = list_append(if_not_exists(untold, :noEvents), :event)';
const enter = `revision = :next, since = :now, ${appendUntold}`;
const opened = 'openedAt = if_not_exists(openedAt, :now), reason = :reason, detail = :detail, probesLeft = :none';
const ofProbes = 'triedBy, probedAt';
const ofFailures = 'failedBatches, unsealFailedBatches, unsealFailingSince';
const open: Effect = { set: `${enter}, ${opened}, held = :false`, remove: `${ofFailures}, ${ofProbes}` };

/** What a transition does to the record besides its state, with the placeholders of breakers.ts. */
export const effects: Readonly<Record<BreakerTransition, Effect>> = {
  // A set, and not a number: a batch is in it once, however often that is said, and batches that fail at the same moment
  // are all in it.
  countFailure: { set: 'revision = :revision', add: 'failedBatches :batch' },
  countUnsealFailure: {
    set: 'revision = :revision, unsealFailingSince = if_not_exists(unsealFailingSince, :now)',
    add: 'unsealFailedBatches :batch',
  },
  forgetFailures: { remove: ofFailures },
  open,
  openUnsealed: open,
  hold: { set: `${enter}, ${opened}, held = :true, pinDoubtful = :pinDoubtful`, remove: `${ofFailures}, ${ofProbes}` },
  // It is as long open as before.
  doubt: { set: `revision = :next, ${appendUntold}, reason = :reason, detail = :detail, pinDoubtful = :true` },
  halfOpen: { set: `${enter}, probesLeft = :probes, triedBy = :triedBy`, remove: 'probedAt' },
  resume: { set: `${enter}, probesLeft = :probes, triedBy = :triedBy, held = :false`, remove: 'probedAt' },
  takeProbe: { set: 'probesLeft = probesLeft - :one, probedAt = :now' },
  probeUnaided: { set: `${enter}, probesLeft = :none, triedBy = :triedBy, probedAt = :now` },
  giveProbes: { set: 'probesLeft = :probes' },
  close: { set: `${enter}, probesLeft = :none`, remove: `reason, detail, openedAt, pinDoubtful, ${ofProbes}` },
};

/** Of an issuer whose breaker was never written. */
export const absentRecord = (issuerId: string): BreakerRecord => ({
  issuerId,
  state: 'closed',
  revision: 0,
  failures: 0,
  unsealFailures: 0,
  probesLeft: 0,
  held: false,
  untold: [],
});

/** No profile can name it: the name of an issuer begins with a letter or a digit. The operators' role is held to it. */
const keyPrefix = '#breaker#';

/** The partition key of an issuer's breaker in the issuers table. */
export const breakerKey = (issuerId: string): string => `${keyPrefix}${issuerId}`;

/** The issuer whose breaker this row is; undefined for another row. */
export const issuerOfBreakerKey = (key: string): string | undefined =>
  key.startsWith(keyPrefix) ? key.slice(keyPrefix.length) : undefined;

/** @throws MintmarkError INTERNAL, with the row's key, for one that is not as it is written here */
export function readBreaker(issuerId: string, item: Item): BreakerRecord {
  try {
    return {
      issuerId,
      state: readState(item, 'state'),
      revision: readNumber(item, 'revision'),
      failures: item.failedBatches?.SS?.length ?? 0,
      unsealFailures: item.unsealFailedBatches?.SS?.length ?? 0,
      ...(item.unsealFailingSince === undefined
        ? {}
        : { unsealFailingSince: readTimestamp(item, 'unsealFailingSince') }),
      probesLeft: item.probesLeft === undefined ? 0 : readNumber(item, 'probesLeft'),
      ...readTriedBy(item),
      ...(item.probedAt === undefined ? {} : { probedAt: readTimestamp(item, 'probedAt') }),
      held: item.held?.BOOL === true,
      ...(item.pinDoubtful?.BOOL === true ? { isPinDoubtful: true } : {}),
      ...(item.since === undefined ? {} : { since: readTimestamp(item, 'since') }),
      ...(item.openedAt === undefined ? {} : { openedAt: readTimestamp(item, 'openedAt') }),
      ...readReason(item),
      untold: (item.untold?.L ?? []).map(({ M: event = {} }) => readEvent(event)),
    };
  } catch (error) {
    const { message } = asMintmarkError(error);
    throw new MintmarkError('INTERNAL', `The row ${breakerKey(issuerId)} is none of a breaker: ${message}`, {
      cause: error,
    });
  }
}

function readTriedBy(item: Item): Pick<BreakerRecord, 'triedBy'> {
  const triedBy = item.triedBy?.S;
  return triedBy === 'check-signer' || triedBy === 'operator' || triedBy === 'gate' ? { triedBy } : {};
}

/** A state that this code does not know must not sign. */
function readState(item: Item, name: string): BreakerState {
  const state = readString(item, name);
  return state === 'closed' || state === 'half-open' ? state : 'open';
}

const readReason = (item: Item): Pick<BreakerRecord, 'reason' | 'detail'> => ({
  ...(item.reason === undefined ? {} : { reason: readString(item, 'reason') as BreakerReason }),
  ...(item.detail === undefined ? {} : { detail: readString(item, 'detail') }),
});

const readEvent = (event: Item): BreakerEvent => ({
  from: readState(event, 'from'),
  to: readState(event, 'to'),
  held: event.held?.BOOL === true,
  revision: readNumber(event, 'revision'),
  at: readTimestamp(event, 'at'),
  ...readReason(event),
});

export const writeEvent = ({ from, to, held, revision, at, reason, detail }: BreakerEvent): Item => ({
  from: string(from),
  to: string(to),
  held: flag(held),
  revision: number(revision),
  at: timestamp(at),
  ...(reason === undefined ? {} : { reason: string(reason) }),
  ...(detail === undefined ? {} : { detail: string(detail) }),
});

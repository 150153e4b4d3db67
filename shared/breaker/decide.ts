import type { BreakerRecord } from './record.ts';

/**
 * Who takes a breaker on, and when: `decide` is check-signer's part, `probeFor` is a batch's own. Pure.
 *
 * A half-open breaker is closed by the first batch that signs and opened by the first that does not. The canary has a say
 * as well, but only where it was the canary that let them try. An operator who resumes knows more than it does (it may be
 * broken itself, or on other HSMs), and a gate tries when nobody has asked it: there the probe decides, and the canary
 * has to wait until none can say otherwise any more.
 */

/** What is known of a signer without asking it for a certificate: its canary signs, does not, or there is none to ask. */
export type Canary = 'signs' | 'fails' | 'unknown';

/** What the check does to a breaker. */
export type Step = 'leave' | 'half-open' | 'give-probes' | 'open' | 'close';

/** So many batches may try when the canary signs: one may be lost, or hold nothing that needs the signer. */
const canaryProbes = 3;

/** An operator's word is tried with one batch, and so is a PIN in doubt: each attempt counts towards locking the user out. */
export const operatorProbes = 1;

export const probesOf = (breaker: BreakerRecord): number =>
  breaker.isPinDoubtful || isDecidedByProbe(breaker) ? operatorProbes : canaryProbes;

/** Milliseconds that a breaker without a canary stays open before a few batches try. */
const openWithoutCanary = 300_000;

/** Milliseconds after which a probe says nothing any more: longer than the functions that sign may run (deploy/functions.yml). */
const probeLasts = 90_000;

/**
 * Milliseconds that a half-open breaker waits for a first batch while its canary signs. What waits in the queues may be other
 * issuers' for ever.
 */
const untriedCloses = 300_000;

/**
 * Milliseconds without a change after which a batch tries by itself. Check-signer looks every minute and needs five for a
 * breaker without a canary: after fifteen it does not look, or its canary cannot sign. And an outage of half an hour,
 * which the canary sees too, costs two batches that try in vain.
 */
const unlookedAfter = 15 * 60_000;

/**
 * One look at one breaker.
 * @param waits whether messages wait in the queues
 * @param now milliseconds since the epoch
 */
export function decide(breaker: BreakerRecord, canary: Canary, waits: boolean, now: number): Step {
  switch (breaker.state) {
    case 'closed':
      return 'leave';
    case 'open': {
      if (breaker.held || canary === 'fails') return 'leave';
      const lasted = now - (breaker.since ?? 0);
      return canary === 'signs' || lasted >= openWithoutCanary ? 'half-open' : 'leave';
    }
    case 'half-open': {
      if ((isDecidedByProbe(breaker) || breaker.isPinDoubtful) && isProbeOut(breaker, now)) return 'leave';
      if (canary === 'fails') return isDecidedByProbe(breaker) && breaker.probesLeft > 0 ? 'leave' : 'open';
      // After a refused PIN only a signature shows that it is right now: the canary has a PIN of its own.
      if (!breaker.isPinDoubtful && (!waits || (canary === 'signs' && isUntried(breaker, now)))) return 'close';
      return breaker.probesLeft === 0 ? 'give-probes' : 'leave';
    }
  }
}

const isDecidedByProbe = ({ triedBy }: BreakerRecord): boolean => triedBy === 'operator' || triedBy === 'gate';

/** Whether a batch may still be at it. */
const isProbeOut = ({ probedAt }: BreakerRecord, now: number): boolean =>
  probedAt !== undefined && now - probedAt < probeLasts;

/** Whether no batch has had a use for it in all that time. */
const isUntried = ({ probedAt, since = 0 }: BreakerRecord, now: number): boolean =>
  probedAt === undefined && now - since >= untriedCloses;

/**
 * How a batch comes to be one of those that try a signer whose breaker is not closed: it was given a probe, it takes one
 * unaided, or it does not.
 * @param now milliseconds since the epoch
 */
export function probeFor(breaker: BreakerRecord, now: number): 'given' | 'unaided' | undefined {
  const { state, held, probesLeft, since = now, probedAt = since } = breaker;
  if (state === 'half-open' && probesLeft > 0) return 'given';
  if (state === 'closed' || held) return undefined;
  return now - Math.max(since, probedAt) > unlookedAfter ? 'unaided' : undefined;
}

/** Whether a look needs the canary at all; while all is well it asks nobody. */
export const needsCanary = ({ state, held }: BreakerRecord): boolean => state !== 'closed' && !held;

/**
 * Whether any message need be delivered: not while nobody can be issued to. The queue is all issuers', so one that works
 * keeps it going; and so does one that a batch is to try by itself, since without a message there is no batch.
 * @param breakers of the active issuers
 * @param now milliseconds since the epoch
 */
export const messagesAreOfUse = (breakers: readonly BreakerRecord[], now: number): boolean =>
  breakers.length === 0 || breakers.some((breaker) => breaker.state !== 'open' || probeFor(breaker, now) !== undefined);

import type { BreakerRecord } from './record.ts';
import type { BreakerTimes } from './times.ts';

/**
 * Who takes a breaker on, and when: `stepFor` is check-signer's part, `probeFor` is a batch's own. Pure.
 *
 * A half-open breaker is closed by the first batch that signs and opened by the first that does not. The canary has a say
 * as well, but only where it was the canary that let them try. An operator who resumes knows more than it does (it may be
 * broken itself, or on other HSMs), and a gate tries when the canary has let nobody try for long: there the probe decides,
 * and the canary has to wait until none can say otherwise any more.
 */

/**
 * What is known of a signer without asking it for a certificate: its canary signs, or does not; the canary's PIN cannot be
 * unsealed, so that nothing could be asked; or there is no canary that could say.
 */
export type Canary = 'signs' | 'fails' | 'sealed' | 'unknown';

/** What the check does to a breaker. */
export type Step = 'leave' | 'half-open' | 'give-probes' | 'open' | 'close';

/** So many batches may try when the canary signs: one may be lost, or hold nothing that needs the signer. */
const canaryProbes = 3;

/** An operator's word is tried with one batch, and so is a PIN in doubt: each attempt counts towards locking the user out. */
export const operatorProbes = 1;

export const probesOf = (breaker: BreakerRecord): number =>
  breaker.isPinDoubtful || isDecidedByProbe(breaker) ? operatorProbes : canaryProbes;

/**
 * One look at one breaker.
 *
 * A canary that is sealed leaves an open breaker open, as one that fails does: in an outage of the whole cluster it is the
 * answer every time, since the key store's key is in that cluster and check-signer, which asks while a breaker is not
 * closed, has seldom unsealed its PIN before. Where the HSM is there and the key store alone is away, environments that
 * have their PINs could sign: the batch that tries by itself finds that out (`probeFor`). In a half-open breaker it is the
 * batches' to find out anyway.
 * @param waits whether messages wait in the queues
 * @param now milliseconds since the epoch
 */
export function stepFor(
  breaker: BreakerRecord,
  canary: Canary,
  waits: boolean,
  now: number,
  times: BreakerTimes,
): Step {
  switch (breaker.state) {
    case 'closed':
      return 'leave';
    case 'open': {
      if (breaker.held || canary === 'fails' || canary === 'sealed') return 'leave';
      const lasted = now - (breaker.since ?? 0);
      return canary === 'signs' || lasted >= times.openWithoutCanary ? 'half-open' : 'leave';
    }
    case 'half-open': {
      if ((isDecidedByProbe(breaker) || breaker.isPinDoubtful) && isProbeOut(breaker, now, times)) return 'leave';
      if (canary === 'fails') return isDecidedByProbe(breaker) && breaker.probesLeft > 0 ? 'leave' : 'open';
      // After a refused PIN only a login shows that it is right now: the canary has a PIN of its own.
      if (!breaker.isPinDoubtful && (!waits || (canary === 'signs' && isUntried(breaker, now, times)))) return 'close';
      return breaker.probesLeft === 0 ? 'give-probes' : 'leave';
    }
  }
}

const isDecidedByProbe = ({ triedBy }: BreakerRecord): boolean => triedBy === 'operator' || triedBy === 'gate';

/** Whether a batch may still be at it. */
const isProbeOut = ({ probedAt }: BreakerRecord, now: number, { probeLasts }: BreakerTimes): boolean =>
  probedAt !== undefined && now - probedAt < probeLasts;

/** Whether no batch has had a use for it in all that time. */
const isUntried = ({ probedAt, since = 0 }: BreakerRecord, now: number, { untriedCloses }: BreakerTimes): boolean =>
  probedAt === undefined && now - since >= untriedCloses;

/**
 * How a batch comes to be one of those that try a signer whose breaker is not closed: it was given a probe, it takes one
 * unaided, or it does not.
 * @param now milliseconds since the epoch
 */
export function probeFor(
  breaker: BreakerRecord,
  now: number,
  { unlookedAfter }: BreakerTimes,
): 'given' | 'unaided' | undefined {
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
export const messagesAreOfUse = (breakers: readonly BreakerRecord[], now: number, times: BreakerTimes): boolean =>
  breakers.length === 0 ||
  breakers.some((breaker) => breaker.state !== 'open' || probeFor(breaker, now, times) !== undefined);

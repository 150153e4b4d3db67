import type { BreakerRecord } from './record.ts';

/** What is known of a signer without asking it for a certificate: its canary signs, does not, or there is none to ask. */
export type Canary = 'signs' | 'fails' | 'unknown';

/** What the check does to a breaker. */
export type Step = 'leave' | 'half-open' | 'give-probes' | 'open' | 'close';

/** So many batches may try when the canary signs: one may be lost, or hold nothing that needs the signer. */
export const canaryProbes = 3;

/** An operator's word is tried with one batch: after a refused PIN, each attempt counts towards locking the user out. */
export const operatorProbes = 1;

/** Pure. */
export const probesOf = ({ reason }: BreakerRecord): number =>
  reason === 'SIGNER_PIN_REFUSED' ? operatorProbes : canaryProbes;

/** Milliseconds that a breaker without a canary stays open before a few batches try. */
const openWithoutCanary = 300_000;

/**
 * One look at one breaker. Pure.
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
    case 'half-open':
      if (canary === 'fails') return 'open';
      // After a refused PIN only a signature shows that it is right now: the canary has a PIN of its own.
      if (!waits && breaker.reason !== 'SIGNER_PIN_REFUSED') return 'close';
      return breaker.probesLeft === 0 ? 'give-probes' : 'leave';
  }
}

/** Whether a look needs the canary at all; while all is well it asks nobody. Pure. */
export const needsCanary = ({ state, held }: BreakerRecord): boolean => state !== 'closed' && !held;

/**
 * Whether nobody can be issued to: then no message needs to be delivered. The queue is all issuers', so one that works
 * keeps it going. Pure.
 * @param breakers of the active issuers
 */
export const nothingIssues = (breakers: readonly BreakerRecord[]): boolean =>
  breakers.length > 0 && breakers.every(({ state }) => state === 'open');

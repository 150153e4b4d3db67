import { asMintmarkError } from '../errors.ts';
import type { Failures } from '../ledger/index.ts';
import type { QueuedRequest } from './outcome.ts';
import type { Outcomes } from './settle.ts';

/**
 * Deliveries that may be the first with an answer: the one before ended with its function, or met a function that was
 * throttled. Each costs a write unit, of a request that is in trouble already; one that fares well costs nothing.
 */
const firstTries = 3;

/**
 * Keeps what went wrong first with the messages that are tried again, for the row in `failures` that some of them will be.
 * Not where the store itself is in trouble: the call would wait for it, and the function with it. A redriven message has
 * its first error with it.
 */
export async function keepFirstErrors(
  failures: Failures,
  batch: readonly QueuedRequest[],
  outcomes: Outcomes,
  now: number,
): Promise<void> {
  const keeping = batch.map(async (queued) => {
    const outcome = outcomes.get(queued);
    if (outcome?.kind !== 'retry' || queued.receiveCount > firstTries) return;
    const { code, message } = outcome.error;
    if (code === 'STORE_UNAVAILABLE' || queued.redriven?.firstError !== undefined) return;
    // Nothing went wrong with it yet, and what did with the signer stands in the last error as well.
    if (code === 'SIGNER_PAUSED') return;
    try {
      await failures.keepFirstError(queued.messageId, { code, detail: message, at: now });
    } catch (error) {
      outcomes.set(queued, { ...outcome, firstErrorLost: asMintmarkError(error) });
    }
  });
  await Promise.all(keeping);
}

import { MintmarkError } from '../errors.ts';
import { authorise } from './authorise.ts';
import type { Authority } from './authority.ts';
import type { Outcome, QueuedRequest } from './outcome.ts';
import { prepare } from './prepare.ts';
import { roundsOf } from './rounds.ts';
import { type Outcomes, outcomeOf, settleAll } from './settle.ts';
import { sign } from './sign.ts';

/**
 * A batch of messages to their outcomes, one for each, in their order. No message's trouble reaches another's outcome.
 * @param deadline milliseconds since the epoch by which every signature is there or given up
 */
export async function issueBatch(
  authority: Authority,
  batch: readonly QueuedRequest[],
  deadline: number,
): Promise<Outcome[]> {
  const outcomes: Outcomes = new Map();
  const authorised = await authorise(authority, batch, outcomes);
  for (const round of roundsOf(authorised)) {
    const prepared = await prepare(authority, round, deadline, outcomes);
    await sign(authority, prepared, deadline, outcomes);
    await publish(
      authority,
      round.map(({ queued }) => queued),
      outcomes,
    );
  }
  await recordFailures(authority, batch, outcomes);
  return batch.map((queued) => outcomes.get(queued) ?? passedOver());
}

/** Tells how requests ended, never before their certificate is stored; what could not be told is tried again. */
async function publish(authority: Authority, round: readonly QueuedRequest[], outcomes: Outcomes): Promise<void> {
  const untold = await authority.publish(round.flatMap((queued) => outcomes.get(queued) ?? []));
  for (const queued of round) {
    const error = untold.get(outcomes.get(queued) ?? passedOver());
    if (error !== undefined) outcomes.set(queued, { kind: 'retry', error });
  }
}

/** What failed, and what has been tried for too long, becomes a row in `failures`; until it is one, it is tried again. */
async function recordFailures(
  authority: Authority,
  batch: readonly QueuedRequest[],
  outcomes: Outcomes,
): Promise<void> {
  const now = authority.now();
  const failed = batch.flatMap((queued) => {
    const outcome = outcomes.get(queued) ?? passedOver();
    if (outcome.kind === 'failed') return [{ queued, outcome }];
    const isTooOld = now - queued.sentAt >= authority.giveUpAfterSeconds * 1000;
    if (outcome.kind !== 'retry' || !isTooOld) return [];
    const { code, message } = outcome.error;
    return [{ queued, outcome: { kind: 'failed', code, detail: message } as const }];
  });
  const recorded = await settleAll(
    failed,
    ({ queued }) => queued,
    outcomes,
    async ({ queued, outcome }) => {
      const { messageId, senderId, body, receiveCount, sentAt } = queued;
      const { code, detail } = outcome;
      await authority.failures.record({
        code,
        detail,
        messageId,
        sender: senderId,
        body,
        tries: receiveCount,
        sentAt,
        failedAt: now,
      });
      return { queued, outcome };
    },
  );
  for (const { queued, outcome } of recorded) outcomes.set(queued, outcome);
}

const passedOver = (): Outcome => outcomeOf(new MintmarkError('INTERNAL', 'The message was passed over.'));

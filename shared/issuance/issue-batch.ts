import { MintmarkError } from '../errors.ts';
import { authorise } from './authorise.ts';
import type { Authority } from './authority.ts';
import { giveUp } from './give-up.ts';
import type { Outcome, QueuedRequest } from './outcome.ts';
import { prepare } from './prepare.ts';
import { roundsOf } from './rounds.ts';
import { type Outcomes, outcomeOf } from './settle.ts';
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
    await tell(
      authority,
      round.map(({ queued }) => queued),
      outcomes,
    );
  }
  await giveUp(authority, batch, authorised, outcomes);
  const failed = authorised.flatMap(({ queued }) => (outcomes.get(queued)?.kind === 'failed' ? [queued] : []));
  await tell(authority, failed, outcomes);
  return batch.map((queued) => outcomes.get(queued) ?? passedOver());
}

/** Publishes how requests ended, never before that is written; what could not be told is tried again. */
async function tell(authority: Authority, ended: readonly QueuedRequest[], outcomes: Outcomes): Promise<void> {
  const untold = await authority.publish(ended.flatMap((queued) => outcomes.get(queued) ?? []));
  for (const queued of ended) {
    const error = untold.get(outcomes.get(queued) ?? passedOver());
    if (error !== undefined) outcomes.set(queued, { kind: 'retry', error });
  }
}

const passedOver = (): Outcome => outcomeOf(new MintmarkError('INTERNAL', 'The message was passed over.'));

import { MintmarkError } from '../errors.ts';
import { authorise } from './authorise.ts';
import type { Authority } from './authority.ts';
import { giveUp } from './give-up.ts';
import type { Outcome, QueuedRequest } from './outcome.ts';
import { prepare } from './prepare.ts';
import { roundsOf } from './rounds.ts';
import { type Outcomes, outcomeOf } from './settle.ts';
import { type Prepared, signAndStore } from './sign.ts';

/**
 * A batch of messages to their outcomes, one for each, in their order. No message's trouble reaches another's outcome.
 * Of the two writes that make a certificate one (docs/exactly-once.md), prepare.ts makes [1], the intent, and sign.ts [2],
 * the certificate, after it has signed what [1] recorded.
 * @param authority its `issuers` as this batch may use them, behind the breaker's gate (AdmittedIssuers)
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
    await issue(authority, prepared, deadline, outcomes);
    await publishOutcomes(
      authority,
      round.map(({ queued }) => queued),
      outcomes,
    );
  }
  await giveUp(authority, batch, authorised, outcomes);
  const failed = authorised.flatMap(({ queued }) => (outcomes.get(queued)?.kind === 'failed' ? [queued] : []));
  await publishOutcomes(authority, failed, outcomes);
  return batch.map((queued) => outcomes.get(queued) ?? withoutOutcome());
}

/** From the intents that stand to their certificates, or to why there is none yet. */
async function issue(
  authority: Authority,
  prepared: readonly Prepared[],
  deadline: number,
  outcomes: Outcomes,
): Promise<void> {
  const results = await signAndStore(authority, prepared, deadline, (intent, certificate, now) =>
    authority.ledger.storeCertificate(intent, certificate, now),
  );
  for (const [index, { request }] of prepared.entries()) {
    const result = results[index];
    outcomes.set(
      request.queued,
      result?.status === 'fulfilled' ? { kind: 'issued', row: result.value.row } : outcomeOf(result?.reason),
    );
  }
}

/** Publishes how requests ended, never before that is written; what could not be told is tried again. */
async function publishOutcomes(
  authority: Authority,
  ended: readonly QueuedRequest[],
  outcomes: Outcomes,
): Promise<void> {
  const untold = await authority.publish(ended.flatMap((queued) => outcomes.get(queued) ?? []));
  for (const queued of ended) {
    const error = untold.get(outcomes.get(queued) ?? withoutOutcome());
    if (error !== undefined) outcomes.set(queued, { kind: 'retry', error });
  }
}

const withoutOutcome = (): Outcome => outcomeOf(new MintmarkError('INTERNAL', 'The message was passed over.'));

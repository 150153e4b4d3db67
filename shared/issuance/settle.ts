import { asMintmarkError, MintmarkError } from '../errors.ts';
import type { Outcome, QueuedRequest } from './outcome.ts';

/** The outcomes of a batch so far. A message that has one is done with. */
export type Outcomes = Map<QueuedRequest, Outcome>;

/**
 * Works on each of `subjects` at the same time. One that throws has its outcome written into `outcomes` and is left out
 * of the answer; the others never notice.
 */
export async function settleAll<Subject, Result>(
  subjects: readonly Subject[],
  queuedOf: (subject: Subject) => QueuedRequest,
  outcomes: Outcomes,
  work: (subject: Subject) => Result | Promise<Result>,
): Promise<Awaited<Result>[]> {
  const results: Awaited<Result>[] = [];
  const settled = await Promise.allSettled(subjects.map(async (subject) => work(subject)));
  for (const [index, result] of settled.entries()) {
    if (result.status === 'fulfilled') results.push(result.value);
    else outcomes.set(queuedOf(subjects[index] as Subject), outcomeOf(result.reason));
  }
  return results;
}

/** What a thrown value means for a message that has nothing written for it yet. */
export function outcomeOf(thrown: unknown): Outcome {
  const error = asMintmarkError(thrown);
  switch (error.disposition) {
    case 'fail':
      return { kind: 'failed', code: error.code, detail: error.message };
    case 'retry':
      return { kind: 'retry', error };
    case 'reject-final':
    case 'reject-reopenable':
      // A rejection is an answer and belongs into the request's row; one that gets here was not written.
      return {
        kind: 'retry',
        error: new MintmarkError('INTERNAL', `${error.code} was not recorded.`, { cause: error }),
      };
  }
}

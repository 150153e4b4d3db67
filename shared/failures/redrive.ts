import { SendMessageBatchCommand, type SQSClient } from '@aws-sdk/client-sqs';
import { type FailureRecord, type FailureState, type FailureStates, storeError } from '../ledger/index.ts';
import type { Pace } from './pace.ts';
import { type Reason, reasonAgainst } from './plan.ts';
import { redriveAttributes } from './redriven-message.ts';

/** What happened to one failure. */
export type Redrive =
  | { readonly kind: 'redriven'; readonly failure: FailureRecord; readonly messageId: string }
  /** Its message is in the queue, but the row was changed by somebody else before it could be marked. */
  | { readonly kind: 'overtaken'; readonly failure: FailureRecord; readonly state: FailureState }
  | { readonly kind: 'left'; readonly failure: FailureRecord; readonly reason: Reason }
  /** SQS did not take it; the row stays as it is. */
  | { readonly kind: 'refused'; readonly failure: FailureRecord; readonly problem: string };

export interface RedriveOptions {
  readonly sqs: SQSClient;
  readonly queueUrl: string;
  readonly states: FailureStates;
  readonly pace: Pace;
  /** Messages sent at a time: 1 to 10, which is what SQS takes. */
  readonly batchSize: number;
  /** What failed from then on is left for another redrive; milliseconds since the epoch. */
  readonly before: number;
  /** Nothing more is begun; what is sent is marked. */
  readonly until: AbortSignal;
  readonly now: () => number;
}

/**
 * Sends the messages of these failures again, for their original senders. A row is marked after its message is in the
 * queue, never before: whatever happens in between, the row or the message is there, or both. Both is what makes it
 * safe to repeat: issuing is idempotent, a second message has the first one's certificate for an answer.
 * @returns what happened to each, as it happens
 * @throws MintmarkError STORE_UNAVAILABLE, STORE_REFUSED
 */
export async function* redrive(
  failures: AsyncIterable<FailureRecord>,
  options: RedriveOptions,
): AsyncGenerator<Redrive, void, undefined> {
  let batch: FailureRecord[] = [];
  for await (const failure of failures) {
    if (options.until.aborted) return;
    const reason = reasonAgainst(failure, options.before);
    if (reason !== undefined) yield { kind: 'left', failure, reason };
    else if (batch.push(failure) === options.batchSize) {
      yield* await redriveBatch(batch, options);
      batch = [];
    }
  }
  if (batch.length > 0) yield* await redriveBatch(batch, options);
}

async function redriveBatch(batch: readonly FailureRecord[], options: RedriveOptions): Promise<Redrive[]> {
  await options.pace(batch.length);
  if (options.until.aborted) return [];
  const sent = await send(batch, options);
  const marked = await Promise.allSettled(
    batch.map(async (failure, index): Promise<Redrive> => {
      const messageId = sent.messageIds.get(index);
      if (messageId === undefined) {
        return { kind: 'refused', failure, problem: sent.problems.get(index) ?? 'SQS did not answer for it.' };
      }
      const state = await options.states.markRedriven(failure, messageId, options.now());
      return state === 'redriven' ? { kind: 'redriven', failure, messageId } : { kind: 'overtaken', failure, state };
    }),
  );
  return marked.map((result) => {
    // After all of them had their turn: what was sent is marked where it can be.
    if (result.status === 'rejected') throw result.reason;
    return result.value;
  });
}

async function send(batch: readonly FailureRecord[], { sqs, queueUrl }: RedriveOptions) {
  const command = new SendMessageBatchCommand({
    QueueUrl: queueUrl,
    Entries: batch.map((failure, index) => ({
      Id: String(index),
      MessageBody: failure.body,
      MessageAttributes: redriveAttributes(failure),
    })),
  });
  const { Successful: successful = [], Failed: failed = [] } = await sqs.send(command).catch((error: unknown) => {
    throw storeError(error, 'Sending to the redrive queue');
  });
  return {
    messageIds: new Map(successful.map(({ Id: id, MessageId: messageId = '' }) => [Number(id), messageId])),
    problems: new Map(failed.map(({ Id: id, Code: code, Message: message }) => [Number(id), `${code}: ${message}`])),
  };
}

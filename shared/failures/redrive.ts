import { SendMessageBatchCommand, type SQSClient } from '@aws-sdk/client-sqs';
import type { MintmarkError } from '../errors.ts';
import { type FailureRecord, type FailureState, type FailureStates, storeError } from '../ledger/index.ts';
import type { Pace } from './pace.ts';
import { type Reason, reasonAgainst } from './plan.ts';
import { redriveAttributes } from './redriven-message.ts';

/** What happened to one failure. */
export type Redrive =
  | { readonly kind: 'redriven'; readonly failure: FailureRecord; readonly messageId: string }
  /**
   * Somebody else was faster. Its message was not sent by this run; but for one whose claim ended while it was being sent,
   * which has the id of the message that this run sent.
   */
  | {
      readonly kind: 'overtaken';
      readonly failure: FailureRecord;
      /** `failed`: another run has claimed it. */
      readonly state: FailureState;
      readonly messageId?: string;
    }
  | { readonly kind: 'left'; readonly failure: FailureRecord; readonly reason: Reason }
  /** Claiming took so long that the claim could have ended while the message was being sent; the row stays as it is. */
  | { readonly kind: 'late'; readonly failure: FailureRecord }
  /** SQS did not take it; the row stays as it is. */
  | { readonly kind: 'refused'; readonly failure: FailureRecord; readonly problem: string };

export interface RedriveOptions {
  readonly sqs: SQSClient;
  readonly queueUrl: string;
  readonly states: FailureStates;
  readonly pace: Pace;
  /** Messages sent at a time: 1 to 10, which is what SQS takes. */
  readonly batchSize: number;
  /** Names this run, and no other. */
  readonly runId: string;
  /** What failed from then on is left for another redrive; milliseconds since the epoch. */
  readonly before: number;
  /** Nothing more is begun; what is sent is marked. */
  readonly until: AbortSignal;
  readonly now: () => number;
}

/**
 * Milliseconds for which a run may have rows claimed: far longer than it takes to send a batch and mark it, the clients'
 * own repetitions among it. Another run takes over what one has left behind that died.
 */
export const claimLasts = 5 * 60_000;

/** Milliseconds for which a batch is being sent at most; what has less of its claim left is not sent. */
export const sendingLasts = 60_000;

/**
 * Sends the messages of these failures again, for their original senders. A row is claimed before its message is sent, so
 * that one run at a time sends it, and marked after that, never before: whatever happens in between, the row or the message
 * is there, or both. Both is safe, as issuing is idempotent: a second message has the first one's certificate for an answer.
 * A message is sent while its claim stands, so that nobody dismisses its row meanwhile.
 * @returns what happened to each, as it happens
 * @throws MintmarkError STORE_UNAVAILABLE, STORE_REFUSED; after a batch that SQS may have taken, with its rows still claimed
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
  const { ours, overtaken, until } = await claim(batch, options);
  if (ours.length === 0) return overtaken;
  if (until - options.now() < sendingLasts) {
    await releaseAll(ours, options);
    return [...overtaken, ...ours.map((failure): Redrive => ({ kind: 'late', failure }))];
  }
  const sent = await send(ours, options).catch(async (error: MintmarkError) => {
    // What had no answer SQS may have taken: whoever could dismiss it now would be told that it is not sent.
    if (error.code === 'STORE_REFUSED') await releaseAll(ours, options);
    throw error;
  });
  const { states, runId } = options;
  const marked = await allOf(
    ours.map(async (failure, index): Promise<Redrive> => {
      const messageId = sent.messageIds.get(index);
      if (messageId === undefined) {
        await states.release(failure, runId);
        return { kind: 'refused', failure, problem: sent.problems.get(index) ?? 'SQS did not answer for it.' };
      }
      const { isOurs, state } = await states.markRedriven(failure, runId, messageId, options.now());
      return isOurs ? { kind: 'redriven', failure, messageId } : { kind: 'overtaken', failure, state, messageId };
    }),
  );
  return [...overtaken, ...marked];
}

/** Each row of a batch for this run alone until then, or who else has it. */
async function claim(
  batch: readonly FailureRecord[],
  options: RedriveOptions,
): Promise<{ readonly ours: FailureRecord[]; readonly overtaken: Redrive[]; readonly until: number }> {
  const [ours, overtaken]: [FailureRecord[], Redrive[]] = [[], []];
  const now = options.now();
  const until = now + claimLasts;
  const claims = batch.map(async (failure) => {
    const { isOurs, state } = await options.states.claim(failure, { by: options.runId, until }, now);
    if (isOurs) ours.push(failure);
    else overtaken.push({ kind: 'overtaken', failure, state });
  });
  await allOf(claims).catch(async (error: unknown) => {
    await releaseAll(ours, options);
    throw error;
  });
  return { ours, overtaken, until };
}

/** So that the same command can go on with them at once. What cannot be released is free when its claim ends. */
async function releaseAll(claimed: readonly FailureRecord[], { states, runId }: RedriveOptions): Promise<void> {
  await Promise.allSettled(claimed.map((failure) => states.release(failure, runId)));
}

/** As Promise.all, but rejects only after all of them had their turn: what was sent is marked where it can be. */
async function allOf<Value>(promises: readonly Promise<Value>[]): Promise<Value[]> {
  const results = await Promise.allSettled(promises);
  return results.map((result) => {
    if (result.status === 'rejected') throw result.reason;
    return result.value;
  });
}

/** @throws MintmarkError STORE_REFUSED: SQS took none; STORE_UNAVAILABLE: it may have taken them */
async function send(batch: readonly FailureRecord[], { sqs, queueUrl }: RedriveOptions) {
  const command = new SendMessageBatchCommand({
    QueueUrl: queueUrl,
    Entries: batch.map((failure, index) => ({
      Id: String(index),
      MessageBody: failure.body,
      MessageAttributes: redriveAttributes(failure),
    })),
  });
  const { Successful: successful = [], Failed: failed = [] } = await sqs
    .send(command, { abortSignal: AbortSignal.timeout(sendingLasts) })
    .catch((error: unknown) => {
      throw storeError(error, 'Sending to the redrive queue');
    });
  return {
    messageIds: new Map(successful.map(({ Id: id, MessageId: messageId = '' }) => [Number(id), messageId])),
    problems: new Map(failed.map(({ Id: id, Code: code, Message: message }) => [Number(id), `${code}: ${message}`])),
  };
}

import type { CloudWatchClient } from '@aws-sdk/client-cloudwatch';
import { type ErrorCode, type FailureClass, failureClassOf } from '../errors.ts';
import { type Measurement, putMetrics } from '../metrics.ts';
import type { Outcome, QueuedRequest } from './outcome.ts';

/**
 * What CloudWatch is told of requests that are in trouble, and of no others: a fleet that fares well costs no call, and
 * an alarm on these takes missing data for good. SQS's own ApproximateAgeOfOldestMessage cannot tell it: a message that
 * was received three times or more is left out of it (Amazon SQS developer guide, "Available CloudWatch metrics").
 */
export const requestMetrics = {
  /** Count: deliveries of requests that are to be tried again. */
  retried: 'RequestsRetried',
  /**
   * Seconds since it was sent, of the oldest of them that SQS's own metric leaves out, and that something is in the way of
   * which is in the way of others too.
   */
  oldestRetriedAge: 'OldestRetriedRequestAgeSeconds',
  /** Count: rows that came into `failures`, of every class. */
  failed: 'RequestsFailed',
  /** Count: those of them that nothing was wrong with; what kept them from an answer keeps others too. */
  givenUp: 'RequestsGivenUp',
} as const;

/** Whether a failure of this class is the message's own, or one message's; otherwise the next message meets the same. */
const concernsOneMessage: Readonly<Record<FailureClass, boolean>> = {
  'transient-exhausted': false,
  signer: false,
  store: false,
  misconfiguration: false,
  unreadable: true,
  unauthorised: true,
  // What ends a function each time, or meets a defect, is a message unlike others. Where it is every message, nothing is
  // taken from the queue, or everything is tried again, and the alarms on that are hours earlier.
  crashed: true,
  bug: true,
};

/** The delivery with which SQS's own metric stops to count a message's age. */
const leftOutBySqs = 3;

type Delivered = Pick<QueuedRequest, 'sentAt' | 'receiveCount'>;

/**
 * Of a batch and how its messages ended, in their order; none for a batch without trouble. Pure.
 * @param outcomes undefined is a message that is tried again, too
 * @param now milliseconds since the epoch
 */
export function measureOutcomes(
  batch: readonly Delivered[],
  outcomes: readonly (Outcome | undefined)[],
  now: number,
): Measurement[] {
  const retried: Delivered[] = [];
  const held: Delivered[] = [];
  const failed: ErrorCode[] = [];
  for (const [index, message] of batch.entries()) {
    const outcome = outcomes[index];
    if (outcome?.kind === 'failed') failed.push(outcome.code);
    if (outcome !== undefined && outcome.kind !== 'retry') continue;
    retried.push(message);
    // One that has no outcome met a defect.
    const code = outcome?.error.code ?? 'INTERNAL';
    if (!concernsOneMessage[failureClassOf(code)] && message.receiveCount >= leftOutBySqs) held.push(message);
  }
  return [...measureRetries(retried, held, now), ...measureFailures(failed)];
}

function measureRetries(retried: readonly Delivered[], held: readonly Delivered[], now: number): Measurement[] {
  if (retried.length === 0) return [];
  const count = { name: requestMetrics.retried, unit: 'Count', value: retried.length } as const;
  if (held.length === 0) return [count];
  // Another clock wrote sentAt.
  const age = Math.max(0, now - Math.min(...held.map(({ sentAt }) => sentAt))) / 1000;
  return [count, { name: requestMetrics.oldestRetriedAge, unit: 'Seconds', value: age }];
}

/** Of the codes of rows that came into `failures`. Pure. */
export function measureFailures(codes: readonly ErrorCode[]): Measurement[] {
  const givenUp = codes.filter((code) => !concernsOneMessage[failureClassOf(code)]);
  return [
    { name: requestMetrics.failed, unit: 'Count' as const, value: codes.length },
    { name: requestMetrics.givenUp, unit: 'Count' as const, value: givenUp.length },
  ].filter(({ value }) => value > 0);
}

/** In milliseconds. It goes while messages are postponed, and is one slow call of AWS's as that is. */
export const tellLimit = 3_000;

/**
 * Tells CloudWatch, where there is something to tell. Nothing is thrown, since no message's answer depends on it:
 * `onError` hears of it.
 * @param now milliseconds since the epoch
 * @param signal ends it: AbortSignal.timeout(tellLimit) for a function
 */
export async function tellCloudWatch(
  client: CloudWatchClient,
  stage: string,
  measurements: readonly Measurement[],
  {
    now,
    signal,
    onError,
  }: { readonly now: number; readonly signal: AbortSignal; readonly onError: (error: Error) => void },
): Promise<void> {
  if (measurements.length === 0) return;
  try {
    await putMetrics(client, stage, measurements, now, signal);
  } catch (error) {
    onError(error instanceof Error ? error : new Error(String(error)));
  }
}

import * as z from 'zod';
import type { Service } from './gateway.ts';
import type { Datapoint, MetricQuery, MetricStatistics } from './metric-statistics.ts';

/**
 * SQS's own metric ApproximateAgeOfOldestMessage, in CloudWatch: seconds since the oldest message was sent that has been
 * received less than three times (Amazon SQS developer guide, "Available CloudWatch metrics for Amazon SQS"). At AWS it is a
 * few minutes old; here it is of the moment at which it is asked for, and of no other.
 */

const fauxqsMessage = z.object({ sentTimestamp: z.number(), approximateReceiveCount: z.number() });

/** What fauxqs tells of a queue besides AWS's API. */
const fauxqsQueue = z.object({
  messages: z.object({
    ready: z.array(fauxqsMessage),
    delayed: z.array(fauxqsMessage),
    inflight: z.array(z.object({ message: fauxqsMessage })),
  }),
});

/** A message that was received so often is counted no more. */
const receivedTooOften = 3;

/** Seconds; undefined for an empty queue, or one that is not there. */
export type AgeOfOldest = (queueName: string) => Promise<number | undefined>;

/** @param now milliseconds since the epoch */
export function ageOfOldestIn(fauxqs: Service, now: () => number): AgeOfOldest {
  return async (queueName) => {
    const { status, body } = await fauxqs({
      method: 'GET',
      url: `/_fauxqs/queues/${encodeURIComponent(queueName)}`,
      headers: {},
      body: Buffer.alloc(0),
      accessKeyId: undefined,
    });
    if (status === 404) return undefined;
    if (status !== 200) throw new Error(`fauxqs answers ${status} to a question about ${queueName}.`);
    const { ready, delayed, inflight } = fauxqsQueue.parse(JSON.parse(body.toString())).messages;
    const sent = [...ready, ...delayed, ...inflight.map(({ message }) => message)]
      .filter(({ approximateReceiveCount }) => approximateReceiveCount < receivedTooOften)
      .map(({ sentTimestamp }) => sentTimestamp);
    return sent.length === 0 ? undefined : Math.max(0, Math.floor((now() - Math.min(...sent)) / 1000));
  };
}

/** What functions and operators told, and the ages, which nobody told. */
export function withQueueAges(
  told: Pick<MetricStatistics, 'datapoints'>,
  ageOfOldest: AgeOfOldest,
  now: () => number,
): { datapoints(query: MetricQuery): Promise<Datapoint[]> } {
  return {
    async datapoints(query) {
      const { namespace, name, dimensions, period, from, to } = query;
      if (namespace !== 'AWS/SQS' || name !== 'ApproximateAgeOfOldestMessage') return told.datapoints(query);
      const length = period * 1_000;
      const timestamp = Math.floor(now() / length) * length;
      if (timestamp >= to || timestamp < Math.floor(from / length) * length) return [];
      const value = await ageOfOldest(dimensions['QueueName'] ?? '');
      return value === undefined ? [] : [{ timestamp, value }];
    },
  };
}

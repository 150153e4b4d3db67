import { describe, expect, it } from 'vitest';
import type { GatewayRequest } from '../../local/embedded/gateway.ts';
import type { MetricQuery } from '../../local/embedded/metric-statistics.ts';
import { ageOfOldestIn, withQueueAges } from '../../local/embedded/queue-ages.ts';

const now = Date.parse('2026-11-22T12:00:30Z');
const message = (age: number, receives: number) => ({
  sentTimestamp: now - age * 1_000 - 400,
  approximateReceiveCount: receives,
});

function ageIn(messages: object): Promise<number | undefined> {
  const fauxqs = async ({ method, url }: GatewayRequest) => {
    expect([method, url]).toEqual(['GET', '/_fauxqs/queues/requests']);
    return { status: 200, headers: {}, body: Buffer.from(JSON.stringify({ name: 'requests', messages })) };
  };
  return ageOfOldestIn(fauxqs, () => now)('requests');
}

describe('the age of the oldest message', () => {
  it.each([
    ['of those that wait', { ready: [message(7, 0), message(75, 2)], delayed: [], inflight: [] }, 75],
    ['of those in flight', { ready: [], delayed: [], inflight: [{ message: message(9, 1) }] }, 9],
    ['of those that are delayed', { ready: [], delayed: [message(3, 0)], inflight: [] }, 3],
    [
      'leaves out what was received three times',
      { ready: [message(75, 3), message(7, 2)], delayed: [], inflight: [] },
      7,
    ],
    ['of none', { ready: [], delayed: [], inflight: [] }, undefined],
  ])('%s', async (_, messages, age) => {
    expect(await ageIn(messages)).toBe(age);
  });

  it('of a queue that is not there', async () => {
    const fauxqs = async () => ({ status: 404, headers: {}, body: Buffer.from('{}') });
    expect(await ageOfOldestIn(fauxqs, () => now)('nope')).toBeUndefined();
  });
});

describe('as a metric', () => {
  const query = (over: Partial<MetricQuery> = {}): MetricQuery => ({
    namespace: 'AWS/SQS',
    name: 'ApproximateAgeOfOldestMessage',
    dimensions: { QueueName: 'requests' },
    stat: 'Maximum',
    period: 60,
    from: now - 600_000,
    to: now,
    ...over,
  });
  const told = [{ timestamp: 0, value: 1 }];
  const known = withQueueAges(
    { datapoints: () => told },
    async (queue) => (queue === 'requests' ? 75 : undefined),
    () => now,
  );

  it('has one datapoint, of this minute', async () => {
    expect(await known.datapoints(query())).toEqual([{ timestamp: Date.parse('2026-11-22T12:00:00Z'), value: 75 }]);
    expect(await known.datapoints(query({ dimensions: { QueueName: 'redrive' } }))).toEqual([]);
    expect(await known.datapoints(query({ from: now - 7_200_000, to: now - 3_600_000 }))).toEqual([]);
  });

  it('changes nothing of what was told', async () => {
    expect(await known.datapoints(query({ namespace: 'Mintmark/local' }))).toBe(told);
  });
});

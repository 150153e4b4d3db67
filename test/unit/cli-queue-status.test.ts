import type { GetMetricDataCommandInput } from '@aws-sdk/client-cloudwatch';
import { describe, expect, it } from 'vitest';
import { adviceOnRetried, readRetried } from '../../cli/retried-requests.ts';
import type { Session } from '../../cli/session.ts';
import { targetOf } from '../../cli/target.ts';

const now = Date.parse('2026-11-22T12:00:00Z');

/** @param values of each metric, newest first; undefined: CloudWatch does not answer */
async function read(values: Readonly<Record<string, readonly number[]>> | undefined) {
  const notes: string[] = [];
  const asked: GetMetricDataCommandInput[] = [];
  const send = async ({ input }: { readonly input: GetMetricDataCommandInput }) => {
    asked.push(input);
    if (values === undefined) throw new Error('throttled');
    return {
      MetricDataResults: input.MetricDataQueries?.map(({ Id, MetricStat }) => ({
        Id,
        Values: values[MetricStat?.Metric?.MetricName ?? ''] ?? [],
      })),
    };
  };
  const session = {
    target: () => targetOf({ stage: 'prod' }, {}),
    clients: { cloudWatch: async () => ({ send }) },
    note: (line: string) => notes.push(line),
    explain: (error: unknown) => ({ message: String(error), cure: '' }),
    interrupted: new AbortController().signal,
    now: () => now,
  } as unknown as Session;
  return { retried: await readRetried(session), notes, asked };
}

describe('requests that are taken and given back', () => {
  it('are counted from what the issue function told of its stage', async () => {
    const { retried, asked } = await read({ RequestsRetried: [3, 4], OldestRetriedRequestAgeSeconds: [312, 250] });
    expect(retried).toEqual({ deliveries: 7, oldestSeconds: 312 });
    expect(asked[0]?.MetricDataQueries?.map(({ MetricStat }) => MetricStat?.Metric)).toEqual([
      expect.objectContaining({ Namespace: 'Mintmark/prod', Dimensions: [{ Name: 'Stage', Value: 'prod' }] }),
      expect.objectContaining({ MetricName: 'OldestRetriedRequestAgeSeconds' }),
    ]);
    expect(adviceOnRetried(retried, 1)).toMatch(/7 deliveries in the last 20 minutes, the oldest 312 s after/);
  });

  it('are no trouble while it is one message alone, nor once the queues are empty', async () => {
    const { retried } = await read({ RequestsRetried: [1] });
    expect(adviceOnRetried(retried, 1)).toBeUndefined();
    expect(adviceOnRetried({ deliveries: 7, oldestSeconds: 312 }, 0)).toBeUndefined();
    expect((await read({})).retried).toEqual({ deliveries: 0, oldestSeconds: null });
  });

  it('are unknown where CloudWatch does not say, which is a note', async () => {
    const { retried, notes } = await read(undefined);
    expect(retried).toBeUndefined();
    expect(notes).toEqual([expect.stringContaining('is not known')]);
    expect(adviceOnRetried(retried, 5)).toBeUndefined();
  });
});

import { describe, expect, it } from 'vitest';
import type { Metric } from '../../local/embedded/cloudwatch-service.ts';
import { type MetricQuery, MetricStatistics } from '../../local/embedded/metric-statistics.ts';

const at = (text: string): number => Date.parse(`2026-11-22T${text}Z`);
const metric = (text: string, value: number, over: Partial<Metric> = {}): Metric => ({
  namespace: 'Mintmark/local',
  name: 'SignaturesMade',
  dimensions: { Stage: 'local', Issuer: 'devices' },
  timestamp: at(text),
  unit: 'Count',
  value,
  ...over,
});
const query = (over: Partial<MetricQuery> = {}): MetricQuery => ({
  namespace: 'Mintmark/local',
  name: 'SignaturesMade',
  dimensions: { Issuer: 'devices', Stage: 'local' },
  stat: 'Sum',
  period: 60,
  from: at('10:00:00'),
  to: at('11:00:00'),
  ...over,
});

function told(...metrics: readonly Metric[]): MetricStatistics {
  const statistics = new MetricStatistics();
  for (const each of metrics) statistics.add(each);
  return statistics;
}

describe('the datapoints of the embedded CloudWatch', () => {
  const values = [metric('10:00:00', 1), metric('10:00:59', 2), metric('10:01:00', 6)];

  it.each([
    ['Sum', [3, 6]],
    ['SampleCount', [2, 1]],
    ['Average', [1.5, 6]],
    ['Minimum', [1, 6]],
    ['Maximum', [2, 6]],
  ] as const)('%s', (stat, found) => {
    expect(told(...values).datapoints(query({ stat }))).toEqual([
      { timestamp: at('10:00:00'), value: found[0] },
      { timestamp: at('10:01:00'), value: found[1] },
    ]);
  });

  it('of longer periods are those of their minutes together', () => {
    expect(told(...values).datapoints(query({ period: 300 }))).toEqual([{ timestamp: at('10:00:00'), value: 9 }]);
  });

  it('begin at or after the start and before the end, oldest first', () => {
    const statistics = told(...['11:00:00', '10:59:59', '10:00:00', '09:59:59'].map((text) => metric(text, 1)));
    const times = statistics.datapoints(query()).map(({ timestamp }) => timestamp);
    expect(times).toEqual([at('10:00:00'), at('10:59:00')]);
  });

  it('are of this metric, with these dimensions and no others', () => {
    const others = [{ namespace: 'AWS/SQS' }, { name: 'Other' }, { dimensions: { Stage: 'local' } }];
    const statistics = told(metric('10:00:00', 1), ...others.map((over) => metric('10:00:00', 10, over)));
    expect(statistics.datapoints(query())).toEqual([{ timestamp: at('10:00:00'), value: 1 }]);
    expect(told().datapoints(query())).toEqual([]);
  });

  it('are kept for 15 days', () => {
    const old = metric('10:30:00', 1);
    const afterwards = (days: number) => ({ ...old, timestamp: old.timestamp + days * 86_400_000 });
    expect(told(old, afterwards(15)).datapoints(query())).toHaveLength(1);
    expect(told(old, afterwards(15.01)).datapoints(query())).toHaveLength(0);
  });
});

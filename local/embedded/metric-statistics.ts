import type { Metric } from './cloudwatch-service.ts';

/** Of the values of one metric in one minute, or in a period of several. */
interface StatisticSet {
  readonly sum: number;
  readonly sampleCount: number;
  readonly minimum: number;
  readonly maximum: number;
}

/** Which values, and what of them. */
export interface MetricQuery extends Pick<Metric, 'namespace' | 'name' | 'dimensions'> {
  readonly stat: Statistic;
  /** Seconds, in whole minutes. */
  readonly period: number;
  /** Milliseconds since the epoch, as is `to`, which is not counted. */
  readonly from: number;
  readonly to: number;
}

export const statistics = ['Average', 'Maximum', 'Minimum', 'SampleCount', 'Sum'] as const;
export type Statistic = (typeof statistics)[number];

export interface Datapoint {
  /** The beginning of its period; milliseconds since the epoch. */
  readonly timestamp: number;
  readonly value: number;
}

const minute = 60_000;

/** CloudWatch keeps minutes for 15 days (Amazon CloudWatch user guide, "Metrics retention"); longer periods are not kept here. */
const kept = 15 * 24 * 60 * minute;

/** What CloudWatch was told, minute by minute. */
export class MetricStatistics {
  readonly #minutes = new Map<string, Map<number, StatisticSet>>();

  add({ timestamp, value, ...metric }: Metric): void {
    const key = keyOf(metric);
    const minutes = this.#minutes.get(key) ?? new Map<number, StatisticSet>();
    this.#minutes.set(key, minutes);
    const start = Math.floor(timestamp / minute) * minute;
    const one = { sum: value, sampleCount: 1, minimum: value, maximum: value };
    const earlier = minutes.get(start);
    minutes.set(start, earlier === undefined ? one : joined(earlier, one));
    if (earlier === undefined) for (const each of minutes.keys()) if (each < start - kept) minutes.delete(each);
  }

  /** The periods that have values, oldest first: a period belongs to the answer when it begins in the time that is asked for. */
  datapoints({ stat, period, from, to, ...metric }: MetricQuery): Datapoint[] {
    const length = period * 1_000;
    const periodOf = (time: number): number => Math.floor(time / length) * length;
    const periods = new Map<number, StatisticSet>();
    for (const [start, set] of this.#minutes.get(keyOf(metric)) ?? []) {
      const begin = periodOf(start);
      if (begin < periodOf(from) || begin >= to) continue;
      const earlier = periods.get(begin);
      periods.set(begin, earlier === undefined ? set : joined(earlier, set));
    }
    return [...periods]
      .map(([timestamp, set]): Datapoint => ({ timestamp, value: valueOf(set, stat) }))
      .toSorted((one, other) => one.timestamp - other.timestamp);
  }
}

const joined = (one: StatisticSet, other: StatisticSet): StatisticSet => ({
  sum: one.sum + other.sum,
  sampleCount: one.sampleCount + other.sampleCount,
  minimum: Math.min(one.minimum, other.minimum),
  maximum: Math.max(one.maximum, other.maximum),
});

function valueOf({ sum, sampleCount, minimum, maximum }: StatisticSet, stat: Statistic): number {
  switch (stat) {
    case 'Average':
      return sum / sampleCount;
    case 'Maximum':
      return maximum;
    case 'Minimum':
      return minimum;
    case 'SampleCount':
      return sampleCount;
    case 'Sum':
      return sum;
  }
}

/** A metric is its namespace, its name and all its dimensions, in whatever order. */
const keyOf = ({ namespace, name, dimensions }: Pick<Metric, 'namespace' | 'name' | 'dimensions'>): string =>
  JSON.stringify([namespace, name, Object.entries(dimensions).toSorted(([one], [other]) => (one < other ? -1 : 1))]);

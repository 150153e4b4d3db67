import * as z from 'zod';
import { awsError } from './aws-error.ts';
import type { Service } from './gateway.ts';
import { type Datapoint, type MetricQuery, statistics } from './metric-statistics.ts';

/** One value that a function told CloudWatch. */
export interface Metric {
  readonly namespace: string;
  readonly name: string;
  /** By name. */
  readonly dimensions: Readonly<Record<string, string>>;
  /** Milliseconds since the epoch. */
  readonly timestamp: number;
  readonly unit: string;
  readonly value: number;
}

/** What is known of a metric. */
interface Told {
  datapoints(query: MetricQuery): Promise<Datapoint[]>;
}

const putMetricData = z.strictObject({
  Namespace: z.string(),
  MetricData: z.array(
    z.strictObject({
      MetricName: z.string(),
      Dimensions: z.array(z.strictObject({ Name: z.string(), Value: z.string() })).default([]),
      // Seconds since the epoch, as AWS's JSON protocols write time.
      Timestamp: z.number(),
      Unit: z.string().default('None'),
      Value: z.number(),
    }),
  ),
});

const getMetricData = z.strictObject({
  // Seconds since the epoch.
  StartTime: z.number(),
  EndTime: z.number(),
  ScanBy: z.enum(['TimestampAscending', 'TimestampDescending']).default('TimestampDescending'),
  MetricDataQueries: z.array(
    z.strictObject({
      Id: z.string(),
      MetricStat: z.strictObject({
        Metric: z.strictObject({
          Namespace: z.string(),
          MetricName: z.string(),
          Dimensions: z.array(z.strictObject({ Name: z.string(), Value: z.string() })).default([]),
        }),
        Period: z.int().multipleOf(60),
        Stat: z.enum(statistics),
      }),
    }),
  ),
});

/**
 * The part of CloudWatch's API that the project itself calls: PutMetricData with single values, and GetMetricData without
 * expressions, of what was put, and of what AWS's own services put no more than `told` knows (CloudWatch API reference); in
 * the protocol awsJson1_0, which is what the SDK speaks. There are no alarms.
 *
 * @param onMetric hears of each value, in order
 * @param told of these is answered
 */
export function cloudWatchService(onMetric: (metric: Metric) => void, told: Told): Service {
  return async ({ headers, body }) => {
    const target = String(headers['x-amz-target']);
    const encoding = headers['content-encoding'] ?? 'identity';
    if (target.endsWith('.GetMetricData') && encoding === 'identity') {
      const queries = getMetricData.safeParse(JSON.parse(body.toString()));
      if (!queries.success) {
        return awsError('awsJson', 400, 'InvalidParameterValueException', z.prettifyError(queries.error));
      }
      return json({ MetricDataResults: await metricData(queries.data, told) });
    }
    if (!target.endsWith('.PutMetricData') || encoding !== 'identity') {
      const message = `The embedded cloud does not implement ${target} (${encoding}) of CloudWatch's API.`;
      return awsError('awsJson', 501, 'NotImplemented', message);
    }
    const asked = putMetricData.safeParse(JSON.parse(body.toString()));
    if (!asked.success) {
      return awsError('awsJson', 400, 'InvalidParameterValueException', z.prettifyError(asked.error));
    }
    for (const { MetricName: name, Dimensions, Timestamp, Unit: unit, Value: value } of asked.data.MetricData) {
      const dimensions = Object.fromEntries(Dimensions.map((each) => [each.Name, each.Value]));
      onMetric({ namespace: asked.data.Namespace, name, dimensions, timestamp: Timestamp * 1000, unit, value });
    }
    return json({});
  };
}

function metricData(
  { StartTime, EndTime, ScanBy, MetricDataQueries }: z.output<typeof getMetricData>,
  told: Told,
): Promise<object[]> {
  return Promise.all(
    MetricDataQueries.map(async ({ Id, MetricStat: { Metric: metric, Period: period, Stat: stat } }) => {
      const found = await told.datapoints({
        namespace: metric.Namespace,
        name: metric.MetricName,
        dimensions: Object.fromEntries(metric.Dimensions.map(({ Name, Value }) => [Name, Value])),
        stat,
        period,
        from: StartTime * 1000,
        to: EndTime * 1000,
      });
      const datapoints = ScanBy === 'TimestampAscending' ? found : found.toReversed();
      return {
        Id,
        Label: metric.MetricName,
        Timestamps: datapoints.map(({ timestamp }) => timestamp / 1000),
        Values: datapoints.map(({ value }) => value),
        StatusCode: 'Complete',
      };
    }),
  );
}

const json = (content: object) => ({
  status: 200,
  headers: { 'content-type': 'application/x-amz-json-1.0' },
  body: Buffer.from(JSON.stringify(content)),
});

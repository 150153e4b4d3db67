import { type CloudWatchClient, PutMetricDataCommand } from '@aws-sdk/client-cloudwatch';

/** One value for CloudWatch. */
export interface Measurement {
  /** In the stage's namespace. */
  readonly name: string;
  /** StandardUnit (CloudWatch API reference, MetricDatum). */
  readonly unit: 'Count' | 'Milliseconds' | 'None' | 'Seconds';
  readonly value: number;
}

/**
 * A namespace for each stage: IAM has no other handle on PutMetricData than the namespace, so with one for all, a role of
 * staging could put values under production's alarms.
 */
export const metricsNamespace = (stage: string): string => `Mintmark/${stage}`;

/**
 * One PutMetricData: the stage's namespace, the one dimension Stage.
 *
 * @param now milliseconds since the epoch
 * @param abortSignal gives it up
 * @throws the CloudWatch client's errors
 */
export async function putMetrics(
  client: CloudWatchClient,
  stage: string,
  measurements: readonly Measurement[],
  now: number,
  abortSignal?: AbortSignal,
): Promise<void> {
  const command = new PutMetricDataCommand({
    Namespace: metricsNamespace(stage),
    MetricData: measurements.map(({ name, unit, value }) => ({
      MetricName: name,
      Dimensions: [{ Name: 'Stage', Value: stage }],
      Timestamp: new Date(now),
      Unit: unit,
      Value: value,
    })),
  });
  await client.send(command, abortSignal === undefined ? {} : { abortSignal });
}

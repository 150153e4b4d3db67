import { type CloudWatchClient, PutMetricDataCommand } from '@aws-sdk/client-cloudwatch';

/** One value for CloudWatch. */
export interface Measurement {
  /** In the namespace Mintmark. */
  readonly name: string;
  /** StandardUnit (CloudWatch API reference, MetricDatum). */
  readonly unit: 'Count' | 'Milliseconds' | 'None' | 'Seconds';
  readonly value: number;
}

const namespace = 'Mintmark';

/**
 * One PutMetricData: namespace Mintmark, the one dimension Stage.
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
    Namespace: namespace,
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

import { type CloudWatchClient, PutMetricDataCommand } from '@aws-sdk/client-cloudwatch';
import type { Measurement } from './assess.ts';

const namespace = 'Mintmark';

/**
 * One PutMetricData for one look of the watch. Namespace Mintmark, the one dimension Stage.
 *
 * Cost at AWS's list prices (CloudWatch pricing, us-east-1): a metric is $0.30 a month, so with ten rules' gauges and
 * five values $4.50; 8,640 requests a month at $0.01 per 1,000, $0.09; an alarm is $0.10.
 *
 * @param now milliseconds since the epoch
 * @throws the CloudWatch client's errors: a watch that nobody hears has failed
 */
export async function publish(
  client: CloudWatchClient,
  stage: string,
  measurements: readonly Measurement[],
  now: number,
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
  await client.send(command);
}

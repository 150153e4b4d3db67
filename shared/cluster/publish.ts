import type { CloudWatchClient } from '@aws-sdk/client-cloudwatch';
import { type Measurement, putMetrics } from '../metrics.ts';

/**
 * One PutMetricData for one look of the watch.
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
  await putMetrics(client, stage, measurements, now);
}

import type { CloudWatchClient } from '@aws-sdk/client-cloudwatch';
import { type Measurement, putMetrics } from '../metrics.ts';

/**
 * One PutMetricData for one look of the watch.
 *
 * Each measurement is a metric of its own, which costs, as does each alarm on one: docs/deploying.md has the sum.
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

import { type Measurement, metricsNamespace } from './metrics.ts';

/**
 * One line of a function's log that CloudWatch reads the measurements out of, which takes no call: a whole JSON object
 * with nothing before or after it (Amazon CloudWatch user guide, "Specification: Embedded metric format"). It goes to
 * process.stdout, since Lambda's console puts time and request id in front. CloudWatch may read a line twice.
 *
 * @param properties what else the line says; it is in the log, and in no metric
 * @param now milliseconds since the epoch
 */
export function embeddedMetrics(
  stage: string,
  measurements: readonly Measurement[],
  properties: Readonly<Record<string, string | number>>,
  now: number,
): string {
  return JSON.stringify({
    ...properties,
    ...Object.fromEntries(measurements.map(({ name, value }) => [name, value])),
    Stage: stage,
    timestamp: new Date(now).toISOString(),
    _aws: {
      Timestamp: now,
      CloudWatchMetrics: [
        {
          Namespace: metricsNamespace(stage),
          Dimensions: [['Stage']],
          Metrics: measurements.map(({ name, unit }) => ({ Name: name, Unit: unit })),
        },
      ],
    },
  });
}

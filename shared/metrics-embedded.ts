import { type Measurement, metricsNamespace } from './metrics.ts';

/** Measurements that are told apart by one more dimension, besides being the stage's: each of its values costs a metric. */
export interface Apart {
  readonly dimension: string;
  readonly value: string;
  /** Of the measurements. */
  readonly names: readonly string[];
}

/**
 * One line of a function's log that CloudWatch reads the measurements out of, which takes no call: a whole JSON object
 * with nothing before or after it (Amazon CloudWatch user guide, "Specification: Embedded metric format"). It goes to
 * process.stdout, since Lambda's console puts time and request id in front. CloudWatch may read a line twice.
 *
 * @param properties what else the line says; it is in the log, and in no metric
 * @param now milliseconds since the epoch
 * @param apart which of them are metrics of a finer kind, too
 */
export function embeddedMetrics(
  stage: string,
  measurements: readonly Measurement[],
  properties: Readonly<Record<string, string | number>>,
  now: number,
  apart?: Apart,
): string {
  const units = measurements.map(({ name, unit }) => ({ Name: name, Unit: unit }));
  const namespace = metricsNamespace(stage);
  return JSON.stringify({
    ...properties,
    ...Object.fromEntries(measurements.map(({ name, value }) => [name, value])),
    Stage: stage,
    ...(apart === undefined ? {} : { [apart.dimension]: apart.value }),
    timestamp: new Date(now).toISOString(),
    _aws: {
      Timestamp: now,
      CloudWatchMetrics: [
        { Namespace: namespace, Dimensions: [['Stage']], Metrics: units },
        ...(apart === undefined
          ? []
          : [
              {
                Namespace: namespace,
                Dimensions: [['Stage', apart.dimension]],
                Metrics: units.filter(({ Name }) => apart.names.includes(Name)),
              },
            ]),
      ],
    },
  });
}

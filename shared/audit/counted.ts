import {
  type CloudWatchClient,
  type MetricDataQuery,
  type MetricDataResult,
  paginateGetMetricData,
} from '@aws-sdk/client-cloudwatch';
import { issuerDimension, signatureMetrics } from '../issuance/index.ts';
import { metricsNamespace } from '../metrics.ts';
import type { Period } from './period.ts';

/** What the functions told of their signatures with one issuer's key. */
export interface Counted {
  /** Signatures that they asked a signer for: told before it was asked. */
  readonly requested: number;
  /** Signatures that a signer gave them. */
  readonly made: number;
  /** Those of them over what an earlier delivery may have had signed. */
  readonly repeated: number;
}

const kinds = ['requested', 'made', 'repeated'] as const satisfies readonly (keyof Counted)[];
const nothing: Counted = { requested: 0, made: 0, repeated: 0 };

/** GetMetricData takes 500 queries (Amazon CloudWatch API reference). */
const issuersAtATime = Math.floor(500 / kinds.length);

/**
 * What CloudWatch has read out of the functions' logs. It may read a line twice. What a function was given and did not live
 * to write is in `requested` alone. Whoever may put metrics into the stage's namespace, or lines into the functions' logs, can
 * make it any number: a metric's value may be negative, too.
 *
 * @throws the CloudWatch client's errors
 */
export async function readCounted(
  client: CloudWatchClient,
  stage: string,
  issuerIds: readonly string[],
  period: Period,
  signal?: AbortSignal,
): Promise<ReadonlyMap<string, Counted>> {
  const counted = new Map(issuerIds.map((issuerId) => [issuerId, { ...nothing }]));
  for (let first = 0; first < issuerIds.length; first += issuersAtATime) {
    const chunk = issuerIds.slice(first, first + issuersAtATime);
    for await (const { Id: id = '', Values: values = [] } of results(client, stage, chunk, period, signal)) {
      const [kind, index] = id.split('_');
      const counts = counted.get(chunk[Number(index)] ?? '');
      if (counts !== undefined) {
        counts[kind as keyof Counted] += values.reduce((sum, value) => sum + value, 0);
      }
    }
  }
  return counted;
}

/** A query's datapoints come in several results where there are very many of them. */
async function* results(
  client: CloudWatchClient,
  stage: string,
  issuerIds: readonly string[],
  { from, to, granularity }: Period,
  signal: AbortSignal | undefined,
): AsyncGenerator<MetricDataResult, void, undefined> {
  const queries = issuerIds.flatMap((issuerId, index) =>
    kinds.map(
      (kind): MetricDataQuery => ({
        Id: `${kind}_${index}`,
        MetricStat: {
          Metric: {
            Namespace: metricsNamespace(stage),
            MetricName: signatureMetrics[kind],
            Dimensions: [
              { Name: 'Stage', Value: stage },
              { Name: issuerDimension, Value: issuerId },
            ],
          },
          Period: granularity,
          Stat: 'Sum',
        },
      }),
    ),
  );
  const input = { StartTime: new Date(from), EndTime: new Date(to), MetricDataQueries: queries };
  const pages = paginateGetMetricData({ client }, input, ...(signal === undefined ? [] : [{ abortSignal: signal }]));
  try {
    for await (const { MetricDataResults: found = [] } of pages) yield* found;
  } catch (cause) {
    throw new Error('Reading what the functions counted', { cause });
  }
}

/** Of several issuers, together. */
export const sumOfCounted = (counted: readonly Counted[]): Counted =>
  counted.reduce(
    (one, other) => ({
      requested: one.requested + other.requested,
      made: one.made + other.made,
      repeated: one.repeated + other.repeated,
    }),
    nothing,
  );

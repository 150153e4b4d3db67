import { GetMetricDataCommand } from '@aws-sdk/client-cloudwatch';
import { requestMetrics } from '../shared/issuance/index.ts';
import { metricsNamespace } from '../shared/metrics.ts';
import type { Session } from './session.ts';

/** Requests that the issue function hands back to the queue, as it told CloudWatch (shared/issuance/request-metrics.ts). */
export interface RetriedRequests {
  /** Deliveries of the last twenty minutes. */
  readonly deliveries: number;
  /** The age that the oldest had then, of those that something is in the way of which is in others' way too; else null. */
  readonly oldestSeconds: number | null;
}

/** More than the 15 minutes that may lie between two tries of a request (shared/queue/retry-delay.ts). */
const lookBack = 20 * 60_000;

/** Undefined where CloudWatch does not say; why not is a note, for the rest is worth showing without it. */
export async function readRetried(session: Session): Promise<RetriedRequests | undefined> {
  const { stage } = session.target();
  const now = session.now();
  const queryOf = (Id: string, MetricName: string, Stat: 'Sum' | 'Maximum') => {
    const Metric = {
      Namespace: metricsNamespace(stage),
      MetricName,
      Dimensions: [{ Name: 'Stage', Value: stage }],
    };
    return { Id, MetricStat: { Metric, Period: 60, Stat } };
  };
  const command = new GetMetricDataCommand({
    StartTime: new Date(now - lookBack),
    // The minute that is not over yet counts.
    EndTime: new Date(now + 60_000),
    ScanBy: 'TimestampDescending',
    MetricDataQueries: [
      queryOf('deliveries', requestMetrics.retried, 'Sum'),
      queryOf('oldest', requestMetrics.oldestRetriedAge, 'Maximum'),
    ],
  });
  try {
    const cloudWatch = await session.clients.cloudWatch();
    const { MetricDataResults: results = [] } = await cloudWatch.send(command, { abortSignal: session.interrupted });
    const valuesOf = (id: string) => results.find(({ Id }) => Id === id)?.Values ?? [];
    return {
      deliveries: valuesOf('deliveries').reduce((sum, value) => sum + value, 0),
      oldestSeconds: valuesOf('oldest')[0] ?? null,
    };
  } catch (error) {
    session.note(`Whether requests are tried again is not known: ${session.explain(error).message}`);
    return undefined;
  }
}

/** What it means, and where it says why; nothing while the queues are empty, for what was in the way is past then. */
export function adviceOnRetried(retried: RetriedRequests | undefined, waiting: number): string | undefined {
  if (retried === undefined || retried.oldestSeconds === null || waiting === 0) return undefined;
  return (
    `Requests are taken and given back without an answer: ${retried.deliveries} deliveries in the last 20 minutes, the oldest ` +
    `${Math.round(retried.oldestSeconds)} s after it was sent. What is in the way of one may be in the way of all: the lines ` +
    '"retry" of the issue function\'s log have the code, and mintmark health says whether an issuer can sign ' +
    '(docs/operating.md, "Nothing is being issued").'
  );
}

import type { Measurement } from '../metrics.ts';
import type { Reconciliation } from './reconcile.ts';

/** What reconciliation tells CloudWatch of each run. */
export const reconcileMetrics = {
  /** Gauge: past their signBefore and still owed something when the run ended. */
  overdue: 'OpenIntentsOverdue',
  /** Count: certificates of requests whose message did not come back in time. */
  finished: 'IntentsFinished',
  abandoned: 'IntentsAbandoned',
  /** Count: something was in the way; it says so in the log. */
  hindered: 'IntentsHindered',
} as const;

/** Pure. */
export function measureReconciliation({ requests, overdue }: Reconciliation): Measurement[] {
  const count = (became: string): number => requests.filter((request) => request.became === became).length;
  return [
    { name: reconcileMetrics.overdue, unit: 'Count', value: overdue },
    { name: reconcileMetrics.finished, unit: 'Count', value: count('finished') },
    { name: reconcileMetrics.abandoned, unit: 'Count', value: count('abandoned') },
    { name: reconcileMetrics.hindered, unit: 'Count', value: count('hindered') },
  ];
}

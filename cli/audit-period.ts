import { deliveryTime, history, type Period, periodOf } from '../shared/audit/index.ts';
import { UsageError } from './errors.ts';
import { shortTime } from './json.ts';

/** So long is looked at unless --since says otherwise: a lookup is slow, fifty signatures in half a second. */
const defaultLength = 24 * 60 * 60_000;

/**
 * The time that --since and --until mean.
 * @throws UsageError for what is to come, no time at all, or beyond what CloudTrail has
 */
export function auditPeriodOf(
  { since, until }: { readonly since?: number | undefined; readonly until?: number | undefined },
  now: number,
): Period {
  const end = until ?? now - deliveryTime;
  const begin = since ?? end - defaultLength;
  const isToCome = begin > now ? begin : end > now ? end : undefined;
  if (isToCome !== undefined) {
    throw new UsageError(`${shortTime(isToCome)} is not yet.`, `Now it is ${shortTime(now)}.`);
  }
  if (begin >= end) {
    const message = `From ${shortTime(begin)} until ${shortTime(end)} there is no time.`;
    const cure =
      'Give --since the earlier time; without --until it ends 15 minutes ago, for what CloudTrail is late with.';
    throw new UsageError(message, cure);
  }
  if (begin < now - history) {
    throw new UsageError(
      `${shortTime(begin)} is more than 90 days ago, and CloudTrail's event history has no more than that.`,
      "Look at later days; what was before is in a trail's bucket, if there is one.",
    );
  }
  return periodOf(begin, end, now);
}

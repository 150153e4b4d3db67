import { countsHistory, deliveryTime, history, type Period, periodOf } from '../shared/audit/index.ts';
import { UsageError } from './errors.ts';
import { shortTime } from './json.ts';

/** So long is looked at unless --since says otherwise: a lookup is slow, fifty signatures in half a second. */
const defaultLength = 24 * 60 * 60_000;

/**
 * The time that --since and --until mean.
 * @throws UsageError for what is to come, or no time at all
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
  const period = periodOf(begin, until, now);
  if (begin >= end || period.from >= period.to) {
    const message = `From ${shortTime(begin)} until ${shortTime(end)} there is no time.`;
    const cure =
      'Give --since the earlier time; without --until it ends 15 minutes ago, for what CloudTrail is late with.';
    throw new UsageError(message, cure);
  }
  return period;
}

/**
 * What there is to compare rows with goes back so far: of keys in KMS CloudTrail's events, of keys in CloudHSM the
 * functions' counts alone.
 * @param keys those that are looked at
 * @throws UsageError for what is beyond
 */
export function checkHistory(
  { from }: Pick<Period, 'from'>,
  keys: readonly { readonly isInKms: boolean }[],
  now: number,
): void {
  if (from < now - history && keys.some(({ isInKms }) => isInKms)) {
    const cure = keys.every(({ isInKms }) => isInKms)
      ? "Look at later days; what was before is in a trail's bucket, if there is one."
      : "Look at later days, or with --issuer at one whose key is in CloudHSM; what was before is in a trail's bucket, if there is one.";
    throw new UsageError(
      `${shortTime(from)} is more than 90 days ago, and CloudTrail's event history of keys in KMS has no more than that.`,
      cure,
    );
  }
  if (from < now - countsHistory) {
    throw new UsageError(
      `${shortTime(from)} is more than 455 days ago, and CloudWatch has no longer what the functions counted.`,
      'Look at later days.',
    );
  }
}

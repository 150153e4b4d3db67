import { UsageError } from './errors.ts';

/** So many days back failures are looked for unless --since says otherwise, today among them. */
export const defaultDays = 7;

/** A query for each class and day: beyond this many days it takes minutes. */
const maximumDays = 366;

const millisecondsOfDay = 86_400_000;

/**
 * The days from `since` until today, the newest first, in UTC.
 * @throws UsageError for a day that is to come, or too long ago
 */
export function daysSince(since: string | undefined, now: number): string[] {
  const today = Date.parse(dayOf(now));
  const first = since === undefined ? today - (defaultDays - 1) * millisecondsOfDay : Date.parse(since);
  const count = (today - first) / millisecondsOfDay + 1;
  if (count < 1) throw new UsageError(`${since} is not yet.`, `Today is ${dayOf(now)} in UTC.`);
  if (count > maximumDays) {
    throw new UsageError(`${since} is more than a year ago.`, `Look for at most ${maximumDays} days.`);
  }
  return Array.from({ length: count }, (_, index) => dayOf(today - index * millisecondsOfDay));
}

const dayOf = (time: number): string => new Date(time).toISOString().slice(0, 10);

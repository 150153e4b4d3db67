import type { Command } from 'commander';
import { UsageError } from './errors.ts';
import { day } from './values.ts';

/** So many days are looked at unless --since says otherwise. */
const defaultDays = 7;

/** A query for each class and day: beyond this many days it takes minutes. */
const maximumDays = 366;

const millisecondsOfDay = 86_400_000;

/** Which days are meant: YYYY-MM-DD (UTC), both counted. */
export interface DaysOptions {
  readonly since?: string | undefined;
  readonly until?: string | undefined;
}

/** --since and --until. */
export const declareDays = (command: Command): Command =>
  command
    .option('--since <day>', `from this day on, YYYY-MM-DD (UTC); without it, ${defaultDays} days`, day)
    .option('--until <day>', 'until this day, with it; without it, today', day);

/**
 * The days that are meant, the newest first, in UTC.
 * @throws UsageError for days that are to come, none, or too many
 */
export function daysOf({ since, until }: DaysOptions, now: number): string[] {
  const today = Date.parse(dayOf(now));
  const last = until === undefined ? today : Date.parse(until);
  const first = since === undefined ? last - (defaultDays - 1) * millisecondsOfDay : Date.parse(since);
  const isToCome = first > today ? since : last > today ? until : undefined;
  if (isToCome !== undefined) throw new UsageError(`${isToCome} is not yet.`, `Today is ${dayOf(now)} in UTC.`);
  const count = (last - first) / millisecondsOfDay + 1;
  if (count < 1) throw new UsageError(`${since} is after ${until}.`, 'Give --since the earlier day.');
  if (count > maximumDays) {
    throw new UsageError(
      `From ${since} to ${dayOf(last)} it is ${count} days.`,
      `Look at ${maximumDays} days at most: --until ends them.`,
    );
  }
  return Array.from({ length: count }, (_, index) => dayOf(last - index * millisecondsOfDay));
}

/** The days from a time until now, the newest first; as many as a list may look at where it is longer ago, or not known. */
export function daysFrom(time: number | undefined, now: number): string[] {
  const earliest = Date.parse(dayOf(now)) - (maximumDays - 1) * millisecondsOfDay;
  return daysOf({ since: dayOf(Math.min(now, Math.max(time ?? earliest, earliest))) }, now);
}

const dayOf = (time: number): string => new Date(time).toISOString().slice(0, 10);

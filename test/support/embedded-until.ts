import { setTimeout as delay } from 'node:timers/promises';

/** Milliseconds between two looks. */
const interval = 25;

/** Long enough for a machine that is busy with other things; nothing that works takes as long. */
const defaultLimit = 30_000;

/**
 * Looks until there is something to see.
 * @param look undefined or false: not yet
 * @param what for the error, as in "no ... after 30 s"
 * @param limit milliseconds
 */
export async function until<T>(
  look: () => T | undefined | false | Promise<T | undefined | false>,
  what: string,
  limit = defaultLimit,
): Promise<T> {
  const end = Date.now() + limit;
  for (;;) {
    const seen = await look();
    if (seen !== undefined && seen !== false) return seen;
    if (Date.now() > end) throw new Error(`No ${what} after ${limit / 1000} s.`);
    await delay(interval);
  }
}

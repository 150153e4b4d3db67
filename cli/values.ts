import { InvalidArgumentError, Option } from 'commander';

/** Parsers of options' values: each gives the value or throws what commander tells of the option. */

/** YYYY-MM-DD, a day that there is. */
export function day(text: string): string {
  const time = Date.parse(`${text}T00:00:00Z`);
  const isDay = /^\d{4}-\d{2}-\d{2}$/.test(text) && !Number.isNaN(time);
  if (!isDay || new Date(time).toISOString().slice(0, 10) !== text) {
    throw new InvalidArgumentError('A day is written as in 2026-11-22 (UTC).');
  }
  return text;
}

/** A time, RFC 3339 in UTC, to the minute or finer; or a day, which begins at midnight. @returns milliseconds since the epoch */
export function time(text: string): number {
  const isTime = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,3})?)?Z$/i.test(text);
  const found = isTime ? Date.parse(text.toUpperCase()) : Date.parse(text.includes('T') ? '' : `${text}T00:00:00Z`);
  const isOfCalendar = !Number.isNaN(found) && new Date(found).toISOString().startsWith(text.slice(0, 10));
  if (isOfCalendar) return found;
  throw new InvalidArgumentError('A time is written as in 2026-11-22 or 2026-11-22T14:30Z (UTC).');
}

/** A serial number as any tool writes it: hex in either case, with colons or without, leading zeros or none. */
export function serialNumber(text: string): string {
  const digits = text.replace(/^0x/i, '').replaceAll(/[: ]/g, '').toLowerCase();
  if (!/^[0-9a-f]{1,32}$/.test(digits)) {
    throw new InvalidArgumentError('A serial number has at most 32 hex digits, with or without colons.');
  }
  return digits.padStart(32, '0');
}

/** @returns a parser of whole numbers from 1 to `most` */
export function countTo(most: number): (text: string) => number {
  return (text) => {
    const count = Number(text);
    if (!/^\d+$/.test(text) || count < 1 || count > most) {
      throw new InvalidArgumentError(`It is a whole number from 1 to ${most}.`);
    }
    return count;
  };
}

/** What is not empty, which a variable that is not set may be. */
export function notEmpty(text: string): string {
  if (text === '') throw new InvalidArgumentError('It is empty.');
  return text;
}

/** An option whose value is one of a few. */
export const oneOf = (flags: string, description: string, choices: readonly string[]): Option =>
  new Option(flags, description).choices(choices);

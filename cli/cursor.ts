import * as z from 'zod';
import { MintmarkError } from '../shared/errors.ts';
import type { Position, ReadOptions } from '../shared/ledger/index.ts';
import { UsageError } from './errors.ts';

/** A cursor is a position in a table, in base64url: a list goes on where another process ended. */
const position = z.strictObject({ partition: z.string(), key: z.record(z.string(), z.string()) });

/** What a list prints, so that another goes on after this place. */
export const cursorOf = (place: Position): string => Buffer.from(JSON.stringify(place)).toString('base64url');

/** @throws UsageError */
function positionOf(cursor: string): Position {
  try {
    return position.parse(JSON.parse(Buffer.from(cursor, 'base64url').toString()));
  } catch (cause) {
    throw notOurs(cause);
  }
}

const notOurs = (cause: unknown): UsageError =>
  new UsageError(
    'The --cursor is not one that this list has given.',
    'Give it as it was printed, with the options of the list that printed it.',
    { cause },
  );

/**
 * What is found after the place that a cursor names; without one, from the start.
 *
 * @param find in order, each with its place; from a place on where there is one
 * @throws UsageError for a cursor that is another list's
 */
export async function* findAfter<Found>(
  find: (after: Position | undefined) => AsyncIterable<Found>,
  cursor: string | undefined,
): AsyncGenerator<Found, void, undefined> {
  const after = cursor === undefined ? undefined : positionOf(cursor);
  try {
    yield* find(after);
  } catch (error) {
    if (after !== undefined && isOfThePosition(error)) throw notOurs(error);
    throw error;
  }
}

/**
 * As many as asked for of what matches, and a cursor where there may be more.
 *
 * @param find in order, each with its place; from a place on where there is a cursor
 * @throws UsageError for a cursor that is another list's
 */
export async function takePage<Found extends { readonly position: Position }>(
  find: (options: ReadOptions) => AsyncIterable<Found>,
  { limit, cursor }: { readonly limit: number; readonly cursor?: string | undefined },
  matches: (one: Found) => boolean,
): Promise<{ readonly page: readonly Found[]; readonly cursor: string | undefined }> {
  const page: Found[] = [];
  const pageSize = Math.min(100, limit + 1);
  for await (const one of findAfter((after) => find({ after, pageSize }), cursor)) {
    if (!matches(one)) continue;
    const last = page.at(-1);
    // There is one more than was asked for, so there is a next page.
    if (page.length === limit && last !== undefined) return { page, cursor: cursorOf(last.position) };
    page.push(one);
  }
  return { page, cursor: undefined };
}

/** A partition that is not read here, or a key that DynamoDB does not take as one of the table or index. */
const isOfThePosition = (error: unknown): boolean =>
  error instanceof MintmarkError &&
  (error.code === 'CONFIGURATION_INVALID' ||
    (error.cause instanceof Error && error.cause.name === 'ValidationException'));

import { type FailureClass, MintmarkError } from '../shared/errors.ts';
import type { FailureRecord, FailureRecords, PlacedFailure, Position } from '../shared/ledger/index.ts';
import { table } from '../shared/terminal/index.ts';

/** How many there are, by class and code. */
export class FailureCounts {
  readonly #counts = new Map<string, { readonly class: string; readonly code: string; count: number }>();
  total = 0;

  add({ failureClass, code }: FailureRecord): void {
    const key = `${failureClass} ${code}`;
    const known = this.#counts.get(key) ?? { class: failureClass, code, count: 0 };
    known.count += 1;
    this.total += 1;
    this.#counts.set(key, known);
  }

  /** The most first. As --json has it. */
  get byCode(): { readonly class: string; readonly code: string; readonly count: number }[] {
    return [...this.#counts.values()].toSorted((one, other) => other.count - one.count);
  }

  /** Lines of a table; none where there are none. */
  lines(): string[] {
    const rows = this.byCode.map((one) => [one.class, one.code, String(one.count)]);
    return rows.length === 0 ? [] : table(['CLASS', 'CODE', 'COUNT'], rows);
  }
}

/**
 * The newest failures of these days, newest first, whatever their class. The table has each class and day in order of message
 * ids, so all of a day is read; no more of it is kept than is asked for.
 *
 * @param days YYYY-MM-DD (UTC), the newest first
 * @param most how many
 * @param after a place that an earlier one of them had; those before it are left out
 * @param count hears of all that match, of every day; without it no more days are read than are needed
 * @throws MintmarkError CONFIGURATION_INVALID for a place of another day; as FailureRecords.find
 */
export async function newestFailures(
  records: Pick<FailureRecords, 'find'>,
  classes: readonly FailureClass[],
  days: readonly string[],
  {
    matches,
    most,
    after,
    count,
  }: {
    readonly matches: (failure: FailureRecord) => boolean;
    readonly most: number;
    readonly after?: Position | undefined;
    readonly count?: ((failure: FailureRecord) => void) | undefined;
  },
): Promise<PlacedFailure[]> {
  const first = after === undefined ? 0 : days.indexOf(after.partition);
  if (first < 0) throw new MintmarkError('CONFIGURATION_INVALID', 'The place is not on one of these days.');
  const newest: PlacedFailure[] = [];
  for (const day of days.slice(first)) {
    const room = most - newest.length;
    if (room <= 0 && count === undefined) break;
    let ofDay: PlacedFailure[] = [];
    for await (const { failure } of records.find(classes, [day])) {
      if (!matches(failure)) continue;
      count?.(failure);
      const position = positionOf(failure, day);
      if (room <= 0 || (after !== undefined && day === after.partition && !isAfter(position, after))) continue;
      ofDay.push({ failure, position });
      if (ofDay.length >= 2 * room + 100) ofDay = ofDay.toSorted(newestFirst).slice(0, room);
    }
    newest.push(...ofDay.toSorted(newestFirst).slice(0, Math.max(room, 0)));
  }
  return newest;
}

/** What the order is made of, and the day that has it. */
function positionOf({ failedAt, messageId, classDay }: FailureRecord, day: string): Position {
  const at = failedAt === undefined ? '' : new Date(failedAt).toISOString();
  return { partition: day, key: { at, messageId, classDay } };
}

const sortKeyOf = ({ key: { at = '', messageId = '', classDay = '' } }: Position): string =>
  `${at} ${messageId} ${classDay}`;

const isAfter = (position: Position, after: Position): boolean => sortKeyOf(position) < sortKeyOf(after);

function newestFirst(one: PlacedFailure, other: PlacedFailure): number {
  return isAfter(other.position, one.position) ? -1 : 1;
}

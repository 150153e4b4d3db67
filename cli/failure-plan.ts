import type { FailureRecord } from '../shared/ledger/index.ts';
import { type FailureSelection, leftOut, mismatchesOf } from './failure-selection.ts';
import { FailureCounts } from './failure-survey.ts';

/** What a command would do to the failures that are meant. */
export interface FailurePlan<Reason extends string> {
  /** The rows that it would change, by `keyOf`, and the ids of their messages. */
  readonly meant: ReadonlyMap<string, string>;
  readonly counts: FailureCounts;
  /** How many it would leave as they are, and why. */
  readonly left: ReadonlyMap<Reason, number>;
  /** A sentence on each that was named by its id, and that the options leave out. */
  readonly leftOut: readonly string[];
  /** Ids that were named and that no row has. */
  readonly unknown: readonly string[];
}

/** One row; a message that failed twice, or on two days, has two. */
export const keyOf = ({ classDay, messageId }: FailureRecord): string => `${classDay}/${messageId}`;

/**
 * Looks at all of them. They are read again for what is done then: there may be more of them than memory.
 * @param messageIds as they were named; none: whatever the selection names
 * @param reasonAgainst why one is left as it is
 */
export async function planFor<Reason extends string>(
  failures: AsyncIterable<FailureRecord>,
  selection: FailureSelection,
  messageIds: readonly string[],
  reasonAgainst: (failure: FailureRecord) => Reason | undefined,
): Promise<FailurePlan<Reason>> {
  const [meant, left, counts] = [new Map<string, string>(), new Map<Reason, number>(), new FailureCounts()];
  const excluded: string[] = [];
  const unknown = new Set(messageIds);
  for await (const failure of failures) {
    unknown.delete(failure.messageId);
    const mismatches = mismatchesOf(selection, failure);
    const reason = reasonAgainst(failure);
    if (mismatches.length > 0) excluded.push(leftOut(failure, mismatches));
    else if (reason !== undefined) left.set(reason, (left.get(reason) ?? 0) + 1);
    else {
      meant.set(keyOf(failure), failure.messageId);
      counts.add(failure);
    }
  }
  return { meant, counts, left, leftOut: excluded, unknown: [...unknown] };
}

/** Those of the failures that the plan names. */
export async function* plannedOf(
  failures: AsyncIterable<FailureRecord>,
  { meant }: Pick<FailurePlan<string>, 'meant'>,
): AsyncGenerator<FailureRecord, void, undefined> {
  for await (const failure of failures) if (meant.has(keyOf(failure))) yield failure;
}

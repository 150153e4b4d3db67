import type { IssuerName, IssuerNameRecords } from '../shared/ledger/index.ts';
import { UsageError } from './errors.ts';

/**
 * The row of a name as it is now; undefined where there is none.
 * @throws UsageError for a row that cannot be read, which no condition can be put on
 */
export async function rowOf(records: IssuerNameRecords, name: string): Promise<IssuerName | undefined> {
  const { names, unreadable } = await records.list();
  const problem = unreadable.find((each) => each.name === name)?.problem;
  if (problem === undefined) return names.find((each) => each.name === name);
  throw new UsageError(problem, 'Delete the row, then the name has none; and activate again.');
}

export const changedMeanwhile = (name: string): UsageError =>
  new UsageError(
    `Somebody else made ${name} lead elsewhere at the same moment; nothing is changed.`,
    'Look at mintmark issuers list, and decide anew.',
  );

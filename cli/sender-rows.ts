import type { SenderRecord, SenderRecords } from '../shared/ledger/index.ts';
import { interruptible } from './interruptible.ts';
import { isArnOf, type SenderName } from './sender-name.ts';

/**
 * The rows of a sender. An ARN may have several: one for each id that it ever had and that was added. No index is by ARN,
 * and there are as many rows as roles that send.
 */
export async function rowsOfSender(
  records: SenderRecords,
  named: SenderName,
  signal: AbortSignal,
): Promise<SenderRecord[]> {
  if (named.by === 'id') {
    const row = await records.get(named.principalId);
    return row === undefined ? [] : [row];
  }
  const rows: SenderRecord[] = [];
  for await (const { sender } of interruptible(records.list(), signal)) {
    if (sender.arn !== undefined && isArnOf(named, sender.arn)) rows.push(sender);
  }
  return rows;
}

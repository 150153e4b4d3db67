import { SenderRecords } from '../../shared/ledger/index.ts';
import { defineCommand } from '../command.ts';
import { UsageError } from '../errors.ts';
import { type SenderName, senderNamed } from '../sender-name.ts';
import { rowsOfSender } from '../sender-rows.ts';
import { describeSender, senderJson } from '../sender-view.ts';

export const command = defineCommand({
  details: [
    'Within a minute, profiles that say allowedSenders: registered refuse it, and an intent of its is no longer signed;',
    'profiles that say any let it in and hold it to nothing. What was issued stays. To keep a sender out altogether, take',
    'sqs:SendMessage from it.',
  ],
  declare: (command) => command.argument('<sender>', "the role's or user's ARN or id, as senders list gives it"),
  run: async (session, _, [sender = '']) => {
    const named = senderNamed(sender);
    const records = new SenderRecords(await session.clients.dynamoDB(), session.target().tables.senders);
    const principalId = named.by === 'id' ? named.principalId : await onlyIdOf(records, named, session.interrupted);
    const removed = principalId === undefined ? undefined : await records.remove(principalId);
    if (removed === undefined) {
      return { exitCode: 1, json: { removed: null }, lines: [`${sender} is not registered.`] };
    }
    return {
      exitCode: 0,
      json: { removed: senderJson(removed) },
      lines: [`${removed.principalId} is no longer registered. It was:`, ...describeSender(removed)],
    };
  },
});

async function onlyIdOf(records: SenderRecords, named: SenderName, signal: AbortSignal): Promise<string | undefined> {
  const rows = await rowsOfSender(records, named, signal);
  if (rows.length > 1) {
    const ids = rows.map(({ principalId }) => principalId).join(', ');
    throw new UsageError(`Several ids are registered under that ARN: ${ids}.`, 'Name one by its id.');
  }
  return rows[0]?.principalId;
}

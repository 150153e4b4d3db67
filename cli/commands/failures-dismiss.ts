import { type FailureRecord, FailureRecords, FailureStates } from '../../shared/ledger/index.ts';
import { defineCommand } from '../command.ts';
import { type DaysOptions, daysOf, declareDays } from '../days.ts';
import { notEmpty } from '../values.ts';

interface Options extends DaysOptions {
  readonly reason: string;
}

export const command = defineCommand<Options>({
  details: [
    'The row stays, with the reason; it is never redriven. One that was redriven cannot be dismissed: its message is on its',
    'way, and what became of that is a row of its own.',
  ],
  declare: (command) =>
    declareDays(
      command
        .argument('<message-ids...>', "SQS's message ids, as failures list gives them")
        .requiredOption('--reason <text>', 'why nobody needs an answer; kept in the row', notEmpty),
    ),
  run: async (session, { reason, ...options }, given) => {
    const messageIds = [...new Set(given)];
    const days = daysOf(options, session.now());
    const dynamoDB = await session.clients.dynamoDB();
    const table = session.target().tables.failures;
    const states = new FailureStates(dynamoDB, table);
    const found = await new FailureRecords(dynamoDB, table).get(messageIds, days);
    const ended: FailureRecord[] = [];
    for (const failure of found) {
      ended.push({ ...failure, state: await states.dismiss(failure, reason, session.now()) });
    }
    const unknown = messageIds.filter((messageId) => !found.some((failure) => failure.messageId === messageId));
    return {
      exitCode: unknown.length > 0 || ended.some(({ state }) => state !== 'dismissed') ? 1 : 0,
      json: { failures: ended.map(({ messageId, state }) => ({ messageId, state })), unknown },
      lines: [
        ...ended.map(({ messageId, state }) =>
          state === 'dismissed' ? `${messageId} is dismissed.` : `${messageId} is ${state}: it stays so.`,
        ),
        ...unknown.map((messageId) => `There is no failure of message ${messageId} from ${days.at(-1)} to ${days[0]}.`),
      ],
    };
  },
});

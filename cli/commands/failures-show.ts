import { errorKinds } from '../../shared/errors.ts';
import { FailureRecords } from '../../shared/ledger/index.ts';
import { defineCommand } from '../command.ts';
import { type DaysOptions, daysOf, declareDays } from '../days.ts';
import { describeFailure, failureJson } from '../failure-view.ts';

export const command = defineCommand<DaysOptions>({
  declare: (command) => declareDays(command.argument('<message-id>', "SQS's message id, as failures list gives it")),
  run: async (session, options, [messageId = '']) => {
    const days = daysOf(options, session.now());
    const records = new FailureRecords(await session.clients.dynamoDB(), session.target().tables.failures);
    const [failure] = (await records.get([messageId], days)).toSorted(
      (one, other) => (other.failedAt ?? 0) - (one.failedAt ?? 0),
    );
    if (failure === undefined) {
      const line = `There is no failure of message ${messageId} from ${days.at(-1)} to ${days[0]}; --since looks further back.`;
      return { exitCode: 1, json: { failure: null }, lines: [line] };
    }
    const kinds: Readonly<Record<string, { readonly cure: string }>> = errorKinds;
    const cure = kinds[failure.code]?.cure;
    return {
      exitCode: 0,
      json: { failure: { ...failureJson(failure), cure: cure ?? null } },
      lines: describeFailure(failure, cure),
    };
  },
});

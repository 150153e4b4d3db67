import { errorKinds } from '../../shared/errors.ts';
import { FailureRecords } from '../../shared/ledger/index.ts';
import { defineCommand } from '../command.ts';
import { daysSince, defaultDays } from '../days.ts';
import { describeFailure, failureJson } from '../failure-view.ts';
import { day } from '../values.ts';

interface Options {
  readonly since?: string;
}

export const command = defineCommand<Options>({
  declare: (command) =>
    command
      .argument('<message-id>', "SQS's message id, as failures list gives it")
      .option('--since <day>', `look from this day on, YYYY-MM-DD (UTC); without it, ${defaultDays} days`, day),
  run: async (session, { since }, [messageId = '']) => {
    const days = daysSince(since, session.now());
    const records = new FailureRecords(await session.clients.dynamoDB(), session.target().tables.failures);
    const [failure] = (await records.get([messageId], days)).toSorted(
      (one, other) => (other.failedAt ?? 0) - (one.failedAt ?? 0),
    );
    if (failure === undefined) {
      const line = `There is no failure of message ${messageId} since ${days.at(-1)}; --since looks further back.`;
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

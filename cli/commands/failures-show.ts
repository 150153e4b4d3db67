import { errorKinds } from '../../shared/errors.ts';
import { FailureRecords } from '../../shared/ledger/index.ts';
import { defineCommand } from '../command.ts';
import { type DaysOptions, daysOf, declareDays } from '../days.ts';
import { outcomesOf } from '../failure-outcome.ts';
import { periodOf } from '../failure-selection.ts';
import { describeFailure, failureJson } from '../failure-view.ts';

export const command = defineCommand<DaysOptions>({
  details: [
    'Of one that was redriven, what became of its message is looked up from redrive to redrive: whether it was issued or',
    'rejected, failed again (as a message of another id), or has no answer yet.',
  ],
  declare: (command) => declareDays(command.argument('<message-id>', "SQS's message id, as failures list gives it")),
  run: async (session, options, [messageId = '']) => {
    const days = daysOf(options, session.now());
    const records = new FailureRecords(await session.clients.dynamoDB(), session.target().tables.failures);
    const [failure] = (await records.get([messageId], days)).toSorted(
      (one, other) => (other.failedAt ?? 0) - (one.failedAt ?? 0),
    );
    if (failure === undefined) {
      const message = `There is no failure of message ${messageId} ${periodOf(days)}.`;
      const cure = 'Look further back with --since; mintmark failures list has the ids.';
      return { exitCode: 1, json: { failure: null, error: { message, cure } }, lines: [`${message} ${cure}`] };
    }
    const kinds: Readonly<Record<string, { readonly cure: string }>> = errorKinds;
    const cure = kinds[failure.code]?.cure;
    const outcomes = await outcomesOf(session, failure);
    return {
      exitCode: 0,
      json: {
        failure: { ...failureJson(failure), cure: cure ?? null },
        outcomes,
      },
      lines: describeFailure(
        failure,
        cure,
        outcomes.map(({ sentence }) => sentence),
      ),
    };
  },
});

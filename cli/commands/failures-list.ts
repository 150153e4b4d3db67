import { type FailureClass, failureClasses } from '../../shared/errors.ts';
import { FailureRecords, type FailureState, type ReadOptions } from '../../shared/ledger/index.ts';
import { table } from '../../shared/terminal/index.ts';
import { defineCommand } from '../command.ts';
import { takePage } from '../cursor.ts';
import { type DaysOptions, daysOf, declareDays } from '../days.ts';
import { failureJson } from '../failure-view.ts';
import { shortTime } from '../json.ts';
import { countTo, notEmpty, oneOf } from '../values.ts';

interface Options extends DaysOptions {
  readonly class?: FailureClass;
  readonly code?: string;
  readonly state?: FailureState;
  readonly limit: number;
  readonly cursor?: string;
}

const failureStates: readonly FailureState[] = ['failed', 'redriven', 'dismissed'];

const heads = ['CLASS', 'STATE', 'CODE', 'FIRST CODE', 'MESSAGE ID', 'DEVICE', 'SENDER', 'TRIES', 'AT'];

export const command = defineCommand<Options>({
  details: ['What each class means, and what to do first, is in docs/operating.md; the codes are in docs/errors.md.'],
  declare: (command) =>
    declareDays(command.addOption(oneOf('--class <class>', 'of this class', failureClasses)))
      .option('--code <code>', 'with this code', notEmpty)
      .addOption(oneOf('--state <state>', 'in this state', failureStates))
      .option('--limit <count>', 'at most so many rows', countTo(1_000), 50)
      .option('--cursor <cursor>', 'go on where a list ended', notEmpty),
  run: async (session, options) => {
    const days = daysOf(options, session.now());
    const records = new FailureRecords(await session.clients.dynamoDB(), session.target().tables.failures);
    const classes = options.class === undefined ? failureClasses : [options.class];
    const find = (from: ReadOptions) => records.find(classes, days, from);
    const { page, cursor } = await takePage(
      find,
      options,
      ({ failure }) =>
        (options.code === undefined || failure.code === options.code) &&
        (options.state === undefined || failure.state === options.state),
    );
    const rows = page.map(({ failure }) => [
      failure.failureClass,
      failure.state,
      failure.code,
      failure.firstCode === failure.code ? '' : failure.firstCode,
      failure.messageId,
      failure.deviceId ?? '',
      failure.sender,
      String(failure.tries),
      shortTime(failure.failedAt),
    ]);
    return {
      exitCode: 0,
      json: {
        since: days.at(-1),
        until: days[0],
        failures: page.map(({ failure }) => failureJson(failure)),
        cursor: cursor ?? null,
      },
      lines: [
        ...(page.length === 0 ? [] : table(heads, rows)),
        ...(page.length === 0 ? [`No failures since ${days.at(-1)}.`] : ['', `${page.length} since ${days.at(-1)}`]),
        ...(cursor === undefined ? [] : [`There are more: the same with --cursor ${cursor}`]),
      ],
    };
  },
});

import { failureClasses } from '../../shared/errors.ts';
import { type FailureRecord, FailureRecords, type FailureState, type ReadOptions } from '../../shared/ledger/index.ts';
import { printable, table } from '../../shared/terminal/index.ts';
import { defineCommand } from '../command.ts';
import { takePage } from '../cursor.ts';
import { daysOf } from '../days.ts';
import {
  declareFailureSelection,
  type FailureSelection,
  failureSelectionDetails,
  filtersOf,
  mismatchesOf,
  oneOfThese,
  periodOf,
  severalOf,
} from '../failure-selection.ts';
import { FailureCounts, newestFailures } from '../failure-survey.ts';
import { deviceOf, failureJson, shownDevice } from '../failure-view.ts';
import { shortTime } from '../json.ts';
import type { Session } from '../session.ts';
import { countTo, notEmpty } from '../values.ts';

interface Options extends FailureSelection {
  readonly state?: readonly FailureState[];
  readonly limit: number;
  readonly cursor?: string;
}

const failureStates: readonly FailureState[] = ['failed', 'redriven', 'dismissed'];

const heads = ['CLASS', 'STATE', 'CODE', 'FIRST CODE', 'MESSAGE ID', 'DEVICE', 'SENDER', 'TRIES', 'AT', 'DETAIL'];

export const command = defineCommand<Options>({
  details: [
    'And how many there are by class and code: all that the options name, not only what is shown; a page that --cursor goes on',
    'with has no totals (null in JSON). A question mark behind a device: only the message says so, and nobody has checked',
    'whether its sender may speak for it.',
    ...failureSelectionDetails,
    'What each class means, and what to do first, is in docs/operating.md; the codes are in docs/errors.md.',
  ],
  declare: (command) =>
    declareFailureSelection(command)
      .addOption(severalOf('--state <state>', 'in this state', failureStates, oneOfThese(failureStates)))
      .option('--limit <count>', 'at most so many rows', countTo(1_000), 50)
      .option('--cursor <cursor>', 'go on where a list ended', notEmpty),
  run: async (session, options) => {
    const days = daysOf(options, session.now());
    const records = new FailureRecords(await session.clients.dynamoDB(), session.target().tables.failures);
    const counts = options.cursor === undefined ? new FailureCounts() : undefined;
    async function* find({ after }: ReadOptions) {
      yield* await newestFailures(records, options.class ?? failureClasses, days, {
        matches: (failure) =>
          mismatchesOf(options, failure).length === 0 &&
          (options.state === undefined || options.state.includes(failure.state)),
        // One more tells that there are more.
        most: options.limit + 1,
        after,
        count: counts === undefined ? undefined : (failure) => counts.add(failure),
      });
    }
    const { page, cursor } = await takePage(find, options, () => true);
    const failures = page.map(({ failure }) => failure);
    return {
      exitCode: 0,
      json: {
        since: days.at(-1),
        until: days[0],
        failures: failures.map(failureJson),
        total: counts?.total ?? null,
        totals: counts?.byCode ?? null,
        cursor: cursor ?? null,
      },
      lines: [
        ...(failures.length === 0 ? [] : [...rowsOf(failures, session), '']),
        ...(counts === undefined || counts.total === 0 ? [] : [...counts.lines(), '']),
        summaryOf(failures.length, counts?.total, options, days),
        ...(failures.some((failure) => deviceOf(failure)?.isStated === true)
          ? ['A device with a question mark is what the message says; nobody has checked it.']
          : []),
        ...(cursor === undefined ? [] : [`There are more: the same with --cursor ${cursor}`]),
      ],
    };
  },
});

function summaryOf(shown: number, total: number | undefined, options: Options, days: readonly string[]): string {
  const which = `${filtersOf(options, options.state)} ${periodOf(days)}`;
  if (total === undefined) return `${shown} more${which}`;
  if (total === 0) return `No failures${which}.`;
  return `${total} ${total === 1 ? 'failure' : 'failures'}${which}${shown < total ? `; the newest ${shown} are shown` : ''}`;
}

/** A detail has at least so many characters, whatever the terminal's width. */
const leastDetail = 40;

/** Where lines do not wrap. */
const longestDetail = 200;

function rowsOf(failures: readonly FailureRecord[], { stdout }: Session): string[] {
  const rows = failures.map((failure) => [
    failure.failureClass,
    failure.state,
    failure.code,
    failure.firstCode === failure.code ? '' : failure.firstCode,
    failure.messageId,
    shownDevice(failure),
    failure.sender,
    String(failure.tries),
    shortTime(failure.failedAt),
  ]);
  const before = table(heads.slice(0, -1), rows);
  const width = Math.max(...before.map((line) => line.length)) + 2;
  const room = stdout.isTTY ? Math.max(leastDetail, stdout.columns - width) : longestDetail;
  return table(
    heads,
    rows.map((row, index) => [...row, printable(failures[index]?.detail ?? '', room)]),
  );
}

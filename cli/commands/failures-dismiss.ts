import { type FailureChange, type FailureRecord, FailureRecords, FailureStates } from '../../shared/ledger/index.ts';
import { Progress } from '../../shared/terminal/index.ts';
import { defineCommand, type Result } from '../command.ts';
import { daysOf } from '../days.ts';
import { type FailurePlan, planFor, plannedOf } from '../failure-plan.ts';
import {
  declareFailureSelection,
  type FailureSelection,
  failureSelectionDetails,
  filtersOf,
  periodOf,
  requireNamed,
  selectFailures,
} from '../failure-selection.ts';
import type { Session } from '../session.ts';
import { notEmpty } from '../values.ts';

interface Options extends FailureSelection {
  readonly reason: string;
  readonly dryRun?: true;
}

/** Rows that are changed at a time. */
const atATime = 10;

type Reason = 'redriven' | 'dismissed' | 'new';

const reasons: Readonly<Record<Reason, string>> = {
  redriven: 'redriven before, and stay so: their messages are on their way, and what failed again is a row of its own',
  dismissed: 'dismissed before, for the reason that was given then; this one was not recorded',
  new: 'failed since this command began',
};

export const command = defineCommand<Options>({
  details: [
    'The row stays, with the reason; it is never redriven, and cannot be opened again. One that was redriven cannot be',
    'dismissed: its message is on its way, and what became of that is a row of its own. With ids, the options leave out those',
    'that do not answer to them. One that was dismissed or redriven before is told, and is no fault. Exit code 1 when one that',
    'was named is not there, is left out by an option, or is being redriven.',
    ...failureSelectionDetails,
  ],
  declare: (command) =>
    declareFailureSelection(
      command
        .argument('[message-ids...]', 'these, as failures list gives them; without them, all that the options name')
        .requiredOption('--reason <text>', 'why nobody needs an answer; kept in the row', notEmpty),
    ).option('--dry-run', 'dismiss nothing; say what would be dismissed'),
  run: async (session, options, given) => {
    const messageIds = [...new Set(given)];
    requireNamed(options, messageIds, 'dismissed');
    const before = session.now();
    const days = daysOf(options, before);
    const dynamoDB = await session.clients.dynamoDB();
    const table = session.target().tables.failures;
    const records = new FailureRecords(dynamoDB, table);
    const find = () => selectFailures(records, options, messageIds, days);
    const plan = await planFor(find(), options, messageIds, ({ state, failedAt }): Reason | undefined => {
      if (state !== 'failed') return state;
      return failedAt !== undefined && failedAt >= before ? 'new' : undefined;
    });
    const ended =
      options.dryRun === true || plan.meant.size === 0
        ? []
        : await dismiss(session, plannedOf(find(), plan), plan.meant.size, (failure) =>
            new FailureStates(dynamoDB, table).dismiss(failure, options.reason, session.now()),
          );
    return report({ session, options, plan, ended, isById: messageIds.length > 0, days });
  },
});

/** A row that was to be dismissed, and what it is now. */
interface Ended {
  readonly messageId: string;
  readonly change: FailureChange;
}

async function dismiss(
  session: Session,
  failures: AsyncIterable<FailureRecord>,
  total: number,
  change: (failure: FailureRecord) => Promise<FailureChange>,
): Promise<Ended[]> {
  const ended: Ended[] = [];
  const progress = new Progress(session.stderr, total, 'done');
  const dismissBatch = async (batch: readonly FailureRecord[]) => {
    const changes = batch.map(async (failure) => ({ messageId: failure.messageId, change: await change(failure) }));
    ended.push(...(await Promise.all(changes)));
    if (batch.length > 0) progress.show(ended.length);
  };
  try {
    let batch: FailureRecord[] = [];
    for await (const failure of failures) {
      if (session.interrupted.aborted) break;
      if (batch.push(failure) < atATime) continue;
      await dismissBatch(batch);
      batch = [];
    }
    await dismissBatch(batch);
  } finally {
    progress.end();
  }
  return ended;
}

interface Found {
  readonly session: Session;
  readonly options: Options;
  readonly plan: FailurePlan<Reason>;
  readonly ended: readonly Ended[];
  readonly isById: boolean;
  readonly days: readonly string[];
}

function report({ session, options, plan, ended, isById, days }: Found): Result {
  const isDryRun = options.dryRun === true;
  const dismissable = plan.meant.size;
  const dismissed = ended.filter(({ change }) => change.isOurs);
  const others = ended.filter(({ change }) => !change.isOurs);
  const open = isDryRun ? dismissable : dismissable - ended.length;
  const isBad =
    plan.unknown.length > 0 ||
    plan.leftOut.length > 0 ||
    others.some(({ change }) => change.state === 'failed') ||
    (!isDryRun && open > 0);
  const isNothing = dismissable === 0 && plan.left.size === 0 && !isById;
  return {
    exitCode: session.interrupted.aborted ? 130 : isBad ? 1 : 0,
    json: {
      dryRun: isDryRun,
      since: days.at(-1),
      until: days[0],
      dismissable,
      byCode: plan.counts.byCode,
      messageIds: [...plan.meant.values()],
      failures: ended.map(({ messageId, change: { state } }) => ({ messageId, state })),
      left: Object.fromEntries(plan.left),
      leftOut: plan.leftOut,
      unknown: plan.unknown,
      open,
    },
    lines: [
      ...(isDryRun && dismissable > 0 ? [...plan.counts.lines(), ''] : []),
      isNothing
        ? `No failures${filtersOf(options)} ${periodOf(days)}.`
        : isDryRun
          ? `${dismissable} would be dismissed.`
          : `${dismissed.length} dismissed.`,
      ...[...plan.left].map(([reason, count]) => `${count} left: ${reasons[reason]}.`),
      ...plan.leftOut,
      ...others.map(({ messageId, change: { state } }) =>
        state === 'failed'
          ? `${messageId} is being redriven: it is not dismissed.`
          : `${messageId} was ${state} by somebody else meanwhile; this reason was not recorded.`,
      ),
      ...plan.unknown.map((messageId) => `There is no failure of message ${messageId} ${periodOf(days)}.`),
      ...(!isDryRun && open > 0 ? [`${open} not dismissed: the same command goes on with them.`] : []),
    ],
  };
}

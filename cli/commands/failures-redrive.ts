import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { GetQueueUrlCommand } from '@aws-sdk/client-sqs';
import { paceOf, type Reason, type Redrive, reasonAgainst, redrive } from '../../shared/failures/index.ts';
import { type FailureRecord, FailureRecords, type FailureState, FailureStates } from '../../shared/ledger/index.ts';
import { Progress } from '../../shared/terminal/index.ts';
import { adviceOn, readBreakers } from '../breakers.ts';
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
import { countTo } from '../values.ts';

interface Options extends FailureSelection {
  readonly rate: number;
  readonly dryRun?: true;
}

/** SendMessageBatch takes at most this many. */
const maximumBatch = 10;

const reasons: Readonly<Record<Reason, string>> = {
  redriven: 'redriven before',
  dismissed: 'dismissed before, and stay so',
  'body-cut': 'the row has not the whole message: ask the sender to send it again',
  'sender-unknown': 'the row does not say who sent it',
  new: 'failed since this redrive began: another redrive takes them',
};

/** Somebody has ended them already. */
const isEnded = (reason: Reason): boolean => reason === 'redriven' || reason === 'dismissed';

export const command = defineCommand<Options>({
  details: [
    'Safe to repeat, to interrupt, and to run twice at once: a row is claimed, then its message is sent, then the row is',
    'marked; a run that dies leaves claims, which end after five minutes; and a request that has a certificate is answered',
    'with that one. Whether it may be issued is decided by who sent the message first, not by who redrives it. What fails again',
    'is a new failure that names the first. What was dismissed, and a message that the row has not whole, is never sent. With',
    'ids, the options leave out those that do not answer to them. What was redriven or dismissed before is told, and is no',
    'fault. Exit code 1 when one that was named by its id is not there, cannot be sent or is left out by an option, when SQS did',
    'not take one, or when one is not sent yet: in JSON, open is how many those are, and overtaken which ones another run or',
    'operator was faster with.',
    ...failureSelectionDetails,
  ],
  declare: (command) =>
    declareFailureSelection(command.argument('[message-ids...]', 'these; without them, all that the options name'))
      .option('--rate <count>', 'messages a second', countTo(1_000), 50)
      .option('--dry-run', 'send nothing; say what would be sent'),
  run: async (session, options, given) => {
    const messageIds = [...new Set(given)];
    requireNamed(options, messageIds, 'sent');
    const before = session.now();
    const days = daysOf(options, before);
    const records = new FailureRecords(await session.clients.dynamoDB(), session.target().tables.failures);
    const find = () => selectFailures(records, options, messageIds, days);

    const plan = await planFor(find(), options, messageIds, (failure) => reasonAgainst(failure, before));
    const ends =
      options.dryRun === true || plan.meant.size === 0
        ? []
        : await send(session, plannedOf(find(), plan), plan.meant.size, before, options);
    const paused = plan.meant.size === 0 ? [] : await pausedIssuers(session);
    return report({ session, options, plan, ends, isById: messageIds.length > 0, days, paused });
  },
});

/** What keeps redriven messages waiting, in sentences. */
async function pausedIssuers(session: Session): Promise<string[]> {
  const { records, inKms } = await readBreakers(session, undefined);
  return records.flatMap((record) => adviceOn(record, inKms.has(record.issuerId)) ?? []);
}

async function send(
  session: Session,
  failures: AsyncIterable<FailureRecord>,
  total: number,
  before: number,
  { rate }: Options,
): Promise<Redrive[]> {
  const { redriveQueue, tables } = session.target();
  const sqs = await session.clients.sqs();
  const { QueueUrl: queueUrl = '' } = await sqs.send(new GetQueueUrlCommand({ QueueName: redriveQueue }));
  const wait = (milliseconds: number): Promise<void> =>
    delay(milliseconds, undefined, { signal: session.interrupted }).catch((error: unknown) => {
      if (!session.interrupted.aborted) throw error;
    });
  const now = () => session.now();
  const progress = new Progress(session.stderr, total, 'done');
  const ends: Redrive[] = [];
  try {
    const options = {
      sqs,
      queueUrl,
      states: new FailureStates(await session.clients.dynamoDB(), tables.failures),
      pace: paceOf(rate, now, wait),
      batchSize: Math.min(maximumBatch, rate),
      runId: randomUUID(),
      before,
      until: session.interrupted,
      now,
    };
    for await (const end of redrive(failures, options)) {
      ends.push({ ...asPlanned(end), failure: withoutBody(end.failure) });
      progress.show(ends.length);
    }
  } finally {
    progress.end();
  }
  return ends;
}

/** What is told of it in the end; the bodies of a backlog may be more than memory. */
const withoutBody = (failure: FailureRecord): FailureRecord => ({ ...failure, body: '' });

/** One that could be sent when it was planned: whoever changed it since was faster. */
function asPlanned(end: Redrive): Redrive {
  if (end.kind !== 'left' || (end.reason !== 'redriven' && end.reason !== 'dismissed')) return end;
  return { kind: 'overtaken', failure: end.failure, state: end.reason };
}

interface Found {
  readonly session: Session;
  readonly options: Options;
  readonly plan: FailurePlan<Reason>;
  readonly ends: readonly Redrive[];
  readonly isById: boolean;
  readonly days: readonly string[];
  readonly paused: readonly string[];
}

function report({ session, options, plan, ends, isById, days, paused }: Found): Result {
  const of = <Kind extends Redrive['kind']>(kind: Kind) =>
    ends.filter((end): end is Extract<Redrive, { kind: Kind }> => end.kind === kind);
  const [redriven, overtaken, refused, late] = [of('redriven'), of('overtaken'), of('refused'), of('late')];
  const inHand = overtaken.filter(({ state }) => state === 'failed');
  const isDryRun = options.dryRun === true;
  const sendable = plan.meant.size;
  const open = isDryRun ? sendable : sendable - redriven.length - overtaken.length + inHand.length;
  const left = [...plan.left].map(([reason, count]) => `${count} left: ${reasons[reason]}.`);
  // Whoever names one that will not be sent is told that it was not; a second run of the same command is well.
  const isDisappointing = isById && [...plan.left.keys()].some((reason) => !isEnded(reason));
  const isBad = plan.unknown.length > 0 || plan.leftOut.length > 0 || isDisappointing || (!isDryRun && open > 0);
  const isNothing = sendable === 0 && plan.left.size === 0 && !isById;
  return {
    exitCode: session.interrupted.aborted ? 130 : isBad ? 1 : 0,
    json: {
      dryRun: isDryRun,
      since: days.at(-1),
      until: days[0],
      sendable,
      byCode: plan.counts.byCode,
      messageIds: [...plan.meant.values()],
      redriven: redriven.map(({ failure, messageId }) => ({ messageId: failure.messageId, redrivenAs: messageId })),
      overtaken: overtaken.map(({ failure, state, messageId }) => ({
        messageId: failure.messageId,
        state,
        sentAs: messageId ?? null,
      })),
      refused: refused.map(({ failure, problem }) => ({ messageId: failure.messageId, problem })),
      late: late.map(({ failure }) => failure.messageId),
      left: Object.fromEntries(plan.left),
      leftOut: plan.leftOut,
      unknown: plan.unknown,
      open,
      paused,
    },
    lines: [
      ...(isDryRun && sendable > 0 ? [...plan.counts.lines(), ''] : []),
      isNothing
        ? `No failures${filtersOf(options)} ${periodOf(days)}.`
        : isDryRun
          ? `${sendable} would be redriven.`
          : `${redriven.length} redriven.`,
      ...left,
      ...plan.leftOut,
      ...overtakenLines(overtaken),
      ...refused.map(({ failure, problem }) => `${failure.messageId} was not taken by SQS: ${problem}`),
      ...(late.length === 0
        ? []
        : [`${late.length} not sent, as claiming them took minutes: DynamoDB, or this machine, is slow.`]),
      ...plan.unknown.map((messageId) => `There is no failure of message ${messageId} ${periodOf(days)}.`),
      ...(!isDryRun && open > 0 ? [`${open} not sent: the same command goes on with them.`] : []),
      ...(paused.length === 0 ? [] : ['A signer is paused: what needs it waits.', ...paused]),
      ...(redriven.length === 0
        ? []
        : [
            `What becomes of them: mintmark queue status, and what fails again: mintmark failures list --state failed --since ${days[0]}`,
          ]),
    ],
  };
}

/** Of one that this run sent, and somebody else has: what that means for the message. */
const sentNevertheless: Readonly<Record<FailureState, string>> = {
  failed: "so late that another redrive had taken it over; a second message has the first one's answer.",
  redriven: "so late that another redrive had sent it, too; a second message has the first one's answer.",
  dismissed:
    'so late that somebody had dismissed it. It will be answered all the same: revoke the certificate that comes of it if nobody is to have it (docs/operating.md, "Revoking").',
};

/** How many somebody else was faster with; one by one only those that were sent nevertheless. Pure. */
export function overtakenLines(overtaken: readonly Extract<Redrive, { kind: 'overtaken' }>[]): string[] {
  const unsent = overtaken.filter(({ messageId }) => messageId === undefined);
  const byState = Map.groupBy(unsent, ({ state }) => state);
  const sent = overtaken.flatMap(({ failure, state, messageId }) =>
    messageId === undefined
      ? []
      : [`${failure.messageId} was sent as message ${messageId}, but ${sentNevertheless[state]}`],
  );
  return [
    ...[...byState].map(([state, { length: count }]) =>
      state === 'failed'
        ? `${count} in the hands of another redrive; should that have died, they can be sent five minutes after it took them.`
        : `${count} ${state} by somebody else meanwhile.`,
    ),
    ...sent,
  ];
}

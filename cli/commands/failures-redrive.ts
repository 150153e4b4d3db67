import { setTimeout as delay } from 'node:timers/promises';
import { GetQueueUrlCommand } from '@aws-sdk/client-sqs';
import { type FailureClass, failureClasses } from '../../shared/errors.ts';
import { paceOf, type Reason, type Redrive, reasonAgainst, redrive } from '../../shared/failures/index.ts';
import { type FailureRecord, FailureRecords, FailureStates } from '../../shared/ledger/index.ts';
import { Progress, table } from '../../shared/terminal/index.ts';
import { defineCommand, type Result } from '../command.ts';
import { type DaysOptions, daysOf, declareDays } from '../days.ts';
import { UsageError } from '../errors.ts';
import type { Session } from '../session.ts';
import { countTo, notEmpty, oneOf } from '../values.ts';

interface Options extends DaysOptions {
  readonly class?: FailureClass;
  readonly code?: string;
  readonly rate: number;
  readonly dryRun?: true;
}

/** SendMessageBatch takes at most this many. */
const maximumBatch = 10;

const reasons: Readonly<Record<Reason, string>> = {
  redriven: 'redriven before',
  dismissed: 'dismissed',
  'body-cut': 'the row has not the whole message: ask the sender to send it again',
  'sender-unknown': 'the row does not say who sent it',
  new: 'failed since this redrive began: another redrive takes them',
};

export const command = defineCommand<Options>({
  details: [
    'Safe to repeat, and to interrupt: a message is sent first and its row is marked after, and a request that has a',
    'certificate is answered with that one. Whether it may be issued is decided by who sent the message first, not by who',
    'redrives it. What fails again is a new failure that names the first. What was dismissed, and a message that the row has',
    'not whole, is never sent.',
  ],
  declare: (command) =>
    declareDays(
      command
        .argument('[message-ids...]', 'these; without them, all that the options name')
        .addOption(oneOf('--class <class>', 'of this class', failureClasses)),
    )
      .option('--code <code>', 'with this code', notEmpty)
      .option('--rate <count>', 'messages a second', countTo(1_000), 50)
      .option('--dry-run', 'send nothing; say what would be sent'),
  run: async (session, options, messageIds) => {
    const { class: failureClass, since, until, code } = options;
    if (messageIds.length === 0 && [failureClass, since, until, code].every((named) => named === undefined)) {
      throw new UsageError(
        'It is not said which failures are meant.',
        'Give message ids, or --class, --code, --since or --until; with --dry-run nothing is sent.',
      );
    }
    const before = session.now();
    const days = daysOf(options, before);
    const records = new FailureRecords(await session.clients.dynamoDB(), session.target().tables.failures);
    const find = (): AsyncIterable<FailureRecord> => select(records, options, messageIds, days);

    const planned = await plan(find(), before);
    const unknown = [...new Set(messageIds)].filter((messageId) => !planned.messageIds.has(messageId));
    const ends =
      options.dryRun === true || planned.sendable === 0
        ? []
        : await send(session, find(), planned.sendable, before, options);
    return report({
      session,
      options,
      planned,
      unknown,
      ends,
      isById: messageIds.length > 0,
      since: days.at(-1) ?? '',
    });
  },
});

async function* select(
  records: FailureRecords,
  { class: failureClass, code }: Options,
  messageIds: readonly string[],
  days: readonly string[],
): AsyncGenerator<FailureRecord, void, undefined> {
  const matches = (failure: FailureRecord) =>
    (code === undefined || failure.code === code) &&
    (failureClass === undefined || failure.failureClass === failureClass);
  if (messageIds.length > 0) {
    for (const failure of await records.get([...new Set(messageIds)], days)) if (matches(failure)) yield failure;
    return;
  }
  const classes = failureClass === undefined ? failureClasses : [failureClass];
  for await (const { failure } of records.find(classes, days)) if (matches(failure)) yield failure;
}

interface Plan {
  readonly sendable: number;
  /** By class and code, of what can be sent. */
  readonly byCode: ReadonlyMap<string, number>;
  readonly left: ReadonlyMap<Reason, number>;
  /** Of everything that was found. */
  readonly messageIds: ReadonlySet<string>;
}

/** What a redrive would do. The rows are read again for the redrive itself: there may be more of them than memory. */
async function plan(failures: AsyncIterable<FailureRecord>, before: number): Promise<Plan> {
  const [byCode, left, messageIds] = [new Map<string, number>(), new Map<Reason, number>(), new Set<string>()];
  let sendable = 0;
  for await (const failure of failures) {
    messageIds.add(failure.messageId);
    const reason = reasonAgainst(failure, before);
    if (reason !== undefined) {
      add(left, reason);
      continue;
    }
    sendable++;
    add(byCode, `${failure.failureClass} ${failure.code}`);
  }
  return { sendable, byCode, left, messageIds };
}

function add<Key>(counts: Map<Key, number>, key: Key): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
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
  const progress = new Progress(session.stderr, total, 'redriven');
  const ends: Redrive[] = [];
  try {
    const options = {
      sqs,
      queueUrl,
      states: new FailureStates(await session.clients.dynamoDB(), tables.failures),
      pace: paceOf(rate, now, wait),
      batchSize: Math.min(maximumBatch, rate),
      before,
      until: session.interrupted,
      now,
    };
    for await (const end of redrive(failures, options)) {
      if (end.kind !== 'left') ends.push({ ...end, failure: withoutBody(end.failure) });
      progress.show(ends.length);
    }
  } finally {
    progress.end();
  }
  return ends;
}

/** What is told of it in the end; the bodies of a backlog may be more than memory. */
const withoutBody = (failure: FailureRecord): FailureRecord => ({ ...failure, body: '' });

interface Found {
  readonly session: Session;
  readonly options: Options;
  readonly planned: Plan;
  readonly unknown: readonly string[];
  readonly ends: readonly Redrive[];
  readonly isById: boolean;
  readonly since: string;
}

function report({ session, options, planned, unknown, ends, isById, since }: Found): Result {
  const of = <Kind extends Redrive['kind']>(kind: Kind) =>
    ends.filter((end): end is Extract<Redrive, { kind: Kind }> => end.kind === kind);
  const [redriven, overtaken, refused] = [of('redriven'), of('overtaken'), of('refused')];
  const isDryRun = options.dryRun === true;
  const open = isDryRun ? planned.sendable : planned.sendable - ends.length;
  const left = [...planned.left].map(([reason, count]) => `${count} left: ${reasons[reason]}.`);
  // Whoever names one that will not be sent is told that it was not; a second run of the same command is well.
  const isDisappointing = isById && [...planned.left.keys()].some((reason) => reason !== 'redriven');
  const isBad = unknown.length > 0 || refused.length > 0 || isDisappointing || (!isDryRun && open > 0);
  return {
    exitCode: session.interrupted.aborted ? 130 : isBad ? 1 : 0,
    json: {
      dryRun: isDryRun,
      since,
      sendable: planned.sendable,
      redriven: redriven.map(({ failure, messageId }) => ({ messageId: failure.messageId, redrivenAs: messageId })),
      overtaken: overtaken.map(({ failure, state }) => ({ messageId: failure.messageId, state })),
      refused: refused.map(({ failure, problem }) => ({ messageId: failure.messageId, problem })),
      left: Object.fromEntries(planned.left),
      unknown,
      open,
    },
    lines: [
      ...(isDryRun && planned.sendable > 0
        ? [
            ...table(
              ['CLASS', 'CODE', 'COUNT'],
              [...planned.byCode].map(([key, count]) => [...key.split(' '), `${count}`]),
            ),
            '',
          ]
        : []),
      isDryRun ? `${planned.sendable} would be redriven.` : `${redriven.length} redriven.`,
      ...left,
      ...overtaken.map(
        ({ failure, state }) => `${failure.messageId} was sent, and ${state} by somebody else meanwhile.`,
      ),
      ...refused.map(({ failure, problem }) => `${failure.messageId} was not taken by SQS: ${problem}`),
      ...unknown.map((messageId) => `There is no failure of message ${messageId} since ${since}.`),
      ...(!isDryRun && open > 0 ? [`${open} not sent: the same command goes on with them.`] : []),
    ],
  };
}

import { GetMetricDataCommand } from '@aws-sdk/client-cloudwatch';
import { GetQueueAttributesCommand, GetQueueUrlCommand } from '@aws-sdk/client-sqs';
import { type BreakerRecord, type Mapping, readMappings } from '../../shared/breaker/index.ts';
import { table } from '../../shared/terminal/index.ts';
import {
  adviceOn,
  adviceOnUnreadable,
  breakerJson,
  breakerSection,
  readBreakers,
  unreadableJson,
} from '../breakers.ts';
import { defineCommand } from '../command.ts';
import { shortTime } from '../json.ts';
import { adviceOnRetried, readRetried } from '../retried-requests.ts';
import type { Session } from '../session.ts';

/** One queue as --json has it; scripts read it, so fields are added, never renamed. */
interface QueueJson {
  readonly queue: string;
  readonly waiting: number;
  readonly inFlight: number;
  /** Of messages received less than three times: SQS knows no other. */
  readonly oldestSeconds: number | null;
  /** Of the event source mapping (AWS Lambda API reference); null when there is none. */
  readonly mapping: string | null;
}

export const command = defineCommand<object>({
  details: [
    'The numbers are approximate, as SQS has them. In flight are also messages that wait for their next try. The age is',
    "CloudWatch's, a few minutes old, and leaves out what was received three times. Of a breaker that is not closed, STATE SINCE",
    'is its last change, each try among them, and PAUSED SINCE when it was last closed. Exit code 1 when a breaker is not closed,',
    'an event source mapping not enabled, or requests are taken and given back for something that is in the way of others too.',
  ],
  declare: (command) => command,
  run: async (session) => {
    const { stage, requestsQueue, redriveQueue, issueFunction } = session.target();
    const [{ records, unreadable, inKms }, mappings] = await Promise.all([
      readBreakers(session, undefined),
      readMappings(await session.clients.lambda(), issueFunction),
    ]);
    const queues = await Promise.all([requestsQueue, redriveQueue].map((queue) => lookAt(session, queue, mappings)));
    const retried = await readRetried(session);
    const onRetried = adviceOnRetried(
      retried,
      queues.reduce((sum, { waiting, inFlight }) => sum + waiting + inFlight, 0),
    );
    const isOpen =
      unreadable.length === 0 &&
      records.every(({ state }) => state === 'closed') &&
      queues.every(({ mapping }) => mapping === 'Enabled');
    const isWell = isOpen && onRetried === undefined;
    const queueRows = queues.map(({ queue, waiting, inFlight, oldestSeconds, mapping }) => [
      queue,
      String(waiting),
      String(inFlight),
      oldestSeconds === null ? (waiting + inFlight === 0 ? 'none' : 'unknown') : `${oldestSeconds} s`,
      mapping ?? 'none',
    ]);
    const breakerRows = [
      ...records.map(({ issuerId, state, held, since, openedAt, reason = '' }) => [
        issuerId,
        held ? `${state}, held` : state,
        shortTime(since),
        shortTime(openedAt),
        reason,
      ]),
      ...unreadable.map(({ issuerId }) => [issuerId, 'unreadable', '', '', '']),
    ];
    const advice = [
      ...unreadable.map(adviceOnUnreadable),
      ...adviceFor(records, inKms, queues),
      ...(onRetried === undefined ? [] : [onRetried]),
    ];
    return {
      exitCode: isWell ? 0 : 1,
      json: {
        stage,
        queues,
        retried: retried ?? null,
        breakers: [...records.map(breakerJson), ...unreadable.map(unreadableJson)],
        advice,
        runbook: isOpen ? null : breakerSection,
      },
      lines: [
        ...table(['QUEUE', 'WAITING', 'IN FLIGHT', 'OLDEST', 'MAPPING'], queueRows),
        '',
        ...table(['ISSUER', 'BREAKER', 'STATE SINCE', 'PAUSED SINCE', 'REASON'], breakerRows),
        '',
        ...records.flatMap(({ issuerId, state, detail }) =>
          state === 'closed' || detail === undefined ? [] : [`${issuerId}: ${detail}`],
        ),
        ...advice,
        ...(records.some(({ state }) => state !== 'closed')
          ? [`What a breaker is, and what to do: ${breakerSection}`]
          : []),
        ...(isWell ? [`Requests are taken, and every signer may be asked, in stage ${stage}`] : []),
      ],
    };
  },
});

async function lookAt(session: Session, queue: string, mappings: readonly Mapping[]): Promise<QueueJson> {
  const sqs = await session.clients.sqs();
  const { QueueUrl: url } = await sqs.send(new GetQueueUrlCommand({ QueueName: queue })).catch((cause: unknown) => {
    throw new Error(`Looking for the queue ${queue}`, { cause });
  });
  const command = new GetQueueAttributesCommand({
    QueueUrl: url,
    AttributeNames: [
      'ApproximateNumberOfMessages',
      'ApproximateNumberOfMessagesDelayed',
      'ApproximateNumberOfMessagesNotVisible',
      'QueueArn',
    ],
  });
  const [{ Attributes: attributes = {} }, oldestSeconds] = await Promise.all([
    sqs.send(command),
    oldestIn(session, queue),
  ]);
  const count = (name: keyof typeof attributes) => Number(attributes[name] ?? 0);
  return {
    queue,
    waiting: count('ApproximateNumberOfMessages') + count('ApproximateNumberOfMessagesDelayed'),
    inFlight: count('ApproximateNumberOfMessagesNotVisible'),
    oldestSeconds,
    mapping: mappings.find(({ eventSourceArn }) => eventSourceArn === attributes.QueueArn)?.state ?? null,
  };
}

/** CloudWatch gets SQS's numbers a few minutes late, and none of a queue that is not used. */
const lookBack = 10 * 60_000;

/** null where CloudWatch does not say; why not is a note, for the rest is worth showing without it. */
async function oldestIn(session: Session, queue: string): Promise<number | null> {
  const now = session.now();
  const command = new GetMetricDataCommand({
    StartTime: new Date(now - lookBack),
    EndTime: new Date(now),
    ScanBy: 'TimestampDescending',
    MetricDataQueries: [
      {
        Id: 'age',
        MetricStat: {
          Metric: {
            Namespace: 'AWS/SQS',
            MetricName: 'ApproximateAgeOfOldestMessage',
            Dimensions: [{ Name: 'QueueName', Value: queue }],
          },
          Period: 60,
          Stat: 'Maximum',
        },
      },
    ],
  });
  try {
    const cloudWatch = await session.clients.cloudWatch();
    const { MetricDataResults: [age] = [] } = await cloudWatch.send(command, { abortSignal: session.interrupted });
    return age?.Values?.[0] ?? null;
  } catch (error) {
    session.note(`The age of the oldest message in ${queue} is not known: ${session.explain(error).message}`);
    return null;
  }
}

function adviceFor(
  records: readonly BreakerRecord[],
  inKms: ReadonlySet<string>,
  queues: readonly QueueJson[],
): string[] {
  const isAnyTaken = records.length === 0 || records.some(({ state }) => state !== 'open');
  const mappings = queues.flatMap(({ queue, mapping }) => {
    if (mapping === 'Enabled' || !isAnyTaken) return [];
    return [
      `${queue}: Its event source mapping is ${mapping ?? 'not there'}. What check-signer paused it resumes within a minute; what somebody else disabled, somebody else must enable.`,
    ];
  });
  return [...records.flatMap((record) => adviceOn(record, inKms.has(record.issuerId)) ?? []), ...mappings];
}

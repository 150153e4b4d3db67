import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { type FailureClass, failureClasses } from '../errors.ts';
import { type Item, readString, string } from './attributes.ts';
import { batchGet } from './batch-get.ts';
import { type FailureState, failureStateOf } from './failure-states.ts';
import { privateKeyMark } from './failures.ts';
import { type Position, type ReadOptions, readPartitions } from './partitions.ts';

/** A row of the failures table, as far as it can be read. Times in milliseconds since the epoch. */
export interface FailureRecord {
  /** The table's partition key: class and day (UTC), such as `unreadable#2026-11-22`. */
  readonly classDay: string;
  /** One of errors.ts's failureClasses. */
  readonly failureClass: string;
  /** SQS's MessageId. */
  readonly messageId: string;
  readonly state: FailureState;
  /** What was wrong when the message was given up. */
  readonly code: string;
  /** What is wrong, in a sentence. */
  readonly detail: string;
  readonly failedAt: number | undefined;
  /** What went wrong first, over all redrives. */
  readonly firstCode: string;
  readonly firstDetail: string;
  readonly firstFailedAt: number | undefined;
  /** IAM identity that SQS attested for the sender, when the message was first sent. */
  readonly sender: string;
  readonly deviceId: string | undefined;
  readonly requestId: string | undefined;
  /** How often SQS delivered the message, over all redrives. */
  readonly tries: number;
  /** When it was first sent. */
  readonly sentAt: number | undefined;
  /** How often the message had been redriven when it failed: 0 for one that came from its sender. */
  readonly redriveCount: number;
  /** Of the first row of this message's failures; undefined in that row itself. */
  readonly originalMessageId: string | undefined;
  /** IAM identity that SQS attested for whoever redrove the message that failed here. */
  readonly resentBy: string | undefined;
  /** In state `redriven`: when this row's message was sent again, and SQS's id of the message that was sent. */
  readonly redrivenAt: number | undefined;
  readonly redrivenAs: string | undefined;
  /** In state `failed`: the run of a redrive that is about to send its message, and until when nobody else may. */
  readonly claimedBy: string | undefined;
  readonly claimedUntil: number | undefined;
  readonly dismissedAt: number | undefined;
  readonly dismissReason: string | undefined;
  /** The message body, but for private keys and what was too long; see `bodyCut`. */
  readonly body: string;
  /** Of the whole body as it came. */
  readonly bodyBytes: number;
  readonly bodySha256: string;
  readonly bodyCut: boolean;
  /** The sender sent a private key, which is not kept: whoever could read the queue could read it. */
  readonly hadPrivateKey: boolean;
}

export interface PlacedFailure {
  readonly failure: FailureRecord;
  readonly position: Position;
}

/** The failures table, read only. */
export class FailureRecords {
  readonly #client: DynamoDBClient;
  readonly #table: string;

  constructor(client: DynamoDBClient, table: string) {
    this.#client = client;
    this.#table = table;
  }

  /**
   * The failures of these messages, of whatever class, strongly consistent and in no order.
   * @param messageIds each once
   * @param days YYYY-MM-DD (UTC) on which they may have been given up
   */
  async get(messageIds: readonly string[], days: readonly string[]): Promise<FailureRecord[]> {
    const keys = messageIds.flatMap((messageId) =>
      failureClasses.flatMap((failureClass) =>
        days.map((day) => ({ classDay: string(`${failureClass}#${day}`), messageId: string(messageId) })),
      ),
    );
    return (await batchGet(this.#client, this.#table, keys)).map(readFailure);
  }

  /**
   * Day by day in the order of `days`, class by class, strongly consistent.
   * @param days YYYY-MM-DD, UTC
   * @throws as readPartitions
   */
  async *find(
    classes: readonly FailureClass[],
    days: readonly string[],
    options: ReadOptions = {},
  ): AsyncGenerator<PlacedFailure, void, undefined> {
    const partitions = days.flatMap((day) =>
      classes.map((failureClass) => ({
        name: `${failureClass}#${day}`,
        key: ['classDay', 'messageId'],
        query: {
          TableName: this.#table,
          ConsistentRead: true,
          KeyConditionExpression: 'classDay = :classDay',
          ExpressionAttributeValues: { ':classDay': string(`${failureClass}#${day}`) },
        },
      })),
    );
    for await (const page of readPartitions(this.#client, partitions, options)) {
      for (const { item, position } of page) yield { failure: readFailure(item), position };
    }
  }
}

function readFailure(item: Item): FailureRecord {
  const text = (name: string): string => item[name]?.S ?? '';
  const time = (name: string): number | undefined => {
    const value = Date.parse(text(name));
    return Number.isNaN(value) ? undefined : value;
  };
  return {
    classDay: readString(item, 'classDay'),
    failureClass: readString(item, 'classDay').replace(/#[^#]*$/, ''),
    messageId: readString(item, 'messageId'),
    state: failureStateOf(item),
    code: text('code'),
    detail: text('detail'),
    failedAt: time('failedAt'),
    firstCode: text('firstCode'),
    firstDetail: text('firstDetail'),
    firstFailedAt: time('firstFailedAt'),
    sender: text('sender'),
    deviceId: item.deviceId?.S,
    requestId: item.requestId?.S,
    tries: Number(item.tries?.N ?? 0),
    sentAt: time('sentAt'),
    redriveCount: Number(item.redriveCount?.N ?? 0),
    originalMessageId: item.originalMessageId?.S,
    resentBy: item.resentBy?.S,
    redrivenAt: time('redrivenAt'),
    redrivenAs: item.redrivenAs?.S,
    claimedBy: item.claimedBy?.S,
    claimedUntil: time('claimedUntil'),
    dismissedAt: time('dismissedAt'),
    dismissReason: item.dismissReason?.S,
    body: text('body'),
    bodyBytes: Number(item.bodyBytes?.N ?? 0),
    bodySha256: text('bodySha256'),
    bodyCut: item.bodyCut?.BOOL ?? false,
    hadPrivateKey: item.bodyCut?.BOOL === true && text('body').includes(privateKeyMark),
  };
}

import { createHash } from 'node:crypto';
import {
  ConditionalCheckFailedException,
  type DynamoDBClient,
  GetItemCommand,
  paginateQuery,
  UpdateItemCommand,
} from '@aws-sdk/client-dynamodb';
import { type ErrorCode, type FailureClass, failureClassOf, MintmarkError } from '../errors.ts';
import { flag, type Item, number, readNumber, readString, readTimestamp, string, timestamp } from './attributes.ts';
import { storeError } from './store-error.ts';

/** A message that ended without an answer under a device id, and why. */
export interface Failure {
  readonly failureClass: FailureClass;
  readonly code: ErrorCode;
  /** What is wrong, in a sentence. */
  readonly detail: string;
  /** SQS's MessageId. */
  readonly messageId: string;
  /** IAM identity that SQS attests for the sender; of a redriven message, the one it attested when that was first sent. */
  readonly sender: string;
  /** Of a message whose sender may enrol the device. */
  readonly deviceId?: string;
  readonly requestId?: string;
  /** The message body as it came, but for private keys and what is over `maximumBodyBytes`. */
  readonly body: string;
  /** How often SQS delivered the message, and those that it was redriven from. */
  readonly tries: number;
  /** When the message was first sent, in milliseconds since the epoch. */
  readonly sentAt: number;
  readonly failedAt: number;
  /** Of a message that was redriven. */
  readonly redriven?: Redriven;
}

/** What went wrong first with a message. */
export interface FirstError {
  readonly code: string;
  readonly detail: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

/** What a redriven message carries of its past (shared/failures/redriven-message.ts). */
export interface Redriven {
  /** Of the message that was first sent, and so of the first row of its failures. */
  readonly originalMessageId: string;
  /** How often it has been redriven: 1 or more. */
  readonly redriveCount: number;
  /** IAM identity that SQS attests for whoever redrove it. */
  readonly resentBy: string;
  /** When it was first sent, in milliseconds since the epoch; undefined where that is not known. */
  readonly sentAt: number | undefined;
  /** Deliveries before this redrive. */
  readonly earlierTries: number;
  readonly firstError: FirstError | undefined;
}

/**
 * An SQS message may have 1 MiB, a DynamoDB item 400 KB, and each KiB of one costs a write unit. No readable message is
 * over 64 KiB, so what is cut off here could never be issued from; the length and SHA-256 of the whole tell which
 * message it was.
 */
const maximumBodyBytes = 65_536;

/**
 * What went wrong first is kept beside the failures, under a key of its own that no class and day has, until the message
 * is answered or given up: in seconds, longer than a queue keeps a message (14 days). DynamoDB removes it then, for
 * nothing (time to live, deploy/tables.yml).
 */
const firstErrorLifetime = 15 * 86_400;

/** Characters: an item of at most 1 KB takes one write unit. */
const longestFirstDetail = 500;

const firstErrorKey = (messageId: string): Item => ({
  classDay: string(`retried#${messageId}`),
  messageId: string(messageId),
});

/** The failures table: by class and day, kept until redriven or dismissed. */
export class Failures {
  readonly #client: DynamoDBClient;
  readonly #table: string;

  constructor(client: DynamoDBClient, table: string) {
    this.#client = client;
    this.#table = table;
  }

  /**
   * Records a failure. Safe to repeat: the first error stays beside the last, and a row that was redriven or dismissed in
   * the meantime stays so.
   */
  async record(failure: Omit<Failure, 'failureClass'>): Promise<void> {
    const { redriven } = failure;
    const bytes = Buffer.from(failure.body, 'utf8');
    const kept = withoutPrivateKeys(failure.body);
    const first = redriven?.firstError ?? (await this.#firstErrorOf(failure.messageId));
    const optional = Object.entries({
      deviceId: failure.deviceId,
      requestId: failure.requestId,
      originalMessageId: redriven?.originalMessageId,
      resentBy: redriven?.resentBy,
    }).flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]));
    const day = new Date(failure.failedAt).toISOString().slice(0, 10);
    const command = new UpdateItemCommand({
      TableName: this.#table,
      Key: { classDay: string(`${failureClassOf(failure.code)}#${day}`), messageId: string(failure.messageId) },
      UpdateExpression: [
        'SET firstCode = if_not_exists(firstCode, :firstCode), firstDetail = if_not_exists(firstDetail, :firstDetail)',
        'firstFailedAt = if_not_exists(firstFailedAt, :firstFailedAt), #state = if_not_exists(#state, :failed)',
        'code = :code, detail = :detail, failedAt = :failedAt, sender = :sender, sentAt = :sentAt, tries = :tries',
        'body = :body, bodyBytes = :bodyBytes, bodySha256 = :bodySha256, bodyCut = :bodyCut',
        'redriveCount = :redriveCount',
        ...optional.map(([name]) => `${name} = :${name}`),
      ].join(', '),
      ExpressionAttributeNames: { '#state': 'state' },
      ExpressionAttributeValues: {
        ':failed': string('failed'),
        ':code': string(failure.code),
        ':detail': string(failure.detail),
        ':failedAt': timestamp(failure.failedAt),
        ':firstCode': string(first?.code ?? failure.code),
        ':firstDetail': string(first?.detail ?? failure.detail),
        ':firstFailedAt': timestamp(first?.at ?? failure.failedAt),
        ':sender': string(failure.sender),
        ':sentAt': timestamp(redriven?.sentAt ?? failure.sentAt),
        ':tries': number(failure.tries + (redriven?.earlierTries ?? 0)),
        ':redriveCount': number(redriven?.redriveCount ?? 0),
        ':body': string(Buffer.from(kept, 'utf8').subarray(0, maximumBodyBytes).toString('utf8')),
        ':bodyBytes': number(bytes.length),
        ':bodySha256': string(createHash('sha256').update(bytes).digest('hex')),
        ':bodyCut': flag(bytes.length > maximumBodyBytes || kept !== failure.body),
        ...Object.fromEntries(optional.map(([name, value]) => [`:${name}`, string(value)])),
      },
    });
    await this.#client.send(command).catch((error: unknown) => {
      throw storeError(error, `Recording a failure in ${this.#table}`);
    });
  }

  /**
   * Keeps what went wrong first with a message, for the day that it is given up: by then its last error is often only that
   * the signer is paused. One write unit, and one more for each later call, which changes nothing.
   */
  async keepFirstError(messageId: string, { code, detail, at }: FirstError): Promise<void> {
    const command = new UpdateItemCommand({
      TableName: this.#table,
      Key: firstErrorKey(messageId),
      ConditionExpression: 'attribute_not_exists(messageId)',
      UpdateExpression: 'SET code = :code, detail = :detail, failedAt = :failedAt, expiresAt = :expiresAt',
      ExpressionAttributeValues: {
        ':code': string(code),
        ':detail': string(detail.slice(0, longestFirstDetail).toWellFormed()),
        ':failedAt': timestamp(at),
        ':expiresAt': number(Math.ceil(at / 1000) + firstErrorLifetime),
      },
    });
    try {
      await this.#client.send(command);
    } catch (error) {
      if (error instanceof ConditionalCheckFailedException) return;
      throw storeError(error, `Keeping a first error in ${this.#table}`);
    }
  }

  async #firstErrorOf(messageId: string): Promise<FirstError | undefined> {
    const command = new GetItemCommand({
      TableName: this.#table,
      Key: firstErrorKey(messageId),
      ConsistentRead: true,
    });
    const { Item: item } = await this.#client.send(command).catch((error: unknown) => {
      throw storeError(error, `Reading ${this.#table}`);
    });
    if (item === undefined) return undefined;
    return { code: readString(item, 'code'), detail: readString(item, 'detail'), at: readTimestamp(item, 'failedAt') };
  }

  /** The failures of one class and day (YYYY-MM-DD, UTC), in order of message id. */
  async list(failureClass: FailureClass, day: string): Promise<Failure[]> {
    const pages = paginateQuery(
      { client: this.#client },
      {
        TableName: this.#table,
        KeyConditionExpression: 'classDay = :classDay',
        ExpressionAttributeValues: { ':classDay': string(`${failureClass}#${day}`) },
      },
    );
    const failures: Failure[] = [];
    try {
      for await (const page of pages)
        for (const item of page.Items ?? []) failures.push(readFailure(failureClass, item));
    } catch (error) {
      throw error instanceof MintmarkError ? error : storeError(error, `Reading ${this.#table}`);
    }
    return failures;
  }
}

/** Stands in a body where a private key was. */
export const privateKeyMark = '[a private key]';

/** A sender who sends its private key by mistake has lost it to SQS; it need not be kept here for years, too. */
const withoutPrivateKeys = (body: string): string =>
  body.replace(/-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|$)/gs, privateKeyMark);

function readFailure(failureClass: FailureClass, item: Item): Failure {
  return {
    failureClass,
    code: readString(item, 'code') as ErrorCode,
    detail: readString(item, 'detail'),
    messageId: readString(item, 'messageId'),
    sender: readString(item, 'sender'),
    ...(item.deviceId === undefined ? {} : { deviceId: readString(item, 'deviceId') }),
    ...(item.requestId === undefined ? {} : { requestId: readString(item, 'requestId') }),
    body: readString(item, 'body'),
    tries: readNumber(item, 'tries'),
    sentAt: readTimestamp(item, 'sentAt'),
    failedAt: readTimestamp(item, 'failedAt'),
  };
}

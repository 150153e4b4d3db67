import { createHash } from 'node:crypto';
import { type DynamoDBClient, paginateQuery, UpdateItemCommand } from '@aws-sdk/client-dynamodb';
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
  /** IAM identity that SQS attests for the sender. */
  readonly sender: string;
  /** Of a message whose sender may enrol the device. */
  readonly deviceId?: string;
  readonly requestId?: string;
  /** The message body as it came, but for private keys and what is over `maximumBodyBytes`. */
  readonly body: string;
  /** How often SQS delivered the message. */
  readonly tries: number;
  /** Milliseconds since the epoch. */
  readonly sentAt: number;
  readonly failedAt: number;
}

/**
 * An SQS message may have 1 MiB, a DynamoDB item 400 KB, and each KiB of one costs a write unit. No readable message is
 * over 64 KiB, so what is cut off here could never be issued from; the length and SHA-256 of the whole tell which
 * message it was.
 */
const maximumBodyBytes = 65_536;

/** The failures table: by class and day, kept until redriven or dismissed. */
export class Failures {
  readonly #client: DynamoDBClient;
  readonly #table: string;

  constructor(client: DynamoDBClient, table: string) {
    this.#client = client;
    this.#table = table;
  }

  /** Records a failure. Safe to repeat: the first error stays beside the last. */
  async record(failure: Omit<Failure, 'failureClass'>): Promise<void> {
    const bytes = Buffer.from(failure.body, 'utf8');
    const kept = withoutPrivateKeys(failure.body);
    const optional = Object.entries({ deviceId: failure.deviceId, requestId: failure.requestId }).flatMap(
      ([name, value]) => (value === undefined ? [] : [[name, value] as const]),
    );
    const day = new Date(failure.failedAt).toISOString().slice(0, 10);
    const command = new UpdateItemCommand({
      TableName: this.#table,
      Key: { classDay: string(`${failureClassOf(failure.code)}#${day}`), messageId: string(failure.messageId) },
      UpdateExpression: [
        'SET firstCode = if_not_exists(firstCode, :code), firstDetail = if_not_exists(firstDetail, :detail)',
        'firstFailedAt = if_not_exists(firstFailedAt, :failedAt)',
        'code = :code, detail = :detail, failedAt = :failedAt, sender = :sender, sentAt = :sentAt, tries = :tries',
        'body = :body, bodyBytes = :bodyBytes, bodySha256 = :bodySha256, bodyCut = :bodyCut',
        ...optional.map(([name]) => `${name} = :${name}`),
      ].join(', '),
      ExpressionAttributeValues: {
        ':code': string(failure.code),
        ':detail': string(failure.detail),
        ':failedAt': timestamp(failure.failedAt),
        ':sender': string(failure.sender),
        ':sentAt': timestamp(failure.sentAt),
        ':tries': number(failure.tries),
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

/** A sender who sends its private key by mistake has lost it to SQS; it need not be kept here for years, too. */
const withoutPrivateKeys = (body: string): string =>
  body.replace(/-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|$)/gs, '[a private key]');

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

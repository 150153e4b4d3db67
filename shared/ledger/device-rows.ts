import { type DynamoDBClient, QueryCommand } from '@aws-sdk/client-dynamodb';
import { type Item, readNumber, readString, readTimestamp, string, timestamp } from './attributes.ts';
import type { AbandonedSerial, RequestKey } from './row.ts';
import { storeError } from './store-error.ts';

/** How long an attempt counts against a limit of so many a day, in milliseconds. */
export const countedDay = 86_400_000;

/** An open intent or a certificate of one device. Times in milliseconds since the epoch. */
export interface CountedRow extends RequestKey, AbandonedSerial {
  readonly notAfter: number;
  readonly intentAt: number;
}

export interface CountedRows {
  readonly rows: readonly CountedRow[];
  /** False where there are more, which count for no longer than these. */
  readonly isComplete: boolean;
}

/**
 * The sort key of the index byCountsUntil: [1] sets it, the abandoning of the attempt takes it away. It says until when the
 * row counts against a limit of its device's, be it the certificates that have not ended or the attempts of a day.
 */
export const countsUntilOf = (profile: string, notAfter: number, intentAt: number): string =>
  `${profile}#${new Date(Math.max(notAfter, intentAt + countedDay)).toISOString()}`;

/**
 * What counts of a device's rows. The index is a local one, so it is read with strong consistency: whoever reads after its
 * own write sees that write, and every earlier one (Amazon DynamoDB developer guide, "Local secondary indexes"). It holds
 * open intents and certificates alone, and what has ended is not read: a device's history, its rejections, and other
 * profiles' rows cost nothing. An entry has some 400 bytes; ten are a read capacity unit.
 */
export class DeviceRows {
  readonly #client: DynamoDBClient;
  readonly #table: string;

  constructor(client: DynamoDBClient, table: string) {
    this.#client = client;
    this.#table = table;
  }

  /**
   * The open intents and certificates of a device under a profile that have not ended, or are of the last 24 hours; those
   * that count longest first.
   * @param now milliseconds since the epoch
   * @param maximum so many rows are read at most
   * @throws MintmarkError STORE_UNAVAILABLE, STORE_REFUSED
   */
  async findCounted(deviceId: string, profile: string, now: number, maximum: number): Promise<CountedRows> {
    const rows: CountedRow[] = [];
    let start: Item | undefined;
    do {
      const command = new QueryCommand({
        TableName: this.#table,
        IndexName: 'byCountsUntil',
        ConsistentRead: true,
        // A profile's name has no "#" in it, and ":" follows the digits, with which a time begins.
        KeyConditionExpression: 'deviceId = :deviceId AND countsUntil BETWEEN :now AND :last',
        ExpressionAttributeValues: {
          ':deviceId': string(deviceId),
          ':now': string(`${profile}#${timestamp(now).S}`),
          ':last': string(`${profile}#:`),
        },
        ScanIndexForward: false,
        Limit: maximum - rows.length,
        ...(start === undefined ? {} : { ExclusiveStartKey: start }),
      });
      const { Items: items = [], LastEvaluatedKey: last } = await this.#client.send(command).catch((error: unknown) => {
        throw storeError(error, `Reading what counts of a device in ${this.#table}`);
      });
      rows.push(...items.map(readCounted));
      start = last;
    } while (start !== undefined && rows.length < maximum);
    return { rows, isComplete: start === undefined };
  }
}

const readCounted = (item: Item): CountedRow => ({
  deviceId: readString(item, 'deviceId'),
  requestId: readString(item, 'requestId'),
  issuerId: readString(item, 'issuerId'),
  serialNumber: readString(item, 'serialNumber'),
  crlShard: readNumber(item, 'crlShard'),
  notAfter: readTimestamp(item, 'notAfter'),
  intentAt: readTimestamp(item, 'intentAt'),
});

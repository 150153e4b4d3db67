import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { type Item, readString, string } from './attributes.ts';
import { batchGet } from './batch-get.ts';
import { type Partition, type Placed, type Position, type ReadOptions, readPartitions } from './partitions.ts';
import type { AbandonedSerial, RequestKey } from './row.ts';

/**
 * A row of the issuance table with everything that it says, for people and exports. Who decides something about a
 * request reads it by IssuanceLedger, which refuses a row that is not as we write it; here such a row is shown as far as
 * it can be read. Times in milliseconds since the epoch.
 */
export interface IssuanceRecord extends RequestKey {
  /** One of row.ts's RowState, or what the row has in its place. */
  readonly state: string;
  readonly requestHash?: string;
  readonly profile?: string;
  readonly profileHash?: string;
  /** IAM identity that SQS attested for the sender. */
  readonly sender?: string;
  readonly attempt?: number;
  readonly issuerId?: string;
  /** Hex. */
  readonly serialNumber?: string;
  readonly crlShard?: number;
  /** DER. */
  readonly certificate?: Uint8Array;
  readonly notBefore?: number;
  readonly notAfter?: number;
  readonly signBefore?: number;
  readonly intentAt?: number;
  readonly issuedAt?: number;
  readonly rejectedAt?: number;
  readonly abandonedAt?: number;
  /** One of row.ts's AbandonReason. */
  readonly abandonReason?: string;
  readonly code?: string;
  readonly detail?: string;
  readonly reopenable?: boolean;
  /** What the CSR asked for and did not get. */
  readonly ignored: readonly string[];
  readonly abandonedSerialNumbers: readonly AbandonedSerial[];
  /** Other requests that came under this request id. */
  readonly conflicts: number;
  readonly lastConflictAt?: number;
}

/** Which rows. */
export type IssuanceSelection =
  | { readonly by: 'device'; readonly deviceId: string }
  /** 32 hex digits, lower case. */
  | { readonly by: 'serialNumber'; readonly serialNumber: string }
  /** Certificates whose notAfter is on this day (YYYY-MM-DD, UTC). */
  | { readonly by: 'expiry'; readonly issuerIds: readonly string[]; readonly day: string }
  /** Intents that are neither signed nor abandoned. */
  | { readonly by: 'openIntent' }
  | { readonly by: 'nothing' };

export interface PlacedRecord {
  readonly record: IssuanceRecord;
  readonly position: Position;
}

/** expiryBucket and openIntentShard end in the serial number's last hex digit (issuance.ts). */
const shards = Array.from({ length: 16 }, (_, shard) => shard.toString(16));

const tableKey = ['deviceId', 'requestId'] as const;

/** A page of an index names thousands; the first of them are given before the last are read. */
const rowsAtATime = 100;

/** The issuance table, read only. */
export class IssuanceRecords {
  readonly #client: DynamoDBClient;
  readonly #table: string;

  constructor(client: DynamoDBClient, table: string) {
    this.#client = client;
    this.#table = table;
  }

  /** The rows of these requests, strongly consistent, in no order; keys must differ, absent rows are left out. */
  async get(keys: readonly RequestKey[]): Promise<IssuanceRecord[]> {
    return (await batchGet(this.#client, this.#table, keys.map(itemKey))).map(readRecord);
  }

  /**
   * The rows of a selection, as they are asked for. Every row is read with strong consistency; which rows an index
   * names is eventually consistent, as DynamoDB has it: only `device` and `nothing` see a write at once.
   * @throws as readPartitions
   */
  async *find(selection: IssuanceSelection, options: ReadOptions = {}): AsyncGenerator<PlacedRecord, void, undefined> {
    const partitions = partitionsOf(selection, this.#table);
    const isIndex = partitions.some((partition) => 'query' in partition && partition.query.IndexName !== undefined);
    for await (const page of readPartitions(this.#client, partitions, options)) {
      if (!isIndex) {
        for (const { item, position } of page) yield { record: readRecord(item), position };
        continue;
      }
      for (let start = 0; start < page.length; start += rowsAtATime) {
        yield* this.#rowsOf(page.slice(start, start + rowsAtATime));
      }
    }
  }

  /** The rows that an index names, in its order, as they are in the table. */
  async *#rowsOf(placed: readonly Placed[]): AsyncGenerator<PlacedRecord, void, undefined> {
    const keys = placed.map(({ item }) => readKey(item));
    const records = new Map((await this.get(keys)).map((record) => [rowOf(record), record]));
    for (const { item, position } of placed) {
      const record = records.get(rowOf(readKey(item)));
      if (record !== undefined) yield { record, position };
    }
  }
}

function partitionsOf(selection: IssuanceSelection, table: string): Partition[] {
  const index = (name: string, attribute: string, value: string, sortKey: readonly string[]): Partition => ({
    name: value,
    key: [attribute, ...sortKey, ...tableKey],
    query: {
      TableName: table,
      IndexName: name,
      KeyConditionExpression: '#key = :key',
      ExpressionAttributeNames: { '#key': attribute },
      ExpressionAttributeValues: { ':key': string(value) },
    },
  });
  switch (selection.by) {
    case 'device':
      return [
        {
          name: selection.deviceId,
          key: tableKey,
          query: {
            TableName: table,
            ConsistentRead: true,
            KeyConditionExpression: 'deviceId = :deviceId',
            ExpressionAttributeValues: { ':deviceId': string(selection.deviceId) },
          },
        },
      ];
    case 'serialNumber':
      return [index('bySerial', 'serialNumber', selection.serialNumber, [])];
    case 'expiry':
      return selection.issuerIds.flatMap((issuerId) =>
        shards.map((shard) =>
          index('byExpiry', 'expiryBucket', `${issuerId}#${selection.day}#${shard}`, ['serialNumber']),
        ),
      );
    case 'openIntent':
      return shards.map((shard) => index('openIntents', 'openIntentShard', shard, ['signBefore']));
    case 'nothing':
      return [{ name: 'all', key: tableKey, scan: { TableName: table, ConsistentRead: true } }];
  }
}

const itemKey = (key: RequestKey): Item => ({ deviceId: string(key.deviceId), requestId: string(key.requestId) });

const rowOf = (key: RequestKey): string => `${key.deviceId}/${key.requestId}`;

const readKey = (item: Item): RequestKey => ({
  deviceId: readString(item, 'deviceId'),
  requestId: readString(item, 'requestId'),
});

export function readRecord(item: Item): IssuanceRecord {
  return {
    ...readKey(item),
    state: item.state?.S ?? 'unknown',
    ...strings(item, [
      'requestHash',
      'profile',
      'profileHash',
      'sender',
      'issuerId',
      'serialNumber',
      'code',
      'detail',
      'abandonReason',
    ]),
    ...numbers(item, ['attempt', 'crlShard']),
    ...times(item, recordTimes),
    ...(item.certificate?.B === undefined ? {} : { certificate: item.certificate.B }),
    ...(item.reopenable?.BOOL === undefined ? {} : { reopenable: item.reopenable.BOOL }),
    ignored: (item.ignored?.L ?? []).flatMap(({ S: text }) => text ?? []),
    abandonedSerialNumbers: (item.abandonedSerialNumbers?.L ?? []).map(({ M: serial = {} }) => ({
      issuerId: serial.issuerId?.S ?? '',
      serialNumber: serial.serialNumber?.S ?? '',
      crlShard: Number(serial.crlShard?.N),
    })),
    conflicts: Number(item.conflicts?.N ?? 0),
  };
}

type Read<Name extends string, Value> = { readonly [Key in Name]?: Value };

function strings<Name extends string>(item: Item, names: readonly Name[]): Read<Name, string> {
  return present(names, (name) => item[name]?.S);
}

function numbers<Name extends string>(item: Item, names: readonly Name[]): Read<Name, number> {
  return present(names, (name) => (item[name]?.N === undefined ? undefined : Number(item[name].N)));
}

/** The attributes of a row that are times. */
export const recordTimes = [
  'notBefore',
  'notAfter',
  'signBefore',
  'intentAt',
  'issuedAt',
  'rejectedAt',
  'abandonedAt',
  'lastConflictAt',
] as const;

function times<Name extends string>(item: Item, names: readonly Name[]): Read<Name, number> {
  return present(names, (name) => {
    const time = Date.parse(item[name]?.S ?? '');
    return Number.isNaN(time) ? undefined : time;
  });
}

function present<Name extends string, Value>(
  names: readonly Name[],
  read: (name: Name) => Value | undefined,
): Read<Name, Value> {
  const entries = names.flatMap((name) => {
    const value = read(name);
    return value === undefined ? [] : [[name, value] as const];
  });
  return Object.fromEntries(entries) as Read<Name, Value>;
}

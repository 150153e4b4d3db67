import {
  type AttributeValue,
  DeleteItemCommand,
  type DynamoDBClient,
  GetItemCommand,
  UpdateItemCommand,
} from '@aws-sdk/client-dynamodb';
import { MintmarkError } from '../errors.ts';
import { type Item, readString, string, timestamp } from './attributes.ts';
import { type Position, type ReadOptions, readPartitions } from './partitions.ts';
import { type Grant, readSender, type Sender } from './senders.ts';
import { storeError } from './store-error.ts';

/** A row of the senders table, for people and programs that look. */
export interface SenderRecord {
  readonly principalId: string;
  /** What it is held to; a sentence where that cannot be read, and then nobody may enrol anything as that sender. */
  readonly held: Pick<Sender, 'fleets' | 'profiles'> | string;
  /** The role's or user's, as it was when it was added. */
  readonly arn: string | undefined;
  /** When it was first added; milliseconds since the epoch. */
  readonly addedAt: number | undefined;
  readonly note: string | undefined;
}

export interface PlacedSender {
  readonly sender: SenderRecord;
  readonly position: Position;
}

/** What is to stand in a row. */
export interface SenderEntry extends Sender {
  /** Undefined: as it stands. */
  readonly arn?: string | undefined;
  /** Undefined: as it stands. */
  readonly note?: string | undefined;
}

/** The senders table as operators look at it and change it; what issuing reads of it is in senders.ts. */
export class SenderRecords {
  readonly #client: DynamoDBClient;
  readonly #table: string;

  constructor(client: DynamoDBClient, table: string) {
    this.#client = client;
    this.#table = table;
  }

  /**
   * Registers a sender, or changes what it is held to: what was there for fleets and profiles is replaced.
   * @param now milliseconds since the epoch
   * @returns the row as it was before; undefined where there was none
   * @throws MintmarkError STORE_UNAVAILABLE, STORE_REFUSED
   */
  async add(entry: SenderEntry, now: number): Promise<SenderRecord | undefined> {
    const { principalId, fleets, profiles, arn, note } = entry;
    const command = new UpdateItemCommand({
      TableName: this.#table,
      Key: { principalId: string(principalId) },
      UpdateExpression: [
        'SET fleets = :fleets, profiles = :profiles, addedAt = if_not_exists(addedAt, :now)',
        ...(arn === undefined ? [] : ['arn = :arn']),
        ...(note === undefined ? [] : ['note = :note']),
      ].join(', '),
      ExpressionAttributeValues: {
        ':fleets': grantAttribute(fleets),
        ':profiles': grantAttribute(profiles),
        ':now': timestamp(now),
        ...(arn === undefined ? {} : { ':arn': string(arn) }),
        ...(note === undefined ? {} : { ':note': string(note) }),
      },
      ReturnValues: 'ALL_OLD',
    });
    const { Attributes: before } = await this.#client.send(command).catch((error: unknown) => {
      throw storeError(error, `Writing ${this.#table}`);
    });
    return before === undefined ? undefined : readSenderRecord(before);
  }

  /**
   * Deletes a row. Its certificates and rows elsewhere stay.
   * @returns the row as it was; undefined where there was none
   * @throws MintmarkError STORE_UNAVAILABLE, STORE_REFUSED
   */
  async remove(principalId: string): Promise<SenderRecord | undefined> {
    const command = new DeleteItemCommand({
      TableName: this.#table,
      Key: { principalId: string(principalId) },
      ReturnValues: 'ALL_OLD',
    });
    const { Attributes: before } = await this.#client.send(command).catch((error: unknown) => {
      throw storeError(error, `Deleting from ${this.#table}`);
    });
    return before === undefined ? undefined : readSenderRecord(before);
  }

  /** Strongly consistent. @throws MintmarkError STORE_UNAVAILABLE, STORE_REFUSED */
  async get(principalId: string): Promise<SenderRecord | undefined> {
    const command = new GetItemCommand({
      TableName: this.#table,
      Key: { principalId: string(principalId) },
      ConsistentRead: true,
    });
    const { Item: item } = await this.#client.send(command).catch((error: unknown) => {
      throw storeError(error, `Reading ${this.#table}`);
    });
    return item === undefined ? undefined : readSenderRecord(item);
  }

  /** All of them, strongly consistent and in no order. @throws as readPartitions */
  async *list(options: ReadOptions = {}): AsyncGenerator<PlacedSender, void, undefined> {
    const whole = { name: 'senders', key: ['principalId'], scan: { TableName: this.#table, ConsistentRead: true } };
    for await (const page of readPartitions(this.#client, [whole], options)) {
      for (const { item, position } of page) yield { sender: readSenderRecord(item), position };
    }
  }
}

const grantAttribute = (grant: Grant): AttributeValue => (grant === '*' ? string('*') : { L: grant.map(string) });

function readSenderRecord(item: Item): SenderRecord {
  const addedAt = Date.parse(item.addedAt?.S ?? '');
  return {
    principalId: readString(item, 'principalId'),
    held: readHeld(item),
    arn: item.arn?.S,
    addedAt: Number.isNaN(addedAt) ? undefined : addedAt,
    note: item.note?.S,
  };
}

/** One row that is not as we write it must not hide the others. */
function readHeld(item: Item): SenderRecord['held'] {
  try {
    const { fleets, profiles } = readSender(item);
    return { fleets, profiles };
  } catch (error) {
    if (error instanceof MintmarkError) return error.message;
    throw error;
  }
}

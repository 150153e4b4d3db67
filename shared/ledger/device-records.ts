import {
  type AttributeValue,
  ConditionalCheckFailedException,
  type DynamoDBClient,
  UpdateItemCommand,
} from '@aws-sdk/client-dynamodb';
import { MintmarkError } from '../errors.ts';
import { type Item, readString, string, timestamp } from './attributes.ts';
import { batchGet } from './batch-get.ts';
import { type Device, type DeviceTerms, readDevice, readHistory, termItems } from './device-row.ts';
import { type Position, type ReadOptions, readPartitions } from './partitions.ts';
import { storeError } from './store-error.ts';

/** A row as it stands: a device, or what is wrong with the row. Nothing is issued to a device of the second kind. */
export type DeviceRecord =
  | { readonly deviceId: string; readonly device: Device }
  | {
      readonly deviceId: string;
      readonly problem: MintmarkError;
      /** Whether it is blocked besides. */
      readonly state: Device['state'];
      readonly history: ReturnType<typeof readHistory>;
    };

export interface PlacedDevice {
  readonly record: DeviceRecord;
  readonly position: Position;
}

/** What became of a change of state, and the row as it was before. */
export type StateChange =
  | { readonly outcome: 'changed' | 'unchanged'; readonly before: DeviceRecord }
  | { readonly outcome: 'unknown' };

/** A term as it is to be from now on; null takes it away, and what is left out stays as it is. */
export type TermChanges = {
  readonly [Term in keyof DeviceTerms]?: Exclude<DeviceTerms[Term], undefined> | null;
};

/**
 * The devices table for those who look after it. Nothing is remembered between two calls, every read is strongly
 * consistent and every write is one conditional UpdateItem of what it is about: what else the row says stays.
 */
export class DeviceRecords {
  readonly #client: DynamoDBClient;
  readonly #table: string;

  constructor(client: DynamoDBClient, table: string) {
    this.#client = client;
    this.#table = table;
  }

  /**
   * The rows of these devices, by id.
   * @param deviceIds each once
   * @throws MintmarkError STORE_UNAVAILABLE, STORE_REFUSED
   */
  async get(deviceIds: readonly string[]): Promise<ReadonlyMap<string, DeviceRecord>> {
    const items = await batchGet(this.#client, this.#table, deviceIds.map(keyOf));
    return new Map(items.map(readRecord).map((record) => [record.deviceId, record]));
  }

  /**
   * All devices, in no order (Scan).
   * @throws as readPartitions
   */
  async *find(options: ReadOptions = {}): AsyncGenerator<PlacedDevice, void, undefined> {
    const all = { name: 'devices', key: ['deviceId'], scan: { TableName: this.#table, ConsistentRead: true } };
    for await (const page of readPartitions(this.#client, [all], options)) {
      for (const { item, position } of page) yield { record: readRecord(item), position };
    }
  }

  /**
   * Registers a device, active.
   * @returns false when it is registered already: nothing was written
   * @throws MintmarkError STORE_UNAVAILABLE, STORE_REFUSED
   */
  async register(deviceId: string, terms: DeviceTerms, now: number): Promise<boolean> {
    const set = { state: string('active'), ...termItems(terms), registeredAt: timestamp(now) };
    return (
      (await this.#update(deviceId, { set, remove: [], condition: 'attribute_not_exists(deviceId)' })) !== 'not met'
    );
  }

  /**
   * Changes terms of a registered device, whatever they are by now, and neither its state nor the terms that are not named.
   * @param changes one at least
   * @returns false when it is not registered: nothing was written
   * @throws MintmarkError STORE_UNAVAILABLE, STORE_REFUSED
   */
  async changeTerms(deviceId: string, changes: TermChanges): Promise<boolean> {
    const given = Object.entries(changes);
    const set = termItems(Object.fromEntries(given.filter(([, term]) => term !== null)));
    const remove = given.flatMap(([name, term]) => (term === null ? [name] : []));
    return (await this.#update(deviceId, { set, remove, condition: 'attribute_exists(deviceId)' })) !== 'not met';
  }

  /**
   * Blocks a device. One that is blocked already stays so as it was, with its time and reason.
   * @throws MintmarkError STORE_UNAVAILABLE, STORE_REFUSED
   */
  block(deviceId: string, reason: string, now: number): Promise<StateChange> {
    return this.#changeState(deviceId, 'blocked', {
      set: { blockedAt: timestamp(now), blockReason: string(reason) },
      remove: [],
    });
  }

  /** As `block`; a device that is active is left as it is. */
  unblock(deviceId: string): Promise<StateChange> {
    return this.#changeState(deviceId, 'active', { set: {}, remove: ['blockedAt', 'blockReason'] });
  }

  async #changeState(
    deviceId: string,
    state: Device['state'],
    { set, remove }: { readonly set: Item; readonly remove: readonly string[] },
  ): Promise<StateChange> {
    // What the condition saw cannot be asked for, so the row is read: until it is in this state, or gone.
    for (;;) {
      const before = await this.#update(deviceId, {
        set: { ...set, state: string(state) },
        remove,
        condition: 'attribute_exists(deviceId) AND #state <> :state',
      });
      if (before !== 'not met') return { outcome: 'changed', before: readRecord({ ...before, ...keyOf(deviceId) }) };
      const item = (await batchGet(this.#client, this.#table, [keyOf(deviceId)]))[0];
      if (item === undefined) return { outcome: 'unknown' };
      if (item.state?.S === state) return { outcome: 'unchanged', before: readRecord(item) };
    }
  }

  /** @returns the attributes before; `not met` where the condition is not */
  async #update(
    deviceId: string,
    { set, remove, condition }: { readonly set: Item; readonly remove: readonly string[]; readonly condition: string },
  ): Promise<Item | 'not met'> {
    const names = [...Object.keys(set), ...remove];
    const clauses = [
      ...(Object.keys(set).length === 0
        ? []
        : [
            `SET ${Object.keys(set)
              .map((name) => `#${name} = :${name}`)
              .join(', ')}`,
          ]),
      ...(remove.length === 0 ? [] : [`REMOVE ${remove.map((name) => `#${name}`).join(', ')}`]),
    ];
    const values = Object.entries(set).map(([name, value]): [string, AttributeValue] => [`:${name}`, value]);
    const command = new UpdateItemCommand({
      TableName: this.#table,
      Key: keyOf(deviceId),
      UpdateExpression: clauses.join(' '),
      ConditionExpression: condition,
      ExpressionAttributeNames: Object.fromEntries(names.map((name) => [`#${name}`, name])),
      ...(values.length === 0 ? {} : { ExpressionAttributeValues: Object.fromEntries(values) }),
      ReturnValues: 'ALL_OLD',
    });
    try {
      return (await this.#client.send(command)).Attributes ?? {};
    } catch (error) {
      if (error instanceof ConditionalCheckFailedException) return 'not met';
      throw storeError(error, `Writing ${this.#table}`);
    }
  }
}

const keyOf = (deviceId: string): Item => ({ deviceId: string(deviceId) });

function readRecord(item: Item): DeviceRecord {
  const deviceId = readString(item, 'deviceId');
  try {
    return { deviceId, device: readDevice(item) };
  } catch (error) {
    if (!(error instanceof MintmarkError)) throw error;
    const state = item.state?.S === 'active' ? 'active' : 'blocked';
    return { deviceId, problem: error, state, history: readHistory(item) };
  }
}

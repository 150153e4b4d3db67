import { type DynamoDBClient, PutItemCommand } from '@aws-sdk/client-dynamodb';
import { type Item, readString, readStrings, string } from './attributes.ts';
import { batchGet, type Rows, rowsOf } from './batch-get.ts';
import { storeError } from './store-error.ts';

/** A registered device. */
export interface Device {
  readonly deviceId: string;
  readonly state: 'active' | 'blocked';
  /** IAM principal ids that may enrol it; without it, whoever the profile allows. */
  readonly allowedSenders?: readonly string[];
}

/** A device may be read from memory for this long (milliseconds): so long can a block take to be seen. */
const cacheLifetime = 60_000;

/** The devices table. */
export class Devices {
  readonly #client: DynamoDBClient;
  readonly #table: string;
  readonly #cache = new Map<string, { item: Item; readAt: number }>();

  constructor(client: DynamoDBClient, table: string) {
    this.#client = client;
    this.#table = table;
  }

  /**
   * The registered ones of these devices, by id. What is not registered is never remembered: a device that is
   * registered a second later is found.
   */
  async find(deviceIds: readonly string[], now: number): Promise<Rows<Device>> {
    const found = new Map<string, Item>();
    const unknown: string[] = [];
    for (const deviceId of new Set(deviceIds)) {
      const cached = this.#cache.get(deviceId);
      if (cached !== undefined && now - cached.readAt < cacheLifetime) found.set(deviceId, cached.item);
      else unknown.push(deviceId);
    }
    for (const [deviceId, item] of await this.#fetch(unknown, now)) found.set(deviceId, item);
    return rowsOf(found, readDevice);
  }

  /** As `find`, past the cache and strongly consistent. */
  async findNow(deviceIds: readonly string[], now: number): Promise<Rows<Device>> {
    return rowsOf(await this.#fetch(deviceIds, now), readDevice);
  }

  /** Registers a device, or replaces its registration. */
  async register(device: Device): Promise<void> {
    const item: Item = { deviceId: string(device.deviceId), state: string(device.state) };
    if (device.allowedSenders !== undefined) item.allowedSenders = { L: device.allowedSenders.map(string) };
    await this.#client.send(new PutItemCommand({ TableName: this.#table, Item: item })).catch((error: unknown) => {
      throw storeError(error, `Registering a device in ${this.#table}`);
    });
  }

  async #fetch(deviceIds: readonly string[], now: number): Promise<ReadonlyMap<string, Item>> {
    const keys = [...new Set(deviceIds)].map((deviceId) => ({ deviceId: string(deviceId) }));
    const items = await batchGet(this.#client, this.#table, keys);
    this.#forget(now);
    const fetched = new Map(items.map((item) => [readString(item, 'deviceId'), item]));
    // Set anew, so that the order of the cache is that of the reads; a device that is gone is forgotten.
    for (const deviceId of deviceIds) this.#cache.delete(deviceId);
    for (const [deviceId, item] of fetched) this.#cache.set(deviceId, { item, readAt: now });
    return fetched;
  }

  #forget(now: number): void {
    for (const [deviceId, { readAt }] of this.#cache) {
      // A Map keeps the order of insertion, and a device read again is put in again below: the rest is younger.
      if (now - readAt < cacheLifetime) break;
      this.#cache.delete(deviceId);
    }
  }
}

function readDevice(item: Item): Device {
  const allowedSenders = readStrings(item, 'allowedSenders');
  return {
    deviceId: readString(item, 'deviceId'),
    // Anything but "active" counts as blocked: a state that this code does not know must not issue.
    state: readString(item, 'state') === 'active' ? 'active' : 'blocked',
    ...(allowedSenders === undefined ? {} : { allowedSenders }),
  };
}

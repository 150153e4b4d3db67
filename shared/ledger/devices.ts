import { type DynamoDBClient, PutItemCommand } from '@aws-sdk/client-dynamodb';
import { type Item, readString, readStrings, string } from './attributes.ts';
import { batchGet } from './batch-get.ts';
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
  readonly #cache = new Map<string, { device: Device; readAt: number }>();

  constructor(client: DynamoDBClient, table: string) {
    this.#client = client;
    this.#table = table;
  }

  /**
   * The registered ones of these devices, by id. What is not registered is never remembered: a device that is
   * registered a second later is found.
   */
  async find(deviceIds: readonly string[], now: number): Promise<ReadonlyMap<string, Device>> {
    const found = new Map<string, Device>();
    const unknown: string[] = [];
    for (const deviceId of new Set(deviceIds)) {
      const cached = this.#cache.get(deviceId);
      if (cached !== undefined && now - cached.readAt < cacheLifetime) found.set(deviceId, cached.device);
      else unknown.push(deviceId);
    }
    for (const [deviceId, device] of await this.findNow(unknown, now)) found.set(deviceId, device);
    return found;
  }

  /** As `find`, past the cache and strongly consistent. */
  async findNow(deviceIds: readonly string[], now: number): Promise<ReadonlyMap<string, Device>> {
    const keys = [...new Set(deviceIds)].map((deviceId) => ({ deviceId: string(deviceId) }));
    const devices = (await batchGet(this.#client, this.#table, keys)).map(readDevice);
    this.#forget(now);
    for (const device of devices) this.#cache.set(device.deviceId, { device, readAt: now });
    return new Map(devices.map((device) => [device.deviceId, device]));
  }

  /** Registers a device, or replaces its registration. */
  async register(device: Device): Promise<void> {
    const item: Item = { deviceId: string(device.deviceId), state: string(device.state) };
    if (device.allowedSenders !== undefined) item.allowedSenders = { L: device.allowedSenders.map(string) };
    await this.#client.send(new PutItemCommand({ TableName: this.#table, Item: item })).catch((error: unknown) => {
      throw storeError(error, `Registering a device in ${this.#table}`);
    });
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

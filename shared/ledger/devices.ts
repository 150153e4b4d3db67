import { type DynamoDBClient, PutItemCommand } from '@aws-sdk/client-dynamodb';
import { type Rows, rowsOf } from './batch-get.ts';
import { type Device, deviceItem, readDevice } from './device-row.ts';
import { ItemCache } from './item-cache.ts';
import { storeError } from './store-error.ts';

export type { Device } from './device-row.ts';

/**
 * The devices table, as the issuing path reads it; what operators do with it is in device-records.ts. `get` throws for a
 * row that cannot be read: what restricts the device is unknown then, and is not nothing.
 */
export class Devices {
  readonly #client: DynamoDBClient;
  readonly #table: string;
  readonly #items: ItemCache;

  constructor(client: DynamoDBClient, table: string) {
    this.#client = client;
    this.#table = table;
    this.#items = new ItemCache(client, table, 'deviceId');
  }

  /**
   * The registered ones of these devices, by id; a row is read from memory for a minute at most, so long can a block take
   * to be seen. What is not registered is never remembered: a device that is registered a second later is found.
   */
  async find(deviceIds: readonly string[], now: number): Promise<Rows<Device>> {
    return rowsOf(await this.#items.find(deviceIds, now), readDevice);
  }

  /** As `find`, past the memory and strongly consistent. */
  async findNow(deviceIds: readonly string[], now: number): Promise<Rows<Device>> {
    return rowsOf(await this.#items.findNow(deviceIds, now), readDevice);
  }

  /** Registers a device, or replaces its registration, its state among it. */
  async register(device: Device): Promise<void> {
    const command = new PutItemCommand({ TableName: this.#table, Item: deviceItem(device) });
    await this.#client.send(command).catch((error: unknown) => {
      throw storeError(error, `Registering a device in ${this.#table}`);
    });
  }
}

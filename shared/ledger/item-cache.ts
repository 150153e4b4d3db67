import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { type Item, readString, string } from './attributes.ts';
import { batchGet } from './batch-get.ts';

/** An item may be read from memory for this long (milliseconds): so long can a change take to be seen. */
const lifetime = 60_000;

/**
 * Items of a table whose key is one string, read in batches and kept for a minute. What is not there is never remembered:
 * an item that is written a second later is found.
 */
export class ItemCache {
  readonly #client: DynamoDBClient;
  readonly #table: string;
  readonly #keyName: string;
  readonly #cache = new Map<string, { item: Item; readAt: number }>();

  /** @param keyName of the partition key */
  constructor(client: DynamoDBClient, table: string, keyName: string) {
    this.#client = client;
    this.#table = table;
    this.#keyName = keyName;
  }

  /**
   * The items that there are, by key.
   * @param now milliseconds since the epoch
   * @throws MintmarkError STORE_UNAVAILABLE, STORE_REFUSED
   */
  async find(keys: readonly string[], now: number): Promise<ReadonlyMap<string, Item>> {
    const found = new Map<string, Item>();
    const unknown: string[] = [];
    for (const key of new Set(keys)) {
      const cached = this.#cache.get(key);
      if (cached !== undefined && now - cached.readAt < lifetime) found.set(key, cached.item);
      else unknown.push(key);
    }
    for (const [key, item] of await this.findNow(unknown, now)) found.set(key, item);
    return found;
  }

  /** As `find`, past the memory and strongly consistent. */
  async findNow(keys: readonly string[], now: number): Promise<ReadonlyMap<string, Item>> {
    const distinct = [...new Set(keys)];
    const items = await batchGet(
      this.#client,
      this.#table,
      distinct.map((key) => ({ [this.#keyName]: string(key) })),
    );
    this.#forgetOld(now);
    const fetched = new Map(items.map((item) => [readString(item, this.#keyName), item]));
    // Set anew, so that the order of the memory is that of the reads; what is gone is forgotten.
    for (const key of distinct) this.#cache.delete(key);
    for (const [key, item] of fetched) this.#cache.set(key, { item, readAt: now });
    return fetched;
  }

  #forgetOld(now: number): void {
    for (const [key, { readAt }] of this.#cache) {
      // A Map keeps the order of insertion, and what is read again is put in again: the rest is younger.
      if (now - readAt < lifetime) break;
      this.#cache.delete(key);
    }
  }
}

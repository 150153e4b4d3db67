import { setTimeout as delay } from 'node:timers/promises';
import { BatchGetItemCommand, type DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { MintmarkError } from '../errors.ts';
import type { Item } from './attributes.ts';
import { storeError } from './store-error.ts';

/** BatchGetItem takes at most this many keys (Amazon DynamoDB API reference). */
const maximumKeys = 100;

/** DynamoDB may hand keys back as unprocessed; asked this often without an answer, it is unavailable. */
const maximumRounds = 5;

/** The longest pause before the second round, in milliseconds; doubled with each round. */
const firstPause = 50;

/** What a pause between two rounds is made of. */
export interface Backoff {
  /** From 0 to 1, 1 excluded. */
  readonly random: () => number;
  readonly wait: (milliseconds: number) => Promise<unknown>;
}

const realTime: Backoff = { random: Math.random, wait: delay };

/**
 * The items with these keys, read with strong consistency; keys must differ, missing items are left out. Keys that
 * DynamoDB hands back are asked for again after a pause that grows exponentially, with full jitter: asked for at once,
 * they are most likely throttled again (Amazon DynamoDB API reference, BatchGetItem).
 * @throws MintmarkError STORE_UNAVAILABLE, STORE_REFUSED
 */
export async function batchGet(
  client: DynamoDBClient,
  table: string,
  keys: readonly Item[],
  { random, wait }: Backoff = realTime,
): Promise<Item[]> {
  const items: Item[] = [];
  for (let start = 0; start < keys.length; start += maximumKeys) {
    let open: Item[] = keys.slice(start, start + maximumKeys);
    for (let round = 0; open.length > 0; round++) {
      if (round === maximumRounds) {
        throw new MintmarkError(
          'STORE_UNAVAILABLE',
          `Reading ${table}: DynamoDB left ${open.length} keys unprocessed.`,
        );
      }
      if (round > 0) await wait(random() * firstPause * 2 ** (round - 1));
      const command = new BatchGetItemCommand({ RequestItems: { [table]: { Keys: open, ConsistentRead: true } } });
      const answer = await client.send(command).catch((error: unknown) => {
        throw storeError(error, `Reading ${table}`);
      });
      items.push(...(answer.Responses?.[table] ?? []));
      open = answer.UnprocessedKeys?.[table]?.Keys ?? [];
    }
  }
  return items;
}

/** Rows by key. `get` throws where the stored row is not as we write it: an error of that row, and of no other. */
export interface Rows<Row> {
  get(key: string): Row | undefined;
}

/** Items by key, each read when it is asked for. */
export const rowsOf = <Row>(items: ReadonlyMap<string, Item>, read: (item: Item) => Row): Rows<Row> => ({
  get: (key) => {
    const item = items.get(key);
    return item === undefined ? undefined : read(item);
  },
});

import { type DynamoDBClient, QueryCommand } from '@aws-sdk/client-dynamodb';
import { type Item, readString, string, timestamp } from './attributes.ts';
import type { RequestKey } from './row.ts';
import { storeError } from './store-error.ts';

/** openIntentShard is the last hex digit of a serial number (issuance.ts). */
const shards = Array.from({ length: 16 }, (_, shard) => shard.toString(16));

/** Keys asked for at a time. */
const pageSize = 25;

/**
 * The index openIntents: the keys of the requests that something is owed for, a signature or an abandonment, and then its
 * revocation or announcement. It is eventually consistent: what is to be done with a request is decided by its row.
 */
export class OpenIntents {
  readonly #client: DynamoDBClient;
  readonly #table: string;

  constructor(client: DynamoDBClient, table: string) {
    this.#client = client;
    this.#table = table;
  }

  /** Those whose signBefore was at `now` (milliseconds since the epoch) or earlier; pages as `pending`. */
  due(now: number, first: number): AsyncGenerator<readonly RequestKey[], void, undefined> {
    return this.#pages('signBefore <= :now', now, first);
  }

  /**
   * Those whose signBefore is yet to come. A page of each shard in turn, so that none waits for another, and within a
   * shard by signBefore.
   * @param first 0 to 15, the shard to begin with: another each time, and what is read last is not always the same
   * @throws MintmarkError STORE_UNAVAILABLE, STORE_REFUSED
   */
  pending(now: number, first: number): AsyncGenerator<readonly RequestKey[], void, undefined> {
    return this.#pages('signBefore > :now', now, first);
  }

  async *#pages(condition: string, now: number, first: number): AsyncGenerator<readonly RequestKey[], void, undefined> {
    const turns = [...shards.slice(first), ...shards.slice(0, first)].map(
      (shard): { readonly shard: string; readonly start: Item | undefined } => ({ shard, start: undefined }),
    );
    for (let turn = turns.shift(); turn !== undefined; turn = turns.shift()) {
      const { shard, start } = turn;
      const command = new QueryCommand({
        TableName: this.#table,
        IndexName: 'openIntents',
        KeyConditionExpression: `openIntentShard = :shard AND ${condition}`,
        ExpressionAttributeValues: { ':shard': string(shard), ':now': timestamp(now) },
        Limit: pageSize,
        ...(start === undefined ? {} : { ExclusiveStartKey: start }),
      });
      const { Items: items = [], LastEvaluatedKey: last } = await this.#client.send(command).catch((error: unknown) => {
        throw storeError(error, `Reading the open intents of ${this.#table}`);
      });
      if (last !== undefined) turns.push({ shard, start: last });
      if (items.length > 0) yield items.map(readKey);
    }
  }
}

const readKey = (item: Item): RequestKey => ({
  deviceId: readString(item, 'deviceId'),
  requestId: readString(item, 'requestId'),
});

import {
  type DynamoDBClient,
  QueryCommand,
  type QueryCommandInput,
  ScanCommand,
  type ScanCommandInput,
} from '@aws-sdk/client-dynamodb';
import { MintmarkError } from '../errors.ts';
import type { Item } from './attributes.ts';
import { storeError } from './store-error.ts';

/** One partition of a table or an index, or a whole table. */
export type Partition = {
  /** Names it in a position; the same whenever the same is read. */
  readonly name: string;
  /** What ExclusiveStartKey is made of: the key's attributes, and an index's; all of them strings in our tables. */
  readonly key: readonly string[];
} & ({ readonly query: QueryCommandInput } | { readonly scan: ScanCommandInput });

/** A place after which reading goes on, in this process or another; JSON. */
export interface Position {
  readonly partition: string;
  readonly key: Readonly<Record<string, string>>;
}

export interface Placed {
  readonly item: Item;
  readonly position: Position;
}

export interface ReadOptions {
  /** What was read last. */
  readonly after?: Position | undefined;
  /** Items asked for at a time; without it, as many as DynamoDB puts into a page of 1 MB. */
  readonly pageSize?: number | undefined;
}

/**
 * The items of these partitions, one after the other, a page at a time.
 * @throws MintmarkError STORE_UNAVAILABLE, STORE_REFUSED; CONFIGURATION_INVALID for a position in none of the partitions
 */
export async function* readPartitions(
  client: DynamoDBClient,
  partitions: readonly Partition[],
  { after, pageSize }: ReadOptions,
): AsyncGenerator<readonly Placed[], void, undefined> {
  const first = after === undefined ? 0 : partitions.findIndex(({ name }) => name === after.partition);
  if (first < 0) throw new MintmarkError('CONFIGURATION_INVALID', 'The position is not one of what is read here.');
  for (const [index, partition] of partitions.slice(first).entries()) {
    let start = index === 0 && after !== undefined ? keyItem(after.key) : undefined;
    do {
      const { Items: items = [], LastEvaluatedKey: last } = await readPage(client, partition, start, pageSize);
      if (items.length > 0) yield items.map((item) => ({ item, position: positionOf(partition, item) }));
      start = last;
    } while (start !== undefined);
  }
}

async function readPage(
  client: DynamoDBClient,
  partition: Partition,
  start: Item | undefined,
  limit: number | undefined,
) {
  const page = {
    ...(limit === undefined ? {} : { Limit: limit }),
    ...(start === undefined ? {} : { ExclusiveStartKey: start }),
  };
  try {
    // Two calls, since the client's `send` takes no union of commands.
    return 'query' in partition
      ? await client.send(new QueryCommand({ ...partition.query, ...page }))
      : await client.send(new ScanCommand({ ...partition.scan, ...page }));
  } catch (error) {
    throw storeError(error, `Reading ${('query' in partition ? partition.query : partition.scan).TableName}`);
  }
}

const keyItem = (key: Position['key']): Item =>
  Object.fromEntries(Object.entries(key).map(([name, value]) => [name, { S: value }]));

const positionOf = ({ name, key }: Partition, item: Item): Position => ({
  partition: name,
  key: Object.fromEntries(key.map((attribute) => [attribute, item[attribute]?.S ?? ''])),
});

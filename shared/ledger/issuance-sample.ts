import { DescribeTableCommand, type DynamoDBClient, ScanCommand } from '@aws-sdk/client-dynamodb';
import type { Item } from './attributes.ts';
import { type IssuanceRecord, readRecord } from './issuance-records.ts';
import { storeError } from './store-error.ts';

/** One of the equal parts that a table is scanned in. */
export interface Segment {
  readonly segment: number;
  readonly totalSegments: number;
}

/** The most that Scan takes (Amazon DynamoDB API reference, Scan, TotalSegments). */
const maximumSegments = 1_000_000;

/**
 * One segment of so many that each has about this many rows.
 * @param itemCount of the table; 0 takes all of it
 * @param random from 0, below 1
 */
export function segmentOf(itemCount: number, rows: number, random: number): Segment {
  const totalSegments = Math.min(Math.max(Math.round(itemCount / rows), 1), maximumSegments);
  return { segment: Math.floor(random * totalSegments), totalSegments };
}

/** A part of the issuance table, drawn at random and read with strong consistency. */
export class IssuanceSample {
  readonly #client: DynamoDBClient;
  readonly #table: string;

  constructor(client: DynamoDBClient, table: string) {
    this.#client = client;
    this.#table = table;
  }

  /**
   * Which segment to read. The table's size is DynamoDB's own count, which it updates about every six hours (Amazon DynamoDB
   * API reference, TableDescription, ItemCount).
   * @throws MintmarkError STORE_UNAVAILABLE, STORE_REFUSED
   */
  async draw(rows: number, random: number): Promise<Segment> {
    return segmentOf(await readItemCount(this.#client, this.#table), rows, random);
  }

  /**
   * The rows of a segment, a page at a time. All rows of a device are in one segment, and the count may be old, so a segment
   * may hold many more rows than were meant: reading ends at `most`.
   * @throws MintmarkError STORE_UNAVAILABLE, STORE_REFUSED
   */
  async *read(
    { segment, totalSegments }: Segment,
    most: number,
  ): AsyncGenerator<readonly IssuanceRecord[], void, undefined> {
    let start: Item | undefined;
    let left = most;
    do {
      const command = new ScanCommand({
        TableName: this.#table,
        ConsistentRead: true,
        Segment: segment,
        TotalSegments: totalSegments,
        Limit: left,
        ...(start === undefined ? {} : { ExclusiveStartKey: start }),
      });
      const { Items: items = [], LastEvaluatedKey: last } = await this.#client.send(command).catch((error: unknown) => {
        throw storeError(error, `Reading ${this.#table}`);
      });
      if (items.length > 0) yield items.map(readRecord);
      left -= items.length;
      start = last;
    } while (start !== undefined && left > 0);
  }
}

/**
 * How many rows a table has, by DynamoDB's count of up to six hours ago: of a table that is younger, 0.
 * @throws MintmarkError STORE_UNAVAILABLE, STORE_REFUSED
 */
export async function readItemCount(client: DynamoDBClient, table: string): Promise<number> {
  try {
    return (await client.send(new DescribeTableCommand({ TableName: table }))).Table?.ItemCount ?? 0;
  } catch (error) {
    throw storeError(error, `Describing ${table}`);
  }
}

import { type DynamoDBClient, UpdateItemCommand } from '@aws-sdk/client-dynamodb';
import { type Item, number, readNumber, string } from './attributes.ts';
import { batchGet } from './batch-get.ts';
import { storeError } from './store-error.ts';

/** A limit of so many attempts in an hour, counted together with all others of the scope. */
export interface RateLimit {
  /** The same text for everything that is counted together. */
  readonly scope: string;
  readonly limit: number;
}

/** The windows: hours of UTC, in milliseconds. */
export const rateWindow = 3_600_000;

/** What others have counted is read anew after this long (milliseconds). */
export const rateReadInterval = 2_000;

/** A bucket's count is the sum of this many items: each environment writes one of them, so none takes every write. */
export const rateShards = 16;

/** A bucket is of no use after its window; for whoever looks into it, it is kept a day longer (seconds). */
const keptAfterwards = 86_400;

/** One scope's window, as this process knows it. */
interface Bucket {
  readonly key: string;
  /** Milliseconds since the epoch, exclusive. */
  readonly endsAt: number;
  /** What other environments had counted when it was read. */
  others: number;
  readAt: number;
  reading: Promise<void> | undefined;
  /** Reads of this bucket and additions to it, one after the other. */
  last: Promise<unknown>;
  /** Of this process: in the table; recorded, to be added to it; about to be recorded. */
  added: number;
  recorded: number;
  reserved: number;
  /** Of reservations that were refused for those of others: to be called when one of these is kept or released. */
  waiting: (() => void)[];
}

/** A place in each of its buckets, for an attempt that is about to be recorded. */
export interface Reservation {
  /** The attempt is recorded, or may be: it counts. */
  keep(): void;
  /** No attempt was recorded. */
  release(): void;
}

/** There is no place any more. */
export interface ExhaustedRate<Limit extends RateLimit> {
  readonly exhausted: Limit;
  /** The end of the window, in milliseconds since the epoch. */
  readonly until: number;
}

/**
 * The quotas table: attempts in fixed windows of an hour, counted by all environments. Each reads what the others have
 * counted every two seconds at most, knows its own, and adds what it recorded once for a batch. So a limit may be passed,
 * by no more than what the others recorded since that read and what they had not yet added then: environments x batch size
 * + what is recorded in two seconds. Nothing is refused before a limit is reached: a count is never higher than what was
 * recorded, but for an addition whose reply was lost.
 */
export class RateBuckets {
  readonly #client: DynamoDBClient;
  readonly #table: string;
  readonly #shard: number;
  readonly #buckets = new Map<string, Bucket>();

  /** @param shard 0 to rateShards - 1, drawn once for an environment */
  constructor(client: DynamoDBClient, table: string, shard: number) {
    this.#client = client;
    this.#table = table;
    this.#shard = shard;
  }

  /**
   * A place under all of these limits, or the first of them that has none left. What only reservations leave no place in is
   * not exhausted, as these may be released: it is waited for until one of them has come to something. Whoever holds one must
   * keep or release it, and must not wait for another in between.
   * @param now milliseconds since the epoch
   * @throws MintmarkError STORE_UNAVAILABLE, STORE_REFUSED: what others have counted is not known then
   */
  async reserve<Limit extends RateLimit>(
    limits: readonly Limit[],
    now: number,
  ): Promise<Reservation | ExhaustedRate<Limit>> {
    for (;;) {
      const limited = limits.map((limit) => ({ limit, bucket: this.#bucketOf(limit.scope, now) }));
      await Promise.all(limited.map(({ limit, bucket }) => this.#refresh(bucket, limit.limit, now)));
      // From here to the reservation nothing is waited for: of a batch's requests each sees the ones before it.
      const full = limited.find(({ limit, bucket }) => countOf(bucket) >= limit.limit);
      if (full !== undefined) return { exhausted: full.limit, until: full.bucket.endsAt };
      const taken = limited.find(({ limit, bucket }) => countOf(bucket) + bucket.reserved >= limit.limit);
      if (taken === undefined) return reservationOf(limited.map(({ bucket }) => bucket));
      await new Promise<void>((resolve) => taken.bucket.waiting.push(resolve));
    }
  }

  /**
   * Adds what was recorded to the table, with one ADD for each bucket. What fails to be added is added with the next call,
   * twice if only the reply was lost.
   * @throws MintmarkError STORE_UNAVAILABLE, STORE_REFUSED when not all of it was added
   */
  async flush(now: number): Promise<void> {
    const touched = [...this.#buckets.values()].filter(({ recorded }) => recorded > 0);
    const added = await Promise.allSettled(touched.map((bucket) => inTurn(bucket, () => this.#add(bucket))));
    for (const [key, { endsAt, recorded, reserved }] of this.#buckets) {
      if (endsAt <= now && recorded === 0 && reserved === 0) this.#buckets.delete(key);
    }
    for (const result of added) if (result.status === 'rejected') throw result.reason;
  }

  #bucketOf(scope: string, now: number): Bucket {
    const startsAt = Math.floor(now / rateWindow) * rateWindow;
    const key = `${scope}#${new Date(startsAt).toISOString()}`;
    const known = this.#buckets.get(key);
    if (known !== undefined) return known;
    const bucket: Bucket = {
      key,
      endsAt: startsAt + rateWindow,
      others: 0,
      readAt: Number.NEGATIVE_INFINITY,
      reading: undefined,
      last: Promise.resolve(),
      added: 0,
      recorded: 0,
      reserved: 0,
      waiting: [],
    };
    this.#buckets.set(key, bucket);
    return bucket;
  }

  /** Counts only grow: what is full stays so, and is not read again. */
  async #refresh(bucket: Bucket, limit: number, now: number): Promise<void> {
    if (bucket.others + bucket.added >= limit || now - bucket.readAt < rateReadInterval) return;
    bucket.reading ??= inTurn(bucket, () => this.#read(bucket, now)).finally(() => {
      bucket.reading = undefined;
    });
    await bucket.reading;
  }

  async #read(bucket: Bucket, now: number): Promise<void> {
    const own = bucket.added;
    const keys = Array.from({ length: rateShards }, (_, shard) => ({ bucket: string(shardKey(bucket, shard)) }));
    const items = await batchGet(this.#client, this.#table, keys);
    const sum = items.reduce((total, item) => total + readNumber(item, 'count'), 0);
    bucket.others = Math.max(0, sum - own);
    bucket.readAt = now;
  }

  async #add(bucket: Bucket): Promise<void> {
    const count = bucket.recorded;
    // Another flush was first.
    if (count === 0) return;
    const key: Item = { bucket: string(shardKey(bucket, this.#shard)) };
    const command = new UpdateItemCommand({
      TableName: this.#table,
      Key: key,
      UpdateExpression: 'SET expiresAt = :expiresAt ADD #count :count',
      ExpressionAttributeNames: { '#count': 'count' },
      ExpressionAttributeValues: {
        ':count': number(count),
        // Seconds since the epoch, as DynamoDB's time to live wants them.
        ':expiresAt': number(bucket.endsAt / 1000 + keptAfterwards),
      },
    });
    await this.#client.send(command).catch((error: unknown) => {
      throw storeError(error, `Counting attempts in ${this.#table}`);
    });
    bucket.recorded -= count;
    bucket.added += count;
  }
}

/** A read that an addition overtakes may or may not see it, and what is this process's own would be taken for others'. */
function inTurn(bucket: Bucket, work: () => Promise<void>): Promise<void> {
  const mine = bucket.last.then(work);
  // How it ends is told to whoever asked for it.
  bucket.last = mine.catch(() => undefined);
  return mine;
}

/** Recorded by this process and, as far as it is known, by the others. */
const countOf = ({ others, added, recorded }: Bucket): number => others + added + recorded;

function reservationOf(buckets: readonly Bucket[]): Reservation {
  for (const bucket of buckets) bucket.reserved++;
  const settle = (count: number) => {
    for (const bucket of buckets) {
      bucket.reserved--;
      bucket.recorded += count;
      for (const resume of bucket.waiting.splice(0)) resume();
    }
  };
  return { keep: () => settle(1), release: () => settle(0) };
}

/** The items of one bucket lie in partitions of their own, as each has a key of its own. */
const shardKey = ({ key }: Bucket, shard: number): string => `${key}#${shard}`;

import { ConditionalCheckFailedException, type DynamoDBClient, UpdateItemCommand } from '@aws-sdk/client-dynamodb';
import { MintmarkError } from '../errors.ts';
import { type Item, string, timestamp } from './attributes.ts';
import { batchGet } from './batch-get.ts';
import { factOf, isCompromised, type KeyClaim, keyOfFact, readClaim } from './key-row.ts';
import { storeError } from './store-error.ts';

/** What operators have said of a key; it stays when it is taken back. Times in milliseconds since the epoch. */
export interface Compromise {
  readonly state: 'compromised' | 'cleared';
  readonly compromisedAt?: number;
  readonly reason?: string;
  readonly clearedAt?: number;
}

/** What the table knows of a key. */
export interface KeyRecord {
  readonly compromise?: Compromise;
  /** Whose it is or was; or what is wrong with the row. */
  readonly holder?: KeyClaim | MintmarkError;
}

/** What became of a change, and what stands now. */
export interface KnownKeyChange {
  readonly outcome: 'changed' | 'unchanged';
  readonly compromise: Compromise;
}

/** As before; `unknown` is a key that nobody ever blocked. */
export type KeyChange = KnownKeyChange | { readonly outcome: 'unknown' };

/** The keys table for those who look after it; keys are named as in CompromisedKeys. Every read is strongly consistent. */
export class KeyRecords {
  readonly #client: DynamoDBClient;
  readonly #table: string;

  constructor(client: DynamoDBClient, table: string) {
    this.#client = client;
    this.#table = table;
  }

  /**
   * What is known of these keys, by SHA-256; of what is left out, nothing.
   * @param spkiSha256s each once
   * @throws MintmarkError STORE_UNAVAILABLE, STORE_REFUSED
   */
  async get(spkiSha256s: readonly string[]): Promise<ReadonlyMap<string, KeyRecord>> {
    const keys = spkiSha256s.flatMap((each) => [keyOfFact('compromised', each), keyOfFact('live', each)]);
    const items = new Map((await batchGet(this.#client, this.#table, keys)).map((item) => [factOf(item), item]));
    const records = new Map<string, KeyRecord>();
    for (const spkiSha256 of spkiSha256s) {
      const [compromised, live] = [items.get(`compromised#${spkiSha256}`), items.get(`live#${spkiSha256}`)];
      if (compromised === undefined && live === undefined) continue;
      records.set(spkiSha256, {
        ...(compromised === undefined ? {} : { compromise: readCompromise(compromised) }),
        ...(live === undefined ? {} : { holder: readHolder(live) }),
      });
    }
    return records;
  }

  /**
   * Says that a key is compromised: no request that is looked at from now on gets a certificate with it. One that is blocked
   * already stays so as it was, with its time and reason.
   * @throws MintmarkError STORE_UNAVAILABLE, STORE_REFUSED
   */
  async block(spkiSha256: string, reason: string, now: number): Promise<KnownKeyChange> {
    // What the condition saw cannot be asked for, so the row is read: until it is blocked.
    for (;;) {
      const compromise = await this.#update(spkiSha256, {
        expression: 'SET #state = :compromised, compromisedAt = :now, reason = :reason REMOVE clearedAt',
        condition: 'attribute_not_exists(factSpkiSha256) OR #state = :cleared',
        values: {
          ':compromised': string('compromised'),
          ':cleared': string('cleared'),
          ':now': timestamp(now),
          ':reason': string(reason),
        },
      });
      if (compromise !== undefined) return { outcome: 'changed', compromise };
      const standing = await this.#compromiseOf(spkiSha256);
      if (standing?.state === 'compromised') return { outcome: 'unchanged', compromise: standing };
    }
  }

  /** Takes it back; what was said stays in the row. One that is not blocked is left as it is. */
  async unblock(spkiSha256: string, now: number): Promise<KeyChange> {
    for (;;) {
      const compromise = await this.#update(spkiSha256, {
        expression: 'SET #state = :cleared, clearedAt = :now',
        condition: 'attribute_exists(factSpkiSha256) AND #state <> :cleared',
        values: { ':cleared': string('cleared'), ':now': timestamp(now) },
      });
      if (compromise !== undefined) return { outcome: 'changed', compromise };
      const standing = await this.#compromiseOf(spkiSha256);
      if (standing === undefined) return { outcome: 'unknown' };
      if (standing.state === 'cleared') return { outcome: 'unchanged', compromise: standing };
    }
  }

  async #compromiseOf(spkiSha256: string): Promise<Compromise | undefined> {
    const item = (await batchGet(this.#client, this.#table, [keyOfFact('compromised', spkiSha256)]))[0];
    return item === undefined ? undefined : readCompromise(item);
  }

  /** @returns what stands now; undefined where the condition is not met */
  async #update(
    spkiSha256: string,
    change: { readonly expression: string; readonly condition: string; readonly values: Item },
  ): Promise<Compromise | undefined> {
    const command = new UpdateItemCommand({
      TableName: this.#table,
      Key: keyOfFact('compromised', spkiSha256),
      UpdateExpression: change.expression,
      ConditionExpression: change.condition,
      ExpressionAttributeNames: { '#state': 'state' },
      ExpressionAttributeValues: change.values,
      ReturnValues: 'ALL_NEW',
    });
    try {
      return readCompromise((await this.#client.send(command)).Attributes ?? {});
    } catch (error) {
      if (error instanceof ConditionalCheckFailedException) return undefined;
      throw storeError(error, `Writing ${this.#table}`);
    }
  }
}

/** When and why is for people: nothing is decided by it, so nothing ends for want of it. */
function readCompromise(item: Item): Compromise {
  const [compromisedAt, clearedAt] = [timeIn(item, 'compromisedAt'), timeIn(item, 'clearedAt')];
  const reason = item.reason?.S;
  return {
    state: isCompromised(item) ? 'compromised' : 'cleared',
    ...(compromisedAt === undefined ? {} : { compromisedAt }),
    ...(reason === undefined ? {} : { reason }),
    ...(clearedAt === undefined ? {} : { clearedAt }),
  };
}

function timeIn(item: Item, name: string): number | undefined {
  const time = Date.parse(item[name]?.S ?? '');
  return Number.isNaN(time) ? undefined : time;
}

function readHolder(item: Item): KeyClaim | MintmarkError {
  try {
    return readClaim(item);
  } catch (error) {
    if (error instanceof MintmarkError) return error;
    throw error;
  }
}

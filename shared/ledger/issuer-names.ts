import { type DynamoDBClient, GetItemCommand } from '@aws-sdk/client-dynamodb';
import { MintmarkError } from '../errors.ts';
import { type Item, string } from './attributes.ts';
import { storeError } from './store-error.ts';

/**
 * A name under which an issuing CA issues: a row of the issuers table that says which one. What a profile calls its issuer is
 * such a name, or, where there is no row for it, an issuer's id.
 */
export interface IssuerName {
  readonly name: string;
  /** The issuer that it leads to. */
  readonly target: string;
  /** The issuer that it led to before. */
  readonly previousTarget?: string;
  /** When it was made to lead there; milliseconds since the epoch. */
  readonly activatedAt?: number;
  /** The issuers that it led to before and may still be remembered to lead to; those of the last `issuerNameSettling` at least. */
  readonly recentTargets: readonly RecentTarget[];
}

export interface RecentTarget {
  readonly issuerId: string;
  /** When it was made to lead elsewhere; milliseconds since the epoch. */
  readonly until: number;
}

const prefix = '#issuing#';

/** The partition key of a name's row; no issuer's id begins with #. */
export const issuerNameKey = (name: string): string => `${prefix}${name}`;

/** Undefined for the key of any other row. */
export const nameOfKey = (key: string): string | undefined =>
  key.startsWith(prefix) ? key.slice(prefix.length) : undefined;

/** A name's row may be read from memory for this long (milliseconds): so long can a change take to be seen. */
export const issuerNameLifetime = 60_000;

/** For so long (milliseconds) an issuer may be used after a name has left it: clocks differ, and what was begun is signed. */
export const issuerNameSettling = 2 * issuerNameLifetime;

interface Cached {
  readonly issuerId: Promise<string>;
  readonly readAt: number;
}

/**
 * Which issuer a name means, for those who issue. That a name has no row is remembered as well: every profile whose issuer is
 * an id would otherwise pay a read for each of its requests.
 */
export class IssuerNames {
  readonly #client: DynamoDBClient;
  readonly #table: string;
  readonly #cache = new Map<string, Cached>();

  constructor(client: DynamoDBClient, table: string) {
    this.#client = client;
    this.#table = table;
  }

  /**
   * The id of the issuer that this name leads to; without a row, the name itself.
   * @param now milliseconds since the epoch
   * @throws MintmarkError CONFIGURATION_INVALID for a row that cannot be read, STORE_UNAVAILABLE, STORE_REFUSED
   */
  resolve(name: string, now: number): Promise<string> {
    const cached = this.#cache.get(name);
    return cached !== undefined && now - cached.readAt < issuerNameLifetime
      ? cached.issuerId
      : this.resolveNow(name, now);
  }

  /** As `resolve`, past the memory and strongly consistent. */
  resolveNow(name: string, now: number): Promise<string> {
    // Requests of one batch that ask at the same moment share the answer.
    const reading: Cached = { issuerId: this.#read(name), readAt: now };
    this.#cache.set(name, reading);
    reading.issuerId.catch(() => {
      if (this.#cache.get(name) === reading) this.#cache.delete(name);
    });
    return reading.issuerId;
  }

  /**
   * The ids of the issuers that this name leads to and led to before its last change; strongly consistent, and not from memory.
   * @throws MintmarkError as `resolve`
   */
  async lastTargets(name: string): Promise<readonly string[]> {
    const row = await this.#readRow(name);
    if (row === undefined) return [name];
    return [row.target, ...(row.previousTarget === undefined ? [] : [row.previousTarget])];
  }

  async #read(name: string): Promise<string> {
    return (await this.#readRow(name))?.target ?? name;
  }

  async #readRow(name: string): Promise<IssuerName | undefined> {
    const command = new GetItemCommand({
      TableName: this.#table,
      Key: { issuerId: string(issuerNameKey(name)) },
      ConsistentRead: true,
    });
    const { Item: item } = await this.#client.send(command).catch((error: unknown) => {
      throw storeError(error, `Reading ${this.#table}`);
    });
    return item === undefined ? undefined : readIssuerName(name, item);
  }
}

/** @throws MintmarkError CONFIGURATION_INVALID: whom it led to is unknown then, and is not the issuer of that id */
export function readIssuerName(name: string, item: Item): IssuerName {
  const target = item.target?.S ?? '';
  if (target === '' || target.startsWith('#')) {
    throw new MintmarkError(
      'CONFIGURATION_INVALID',
      `The row ${issuerNameKey(name)} of the issuers table has no target that is an issuer's id.`,
    );
  }
  const activatedAt = Date.parse(item.activatedAt?.S ?? '');
  return {
    name,
    target,
    ...(item.previousTarget?.S === undefined ? {} : { previousTarget: item.previousTarget.S }),
    ...(Number.isNaN(activatedAt) ? {} : { activatedAt }),
    recentTargets: readRecentTargets(item, activatedAt),
  };
}

/** @param activatedAt NaN where it is not known */
function readRecentTargets({ recentTargets, previousTarget }: Item, activatedAt: number): RecentTarget[] {
  const listed = recentTargets?.L?.map(({ M: one = {} }) => ({
    issuerId: one['issuerId']?.S ?? '',
    until: Date.parse(one['until']?.S ?? ''),
  }));
  // A row that was written before there was a list of them knows the last one.
  const found = listed ?? [{ issuerId: previousTarget?.S ?? '', until: activatedAt }];
  return found.filter(({ issuerId, until }) => issuerId !== '' && !Number.isNaN(until));
}

import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { MintmarkError } from '../errors.ts';
import { type Item, readString, readStrings } from './attributes.ts';
import { type Rows, rowsOf } from './batch-get.ts';
import { ItemCache } from './item-cache.ts';

/** Names, or every one there is and will be. */
export type Grant = readonly string[] | '*';

/** Who is registered as a sender, and what such a one is held to. */
export interface Sender {
  /** Of IAM: a role's id (AROA...), a user's (AIDA...), or an account's; what SQS's SenderId has before a colon. */
  readonly principalId: string;
  /** Fleets whose devices it may enrol; a device without a fleet is in none. */
  readonly fleets: Grant;
  /** Profiles that it may use. */
  readonly profiles: Grant;
}

/** The senders table, as far as issuing reads it. */
export class Senders {
  readonly #items: ItemCache;

  constructor(client: DynamoDBClient, table: string) {
    this.#items = new ItemCache(client, table, 'principalId');
  }

  /**
   * The registered ones of these principals, by id; a row is read from memory for a minute at most. `get` throws for a row
   * that cannot be read: what a sender is held to is unknown then, and is not nothing.
   * @param now milliseconds since the epoch
   * @throws MintmarkError STORE_UNAVAILABLE, STORE_REFUSED
   */
  async find(principalIds: readonly string[], now: number): Promise<Rows<Sender>> {
    return rowsOf(await this.#items.find(principalIds.filter(isKey), now), readSender);
  }

  /** As `find`, past the memory and strongly consistent. */
  async findNow(principalIds: readonly string[], now: number): Promise<Rows<Sender>> {
    return rowsOf(await this.#items.findNow(principalIds.filter(isKey), now), readSender);
  }
}

/** DynamoDB takes no empty key, and refuses the whole batch that has one; nobody is registered as that. */
const isKey = (principalId: string): boolean => principalId !== '';

/** Every attribute that a row of the senders table may have; the last three decide nothing. */
const attributes: readonly string[] = ['principalId', 'fleets', 'profiles', 'arn', 'addedAt', 'note'];

/**
 * The sender in a row. What this cannot read, or does not know, may be what the sender is held to.
 * @throws MintmarkError INTERNAL that names row and attribute
 */
export function readSender(item: Item): Sender {
  const principalId = readString(item, 'principalId');
  const unknown = Object.keys(item).find((name) => !attributes.includes(name));
  if (unknown !== undefined) {
    throw new MintmarkError(
      'INTERNAL',
      `The row of ${principalId} in the senders table has an attribute "${unknown}", which is not known and may be what the sender is held to.`,
    );
  }
  return {
    principalId,
    fleets: readGrant(item, 'fleets', principalId),
    profiles: readGrant(item, 'profiles', principalId),
  };
}

function readGrant(item: Item, name: string, principalId: string): Grant {
  if (item[name]?.S === '*') return '*';
  try {
    const names = readStrings(item, name);
    if (names !== undefined) return names;
  } catch (cause) {
    throw unreadable(name, principalId, cause);
  }
  throw unreadable(name, principalId);
}

const unreadable = (name: string, principalId: string, cause?: unknown): MintmarkError =>
  new MintmarkError(
    'INTERNAL',
    `The row of ${principalId} in the senders table has no ${name} that can be read: a list of names, or "*".`,
    { cause },
  );

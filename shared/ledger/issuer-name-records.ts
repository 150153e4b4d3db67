import {
  ConditionalCheckFailedException,
  DeleteItemCommand,
  type DynamoDBClient,
  UpdateItemCommand,
} from '@aws-sdk/client-dynamodb';
import { MintmarkError } from '../errors.ts';
import { type Item, string, timestamp } from './attributes.ts';
import {
  type IssuerName,
  issuerNameKey,
  issuerNameSettling,
  nameOfKey,
  type RecentTarget,
  readIssuerName,
} from './issuer-names.ts';
import { scanAttributes } from './scan-attributes.ts';
import { storeError } from './store-error.ts';

/** A name whose row cannot be read: nobody issues by it. */
export interface UnreadableIssuerName {
  readonly name: string;
  /** A sentence. */
  readonly problem: string;
}

export interface ReadIssuerNames {
  readonly names: readonly IssuerName[];
  readonly unreadable: readonly UnreadableIssuerName[];
}

/** The attributes that are asked for; a role may be held to them (IAM condition key dynamodb:Attributes). */
const attributes = {
  '#issuerId': 'issuerId',
  '#target': 'target',
  '#previousTarget': 'previousTarget',
  '#activatedAt': 'activatedAt',
  '#recentTargets': 'recentTargets',
};

/** The names of issuers as operators look at them and change them; what issuing reads of them is in issuer-names.ts. */
export class IssuerNameRecords {
  readonly #client: DynamoDBClient;
  readonly #table: string;

  constructor(client: DynamoDBClient, table: string) {
    this.#client = client;
    this.#table = table;
  }

  /** All of them by name, strongly consistent. @throws MintmarkError STORE_UNAVAILABLE, STORE_REFUSED */
  async list(): Promise<ReadIssuerNames> {
    const names: IssuerName[] = [];
    const unreadable: UnreadableIssuerName[] = [];
    for (const [name, item] of await this.#items()) {
      try {
        names.push(readIssuerName(name, item));
      } catch (error) {
        if (!(error instanceof MintmarkError)) throw error;
        unreadable.push({ name, problem: error.message });
      }
    }
    return { names, unreadable };
  }

  async #items(): Promise<readonly (readonly [name: string, item: Item])[]> {
    const items = await scanAttributes(this.#client, this.#table, attributes);
    const found = items.flatMap((item): (readonly [string, Item])[] => {
      const name = nameOfKey(item['issuerId']?.S ?? '');
      return name === undefined ? [] : [[name, item]];
    });
    return found.toSorted(([one], [other]) => (one < other ? -1 : 1));
  }

  /**
   * Makes a name lead to an issuer.
   * @param before its row when the change was decided; undefined: it had none
   * @param now milliseconds since the epoch
   * @returns whether that is its row still; if not, nothing is changed
   * @throws MintmarkError STORE_UNAVAILABLE, STORE_REFUSED
   */
  point(name: string, target: string, before: IssuerName | undefined, now: number): Promise<boolean> {
    const { condition, values } = asItWas(before);
    // Without a row it is an issuer's id.
    const previous = before?.target ?? name;
    const settling = (before?.recentTargets ?? []).filter(({ until }) => now - until < issuerNameSettling);
    return this.#isDone(
      new UpdateItemCommand({
        TableName: this.#table,
        Key: { issuerId: string(issuerNameKey(name)) },
        ConditionExpression: condition,
        UpdateExpression:
          'SET target = :target, previousTarget = :previous, activatedAt = :now, recentTargets = :recent',
        ExpressionAttributeValues: {
          ...values,
          ':target': string(target),
          ':previous': string(previous),
          ':now': timestamp(now),
          ':recent': { L: [...settling, { issuerId: previous, until: now }].map(recentTargetItem) },
        },
      }),
    );
  }

  /**
   * Takes a name's row away: the name is an issuer's id then, or nobody's.
   * @param before its row when that was decided
   * @returns whether that was its row still; if not, nothing is changed
   * @throws MintmarkError STORE_UNAVAILABLE, STORE_REFUSED
   */
  remove(before: IssuerName): Promise<boolean> {
    const { condition, values } = asItWas(before);
    return this.#isDone(
      new DeleteItemCommand({
        TableName: this.#table,
        Key: { issuerId: string(issuerNameKey(before.name)) },
        ConditionExpression: condition,
        ExpressionAttributeValues: values,
      }),
    );
  }

  /** @returns whether the condition was met */
  async #isDone(command: UpdateItemCommand | DeleteItemCommand): Promise<boolean> {
    try {
      // Two calls, since the client's `send` takes no union of commands.
      if (command instanceof UpdateItemCommand) await this.#client.send(command);
      else await this.#client.send(command);
      return true;
    } catch (error) {
      if (error instanceof ConditionalCheckFailedException) return false;
      throw storeError(error, `Writing ${this.#table}`);
    }
  }
}

const recentTargetItem = ({ issuerId, until }: RecentTarget) => ({
  M: { issuerId: string(issuerId), until: timestamp(until) },
});

/** Also that it did not lead elsewhere and back: what it left meanwhile would be forgotten. */
function asItWas(before: IssuerName | undefined): { readonly condition: string; readonly values?: Item } {
  if (before === undefined) return { condition: 'attribute_not_exists(issuerId)' };
  const { target, activatedAt } = before;
  return activatedAt === undefined
    ? { condition: 'target = :before AND attribute_not_exists(activatedAt)', values: { ':before': string(target) } }
    : {
        condition: 'target = :before AND activatedAt = :since',
        values: { ':before': string(target), ':since': timestamp(activatedAt) },
      };
}

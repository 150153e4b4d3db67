import {
  ConditionalCheckFailedException,
  type DynamoDBClient,
  paginateScan,
  UpdateItemCommand,
} from '@aws-sdk/client-dynamodb';
import { MintmarkError } from '../errors.ts';
import { type Item, string, timestamp } from './attributes.ts';
import { type IssuerName, issuerNameKey, nameOfKey, readIssuerName } from './issuer-names.ts';
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
    const found: (readonly [string, Item])[] = [];
    const pages = paginateScan(
      { client: this.#client },
      {
        TableName: this.#table,
        ConsistentRead: true,
        Select: 'SPECIFIC_ATTRIBUTES',
        ProjectionExpression: Object.keys(attributes).join(', '),
        ExpressionAttributeNames: attributes,
      },
    );
    try {
      for await (const { Items: items = [] } of pages) {
        for (const item of items) {
          const name = nameOfKey(item['issuerId']?.S ?? '');
          if (name !== undefined) found.push([name, item]);
        }
      }
    } catch (error) {
      throw storeError(error, `Reading ${this.#table}`);
    }
    return found.toSorted(([one], [other]) => (one < other ? -1 : 1));
  }

  /**
   * Makes a name lead to an issuer.
   * @param before where it led when the change was decided; undefined: it had no row
   * @param now milliseconds since the epoch
   * @returns whether it did lead there still; if not, nothing is changed
   * @throws MintmarkError STORE_UNAVAILABLE, STORE_REFUSED
   */
  async point(name: string, target: string, before: string | undefined, now: number): Promise<boolean> {
    const command = new UpdateItemCommand({
      TableName: this.#table,
      Key: { issuerId: string(issuerNameKey(name)) },
      ConditionExpression: before === undefined ? 'attribute_not_exists(issuerId)' : 'target = :before',
      UpdateExpression: 'SET target = :target, previousTarget = :previous, activatedAt = :now',
      ExpressionAttributeValues: {
        ':target': string(target),
        // Without a row it is an issuer's id.
        ':previous': string(before ?? name),
        ':now': timestamp(now),
        ...(before === undefined ? {} : { ':before': string(before) }),
      },
    });
    try {
      await this.#client.send(command);
      return true;
    } catch (error) {
      if (error instanceof ConditionalCheckFailedException) return false;
      throw storeError(error, `Writing ${this.#table}`);
    }
  }
}

import {
  ConditionalCheckFailedException,
  type DynamoDBClient,
  GetItemCommand,
  UpdateItemCommand,
} from '@aws-sdk/client-dynamodb';
import { number, string } from './attributes.ts';
import { storeError } from './store-error.ts';

/** Whether a process may log in with an envelope: `ours`, as the first; `others`, another is about to be. */
export type LoginTurn = 'proved' | 'ours' | 'others' | 'refused';

/** What came of it; `nothing` where the HSM was not asked, or did not say. */
export type LoginOutcome = 'proved' | 'refused' | 'nothing';

/**
 * Milliseconds for which the first has an envelope to itself: a login takes about one. Where it died or hangs another one
 * tries: that is a second attempt of the five that lock a user out (AWS CloudHSM user guide, key_mgmt_util's loginHSM).
 */
const turnLength = 20_000;

/** The partition key in the issuers table; a row for each envelope there has ever been, which is one a rotation and Region. */
const rowKey = (issuerId: string, envelope: string): string => `#login#${issuerId}#${envelope}`;

/**
 * The first login with a PIN's envelope is one process's alone, over the fleet: environments that start at the same moment
 * would each send a wrong one, and lock the crypto user out. Once one has logged in, or was refused, the others know it.
 * @throws MintmarkError STORE_UNAVAILABLE, STORE_REFUSED
 */
export class FirstLogins {
  readonly #client: DynamoDBClient;
  readonly #table: string;

  constructor(client: DynamoDBClient, table: string) {
    this.#client = client;
    this.#table = table;
  }

  /** @param envelope names it: a hash @param now milliseconds since the epoch */
  async begin(issuerId: string, envelope: string, now: number): Promise<LoginTurn> {
    const key = { issuerId: string(rowKey(issuerId, envelope)) };
    try {
      const { Item: item } = await this.#client.send(
        new GetItemCommand({ TableName: this.#table, Key: key, ConsistentRead: true }),
      );
      const state = item?.state?.S;
      if (state === 'proved' || state === 'refused') return state;
      await this.#client.send(
        new UpdateItemCommand({
          TableName: this.#table,
          Key: key,
          UpdateExpression: 'SET #state = :begun, turnUntil = :until',
          ConditionExpression: 'attribute_not_exists(#state) OR (#state = :begun AND turnUntil <= :now)',
          ExpressionAttributeNames: { '#state': 'state' },
          ExpressionAttributeValues: {
            ':begun': string('begun'),
            ':until': number(now + turnLength),
            ':now': number(now),
          },
        }),
      );
      return 'ours';
    } catch (error) {
      if (error instanceof ConditionalCheckFailedException) return 'others';
      throw storeError(error, `Taking the first login of ${issuerId} in ${this.#table}`);
    }
  }

  /** What is known of an envelope stays known: the last to say so is right. */
  async end(issuerId: string, envelope: string, outcome: LoginOutcome): Promise<void> {
    const isKnown = outcome !== 'nothing';
    try {
      await this.#client.send(
        new UpdateItemCommand({
          TableName: this.#table,
          Key: { issuerId: string(rowKey(issuerId, envelope)) },
          UpdateExpression: isKnown ? 'SET #state = :state REMOVE turnUntil' : 'REMOVE #state, turnUntil',
          ExpressionAttributeNames: { '#state': 'state' },
          // Nothing that is known is forgotten by who learnt nothing.
          ...(isKnown ? {} : { ConditionExpression: '#state = :state' }),
          ExpressionAttributeValues: { ':state': string(isKnown ? outcome : 'begun') },
        }),
      );
    } catch (error) {
      if (error instanceof ConditionalCheckFailedException) return;
      throw storeError(error, `Ending the first login of ${issuerId} in ${this.#table}`);
    }
  }
}

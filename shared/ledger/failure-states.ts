import {
  ConditionalCheckFailedException,
  type DynamoDBClient,
  GetItemCommand,
  UpdateItemCommand,
} from '@aws-sdk/client-dynamodb';
import { type Item, string, timestamp } from './attributes.ts';
import { storeError } from './store-error.ts';

/** What may become of a failure. Both ends are ends: what is redriven and fails again is a row of its own. */
export type FailureState = 'failed' | 'redriven' | 'dismissed';

export const failureTransitions = {
  /** Its message has been sent again: never before it has. */
  redrive: { from: 'failed', to: 'redriven' },
  /** Nobody needs an answer to it any more. */
  dismiss: { from: 'failed', to: 'dismissed' },
} as const satisfies Record<string, { from: FailureState; to: FailureState }>;

type FailureTransition = keyof typeof failureTransitions;

/** The table's key. */
export interface FailureKey {
  readonly classDay: string;
  readonly messageId: string;
}

/** A row without a state is one that was written before there were any. */
export function failureStateOf(item: Item): FailureState {
  const state = item.state?.S;
  return state === 'redriven' || state === 'dismissed' ? state : 'failed';
}

/** Changes of a failure's state, each conditional on the one that it may follow. */
export class FailureStates {
  readonly #client: DynamoDBClient;
  readonly #table: string;

  constructor(client: DynamoDBClient, table: string) {
    this.#client = client;
    this.#table = table;
  }

  /**
   * @param messageId of the message that was sent in its place
   * @returns the row's state from now on, which is another one where somebody was faster
   * @throws MintmarkError STORE_UNAVAILABLE, STORE_REFUSED
   */
  markRedriven(key: FailureKey, messageId: string, now: number): Promise<FailureState> {
    return this.#change(key, 'redrive', { redrivenAt: timestamp(now), redrivenAs: string(messageId) });
  }

  /** As markRedriven. @param reason of whoever dismisses it */
  dismiss(key: FailureKey, reason: string, now: number): Promise<FailureState> {
    return this.#change(key, 'dismiss', { dismissedAt: timestamp(now), dismissReason: string(reason) });
  }

  async #change(key: FailureKey, transition: FailureTransition, values: Item): Promise<FailureState> {
    const { from, to } = failureTransitions[transition];
    const command = new UpdateItemCommand({
      TableName: this.#table,
      Key: itemKey(key),
      ConditionExpression: 'attribute_exists(messageId) AND (attribute_not_exists(#state) OR #state = :from)',
      UpdateExpression: `SET ${['#state = :to', ...Object.keys(values).map((name) => `${name} = :${name}`)].join(', ')}`,
      ExpressionAttributeNames: { '#state': 'state' },
      ExpressionAttributeValues: {
        ':from': string(from),
        ':to': string(to),
        ...Object.fromEntries(Object.entries(values).map(([name, value]) => [`:${name}`, value])),
      },
    });
    try {
      await this.#client.send(command);
      return to;
    } catch (error) {
      // Somebody was faster; or we were, and the answer to that was lost and the client tried again.
      if (error instanceof ConditionalCheckFailedException) return this.#stateOf(key);
      throw storeError(error, `Writing ${this.#table}`);
    }
  }

  async #stateOf(key: FailureKey): Promise<FailureState> {
    const command = new GetItemCommand({ TableName: this.#table, Key: itemKey(key), ConsistentRead: true });
    const { Item: item } = await this.#client.send(command).catch((error: unknown) => {
      throw storeError(error, `Reading ${this.#table}`);
    });
    return failureStateOf(item ?? {});
  }
}

const itemKey = ({ classDay, messageId }: FailureKey): Item => ({
  classDay: string(classDay),
  messageId: string(messageId),
});

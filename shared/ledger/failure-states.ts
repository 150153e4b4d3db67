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

/** Who is about to send a failure's message again; nobody else may until it ends. */
export interface RedriveClaim {
  /** Names one run of a redrive, and no other. */
  readonly by: string;
  /** Milliseconds since the epoch: whose run has died by then has it no more. */
  readonly until: number;
}

/**
 * What may be done with a row that is `failed`, and with no other: what must hold of its claim besides. Every condition of
 * a write is made from these.
 */
export const failureTransitions = {
  /** A run is about to send its message. Said again by the same run, it is the same claim: DynamoDB's clients repeat a call. */
  claim: { to: 'failed', claim: '(attribute_not_exists(claimedBy) OR claimedBy = :by OR claimedUntil < :now)' },
  /** SQS did not take its message. */
  release: { to: 'failed', claim: 'claimedBy = :by' },
  /** Its message has been sent again: never before it has. */
  redrive: { to: 'redriven', claim: 'claimedBy = :by' },
  /** Nobody needs an answer to it any more. What is about to be sent cannot be dismissed. */
  dismiss: { to: 'dismissed', claim: '(attribute_not_exists(claimedBy) OR claimedUntil < :now)' },
} as const satisfies Record<string, { to: FailureState; claim: string }>;

type FailureTransition = keyof typeof failureTransitions;

/** The table's key. */
export interface FailureKey {
  readonly classDay: string;
  readonly messageId: string;
}

/** Whether a change is this caller's; else what the row is: `failed` is one that a redrive has claimed. */
export interface FailureChange {
  readonly isOurs: boolean;
  readonly state: FailureState;
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
   * Takes a row for a run, which alone may send its message until the claim ends.
   * @param now milliseconds since the epoch: a claim that ended before is taken over
   * @throws MintmarkError STORE_UNAVAILABLE, STORE_REFUSED
   */
  claim(key: FailureKey, { by, until }: RedriveClaim, now: number): Promise<FailureChange> {
    const values = { claimedBy: string(by), claimedUntil: timestamp(until) };
    return this.#change(key, 'claim', {
      set: values,
      given: { ':by': string(by), ':now': timestamp(now) },
      isOurs: () => false,
    });
  }

  /** Lets go of a row that `claim` took. @throws as claim */
  async release(key: FailureKey, by: string): Promise<void> {
    // Where it is not this run's any more there is nothing to let go of.
    await this.#change(key, 'release', { set: {}, given: { ':by': string(by) }, isOurs: () => false });
  }

  /**
   * Of a row that `claim` took.
   * @param messageId of the message that was sent in its place
   * @throws as claim
   */
  markRedriven(key: FailureKey, by: string, messageId: string, now: number): Promise<FailureChange> {
    return this.#change(key, 'redrive', {
      set: { redrivenAt: timestamp(now), redrivenAs: string(messageId) },
      given: { ':by': string(by) },
      isOurs: ({ redrivenAs }) => redrivenAs?.S === messageId,
    });
  }

  /** @param reason of whoever dismisses it @throws as claim */
  dismiss(key: FailureKey, reason: string, now: number): Promise<FailureChange> {
    const values = { dismissedAt: timestamp(now), dismissReason: string(reason) };
    return this.#change(key, 'dismiss', {
      set: values,
      given: { ':now': timestamp(now) },
      isOurs: ({ dismissedAt, dismissReason }) =>
        dismissedAt?.S === values.dismissedAt.S && dismissReason?.S === reason,
    });
  }

  async #change(
    key: FailureKey,
    transition: FailureTransition,
    change: { readonly set: Item; readonly given: Item; readonly isOurs: (item: Item) => boolean },
  ): Promise<FailureChange> {
    const { to, claim } = failureTransitions[transition];
    const set = Object.entries(change.set);
    const command = new UpdateItemCommand({
      TableName: this.#table,
      Key: itemKey(key),
      ConditionExpression: `attribute_exists(messageId) AND (attribute_not_exists(#state) OR #state = :failed) AND ${claim}`,
      UpdateExpression: [
        `SET ${['#state = :to', ...set.map(([name]) => `${name} = :${name}`)].join(', ')}`,
        // A claim is of a row that is about to be sent, and of no other.
        ...(transition === 'claim' ? [] : ['REMOVE claimedBy, claimedUntil']),
      ].join(' '),
      ExpressionAttributeNames: { '#state': 'state' },
      ExpressionAttributeValues: {
        ':failed': string('failed'),
        ':to': string(to),
        ...change.given,
        ...Object.fromEntries(set.map(([name, value]) => [`:${name}`, value])),
      },
    });
    try {
      await this.#client.send(command);
      return { isOurs: true, state: to };
    } catch (error) {
      if (!(error instanceof ConditionalCheckFailedException)) throw storeError(error, `Writing ${this.#table}`);
      // Somebody was faster; or we were, and the answer to that was lost and the client tried again.
      const item = await this.#read(key);
      const state = failureStateOf(item);
      return { isOurs: state === to && change.isOurs(item), state };
    }
  }

  async #read(key: FailureKey): Promise<Item> {
    const command = new GetItemCommand({ TableName: this.#table, Key: itemKey(key), ConsistentRead: true });
    const { Item: item } = await this.#client.send(command).catch((error: unknown) => {
      throw storeError(error, `Reading ${this.#table}`);
    });
    return item ?? {};
  }
}

const itemKey = ({ classDay, messageId }: FailureKey): Item => ({
  classDay: string(classDay),
  messageId: string(messageId),
});

import {
  ConditionalCheckFailedException,
  type DynamoDBClient,
  GetItemCommand,
  UpdateItemCommand,
} from '@aws-sdk/client-dynamodb';
import { flag, number, storeError, string, timestamp } from '../ledger/index.ts';
import {
  absentRecord,
  appendUntold,
  type BreakerEvent,
  type BreakerReason,
  type BreakerRecord,
  type BreakerTransition,
  breakerKey,
  conditionOf,
  effects,
  readBreaker,
  type TriedBy,
  transitions,
  writeEvent,
} from './record.ts';

/** Why a breaker opens. */
export interface OpeningReason {
  readonly reason: BreakerReason;
  /** A sentence. Nothing secret, and cut at 500 characters. */
  readonly detail: string;
}

const maximumDetail = 500;

/** Of changes that wait to be told, some 0.7 KB each; an item has 400 KB, and every batch reads it. */
const maximumUntold = 20;

/**
 * The breakers in the issuers table. Every change is one conditional UpdateItem on the record that was read, and answers
 * with the record as it is then; undefined when another worker's change came first: read again and decide again.
 */
export class Breakers {
  readonly #client: DynamoDBClient;
  readonly #table: string;

  constructor(client: DynamoDBClient, table: string) {
    this.#client = client;
    this.#table = table;
  }

  /** Strongly consistent; of an issuer whose breaker was never written, a closed one. @throws MintmarkError */
  async read(issuerId: string): Promise<BreakerRecord> {
    const command = new GetItemCommand({
      TableName: this.#table,
      Key: { issuerId: string(breakerKey(issuerId)) },
      ConsistentRead: true,
    });
    const { Item: item } = await this.#client.send(command).catch((error: unknown) => {
      throw storeError(error, `Reading the breaker of ${issuerId} in ${this.#table}`);
    });
    return item === undefined ? absentRecord(issuerId) : readBreaker(issuerId, item);
  }

  /** @param batchId of the batch that failed, which is counted once */
  countFailure(read: BreakerRecord, batchId: string): Promise<BreakerRecord | undefined> {
    return this.#change('countFailure', read, { batchId });
  }

  /** As `countFailure`, of a batch that could not unseal a PIN. */
  countUnsealFailure(read: BreakerRecord, batchId: string, now: number): Promise<BreakerRecord | undefined> {
    return this.#change('countUnsealFailure', read, { batchId, now });
  }

  forgetFailures(read: BreakerRecord): Promise<BreakerRecord | undefined> {
    return this.#change('forgetFailures', read, {});
  }

  /** @param enough of a closed one: how many batches must have failed in a row */
  open(read: BreakerRecord, why: OpeningReason, enough: number, now: number): Promise<BreakerRecord | undefined> {
    return this.#change('open', read, { ...why, enough, now });
  }

  /** @param enough how many batches must have failed to unseal a PIN, none having signed since */
  openUnsealed(
    read: BreakerRecord,
    why: OpeningReason,
    enough: number,
    now: number,
  ): Promise<BreakerRecord | undefined> {
    return this.#change('openUnsealed', read, { ...why, enough, now });
  }

  hold(read: BreakerRecord, why: OpeningReason, now: number): Promise<BreakerRecord | undefined> {
    return this.#change('hold', read, { ...why, now });
  }

  /** Of one that is held: its reason is from then on the refused PIN. */
  doubt(read: BreakerRecord, why: OpeningReason, now: number): Promise<BreakerRecord | undefined> {
    return this.#change('doubt', read, { ...why, now });
  }

  halfOpen(read: BreakerRecord, probes: number, now: number): Promise<BreakerRecord | undefined> {
    return this.#change('halfOpen', read, { probes, triedBy: 'check-signer', now });
  }

  resume(read: BreakerRecord, probes: number, now: number): Promise<BreakerRecord | undefined> {
    return this.#change('resume', read, { probes, triedBy: 'operator', now });
  }

  /** Undefined also when another batch took one in between, or when this one did and its reply was lost. */
  takeProbe(read: BreakerRecord, now: number): Promise<BreakerRecord | undefined> {
    return this.#change('takeProbe', read, { now });
  }

  probeUnaided(read: BreakerRecord, now: number): Promise<BreakerRecord | undefined> {
    return this.#change('probeUnaided', read, { triedBy: 'gate', now });
  }

  giveProbes(read: BreakerRecord, probes: number): Promise<BreakerRecord | undefined> {
    return this.#change('giveProbes', read, { probes });
  }

  close(read: BreakerRecord, now: number): Promise<BreakerRecord | undefined> {
    return this.#change('close', read, { now });
  }

  /** Takes the oldest untold change off the record, if it is still this one: another process may have told it. */
  async told({ issuerId }: BreakerRecord, event: BreakerEvent): Promise<void> {
    const command = new UpdateItemCommand({
      TableName: this.#table,
      Key: { issuerId: string(breakerKey(issuerId)) },
      UpdateExpression: 'REMOVE untold[0]',
      ConditionExpression: 'untold[0].revision = :revision',
      ExpressionAttributeValues: { ':revision': number(event.revision) },
    });
    await this.#client.send(command).catch((error: unknown) => {
      if (error instanceof ConditionalCheckFailedException) return;
      throw storeError(error, `Changing the breaker of ${issuerId} in ${this.#table}`);
    });
  }

  async #change(
    transition: BreakerTransition,
    read: BreakerRecord,
    given: {
      readonly reason?: BreakerReason;
      readonly detail?: string;
      readonly enough?: number;
      readonly probes?: number;
      readonly triedBy?: TriedBy;
      readonly batchId?: string;
      readonly now?: number;
    },
  ): Promise<BreakerRecord | undefined> {
    const { issuerId, revision } = read;
    const { to } = transitions[transition];
    const { reason = read.reason, now = 0, enough = 0, probes = 0, triedBy = '', batchId = '' } = given;
    const detail = (given.detail ?? read.detail)?.slice(0, maximumDetail);
    const event = writeEvent({
      from: read.state,
      to,
      held: transition === 'hold' || transition === 'doubt',
      revision: revision + 1,
      at: now,
      ...(reason === undefined ? {} : { reason }),
      ...(detail === undefined ? {} : { detail }),
    });
    const condition = conditionOf(transition);
    const { set, add, remove } = effects[transition];
    // Where nobody can tell them, the newest are kept: a breaker must be able to change for ever. The revisions in them show
    // the gap.
    const bounded = read.untold.length < maximumUntold ? set : set?.replace(appendUntold, 'untold = :newest');
    const update = [
      `SET ${['#state = :to', ...(bounded === undefined ? [] : [bounded])].join(', ')}`,
      ...(add === undefined ? [] : [`ADD ${add}`]),
      ...(remove === undefined ? [] : [`REMOVE ${remove}`]),
    ].join(' ');
    const placeholders = {
      ':to': string(to),
      ':closed': string('closed'),
      ':open': string('open'),
      ':halfOpen': string('half-open'),
      ':revision': number(revision),
      ':next': number(revision + 1),
      ':none': number(0),
      ':one': number(1),
      ':false': flag(false),
      ':true': flag(true),
      ':pinDoubtful': flag(read.isPinDoubtful === true || reason === 'SIGNER_PIN_REFUSED'),
      ':enough': number(enough),
      ':probes': number(probes),
      ':probesLeft': number(read.probesLeft),
      ':triedBy': string(triedBy),
      ':batch': { SS: [batchId] },
      ':now': timestamp(now),
      ':since': timestamp(read.unsealFailingSince ?? 0),
      ':reason': string(reason ?? ''),
      ':detail': string(detail ?? ''),
      ':noEvents': { L: [] },
      ':event': { L: [{ M: event }] },
      ':newest': { L: [...read.untold.slice(1 - maximumUntold).map(writeEvent), event].map((M) => ({ M })) },
    };
    // DynamoDB refuses a placeholder that no expression uses.
    const used = new Set(`${condition} ${update}`.match(/:\w+/g));
    const command = new UpdateItemCommand({
      TableName: this.#table,
      Key: { issuerId: string(breakerKey(issuerId)) },
      ConditionExpression: condition,
      UpdateExpression: update,
      ExpressionAttributeNames: { '#state': 'state' },
      ExpressionAttributeValues: Object.fromEntries(Object.entries(placeholders).filter(([name]) => used.has(name))),
      ReturnValues: 'ALL_NEW',
    });
    const item = await this.#client.send(command).then(
      ({ Attributes: attributes }) => attributes,
      (error: unknown) => {
        if (error instanceof ConditionalCheckFailedException) return undefined;
        throw storeError(error, `Changing the breaker of ${issuerId} in ${this.#table} (${transition})`);
      },
    );
    return item === undefined ? undefined : readBreaker(issuerId, item);
  }
}

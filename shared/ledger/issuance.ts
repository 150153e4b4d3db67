import { createHash } from 'node:crypto';
import { ConditionalCheckFailedException, type DynamoDBClient, UpdateItemCommand } from '@aws-sdk/client-dynamodb';
import { MintmarkError } from '../errors.ts';
import {
  binary,
  flag,
  type Item,
  number,
  readBinary,
  readFlag,
  readNumber,
  readString,
  readTimestamp,
  string,
  timestamp,
} from './attributes.ts';
import { batchGet, type Rows, rowsOf } from './batch-get.ts';
import { countsUntilOf } from './device-rows.ts';
import {
  type AbandonedRow,
  type AbandonReason,
  conditionOf,
  type IntentRow,
  type IssuanceRow,
  type IssuedRow,
  type RejectedRow,
  type RequestKey,
  type Transition,
  transitions,
} from './row.ts';
import { storeError } from './store-error.ts';

declare const recorded: unique symbol;

/**
 * An intent that stands in the table. Only this module makes one, and signing takes nothing else: a signature whose
 * TBS has no row cannot be written down.
 */
export type RecordedIntent = IntentRow & { readonly [recorded]: true };

export type StandingRow = Exclude<IssuanceRow, IntentRow> | RecordedIntent;

/**
 * What an attempt may follow. An open intent or a certificate is none of these, so that no attempt is decided on one, even
 * if it has been abandoned since it was read.
 */
export type ReopenableRow = RejectedRow | AbandonedRow;

/** Who asked, for what, as every write of a request needs it. */
export interface RequestIdentity extends RequestKey {
  readonly requestHash: string;
  readonly profile: string;
  /** IAM identity that SQS attests for the sender. */
  readonly sender: string;
}

/** One that is answered no, by the profile as it was deployed then. */
export interface RefusedRequest extends RequestIdentity {
  readonly profileHash: string;
}

/** What a write meant to do and what stands now: `row` is undefined when nothing does (the condition saw another world). */
export type Written<Row> = { readonly done: true; readonly row: Row } | { readonly done: false };

/** What [1] records of a certificate that is to be signed. */
export interface RecordableTbs {
  readonly tbsCertificate: Uint8Array;
  /** Hex. */
  readonly serialNumber: string;
  readonly crlShard: number;
  readonly issuerId: string;
  readonly profileHash: string;
  /** Milliseconds since the epoch. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** What the CSR asked for and did not get. */
  readonly ignored: readonly string[];
}

/**
 * The issuance table. `Tbs` is the one kind of TBS that may be recorded: issuance says the linted, which only its lint
 * makes; who names none can record nothing. Every write is one conditional UpdateItem; nothing is ever deleted. */
export class IssuanceLedger<Tbs extends RecordableTbs = never> {
  readonly #client: DynamoDBClient;
  readonly #table: string;

  constructor(client: DynamoDBClient, table: string) {
    this.#client = client;
    this.#table = table;
  }

  /** The rows of these requests, strongly consistent, by `keyOf`; absent rows are left out. Keys must differ. */
  async read(keys: readonly RequestKey[]): Promise<Rows<StandingRow>> {
    const items = await batchGet(this.#client, this.#table, keys.map(itemKey));
    return rowsOf(new Map(items.map((item) => [keyOf(readKey(item)), item])), readRow);
  }

  /** [1] Writes the intent; not done when another worker's write came first: read again and decide again. */
  async recordIntent(
    request: RequestIdentity,
    standing: ReopenableRow | undefined,
    linted: Tbs,
    signBefore: number,
    now: number,
  ): Promise<Written<RecordedIntent>> {
    const attempt = (standing?.attempt ?? 0) + 1;
    const done = await this.#update('recordIntent', request, {
      set: {
        ...identityAttributes(request),
        attempt: number(attempt),
        profileHash: string(linted.profileHash),
        issuerId: string(linted.issuerId),
        serialNumber: string(linted.serialNumber),
        crlShard: number(linted.crlShard),
        tbsCertificate: binary(linted.tbsCertificate),
        notBefore: timestamp(linted.notBefore),
        notAfter: timestamp(linted.notAfter),
        ignored: { L: linted.ignored.map(string) },
        signBefore: timestamp(signBefore),
        openIntentShard: string(shardOf(linted.serialNumber)),
        intentAt: timestamp(now),
        countsUntil: string(countsUntilOf(request.profile, linted.notAfter, now)),
      },
      remove: ['code', 'detail', 'reopenable', 'rejectedAt', 'abandonReason'],
      placeholders: reopening(request, standing),
    });
    if (!done) return { done };
    const row: IntentRow = {
      state: 'intent',
      deviceId: request.deviceId,
      requestId: request.requestId,
      requestHash: request.requestHash,
      profile: request.profile,
      attempt,
      abandonedSerialNumbers: standing?.abandonedSerialNumbers ?? [],
      issuerId: linted.issuerId,
      serialNumber: linted.serialNumber,
      crlShard: linted.crlShard,
      tbsCertificate: linted.tbsCertificate,
      profileHash: linted.profileHash,
      sender: request.sender,
      notAfter: linted.notAfter,
      intentAt: now,
      signBefore,
    };
    return { done, row: row as RecordedIntent };
  }

  /** [2] Writes the certificate; not done when the intent is no longer open under this serial number. */
  storeCertificate(intent: RecordedIntent, certificate: Uint8Array, now: number): Promise<Written<IssuedRow>> {
    return this.#store(intent, certificate, now, openIntentAttributes);
  }

  /**
   * As `storeCertificate`, for whoever has no message that would come back if the announcement failed: the row stays in
   * the index openIntents until `settle`.
   */
  async storeUnannouncedCertificate(
    intent: RecordedIntent,
    certificate: Uint8Array,
    now: number,
  ): Promise<Written<IssuedRow>> {
    const written = await this.#store(intent, certificate, now, []);
    return written.done ? { done: true, row: { ...written.row, isUnsettled: true } } : written;
  }

  async #store(
    intent: RecordedIntent,
    certificate: Uint8Array,
    now: number,
    settled: readonly string[],
  ): Promise<Written<IssuedRow>> {
    const day = new Date(intent.notAfter).toISOString().slice(0, 10);
    const done = await this.#update('storeCertificate', intent, {
      set: {
        certificate: binary(certificate),
        issuedAt: timestamp(now),
        expiryBucket: string(`${intent.issuerId}#${day}#${shardOf(intent.serialNumber)}`),
      },
      // The TBS is inside the certificate; the index of open intents loses the row with its key.
      remove: ['tbsCertificate', ...settled],
      placeholders: { ':intent': string('intent'), ':serialNumber': string(intent.serialNumber) },
    });
    if (!done) return { done };
    const { deviceId, requestId, requestHash, profile, attempt, abandonedSerialNumbers, issuerId, serialNumber } =
      intent;
    const common = { deviceId, requestId, requestHash, profile, attempt, abandonedSerialNumbers };
    return { done, row: { ...common, state: 'issued', issuerId, serialNumber, certificate } };
  }

  /** Writes the answer no. */
  async reject(
    request: RefusedRequest,
    standing: ReopenableRow | undefined,
    error: MintmarkError,
    now: number,
  ): Promise<Written<RejectedRow>> {
    const reopenable = error.disposition === 'reject-reopenable';
    const attempt = standing?.attempt ?? 0;
    const done = await this.#update('reject', request, {
      set: {
        ...identityAttributes(request),
        profileHash: string(request.profileHash),
        attempt: number(attempt),
        code: string(error.code),
        detail: string(error.message),
        reopenable: flag(reopenable),
        rejectedAt: timestamp(now),
      },
      // What was abandoned before is revoked by now: whoever rejects has seen to it.
      remove: [...openIntentAttributes, 'abandonReason'],
      placeholders: reopening(request, standing),
    });
    if (!done) return { done };
    const { deviceId, requestId, requestHash, profile } = request;
    const abandonedSerialNumbers = standing?.abandonedSerialNumbers ?? [];
    const common = { deviceId, requestId, requestHash, profile, attempt, abandonedSerialNumbers };
    return { done, row: { ...common, state: 'rejected', code: error.code, detail: error.message, reopenable } };
  }

  /**
   * Gives the attempt up; whoever signs its TBS from now on cannot store the certificate. The row stays in the index
   * openIntents until `settle`, so that its revocation is found missing when nobody comes for it.
   */
  async abandon(intent: RecordedIntent, reason: AbandonReason, now: number): Promise<Written<AbandonedRow>> {
    const { issuerId, serialNumber, crlShard } = intent;
    const attempted = {
      issuerId: string(issuerId),
      serialNumber: string(serialNumber),
      crlShard: number(crlShard),
      // Nobody may sign it any more; who accounts for the signatures that were made must find what they are over.
      ...(intent.abandonedSerialNumbers.length < keptWhole
        ? { tbsCertificate: binary(intent.tbsCertificate) }
        : digestsOf(intent.tbsCertificate)),
    };
    const done = await this.#update('abandon', intent, {
      set: { abandonedAt: timestamp(now), abandonReason: string(reason) },
      append: { abandonedSerialNumbers: { L: [{ M: attempted }] } },
      remove: ['tbsCertificate', 'countsUntil'],
      placeholders: { ':intent': string('intent'), ':serialNumber': string(serialNumber) },
    });
    if (!done) return { done };
    const { deviceId, requestId, requestHash, profile, attempt } = intent;
    const abandonedSerialNumbers = [...intent.abandonedSerialNumbers, { issuerId, serialNumber, crlShard }];
    const common = { deviceId, requestId, requestHash, profile, attempt, abandonedSerialNumbers };
    return { done, row: { ...common, state: 'abandoned', abandonReason: reason, isUnsettled: true } };
  }

  /**
   * Takes a row out of the index openIntents: its revocation or announcement, whichever it is, has been made. A row that
   * went on meanwhile is left as it is.
   */
  async settle(row: IssuedRow | AbandonedRow): Promise<void> {
    const command = new UpdateItemCommand({
      TableName: this.#table,
      Key: itemKey(row),
      UpdateExpression: `REMOVE ${openIntentAttributes.join(', ')}`,
      ConditionExpression: '#state = :state AND attempt = :attempt',
      ExpressionAttributeNames: { '#state': 'state' },
      ExpressionAttributeValues: { ':state': string(row.state), ':attempt': number(row.attempt) },
    });
    await this.#client.send(command).catch((error: unknown) => {
      if (error instanceof ConditionalCheckFailedException) return;
      throw storeError(error, `Settling a row of ${this.#table}`);
    });
  }

  /** Counts another request under this request id. Touches nothing else of the row. */
  async countConflict(key: RequestKey, now: number): Promise<void> {
    const command = new UpdateItemCommand({
      TableName: this.#table,
      Key: itemKey(key),
      UpdateExpression: 'SET lastConflictAt = :now ADD conflicts :one',
      ConditionExpression: 'attribute_exists(deviceId)',
      ExpressionAttributeValues: { ':now': timestamp(now), ':one': number(1) },
    });
    await this.#client.send(command).catch((error: unknown) => {
      throw storeError(error, `Counting a conflict in ${this.#table}`);
    });
  }

  async #update(
    transition: Transition,
    key: RequestKey,
    change: { set: Item; append?: Item; remove: readonly string[]; placeholders: Item },
  ): Promise<boolean> {
    const names: Record<string, string> = { '#state': 'state' };
    const values: Item = { ...change.placeholders, ':to': string(transitions[transition].to) };
    const sets = ['#state = :to'];
    for (const [attribute, value] of Object.entries(change.set)) {
      names[`#${attribute}`] = attribute;
      values[`:set_${attribute}`] = value;
      sets.push(`#${attribute} = :set_${attribute}`);
    }
    for (const [attribute, value] of Object.entries(change.append ?? {})) {
      names[`#${attribute}`] = attribute;
      values[`:set_${attribute}`] = value;
      values[':empty'] = { L: [] };
      sets.push(`#${attribute} = list_append(if_not_exists(#${attribute}, :empty), :set_${attribute})`);
    }
    for (const attribute of change.remove) names[`#${attribute}`] = attribute;
    const remove = change.remove.length === 0 ? '' : ` REMOVE ${change.remove.map((name) => `#${name}`).join(', ')}`;
    const command = new UpdateItemCommand({
      TableName: this.#table,
      Key: itemKey(key),
      UpdateExpression: `SET ${sets.join(', ')}${remove}`,
      ConditionExpression: conditionOf(transition),
      ExpressionAttributeNames: names,
      ExpressionAttributeValues: values,
    });
    try {
      await this.#client.send(command);
      return true;
    } catch (error) {
      if (error instanceof ConditionalCheckFailedException) return false;
      throw storeError(error, `Writing ${transition} into ${this.#table}`);
    }
  }
}

/**
 * Of so many abandoned attempts a row keeps the TBS, of further ones the digests that a signer may have been given. An item has
 * 400 KB (Amazon DynamoDB developer guide, "Service, account, and table quotas"): 12 TBS and an open one, of 16 KiB at most
 * (issuance/tbs.ts), leave 190 KB for the 400 attempts of issuance/prepare.ts, of 400 bytes with digests.
 */
const keptWhole = 12;

/** By the hashes that an issuer may sign with (signer/scheme.ts). */
const digestsOf = (tbsCertificate: Uint8Array): Item =>
  Object.fromEntries(
    (['sha256', 'sha384', 'sha512'] as const).map((hash) => [
      hash,
      binary(createHash(hash).update(tbsCertificate).digest()),
    ]),
  );

/** One string for a request's key; a device id has no slash in it. */
export const keyOf = (key: RequestKey): string => `${key.deviceId}/${key.requestId}`;

const itemKey = (key: RequestKey): Item => ({ deviceId: string(key.deviceId), requestId: string(key.requestId) });

const identityAttributes = (request: RequestIdentity): Item => ({
  requestHash: string(request.requestHash),
  profile: string(request.profile),
  sender: string(request.sender),
});

/** The placeholders of the conditions `abandoned` and `rejected-reopenable`: the row is still the one that was read. */
const reopening = (request: RequestIdentity, standing: ReopenableRow | undefined): Item => ({
  ':abandoned': string('abandoned'),
  ':rejected': string('rejected'),
  ':true': flag(true),
  ':requestHash': string(request.requestHash),
  ':attemptRead': number(standing?.attempt ?? 0),
  ':none': number(0),
});

/** The key of the index openIntents, which lists every row that something is owed for. */
const openIntentAttributes = ['openIntentShard', 'signBefore'] as const;

/** One of 16 shards, from the serial number's low bits: random, so writes spread evenly. */
const shardOf = (serialNumber: string): string => serialNumber.slice(-1);

const readKey = (item: Item): RequestKey => ({
  deviceId: readString(item, 'deviceId'),
  requestId: readString(item, 'requestId'),
});

function readRow(item: Item): StandingRow {
  const state = readString(item, 'state');
  const common = {
    ...readKey(item),
    requestHash: readString(item, 'requestHash'),
    profile: readString(item, 'profile'),
    attempt: readNumber(item, 'attempt'),
    abandonedSerialNumbers: (item.abandonedSerialNumbers?.L ?? []).map((element) => ({
      issuerId: readString(element.M ?? {}, 'issuerId'),
      serialNumber: readString(element.M ?? {}, 'serialNumber'),
      crlShard: readNumber(element.M ?? {}, 'crlShard'),
    })),
  };
  const settlement = item.openIntentShard === undefined ? {} : ({ isUnsettled: true } as const);
  switch (state) {
    case 'intent': {
      const row: IntentRow = {
        ...common,
        state,
        issuerId: readString(item, 'issuerId'),
        serialNumber: readString(item, 'serialNumber'),
        crlShard: readNumber(item, 'crlShard'),
        tbsCertificate: readBinary(item, 'tbsCertificate'),
        profileHash: readString(item, 'profileHash'),
        sender: readString(item, 'sender'),
        notAfter: readTimestamp(item, 'notAfter'),
        intentAt: readTimestamp(item, 'intentAt'),
        signBefore: readTimestamp(item, 'signBefore'),
      };
      return row as RecordedIntent;
    }
    case 'issued':
      return {
        ...common,
        state,
        issuerId: readString(item, 'issuerId'),
        serialNumber: readString(item, 'serialNumber'),
        certificate: readBinary(item, 'certificate'),
        ...settlement,
      };
    case 'rejected':
      return {
        ...common,
        state,
        code: readString(item, 'code'),
        detail: readString(item, 'detail'),
        reopenable: readFlag(item, 'reopenable'),
      };
    case 'abandoned':
      return { ...common, state, ...abandonment(item), ...settlement };
    default:
      throw new MintmarkError('INTERNAL', `A stored row has the unknown state ${JSON.stringify(state)}.`);
  }
}

const abandonment = (item: Item): Pick<AbandonedRow, 'abandonReason'> =>
  item.abandonReason === undefined ? {} : { abandonReason: readString(item, 'abandonReason') as AbandonReason };

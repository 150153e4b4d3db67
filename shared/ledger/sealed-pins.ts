import { isDeepStrictEqual } from 'node:util';
import {
  ConditionalCheckFailedException,
  type DynamoDBClient,
  GetItemCommand,
  UpdateItemCommand,
} from '@aws-sdk/client-dynamodb';
import {
  binary,
  type Item,
  number,
  readBinary,
  readNumber,
  readString,
  readTimestamp,
  string,
  timestamp,
} from './attributes.ts';
import { type PinSeal, readPinSeal, writePinSeal } from './pin-seals.ts';
import { scanAttributes } from './scan-attributes.ts';
import { storeError } from './store-error.ts';

/** An envelope, and what is known of it: nothing where it was sealed by hand. */
export interface SealedPin {
  readonly envelope: Uint8Array;
  readonly seal?: PinSeal;
}

/** Of two crypto users in turn: the second one's PIN is in the row, the first one's login may still be in use. */
export interface PinRotation {
  readonly fromUser: string;
  readonly toUser: string;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  /** The first one's, by Region: the way back. */
  readonly previous: Readonly<Record<string, SealedPin>>;
}

/** What the row of an issuer with a `pkcs11:` key has on its PIN. */
export interface IssuerPins {
  readonly issuerId: string;
  readonly state: string;
  readonly signerUri: string;
  readonly clusterId?: string;
  /** By Region. */
  readonly pins: Readonly<Record<string, SealedPin>>;
  readonly rotation?: PinRotation;
  /** Grows with each change that is made here. */
  readonly revision: number;
}

/** A row's PINs as they are to be. */
export type NextPins = Pick<IssuerPins, 'clusterId' | 'pins' | 'rotation'>;

/** The attributes that are asked for; a role may be held to them (IAM condition key dynamodb:Attributes). */
const attributes = {
  '#issuerId': 'issuerId',
  '#state': 'state',
  '#signerUri': 'signerUri',
  '#clusterId': 'clusterId',
  '#sealedPins': 'sealedPins',
  '#pinSeals': 'pinSeals',
  '#pinRotation': 'pinRotation',
  '#pinRevision': 'pinRevision',
};

/** The sealed PINs in the issuers table as operators look at them and change them; a function reads envelopes alone (issuers.ts). */
export class SealedPins {
  readonly #client: DynamoDBClient;
  readonly #table: string;

  constructor(client: DynamoDBClient, table: string) {
    this.#client = client;
    this.#table = table;
  }

  /** Strongly consistent; undefined when there is no such issuer. @throws MintmarkError */
  async read(issuerId: string): Promise<IssuerPins | undefined> {
    const command = new GetItemCommand({
      TableName: this.#table,
      Key: { issuerId: string(issuerId) },
      ConsistentRead: true,
      ProjectionExpression: Object.keys(attributes).join(', '),
      ExpressionAttributeNames: attributes,
    });
    const { Item: item } = await this.#client.send(command).catch((error: unknown) => {
      throw storeError(error, `Reading ${this.#table}`);
    });
    return item === undefined ? undefined : readPins(item);
  }

  /** Of every issuer, by id, strongly consistent. @throws MintmarkError */
  async list(): Promise<IssuerPins[]> {
    const items = await scanAttributes(this.#client, this.#table, attributes);
    // Those that begin so are the watch's, the breakers', the names': no issuer's id does.
    const issuers = items.filter(({ issuerId }) => issuerId?.S?.startsWith('#') === false);
    return issuers.map(readPins).toSorted((one, other) => (one.issuerId < other.issuerId ? -1 : 1));
  }

  /**
   * Replaces what was read, unless any of it has changed since, by whomever.
   * @returns whether it had not
   * @throws MintmarkError STORE_UNAVAILABLE, STORE_REFUSED
   */
  async replace(read: IssuerPins, next: NextPins): Promise<boolean> {
    const regions = Object.keys(read.pins);
    const names = Object.fromEntries(regions.map((region, index) => [`#region${index}`, region]));
    const before = Object.fromEntries(regions.map((region, index) => [`:before${index}`, binaryOf(read, region)]));
    const conditions = [
      read.clusterId === undefined ? 'attribute_not_exists(#clusterId)' : '#clusterId = :clusterIdBefore',
      read.revision === 0 ? 'attribute_not_exists(#pinRevision)' : '#pinRevision = :revision',
      // Whoever writes an envelope by hand counts no revision.
      'size(#sealedPins) = :count',
      ...regions.map((_, index) => `#sealedPins.#region${index} = :before${index}`),
    ];
    const sets = [
      '#sealedPins = :pins',
      '#pinSeals = :seals',
      '#pinRevision = :next',
      ...(next.clusterId === undefined ? [] : ['#clusterId = :clusterId']),
      ...(next.rotation === undefined ? [] : ['#pinRotation = :rotation']),
    ];
    const isEnding = next.rotation === undefined && read.rotation !== undefined;
    const condition = conditions.join(' AND ');
    const update = `SET ${sets.join(', ')}${isEnding ? ' REMOVE #pinRotation' : ''}`;
    // DynamoDB refuses a placeholder that no expression uses.
    const used = Object.entries(attributes).filter(([name]) => `${condition} ${update}`.includes(name));
    const command = new UpdateItemCommand({
      TableName: this.#table,
      Key: { issuerId: string(read.issuerId) },
      ConditionExpression: condition,
      UpdateExpression: update,
      ExpressionAttributeNames: { ...Object.fromEntries(used), ...names },
      ExpressionAttributeValues: {
        ...(read.clusterId === undefined ? {} : { ':clusterIdBefore': string(read.clusterId) }),
        ...(read.revision === 0 ? {} : { ':revision': number(read.revision) }),
        ':count': number(regions.length),
        ...before,
        ':pins': { M: envelopesOf(next.pins) },
        ':seals': { M: sealsOf(next.pins) },
        ':next': number(read.revision + 1),
        ...(next.clusterId === undefined ? {} : { ':clusterId': string(next.clusterId) }),
        ...(next.rotation === undefined ? {} : { ':rotation': { M: writeRotation(next.rotation) } }),
      },
    });
    try {
      await this.#client.send(command);
      return true;
    } catch (error) {
      if (!(error instanceof ConditionalCheckFailedException)) throw storeError(error, `Writing ${this.#table}`);
      // A call that the client repeats, because its reply was lost, meets what it has written itself.
      return isWritten(await this.read(read.issuerId), read, next);
    }
  }
}

/** No two envelopes are alike, and a revision is written once. */
const isWritten = (found: IssuerPins | undefined, read: IssuerPins, next: NextPins): boolean =>
  found?.revision === read.revision + 1 &&
  found.clusterId === (next.clusterId ?? read.clusterId) &&
  found.rotation?.startedAt === next.rotation?.startedAt &&
  isDeepStrictEqual(plainOf(found.pins), plainOf(next.pins));

const plainOf = (pins: Readonly<Record<string, SealedPin>>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(pins).map(([region, { envelope }]) => [region, Buffer.from(envelope).toString('base64')]),
  );

const binaryOf = ({ pins }: IssuerPins, region: string) => binary(pins[region]?.envelope ?? new Uint8Array());

const envelopesOf = (pins: Readonly<Record<string, SealedPin>>): Item =>
  Object.fromEntries(Object.entries(pins).map(([region, { envelope }]) => [region, binary(envelope)]));

const sealsOf = (pins: Readonly<Record<string, SealedPin>>): Item =>
  Object.fromEntries(
    Object.entries(pins).flatMap(([region, { envelope, seal }]) =>
      seal === undefined ? [] : [[region, { M: writePinSeal(seal, envelope) }]],
    ),
  );

const writeRotation = ({ fromUser, toUser, startedAt, previous }: PinRotation): Item => ({
  fromUser: string(fromUser),
  toUser: string(toUser),
  startedAt: timestamp(startedAt),
  previousPins: { M: envelopesOf(previous) },
  previousSeals: { M: sealsOf(previous) },
});

function readPins(item: Item): IssuerPins {
  const rotation = item.pinRotation?.M;
  return {
    issuerId: readString(item, 'issuerId'),
    state: readString(item, 'state'),
    signerUri: readString(item, 'signerUri'),
    ...(item.clusterId === undefined ? {} : { clusterId: readString(item, 'clusterId') }),
    pins: sealedIn(item.sealedPins?.M, item.pinSeals?.M),
    ...(rotation === undefined ? {} : { rotation: readRotation(rotation) }),
    revision: item.pinRevision === undefined ? 0 : readNumber(item, 'pinRevision'),
  };
}

const readRotation = (item: Item): PinRotation => ({
  fromUser: readString(item, 'fromUser'),
  toUser: readString(item, 'toUser'),
  startedAt: readTimestamp(item, 'startedAt'),
  previous: sealedIn(item.previousPins?.M, item.previousSeals?.M),
});

function sealedIn(envelopes: Item = {}, seals: Item = {}): Record<string, SealedPin> {
  return Object.fromEntries(
    Object.keys(envelopes).map((region) => {
      const envelope = readBinary(envelopes, region);
      const seal = readPinSeal(seals[region]?.M, envelope);
      return [region, { envelope, ...(seal === undefined ? {} : { seal }) }];
    }),
  );
}

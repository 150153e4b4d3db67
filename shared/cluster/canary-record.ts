import {
  ConditionalCheckFailedException,
  type DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  UpdateItemCommand,
} from '@aws-sdk/client-dynamodb';
import { DecryptCommand, EncryptCommand, type KMSClient } from '@aws-sdk/client-kms';
import { MintmarkError } from '../errors.ts';
import {
  binary,
  type Item,
  type PinSeal,
  readBinary,
  readPinSeal,
  readString,
  storeError,
  string,
  writePinSeal,
} from '../ledger/index.ts';
import type { PinPurpose } from '../signer/index.ts';
import { PartError } from './failure.ts';
import type { WatchedCluster } from './observation.ts';

/**
 * What the watch works with in one Region: the cluster and key store to describe, the ciphertext to decrypt, the key to
 * sign with. A row of the issuers table, so that setting the watch up, or pointing it to a restored cluster, is writing
 * a row, not deploying. Nothing in it is secret: the PIN is sealed.
 */
export interface CanaryRecord extends WatchedCluster {
  /** Of `canaryPlaintext`, under a key of the custom key store. */
  readonly ciphertext: Uint8Array;
  /** RFC 7512 `pkcs11:` URI of the canary's own private key, never a CA's; without a PIN. */
  readonly signerUri: string;
  /** DER SubjectPublicKeyInfo */
  readonly publicKey: Uint8Array;
  /** The PIN of the canary's own crypto user (shared/signer/pin.ts), which no CA key is shared with. */
  readonly sealedPin: Uint8Array;
}

/** No profile can name it: the name of an issuer begins with a letter or a digit. */
const canaryKey = '#canary';

/** The partition key of a Region's row in the issuers table. */
export const canaryRowKey = (region: string): string => `${canaryKey}#${region}`;

/**
 * What the canary's PIN is sealed for. The watch's role may decrypt this encryption context and the ciphertext's, so it
 * cannot unseal a PIN that CA keys are used with.
 */
export function canaryPinPurpose(clusterId: string, stage: string): PinPurpose {
  return { clusterId, issuerId: canaryKey, stage };
}

/** What a canary ciphertext is for; its encryption context. */
export interface CiphertextPurpose {
  readonly clusterId: string;
  readonly stage: string;
}

const ciphertextContext = ({ clusterId, stage }: CiphertextPurpose): Record<string, string> => ({
  'mintmark:purpose': 'key-store-canary',
  'mintmark:cluster': clusterId,
  'mintmark:stage': stage,
});

const canaryPlaintext = Buffer.from('Mintmark key store canary, version 1', 'utf8');

/** The ciphertext that the watch will decrypt. @throws the KMS client's errors */
export async function encryptCanary(client: KMSClient, keyId: string, purpose: CiphertextPurpose): Promise<Uint8Array> {
  const command = new EncryptCommand({
    KeyId: keyId,
    Plaintext: canaryPlaintext,
    EncryptionContext: ciphertextContext(purpose),
  });
  const { CiphertextBlob: ciphertext } = await client.send(command);
  if (ciphertext === undefined) throw new MintmarkError('INTERNAL', 'kms:Encrypt answered without a CiphertextBlob.');
  return ciphertext;
}

/** @returns whether the ciphertext decrypts to what was encrypted. @throws the KMS client's errors */
export async function decryptCanary(
  client: KMSClient,
  ciphertext: Uint8Array,
  purpose: CiphertextPurpose,
  abortSignal: AbortSignal,
): Promise<boolean> {
  const command = new DecryptCommand({ CiphertextBlob: ciphertext, EncryptionContext: ciphertextContext(purpose) });
  const { Plaintext: plaintext } = await client.send(command, { abortSignal });
  return plaintext !== undefined && canaryPlaintext.equals(plaintext);
}

/** A canary whose PIN may be sealed afterwards (`sealCanaryPin`): until then the watch finds its row malformed. */
export type NewCanary = Omit<CanaryRecord, 'sealedPin'> & Partial<Pick<CanaryRecord, 'sealedPin'>>;

/** Writes the Region's row, over one that is there: a new canary replaces the old one whole. @throws MintmarkError */
export async function writeCanary(
  client: DynamoDBClient,
  table: string,
  region: string,
  record: NewCanary,
): Promise<void> {
  const item: Item = {
    issuerId: string(canaryRowKey(region)),
    clusterId: string(record.clusterId),
    customKeyStoreId: string(record.customKeyStoreId),
    ciphertext: binary(record.ciphertext),
    signerUri: string(record.signerUri),
    publicKey: binary(record.publicKey),
    ...(record.sealedPin === undefined ? {} : { sealedPin: binary(record.sealedPin) }),
  };
  await client.send(new PutItemCommand({ TableName: table, Item: item })).catch((error: unknown) => {
    throw storeError(error, `Writing the canary to ${table}`);
  });
}

/** What a Region's row has on the canary's PIN. */
export interface CanaryPin {
  readonly region: string;
  readonly clusterId: string;
  readonly signerUri: string;
  /** Undefined where none is sealed yet. */
  readonly envelope?: Uint8Array;
  readonly seal?: PinSeal;
}

/** The attributes that are asked for; a role may be held to them (IAM condition key dynamodb:Attributes). */
const pinAttributes = ['issuerId', 'clusterId', 'signerUri', 'sealedPin', 'pinSeal'];

/** Strongly consistent; undefined where the Region has no canary. @throws MintmarkError */
export async function readCanaryPin(
  client: DynamoDBClient,
  table: string,
  region: string,
): Promise<CanaryPin | undefined> {
  const command = new GetItemCommand({
    TableName: table,
    Key: { issuerId: string(canaryRowKey(region)) },
    ConsistentRead: true,
    ProjectionExpression: pinAttributes.join(', '),
  });
  const { Item: item } = await client.send(command).catch((error: unknown) => {
    throw storeError(error, `Reading the canary in ${table}`);
  });
  if (item === undefined) return undefined;
  const row = { region, clusterId: readString(item, 'clusterId'), signerUri: readString(item, 'signerUri') };
  if (item.sealedPin === undefined) return row;
  const envelope = readBinary(item, 'sealedPin');
  const seal = readPinSeal(item.pinSeal?.M, envelope);
  return { ...row, envelope, ...(seal === undefined ? {} : { seal }) };
}

/**
 * Puts an envelope into the Region's row in place of the one that was read, unless that has changed since, or the canary was
 * made anew in another cluster.
 * @returns whether it had not
 * @throws MintmarkError
 */
export async function sealCanaryPin(
  client: DynamoDBClient,
  table: string,
  read: CanaryPin,
  envelope: Uint8Array,
  seal: PinSeal,
): Promise<boolean> {
  const before = read.envelope;
  const command = new UpdateItemCommand({
    TableName: table,
    Key: { issuerId: string(canaryRowKey(read.region)) },
    ConditionExpression: `clusterId = :clusterId AND ${before === undefined ? 'attribute_not_exists(sealedPin)' : 'sealedPin = :before'}`,
    UpdateExpression: 'SET sealedPin = :envelope, pinSeal = :seal',
    ExpressionAttributeValues: {
      ':clusterId': string(read.clusterId),
      ...(before === undefined ? {} : { ':before': binary(before) }),
      ':envelope': binary(envelope),
      ':seal': { M: writePinSeal(seal, envelope) },
    },
  });
  try {
    await client.send(command);
    return true;
  } catch (error) {
    if (!(error instanceof ConditionalCheckFailedException)) throw storeError(error, `Writing the canary to ${table}`);
    // A call that the client repeats, because its reply was lost, meets what it has written itself.
    const found = await readCanaryPin(client, table, read.region);
    return found?.envelope !== undefined && Buffer.from(found.envelope).equals(envelope);
  }
}

/** @throws PartError malformed */
export function readCanary(item: Item): CanaryRecord {
  try {
    const canary = {
      clusterId: readString(item, 'clusterId'),
      customKeyStoreId: readString(item, 'customKeyStoreId'),
      ciphertext: readBinary(item, 'ciphertext'),
      signerUri: readString(item, 'signerUri'),
      publicKey: readBinary(item, 'publicKey'),
    };
    if (item.sealedPin === undefined) {
      throw new Error("No PIN of the canary's crypto user is sealed yet: mintmark pin seal --canary.");
    }
    return { ...canary, sealedPin: readBinary(item, 'sealedPin') };
  } catch (error) {
    throw new PartError('malformed', error instanceof Error ? error.message : String(error));
  }
}

/** The Region's row, strongly consistent. @throws MintmarkError, and PartError absent or malformed */
export async function findCanary(client: DynamoDBClient, table: string, region: string): Promise<CanaryRecord> {
  const key = canaryRowKey(region);
  const command = new GetItemCommand({ TableName: table, Key: { issuerId: string(key) }, ConsistentRead: true });
  const { Item: item } = await client.send(command).catch((error: unknown) => {
    throw storeError(error, `Reading the canary in ${table}`);
  });
  if (item === undefined)
    throw new PartError('absent', `The table ${table} has no row ${key}: the watch is not set up.`);
  return readCanary(item);
}

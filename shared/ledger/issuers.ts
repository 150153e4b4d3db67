import {
  ConditionalCheckFailedException,
  type DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  UpdateItemCommand,
} from '@aws-sdk/client-dynamodb';
import { MintmarkError } from '../errors.ts';
import { binary, type Item, number, readBinary, readNumber, readString, string, timestamp } from './attributes.ts';
import { type IssuerCertificates, readIssuerCertificates } from './issuer-certificates.ts';
import { storeError } from './store-error.ts';

/** An issuing CA. */
export interface Issuer {
  readonly issuerId: string;
  /**
   * A retired one signs no certificate any more. What it signed stays good, so its row stays, and its key has to: its CRLs are
   * signed with it until the last of its certificates has ended.
   */
  readonly state: 'active' | 'retired';
  /** DER; the issuing CA's own certificate. */
  readonly certificate: Uint8Array;
  /** DER; from the certificate's issuer up to the root. */
  readonly chain: readonly Uint8Array[];
  /** Of the private key: `pkcs11:` (RFC 7512, without a PIN) or `awskms:`. */
  readonly signerUri: string;
  /** How the key signs, such as `rsa-pss-sha256`; absent: as is usual for the key (shared/signer/scheme.ts). */
  readonly signatureAlgorithm?: string;
  /** Of a `pkcs11:` key: the CloudHSM cluster that holds it; part of the sealed PINs' encryption context. */
  readonly clusterId?: string;
  /** Of a `pkcs11:` key, by Region: its crypto user's `user:password`, encrypted by that Region's custom key store key. */
  readonly sealedPins: Readonly<Record<string, Uint8Array>>;
  /** http, without a trailing slash; stands in every certificate ever issued, so it never changes. */
  readonly baseUrl: string;
  readonly crlShardCount: number;
}

/** The issuers table. */
export class Issuers {
  readonly #client: DynamoDBClient;
  readonly #table: string;

  constructor(client: DynamoDBClient, table: string) {
    this.#client = client;
    this.#table = table;
  }

  /** Strongly consistent; undefined when there is no such issuer. */
  async read(issuerId: string): Promise<Issuer | undefined> {
    const command = new GetItemCommand({
      TableName: this.#table,
      Key: { issuerId: string(issuerId) },
      ConsistentRead: true,
    });
    const { Item: item } = await this.#client.send(command).catch((error: unknown) => {
      throw storeError(error, `Reading ${this.#table}`);
    });
    return item === undefined ? undefined : readIssuer(item);
  }

  /** As readIssuerCertificates. */
  readCertificates(): Promise<IssuerCertificates[]> {
    return readIssuerCertificates(this.#client, this.#table);
  }

  /**
   * Writes a new issuer; one that exists is never replaced.
   * @throws MintmarkError CONFIGURATION_INVALID where there is one, STORE_UNAVAILABLE, STORE_REFUSED
   */
  async add(issuer: Issuer): Promise<void> {
    if (await this.addNew(issuer)) return;
    const { issuerId } = issuer;
    throw new MintmarkError(
      'CONFIGURATION_INVALID',
      `Adding an issuer to ${this.#table}: ${issuerId} is there already.`,
    );
  }

  /** As `add`. @returns whether there was none */
  async addNew(issuer: Issuer): Promise<boolean> {
    const sealedPins = Object.entries(issuer.sealedPins).map(([region, sealed]) => [region, binary(sealed)] as const);
    const item: Item = {
      issuerId: string(issuer.issuerId),
      state: string(issuer.state),
      certificate: binary(issuer.certificate),
      chain: { L: issuer.chain.map(binary) },
      signerUri: string(issuer.signerUri),
      ...(issuer.signatureAlgorithm === undefined ? {} : { signatureAlgorithm: string(issuer.signatureAlgorithm) }),
      ...(issuer.clusterId === undefined ? {} : { clusterId: string(issuer.clusterId) }),
      sealedPins: { M: Object.fromEntries(sealedPins) },
      baseUrl: string(issuer.baseUrl),
      crlShardCount: number(issuer.crlShardCount),
    };
    const command = new PutItemCommand({
      TableName: this.#table,
      Item: item,
      ConditionExpression: 'attribute_not_exists(issuerId)',
    });
    return this.#isDone(command, `Adding an issuer to ${this.#table}`);
  }

  /**
   * An active issuer signs no certificate any more; whoever has its row in memory does so for a minute yet.
   * @param now milliseconds since the epoch
   * @returns whether it was active
   * @throws MintmarkError STORE_UNAVAILABLE, STORE_REFUSED
   */
  retire(issuerId: string, now: number): Promise<boolean> {
    return this.#change(issuerId, 'SET #state = :retired, retiredAt = :now', '#state = :active', {
      ':retired': string('retired'),
      ':active': string('active'),
      ':now': timestamp(now),
    });
  }

  /** Takes `retire` back. @returns whether it was retired */
  reinstate(issuerId: string): Promise<boolean> {
    return this.#change(issuerId, 'SET #state = :active REMOVE retiredAt', '#state = :retired', {
      ':retired': string('retired'),
      ':active': string('active'),
    });
  }

  async #change(issuerId: string, update: string, condition: string, values: Item): Promise<boolean> {
    const command = new UpdateItemCommand({
      TableName: this.#table,
      Key: { issuerId: string(issuerId) },
      UpdateExpression: update,
      ConditionExpression: condition,
      ExpressionAttributeNames: { '#state': 'state' },
      ExpressionAttributeValues: values,
    });
    return this.#isDone(command, `Writing ${this.#table}`);
  }

  /** @returns whether the condition was met */
  async #isDone(command: PutItemCommand | UpdateItemCommand, doing: string): Promise<boolean> {
    try {
      // Two calls, since the client's `send` takes no union of commands.
      if (command instanceof PutItemCommand) await this.#client.send(command);
      else await this.#client.send(command);
      return true;
    } catch (error) {
      if (error instanceof ConditionalCheckFailedException) return false;
      throw storeError(error, doing);
    }
  }
}

/** Of an issuer: plain http, without a slash at the end, so that a path can be put to it. */
export const isBaseUrl = (baseUrl: string): boolean => /^http:\/\/[\x21-\x7e]*[^/\s]$/.test(baseUrl);

/** The most CRLs that an issuer's certificates may be spread over. */
export const maximumCrlShards = 65_536;

function readIssuer(item: Item): Issuer {
  const sealedPins = Object.keys(item.sealedPins?.M ?? {}).map(
    (region) => [region, readBinary(item.sealedPins?.M ?? {}, region)] as const,
  );
  const issuerId = readString(item, 'issuerId');
  const baseUrl = readString(item, 'baseUrl');
  const crlShardCount = readNumber(item, 'crlShardCount');
  if (!isBaseUrl(baseUrl)) {
    throw new MintmarkError(
      'CONFIGURATION_INVALID',
      `The issuer ${issuerId} has a baseUrl that is not plain http, or ends in a slash.`,
    );
  }
  if (!Number.isInteger(crlShardCount) || crlShardCount < 1 || crlShardCount > maximumCrlShards) {
    throw new MintmarkError(
      'CONFIGURATION_INVALID',
      `The issuer ${issuerId} has a crlShardCount that is not from 1 to ${maximumCrlShards}.`,
    );
  }
  return {
    issuerId,
    state: readString(item, 'state') === 'active' ? 'active' : 'retired',
    certificate: readBinary(item, 'certificate'),
    chain: (item.chain?.L ?? []).map((element) => {
      if (element.B === undefined) throw new MintmarkError('INTERNAL', 'An issuer row has a chain that is not binary.');
      return element.B;
    }),
    signerUri: readString(item, 'signerUri'),
    ...(item.signatureAlgorithm === undefined ? {} : { signatureAlgorithm: readString(item, 'signatureAlgorithm') }),
    ...(item.clusterId === undefined ? {} : { clusterId: readString(item, 'clusterId') }),
    sealedPins: Object.fromEntries(sealedPins),
    baseUrl,
    crlShardCount,
  };
}

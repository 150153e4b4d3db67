import { type DynamoDBClient, GetItemCommand, PutItemCommand } from '@aws-sdk/client-dynamodb';
import { MintmarkError } from '../errors.ts';
import { binary, type Item, number, readBinary, readNumber, readString, string } from './attributes.ts';
import { storeError } from './store-error.ts';

/** An issuing CA. */
export interface Issuer {
  readonly issuerId: string;
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

  /** Writes a new issuer; one that exists is never replaced. */
  async add(issuer: Issuer): Promise<void> {
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
    await this.#client.send(command).catch((error: unknown) => {
      throw storeError(error, `Adding an issuer to ${this.#table}`);
    });
  }
}

function readIssuer(item: Item): Issuer {
  const sealedPins = Object.keys(item.sealedPins?.M ?? {}).map(
    (region) => [region, readBinary(item.sealedPins?.M ?? {}, region)] as const,
  );
  const issuerId = readString(item, 'issuerId');
  const baseUrl = readString(item, 'baseUrl');
  const crlShardCount = readNumber(item, 'crlShardCount');
  if (!/^http:\/\/[\x21-\x7e]*[^/\s]$/.test(baseUrl)) {
    throw new MintmarkError(
      'CONFIGURATION_INVALID',
      `The issuer ${issuerId} has a baseUrl that is not plain http, or ends in a slash.`,
    );
  }
  if (!Number.isInteger(crlShardCount) || crlShardCount < 1 || crlShardCount > 65_536) {
    throw new MintmarkError(
      'CONFIGURATION_INVALID',
      `The issuer ${issuerId} has a crlShardCount that is not from 1 to 65536.`,
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

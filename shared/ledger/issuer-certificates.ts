import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { scanAttributes } from './scan-attributes.ts';

/** What everybody may know of an issuing CA. */
export interface IssuerCertificates {
  readonly issuerId: string;
  readonly state: string;
  /** DER; the issuing CA's own certificate. */
  readonly certificate: Uint8Array | undefined;
  /** DER; from the certificate's issuer up to the root. */
  readonly chain: readonly Uint8Array[];
  /** Where its key is, without what opens it. */
  readonly signerUri?: string;
  readonly signatureAlgorithm?: string;
  readonly clusterId?: string;
  readonly baseUrl?: string;
  readonly crlShardCount?: number;
  /** RFC 3339. */
  readonly retiredAt?: string;
}

/** The attributes that are asked for; a role may be held to them (IAM condition key dynamodb:Attributes). */
const attributes = {
  '#issuerId': 'issuerId',
  '#state': 'state',
  '#certificate': 'certificate',
  '#chain': 'chain',
  '#signerUri': 'signerUri',
  '#signatureAlgorithm': 'signatureAlgorithm',
  '#clusterId': 'clusterId',
  '#baseUrl': 'baseUrl',
  '#crlShardCount': 'crlShardCount',
  '#retiredAt': 'retiredAt',
};

/**
 * The issuing CAs there have ever been, strongly consistent, without what opens their signing keys. A row for each CA and
 * a few that are none (their ids begin with #): the watch's, the breakers', the names'. Those are left out.
 * @throws MintmarkError STORE_UNAVAILABLE, STORE_REFUSED
 */
export async function readIssuerCertificates(client: DynamoDBClient, table: string): Promise<IssuerCertificates[]> {
  const issuers: IssuerCertificates[] = [];
  for (const item of await scanAttributes(client, table, attributes)) {
    const { issuerId, state, certificate, chain, signerUri, crlShardCount } = item;
    if (issuerId?.S === undefined || issuerId.S.startsWith('#')) continue;
    issuers.push({
      issuerId: issuerId.S,
      state: state?.S ?? 'unknown',
      certificate: certificate?.B,
      chain: (chain?.L ?? []).flatMap(({ B: der }) => der ?? []),
      ...(signerUri?.S === undefined ? {} : { signerUri: signerUri.S }),
      ...(item.signatureAlgorithm?.S === undefined ? {} : { signatureAlgorithm: item.signatureAlgorithm.S }),
      ...(item.clusterId?.S === undefined ? {} : { clusterId: item.clusterId.S }),
      ...(item.baseUrl?.S === undefined ? {} : { baseUrl: item.baseUrl.S }),
      ...(crlShardCount?.N === undefined ? {} : { crlShardCount: Number(crlShardCount.N) }),
      ...(item.retiredAt?.S === undefined ? {} : { retiredAt: item.retiredAt.S }),
    });
  }
  return issuers.toSorted((one, other) => (one.issuerId < other.issuerId ? -1 : 1));
}

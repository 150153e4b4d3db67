import { X509Certificate } from 'node:crypto';
import { type DynamoDBClient, paginateScan } from '@aws-sdk/client-dynamodb';
import type { Item } from '../ledger/index.ts';
import { isAwsKmsUri } from '../signer/index.ts';
import { type CanaryRecord, canaryRowKey, readCanary } from './canary-record.ts';
import { failureOf, PartError } from './failure.ts';
import type { Observed, WatchedIssuer } from './observation.ts';
import { isTime } from './time.ts';

/** What the watch reads in the issuers table, in one scan: it has a row for each CA ever made, and the canary's. */
export interface IssuersTable {
  readonly canary: Observed<CanaryRecord>;
  readonly issuers: readonly WatchedIssuer[];
  readonly issuersInKms: readonly IssuerInKms[];
}

/** An active issuer whose key is in KMS. */
export interface IssuerInKms {
  readonly issuerId: string;
  /** `awskms:...`, not read yet. */
  readonly signerUri: string;
  /** DER, not read yet; undefined where the row has none. */
  readonly certificate: Uint8Array | undefined;
}

/**
 * Strongly consistent, to the last page. A row that is not as it must be is seen as such and hides no other.
 * @throws the DynamoDB client's errors
 */
export async function readIssuersTable(
  client: DynamoDBClient,
  table: string,
  region: string,
  abortSignal: AbortSignal,
): Promise<IssuersTable> {
  const items: Item[] = [];
  const pages = paginateScan({ client }, { TableName: table, ConsistentRead: true }, { abortSignal });
  for await (const { Items: page = [] } of pages) items.push(...page);
  const key = canaryRowKey(region);
  // The canary's, the breakers' and the paused mappings' rows begin so; no issuer's name does.
  const issuers = items.filter(({ issuerId }) => !(issuerId?.S ?? '').startsWith('#'));
  return {
    canary: canaryOf(
      items.find(({ issuerId }) => issuerId?.S === key),
      table,
      key,
    ),
    issuers: issuers.map(watchedIssuer),
    issuersInKms: issuers.flatMap(issuerInKms),
  };
}

function canaryOf(item: Item | undefined, table: string, key: string): Observed<CanaryRecord> {
  try {
    if (item === undefined)
      throw new PartError('absent', `The table ${table} has no row ${key}: the watch is not set up.`);
    return { value: readCanary(item) };
  } catch (error) {
    return { failure: failureOf(error) };
  }
}

const nameOf = (item: Item): string => item.issuerId?.S ?? 'an issuer without a name';

function issuerInKms(item: Item): IssuerInKms[] {
  const signerUri = item.signerUri?.S ?? '';
  return item.state?.S === 'active' && isAwsKmsUri(signerUri)
    ? [{ issuerId: nameOf(item), signerUri, certificate: item.certificate?.B }]
    : [];
}

function watchedIssuer(item: Item): WatchedIssuer {
  const state = item.state?.S ?? 'no state';
  const chain = (item.chain?.L ?? []).map((element) => element.B);
  const ends = [item.certificate?.B, ...chain].map(endOf);
  const known = ends.filter((end) => end !== undefined);
  const signerScheme = /^([a-z][a-z0-9+.-]*):/.exec(item.signerUri?.S ?? '')?.[1];
  const clusterId = item.clusterId?.S;
  return {
    issuerId: nameOf(item),
    state,
    ...(known.length === ends.length ? { notAfter: Math.min(...known) } : {}),
    ...(signerScheme === undefined ? {} : { signerScheme }),
    ...(clusterId === undefined ? {} : { clusterId }),
  };
}

/** notAfter in milliseconds since the epoch; undefined when that is no certificate, which is a finding of its own. */
function endOf(der: Uint8Array | undefined): number | undefined {
  if (der === undefined) return undefined;
  try {
    const end = new X509Certificate(der).validToDate.getTime();
    return isTime(end) ? end : undefined;
  } catch (error) {
    if (error instanceof Error) return undefined;
    throw error;
  }
}

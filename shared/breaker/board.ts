import { type DynamoDBClient, paginateScan } from '@aws-sdk/client-dynamodb';
import { asMintmarkError, type MintmarkError } from '../errors.ts';
import { type Item, storeError } from '../ledger/index.ts';
import { absentRecord, type BreakerRecord, issuerOfBreakerKey, readBreaker } from './record.ts';

/** The row of the issuers table that says which event source mappings were paused here. */
export const mappingsKey = '#mappings';

/** An active issuing CA, and its breaker. */
export interface GuardedIssuer {
  readonly issuerId: string;
  readonly signerUri: string;
  readonly clusterId?: string;
  readonly breaker: BreakerRecord;
}

/**
 * An active issuing CA whose breaker's row is none. Nothing can be decided for it, and it counts as open among those that
 * somebody must look at; whoever issues goes on as if it were closed (gate.ts).
 */
export interface UnreadableBreaker {
  readonly issuerId: string;
  readonly error: MintmarkError;
}

/** What the issuers table says of the breakers. */
export interface Board {
  readonly issuers: readonly GuardedIssuer[];
  readonly unreadable: readonly UnreadableBreaker[];
  /** UUIDs of the event source mappings that were paused here. */
  readonly pausedMappings: ReadonlySet<string>;
}

/**
 * All of it, strongly consistent, in one scan: the table has a row for each CA ever made and a few more.
 * @throws MintmarkError STORE_UNAVAILABLE, STORE_REFUSED
 */
export async function readBoard(client: DynamoDBClient, table: string): Promise<Board> {
  const active: Omit<GuardedIssuer, 'breaker'>[] = [];
  const breakers = new Map<string, Item>();
  let pausedMappings: ReadonlySet<string> = new Set();
  const pages = paginateScan({ client }, { TableName: table, ConsistentRead: true });
  try {
    for await (const { Items: items = [] } of pages) {
      for (const item of items) {
        const key = item['issuerId']?.S ?? '';
        const guarded = issuerOfBreakerKey(key);
        if (guarded !== undefined) breakers.set(guarded, item);
        else if (key === mappingsKey) pausedMappings = new Set(item['paused']?.SS);
        else if (!key.startsWith('#') && item['state']?.S === 'active') {
          const clusterId = item['clusterId']?.S;
          active.push({
            issuerId: key,
            signerUri: item['signerUri']?.S ?? '',
            ...(clusterId === undefined ? {} : { clusterId }),
          });
        }
      }
    }
  } catch (error) {
    throw storeError(error, `Reading ${table}`);
  }
  const issuers: GuardedIssuer[] = [];
  const unreadable: UnreadableBreaker[] = [];
  for (const issuer of active.toSorted((one, other) => (one.issuerId < other.issuerId ? -1 : 1))) {
    const { issuerId } = issuer;
    const item = breakers.get(issuerId);
    try {
      issuers.push({ ...issuer, breaker: item === undefined ? absentRecord(issuerId) : readBreaker(issuerId, item) });
    } catch (error) {
      unreadable.push({ issuerId, error: asMintmarkError(error) });
    }
  }
  return { issuers, unreadable, pausedMappings };
}

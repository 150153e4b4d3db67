import { DescribeTableCommand, PutItemCommand, ScanCommand, type TableDescription } from '@aws-sdk/client-dynamodb';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cursorOf, findAfter } from '../../cli/cursor.ts';
import { RelintRun } from '../../cli/relint-run.ts';
import { spkiSha256Of } from '../../shared/issuance/key-standing.ts';
import { type RelintRequirements, relint, relintIssuers } from '../../shared/issuance/relint.ts';
import { CompromisedKeys } from '../../shared/ledger/compromised-keys.ts';
import { type IssuanceRecord, IssuanceRecords } from '../../shared/ledger/issuance-records.ts';
import { IssuanceSample, readItemCount } from '../../shared/ledger/issuance-sample.ts';
import { readIssuerCertificates } from '../../shared/ledger/issuer-certificates.ts';
import { Issuers } from '../../shared/ledger/issuers.ts';
import { KeyRecords } from '../../shared/ledger/key-records.ts';
import { crlShardOf, Revocations } from '../../shared/ledger/revocations.ts';
import { RevokedSerials } from '../../shared/ledger/revoked-serials.ts';
import { issuedRow, newSubjectPublicKeyInfo } from '../support/issued-row.ts';
import { type IssuingCa, makeIssuingCa } from '../support/issuing-ca.ts';
import { deviceTls } from '../support/profile.ts';
import { startTables, type Tables, tables } from '../support/tables.ts';
import { wrapClient } from '../support/wrapped-client.ts';

const now = Date.parse('2026-11-22T12:00:00Z');
const day = 86_400_000;
const rowCount = 250;
const deviceOf = (index: number): string => `device-${String(index).padStart(3, '0')}`;

let store: Tables;
let ca: IssuingCa;
let records: IssuanceRecords;
let requirements: RelintRequirements;
/** The serial numbers of three rows: one whose key is blocked, one of a wrong shard, and one of those that is revoked. */
let blocked: string;
let wrong: string;

beforeAll(async () => {
  store = await startTables();
  records = new IssuanceRecords(store.client, tables.issuance);
  ca = makeIssuingCa({ notBefore: new Date(now - day), notAfter: new Date(now + 3650 * day) });
  await new Issuers(store.client, tables.issuers).add(ca.issuer);
  const key = newSubjectPublicKeyInfo();
  await new KeyRecords(store.client, tables.keys).block(spkiSha256Of(key), 'test', now);
  const serialNumbers = await Promise.all(
    Array.from({ length: rowCount }, (_, index) => put(index, index === 7 ? key : newSubjectPublicKeyInfo())),
  );
  blocked = serialNumbers[7] ?? '';
  wrong = serialNumbers[123] ?? '';
  // One where it is looked for, and one where its row says, which nobody looks at.
  const revocations = new Revocations(store.client, tables.revocations);
  const [revoked = ''] = serialNumbers.slice(200);
  const crlShard = crlShardOf(revoked, ca.issuer.crlShardCount);
  await revocations.revokeAbandoned({ issuerId: 'devices', crlShard, serialNumber: revoked }, now);
  await revocations.revokeAbandoned({ issuerId: 'devices', crlShard: 99, serialNumber: wrong }, now);
  const { issuers } = relintIssuers(await readIssuerCertificates(store.client, tables.issuers));
  const keys = new CompromisedKeys(store.client, tables.keys);
  const serials = new RevokedSerials(store.client, tables.revocations);
  requirements = {
    issuers,
    profiles: new Map([[deviceTls.name, deviceTls]]),
    compromisedAmong: (spkiSha256s) => keys.among(spkiSha256s),
    isRevoked: (serial) => serials.isRevoked(serial),
    withExpired: false,
    now: () => now,
  };
});
afterAll(() => store.close());

/** A row as it is in the table; those of two devices with a shard that is none. @returns the serial number */
async function put(index: number, subjectPublicKeyInfo: Uint8Array): Promise<string> {
  const row = issuedRow(ca, now, { subjectPublicKeyInfo });
  const crlShard = index === 123 || index === 200 ? 99 : row.crlShard;
  await store.client.send(
    new PutItemCommand({
      TableName: tables.issuance,
      Item: {
        deviceId: { S: deviceOf(index) },
        requestId: { S: 'request' },
        state: { S: 'issued' },
        issuerId: { S: 'devices' },
        profile: { S: row.profile ?? '' },
        profileHash: { S: row.profileHash ?? '' },
        serialNumber: { S: row.serialNumber ?? '' },
        crlShard: { N: String(crlShard) },
        certificate: { B: row.certificate ?? new Uint8Array() },
        notAfter: { S: new Date(row.notAfter ?? 0).toISOString() },
        issuedAt: { S: new Date(now).toISOString() },
      },
    }),
  );
  return row.serialNumber ?? '';
}

describe('a sample', () => {
  const read = async (segment: number, totalSegments: number, most = 1_000) => {
    const found: string[] = [];
    const sample = new IssuanceSample(store.client, tables.issuance);
    for await (const page of sample.read({ segment, totalSegments }, most)) {
      found.push(...page.map(({ deviceId }) => deviceId));
    }
    return found;
  };

  it('is one of segments that have every row once, together', async () => {
    const segments = await Promise.all([0, 1, 2, 3, 4].map((segment) => read(segment, 5)));
    expect(segments.flat().toSorted()).toEqual(Array.from({ length: rowCount }, (_, index) => deviceOf(index)));
    // By the hash of the device id, of which no segment has them all.
    for (const one of segments) expect(one.length).toBeLessThan(rowCount / 2);
  });

  it('ends where it holds more than was meant', async () => {
    expect(await read(0, 1, 30)).toHaveLength(30);
  });

  it('is drawn by what DynamoDB says of the size, which is hours old: of a young table, all of it', async () => {
    const sample = new IssuanceSample(store.client, tables.issuance);
    expect(await readItemCount(store.client, tables.issuance)).toBe(0);
    expect(await sample.draw(50, 0.99)).toEqual({ segment: 0, totalSegments: 1 });
    const { client } = recording({ ItemCount: rowCount });
    expect(await new IssuanceSample(client, tables.issuance).draw(50, 0.99)).toEqual({ segment: 4, totalSegments: 5 });
  });

  it('is read page by page, with strong consistency', async () => {
    const { client, sent } = recording();
    const sample = new IssuanceSample(client, tables.issuance);
    let count = 0;
    for await (const page of sample.read({ segment: 0, totalSegments: 1 }, 120)) count += page.length;
    expect(count).toBe(120);
    expect(sent.map(({ ConsistentRead, Segment, TotalSegments }) => [ConsistentRead, Segment, TotalSegments])).toEqual(
      sent.map(() => [true, 0, 1]),
    );
    // DynamoDB ends a page by itself: here after fifty rows.
    expect(sent.map(({ Limit }) => Limit)).toEqual([120, 70, 20]);
  });

  it('of a table that is not there says so', async () => {
    await expect(new IssuanceSample(store.client, 'none').draw(1, 0)).rejects.toMatchObject({ code: 'STORE_REFUSED' });
  });
});

/** A client whose scans have at most fifty rows in a page, and what it was asked; with what it says of the table, too. */
function recording(more: TableDescription = {}) {
  const sent: ScanCommand['input'][] = [];
  const client = store.newClient();
  const send = client.send.bind(client) as (command: unknown) => Promise<unknown>;
  client.send = (async (command: unknown) => {
    if (command instanceof DescribeTableCommand) return { Table: { ...more } };
    if (!(command instanceof ScanCommand)) return send(command);
    sent.push(command.input);
    return send(new ScanCommand({ ...command.input, Limit: Math.min(command.input.Limit ?? 50, 50) }));
  }) as typeof client.send;
  return { client, sent };
}

describe('a run', () => {
  const runWith = (cursor?: string, interrupted = new AbortController().signal, onRead = () => {}) =>
    new RelintRun({
      rows: findAfter((after) => records.find({ by: 'nothing' }, { after, pageSize: 40 }), cursor),
      matches: () => true,
      requirements,
      interrupted,
      onRead,
    });

  const brokenBy = async (run: RelintRun) => {
    const found: (readonly [string, readonly string[]])[] = [];
    for await (const { record, broken } of run.findings()) {
      found.push([record.serialNumber ?? '', broken.map(({ name }) => name)]);
    }
    return found;
  };

  it('finds what is broken in the whole table, and passes over what is revoked', async () => {
    const run = runWith();
    expect(Object.fromEntries(await brokenBy(run))).toEqual({
      [blocked]: ['key-not-compromised'],
      [wrong]: ['crl-shard-of-its-row'],
    });
    expect(run.tally).toMatchObject({ rows: rowCount, checked: rowCount - 1, broken: 2, withoutProfile: 0 });
    expect(run.tally.passedOver.revoked).toBe(1);
    expect(run.isInterrupted).toBe(false);
  });

  it('that is interrupted has what was found so far, and goes on where it was', async () => {
    const interruption = new AbortController();
    const first = runWith(undefined, interruption.signal, () => interruption.abort());
    const found = await brokenBy(first);
    expect(first).toMatchObject({ isInterrupted: true, tally: { rows: 100 } });
    if (first.last === undefined) throw new Error('It does not know where it was.');
    const second = runWith(cursorOf(first.last));
    found.push(...(await brokenBy(second)));
    expect(second).toMatchObject({ isInterrupted: false, tally: { rows: rowCount - 100 } });
    expect(found.map(([serialNumber]) => serialNumber).toSorted()).toEqual([blocked, wrong].toSorted());
  });

  it('of a cursor that is none reads nothing', async () => {
    await expect(brokenBy(runWith('none'))).rejects.toMatchObject({ name: 'UsageError' });
  });

  it('asks for the keys of a batch in one call, and for revocations of what is broken alone', async () => {
    const { client, commands } = wrapClient(store.newClient());
    const keys = new CompromisedKeys(client, tables.keys);
    const serials = new RevokedSerials(client, tables.revocations);
    const rows: IssuanceRecord[] = [];
    for await (const { record } of records.find({ by: 'nothing' })) rows.push(record);
    for (const of of [rows.slice(0, 100), rows.slice(100, 200), rows.slice(200)]) {
      await relint(of, {
        ...requirements,
        compromisedAmong: (spkiSha256s) => keys.among(spkiSha256s),
        isRevoked: (serial) => serials.isRevoked(serial),
      });
    }
    const sent = Map.groupBy(commands, ({ constructor: { name } }) => name);
    expect([...sent].map(([name, of]) => [name, of.length]).toSorted()).toEqual([
      ['BatchGetItemCommand', 3],
      ['GetItemCommand', 3],
    ]);
  });
});

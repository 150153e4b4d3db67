import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MintmarkError } from '../../shared/errors.ts';
import type { LintedTbsCertificate } from '../../shared/issuance/lint.ts';
import { batchGet } from '../../shared/ledger/batch-get.ts';
import { IssuanceLedger } from '../../shared/ledger/issuance.ts';
import { IssuanceRecords, type IssuanceSelection, type PlacedRecord } from '../../shared/ledger/issuance-records.ts';
import type { Position } from '../../shared/ledger/partitions.ts';
import { newLinted, issuedAt as now } from '../support/linted.ts';
import { startTables, type Tables, tables } from '../support/tables.ts';
import { wrapClient } from '../support/wrapped-client.ts';

const certificate = Uint8Array.of(0x30, 3, 1, 2, 3);
const signBefore = now + 900_000;

let store: Tables;
let records: IssuanceRecords;
let ledger: IssuanceLedger<LintedTbsCertificate>;

const requestOf = (deviceId: string, index: number) => ({
  deviceId,
  requestId: `request-${String(index).padStart(2, '0')}`,
  requestHash: 'a'.repeat(64),
  profile: 'device-tls',
  sender: 'AROAEXAMPLEROLEID',
});

async function intentOf(deviceId: string, index: number) {
  const written = await ledger.recordIntent(requestOf(deviceId, index), undefined, newLinted(), signBefore, now);
  if (!written.done) throw new Error('not written');
  return written.row;
}

async function issue(deviceId: string, index: number) {
  const intent = await intentOf(deviceId, index);
  await ledger.storeCertificate(intent, certificate, now);
  return intent;
}

/** Everything that a selection finds, as keys, asked for so many at a time; each page by a new start where it ended. */
async function everything(selection: IssuanceSelection, pageSize?: number): Promise<string[]> {
  const found: string[] = [];
  for await (const { record } of records.find(selection, { pageSize })) found.push(keyOf({ record }));
  return found;
}

async function pageByPage(selection: IssuanceSelection, taken: number): Promise<string[]> {
  const found: string[] = [];
  for (let after: Position | undefined; ; ) {
    const page: PlacedRecord[] = [];
    for await (const placed of records.find(selection, { after, pageSize: 2 })) {
      page.push(placed);
      if (page.length === taken) break;
    }
    found.push(...page.map(keyOf));
    after = page.at(-1)?.position;
    if (after === undefined) return found;
  }
}

const keyOf = ({ record: { deviceId, requestId } }: { readonly record: PlacedRecord['record'] }): string =>
  `${deviceId}/${requestId}`;

const keysOf = (deviceId: string, count: number): string[] =>
  Array.from({ length: count }, (_, index) => `${deviceId}/${requestOf(deviceId, index).requestId}`);

/** More than there are shards, so that some hold several rows; a page of two ends within them and between them. */
const issuedCount = 18;
const openCount = 17;

let day: string;
let serialNumber: string;

beforeAll(async () => {
  store = await startTables();
  records = new IssuanceRecords(store.client, tables.issuance);
  ledger = new IssuanceLedger(store.client, tables.issuance);
  for (let index = 0; index < issuedCount; index++) {
    const intent = await issue('issued', index);
    serialNumber = intent.serialNumber;
    day = new Date(intent.notAfter).toISOString().slice(0, 10);
  }
  for (let index = 0; index < openCount; index++) await intentOf('open', index);
});

afterAll(() => store.close());

describe('what a selection finds: each row once, whatever the size of a page and wherever it goes on', () => {
  const all = () => [...keysOf('issued', issuedCount), ...keysOf('open', openCount)];
  const selections: readonly [string, () => IssuanceSelection, () => readonly string[]][] = [
    ['device', () => ({ by: 'device', deviceId: 'issued' }), () => keysOf('issued', issuedCount)],
    ['scan', () => ({ by: 'nothing' }), all],
    ['byExpiry', () => ({ by: 'expiry', issuerIds: ['devices', 'others'], day }), () => keysOf('issued', issuedCount)],
    ['openIntents', () => ({ by: 'openIntent' }), () => keysOf('open', openCount)],
    ['serial number', () => ({ by: 'serialNumber', serialNumber }), () => keysOf('issued', issuedCount).slice(-1)],
  ];

  it.each(selections)('%s', async (_, selection, expected) => {
    const whole = await everything(selection());
    expect(whole.toSorted()).toEqual([...expected()].toSorted());
    expect(await everything(selection(), 2)).toEqual(whole);
    for (const taken of [1, 2]) expect(await pageByPage(selection(), taken)).toEqual(whole);
  });

  it('a device in the order of its request ids', async () => {
    expect(await everything({ by: 'device', deviceId: 'issued' }, 2)).toEqual(keysOf('issued', issuedCount));
  });
});

describe('a place to go on from', () => {
  it('whose row has left the index: what comes after it, and nothing twice', async () => {
    const selection = { by: 'openIntent' } as const;
    const before = await everything(selection);
    const seen: PlacedRecord[] = [];
    for await (const placed of records.find(selection, { pageSize: 2 })) {
      seen.push(placed);
      if (seen.length === 5) break;
    }
    const last = seen.at(-1);
    if (last === undefined) throw new Error('nothing was found');
    const { deviceId, requestId } = last.record;
    const row = (await ledger.read([{ deviceId, requestId }])).get(keyOf(last));
    if (row?.state !== 'intent') throw new Error('the row is no intent');
    await ledger.storeCertificate(row, certificate, now);
    const rest: string[] = [];
    for await (const placed of records.find(selection, { after: last.position, pageSize: 2 })) rest.push(keyOf(placed));
    expect([...seen.map(keyOf), ...rest]).toEqual(before);
  });

  it('that is in none of the partitions is refused', async () => {
    const after = { partition: 'elsewhere', key: {} };
    const finding = records.find({ by: 'openIntent' }, { after }).next();
    await expect(finding).rejects.toMatchObject({ code: 'CONFIGURATION_INVALID' });
  });
});

describe('what is asked of DynamoDB', () => {
  it('a page as large as it makes it, unless told otherwise', async () => {
    const { client, commands } = wrapClient(store.newClient());
    const own = new IssuanceRecords(client, tables.issuance);
    for await (const _ of own.find({ by: 'nothing' })) continue;
    for await (const _ of own.find({ by: 'nothing' }, { pageSize: 2 })) break;
    const limits = commands.map((command) => (command as { input: { Limit?: number } }).input.Limit);
    expect(limits).toEqual([undefined, 2]);
  });
});

describe('keys that are handed back', () => {
  it('are asked for again after a pause that doubles, with jitter, and nothing is waited for after the last', async () => {
    const client = store.newClient();
    client.send = ((command: { input: { RequestItems: object } }) =>
      Promise.resolve({ Responses: {}, UnprocessedKeys: command.input.RequestItems })) as typeof client.send;
    const pauses: number[] = [];
    const backoff = (random: number) => ({
      random: () => random,
      wait: (milliseconds: number) => {
        pauses.push(milliseconds);
        return Promise.resolve();
      },
    });
    const read = (random: number) => batchGet(client, tables.issuance, [{ deviceId: { S: 'x' } }], backoff(random));
    await expect(read(0.5)).rejects.toThrow(MintmarkError);
    await expect(read(0)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    expect(pauses).toEqual([25, 50, 100, 200, 0, 0, 0, 0]);
  });
});

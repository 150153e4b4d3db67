import {
  BatchGetItemCommand,
  BatchWriteItemCommand,
  type DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  QueryCommand,
} from '@aws-sdk/client-dynamodb';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { readIssuedCertificate } from '../../shared/issuance/issued-certificate.ts';
import type { Outcome, QueuedRequest } from '../../shared/issuance/outcome.ts';
import type { Profile } from '../../shared/issuance/profile.ts';
import { renewalOpensAt } from '../../shared/issuance/renewal.ts';
import { countsUntilOf, DeviceRows } from '../../shared/ledger/device-rows.ts';
import { type Device, Devices } from '../../shared/ledger/devices.ts';
import type { IssuedRow } from '../../shared/ledger/index.ts';
import { Issuers } from '../../shared/ledger/issuers.ts';
import { Revocations } from '../../shared/ledger/revocations.ts';
import { makeRequest, newPrivateKey } from '../support/csr.ts';
import { base64, minute, queue, redelivered, startWorker, type Worker } from '../support/issuing.ts';
import { type IssuingCa, makeIssuingCa } from '../support/issuing-ca.ts';
import { deviceTls } from '../support/profile.ts';
import { startTables, type Tables, tables } from '../support/tables.ts';
import { updates } from '../support/wrapped-client.ts';

const start = Date.parse('2026-11-22T12:00:00Z');
const hour = 3_600_000;
const day = 86_400_000;

const profileWith = (name: string, more: Partial<Profile>): Profile => ({ ...deviceTls, name, ...more });
const two = profileWith('two', { quota: { liveCertificatesPerDevice: 2 } });
const one = profileWith('one', { quota: { liveCertificatesPerDevice: 1 } });
const short = profileWith('short', { ...one, name: 'short', validity: { hours: 1, backdateMinutes: 0 } });
const daily = profileWith('daily', { quota: { perDevicePerDay: 2 }, validity: { hours: 1, backdateMinutes: 0 } });
const renewing = (name: string, key: 'new' | 'same' | 'either') =>
  profileWith(name, { renewal: { windowDays: 30, key } });
const newKey = renewing('new-key', 'new');
const sameKey = renewing('same-key', 'same');
const eitherKey = renewing('either-key', 'either');
const profiles = [deviceTls, two, one, short, daily, newKey, sameKey, eitherKey];

let store: Tables;
let ca: IssuingCa;
let now: number;
let devices = 0;
let requests = 0;
let worker: Worker;

const anotherWorker = (): Worker => startWorker({ tables: store, ca, profiles, now: () => now });

beforeAll(async () => {
  store = await startTables();
  ca = makeIssuingCa({ notBefore: new Date(start - day), notAfter: new Date(start + 10 * 365 * day) });
  await new Issuers(store.client, tables.issuers).add(ca.issuer);
});

beforeEach(() => {
  now = start;
  worker = anotherWorker();
});

afterAll(() => store.close());

const register = (device: Device) => new Devices(store.client, tables.devices).register(device);

async function newDevice(more: Partial<Device> = {}): Promise<string> {
  const deviceId = `device-${++devices}`;
  await register({ deviceId, state: 'active', ...more });
  return deviceId;
}

const requestOf = (deviceId: string, { name: profile }: Profile, privateKey = newPrivateKey()): QueuedRequest =>
  queue(now, { deviceId, profile, requestId: `request-${++requests}`, csr: base64(makeRequest(privateKey)) });

const answerOf = (outcome: Outcome | undefined) =>
  outcome?.kind === 'rejected' || outcome?.kind === 'failed' ? outcome.code : outcome?.kind;

/** The next outcome, as a message comes. */
async function ask(deviceId: string, profile: Profile, privateKey?: string) {
  const message = requestOf(deviceId, profile, privateKey);
  const [outcome] = await worker.issue(message);
  return { message, outcome, answer: answerOf(outcome) };
}

async function issuedRow(deviceId: string, profile: Profile, privateKey?: string): Promise<IssuedRow> {
  const { outcome } = await ask(deviceId, profile, privateKey);
  if (outcome?.kind !== 'issued') throw new Error(`${answerOf(outcome)} instead of a certificate`);
  return outcome.row;
}

async function rowsOf(deviceId: string) {
  const command = new QueryCommand({
    TableName: tables.issuance,
    ConsistentRead: true,
    KeyConditionExpression: 'deviceId = :deviceId',
    ExpressionAttributeValues: { ':deviceId': { S: deviceId } },
  });
  return (await store.client.send(command)).Items ?? [];
}

const statesOf = async (deviceId: string) => (await rowsOf(deviceId)).map(({ state }) => state?.S).toSorted();

async function revoke({ serialNumber }: { readonly serialNumber: string }): Promise<void> {
  const bySerial = new QueryCommand({
    TableName: tables.issuance,
    IndexName: 'bySerial',
    KeyConditionExpression: 'serialNumber = :serialNumber',
    ExpressionAttributeValues: { ':serialNumber': { S: serialNumber } },
  });
  const [{ deviceId, requestId } = {}] = (await store.client.send(bySerial)).Items ?? [];
  const Key = { deviceId: deviceId ?? { S: '' }, requestId: requestId ?? { S: '' } };
  const { Item: row = {} } = await store.client.send(new GetItemCommand({ TableName: tables.issuance, Key }));
  await store.client.send(
    new PutItemCommand({
      TableName: tables.revocations,
      Item: {
        issuerShard: { S: `${row['issuerId']?.S}#${row['crlShard']?.N}` },
        serialNumber: { S: serialNumber },
        reason: { S: 'keyCompromise' },
      },
    }),
  );
}

const queries = ({ dynamoDB }: Worker) => dynamoDB.commands.filter((command) => command instanceof QueryCommand);
const revocationsRead = ({ dynamoDB }: Worker) =>
  dynamoDB.commands.filter(
    (command) => command instanceof GetItemCommand && command.input.TableName === tables.revocations,
  ).length;

describe('a quota of live certificates', () => {
  it('gives as many as it says, and says until when there is no more', async () => {
    const deviceId = await newDevice();
    const first = await issuedRow(deviceId, two);
    now += day;
    await issuedRow(deviceId, two);
    const { outcome, answer, message } = await ask(deviceId, two);
    expect(answer).toBe('QUOTA_EXCEEDED');
    const until = readIssuedCertificate(first.certificate).notAfter + 1000;
    expect(outcome).toMatchObject({ detail: expect.stringContaining(new Date(until).toISOString()) });

    now = until - 1000;
    expect((await worker.issue(redelivered(message))).map(answerOf)).toEqual(['QUOTA_EXCEEDED']);
    now = until;
    expect((await worker.issue(redelivered(message))).map(answerOf)).toEqual(['issued']);
  });

  it('counts a certificate through its last second, and no longer', async () => {
    const deviceId = await newDevice();
    const { notAfter } = readIssuedCertificate((await issuedRow(deviceId, short)).certificate);
    now = notAfter;
    expect((await ask(deviceId, short)).answer).toBe('QUOTA_EXCEEDED');
    now = notAfter + 1;
    expect((await ask(deviceId, short)).answer).toBe('issued');
  });

  it('does not count what is revoked, and reads the revocations only at the limit', async () => {
    const deviceId = await newDevice();
    const first = await issuedRow(deviceId, two);
    await issuedRow(deviceId, two);
    expect(revocationsRead(worker)).toBe(0);
    await revoke(first);
    expect((await ask(deviceId, two)).answer).toBe('issued');
    expect(revocationsRead(worker)).toBeGreaterThan(0);
    expect((await ask(deviceId, two)).answer).toBe('QUOTA_EXCEEDED');
  });

  it('counts what is signed by nobody yet', async () => {
    const deviceId = await newDevice();
    worker.signer.beforeSigning = () => Promise.reject(new Error('The HSM is away.'));
    const { message } = await ask(deviceId, one);
    expect(await statesOf(deviceId)).toEqual(['intent']);
    worker.signer.beforeSigning = async () => undefined;
    const { answer, outcome } = await ask(deviceId, one);
    expect(answer).toBe('QUOTA_EXCEEDED');
    // It may come to nothing: then there is a place again.
    const signBefore = new Date(start + 15 * minute).toISOString();
    expect(outcome).toMatchObject({ detail: expect.stringContaining(signBefore) });
    // It does not stand in its own way.
    expect((await worker.issue(redelivered(message))).map(answerOf)).toEqual(['issued']);
  });

  it('does not count other profiles, other devices, or what was refused', async () => {
    const [deviceId, other] = [await newDevice(), await newDevice()];
    await issuedRow(deviceId, two);
    await issuedRow(deviceId, deviceTls);
    await issuedRow(other, one);
    expect((await ask(deviceId, one)).answer).toBe('issued');
    expect((await ask(deviceId, one)).answer).toBe('QUOTA_EXCEEDED');
    expect((await ask(deviceId, two)).answer).toBe('issued');
  });

  it.each([
    ["in place of the profile's", two, 3],
    ["lower than the profile's", two, 1],
    ['none at all', two, 0],
    ['where the profile has none', deviceTls, 1],
  ])("is the device's own: %s", async (_, profile, maximumLiveCertificates) => {
    const deviceId = await newDevice({ maximumLiveCertificates });
    for (let count = 0; count < maximumLiveCertificates; count++) await issuedRow(deviceId, profile);
    expect((await ask(deviceId, profile)).answer).toBe('QUOTA_EXCEEDED');
  });

  it('gives as many as it says to one batch, and gives up no attempt for it', async () => {
    const deviceId = await newDevice();
    const outcomes = await worker.issue(...Array.from({ length: 6 }, () => requestOf(deviceId, two)));
    expect(outcomes.map(answerOf).toSorted()).toEqual([
      ...Array.from({ length: 4 }, () => 'QUOTA_EXCEEDED'),
      'issued',
      'issued',
    ]);
    for (const row of await rowsOf(deviceId)) expect(row['abandonedSerialNumbers']).toBeUndefined();
  });

  it('is looked at again once the intent stands: what another worker issued meanwhile counts', async () => {
    const deviceId = await newDevice();
    const other = anotherWorker();
    worker.dynamoDB.before(updates(tables.issuance, 'intent'), () => other.issue(requestOf(deviceId, one)));
    const { answer, message } = await ask(deviceId, one);
    expect(answer).toBe('QUOTA_EXCEEDED');
    expect(await statesOf(deviceId)).toEqual(['issued', 'rejected']);
    expect(worker.signer.calls).toEqual([]);
    const { requestId } = JSON.parse(message.body) as { requestId: string };
    const given = (await rowsOf(deviceId)).find((row) => row['requestId']?.S === requestId)?.['abandonedSerialNumbers'];
    const { issuerId, serialNumber, crlShard } = given?.L?.[0]?.M ?? {};
    const serial = {
      issuerId: issuerId?.S ?? '',
      serialNumber: serialNumber?.S ?? '',
      crlShard: Number(crlShard?.N),
    };
    expect(await new Revocations(store.client, tables.revocations).isRevoked(serial)).toBe(true);
  });

  it('is looked at before an intent is signed that nobody looked at before', async () => {
    const deviceId = await newDevice();
    const other = anotherWorker();
    worker.dynamoDB.before(updates(tables.issuance, 'intent'), () => other.issue(requestOf(deviceId, one)));
    let looks = 0;
    worker.dynamoDB.fail((command) => command instanceof QueryCommand && ++looks === 2, 'not-written');
    const { answer, message } = await ask(deviceId, one);
    expect([answer, await statesOf(deviceId)]).toEqual(['retry', ['intent', 'issued']]);
    expect((await worker.issue(redelivered(message))).map(answerOf)).toEqual(['QUOTA_EXCEEDED']);
    expect([worker.signer.calls, await statesOf(deviceId)]).toEqual([[], ['issued', 'rejected']]);
  });

  it('is looked at when an intent is taken up again', async () => {
    const deviceId = await newDevice();
    worker.signer.beforeSigning = () => Promise.reject(new Error('The HSM is away.'));
    const messages = [requestOf(deviceId, two), requestOf(deviceId, two)];
    await worker.issue(...messages);
    expect(await statesOf(deviceId)).toEqual(['intent', 'intent']);
    await register({ deviceId, state: 'active', maximumLiveCertificates: 1 });
    now += 2 * minute;
    worker = anotherWorker();
    expect((await worker.issue(...messages.map(redelivered))).map(answerOf).toSorted()).toEqual([
      'QUOTA_EXCEEDED',
      'issued',
    ]);
    expect(worker.signer.calls.flat()).toHaveLength(1);
  });
});

describe('a quota of a day', () => {
  it('is exhausted for as long as an open request may be', async () => {
    const deviceId = await newDevice();
    await issuedRow(deviceId, daily);
    now += hour;
    worker.signer.beforeSigning = () => Promise.reject(new Error('The HSM is away.'));
    await ask(deviceId, daily);
    const { outcome } = await ask(deviceId, daily);
    const signBefore = new Date(start + hour + 15 * minute).toISOString();
    expect(outcome).toMatchObject({ code: 'QUOTA_EXCEEDED', detail: expect.stringContaining(signBefore) });
  });

  it('counts attempts of the last 24 hours, ended ones too', async () => {
    const deviceId = await newDevice();
    await issuedRow(deviceId, daily);
    now += 2 * hour;
    await issuedRow(deviceId, daily);
    now = start + day - 1;
    const { outcome, answer, message } = await ask(deviceId, daily);
    expect(answer).toBe('QUOTA_EXCEEDED');
    expect(outcome).toMatchObject({ detail: expect.stringContaining('until 2026-11-23T12:00:00.000Z') });
    now = start + day;
    expect((await worker.issue(redelivered(message))).map(answerOf)).toEqual(['issued']);
    expect((await ask(deviceId, daily)).answer).toBe('QUOTA_EXCEEDED');
  });
});

describe('renewal', () => {
  it('is for the window of the certificate that ends last, to the millisecond', async () => {
    const deviceId = await newDevice();
    const live = readIssuedCertificate((await issuedRow(deviceId, eitherKey)).certificate);
    const opensAt = renewalOpensAt(eitherKey.renewal, live);
    expect(live.notAfter + 1000 - opensAt).toBe(30 * day);
    now = opensAt - 1;
    const { outcome, answer, message } = await ask(deviceId, eitherKey);
    expect(answer).toBe('RENEWAL_TOO_EARLY');
    const from = new Date(opensAt).toISOString().replace('.000Z', 'Z');
    expect(outcome).toMatchObject({ detail: expect.stringContaining(`from ${from}`) });
    now = opensAt;
    expect((await worker.issue(redelivered(message))).map(answerOf)).toEqual(['issued']);
    // The new one ends last now.
    expect((await ask(deviceId, eitherKey)).answer).toBe('RENEWAL_TOO_EARLY');
  });

  it('is no renewal once the certificate has ended', async () => {
    const deviceId = await newDevice();
    const key = newPrivateKey();
    const live = readIssuedCertificate((await issuedRow(deviceId, newKey, key)).certificate);
    now = live.notAfter;
    expect((await ask(deviceId, newKey, key)).answer).toBe('RENEWAL_KEY_NOT_ALLOWED');
    now = live.notAfter + 1;
    expect((await ask(deviceId, newKey, key)).answer).toBe('issued');
  });

  it('is not to be had early by asking several times at once, the first time and later', async () => {
    const deviceId = await newDevice();
    const batch = () => Array.from({ length: 3 }, () => requestOf(deviceId, eitherKey));
    const once = ['RENEWAL_TOO_EARLY', 'RENEWAL_TOO_EARLY', 'issued'];
    const first = await worker.issue(...batch());
    expect(first.map(answerOf).toSorted()).toEqual(once);
    const issued = first.find((outcome) => outcome.kind === 'issued');
    if (issued === undefined) throw new Error('Nothing was issued.');
    now = renewalOpensAt(eitherKey.renewal, readIssuedCertificate(issued.row.certificate));
    expect((await worker.issue(...batch())).map(answerOf).toSorted()).toEqual(once);
    for (const row of await rowsOf(deviceId)) expect(row['abandonedSerialNumbers']).toBeUndefined();
  });

  it('waits for an open request, and is one no more when that comes to nothing', async () => {
    const deviceId = await newDevice();
    worker.signer.beforeSigning = () => Promise.reject(new Error('The HSM is away.'));
    const { message: open } = await ask(deviceId, eitherKey);
    const { message, outcome, answer } = await ask(deviceId, eitherKey);
    expect(answer).toBe('RENEWAL_TOO_EARLY');
    expect(outcome).toMatchObject({ detail: expect.stringContaining('is known by 2026-11-22T12:15:00Z') });
    worker.signer.beforeSigning = async () => undefined;
    now += 16 * minute;
    await register({ deviceId, state: 'blocked' });
    expect((await worker.issue(redelivered(open))).map(answerOf)).toEqual(['DEVICE_BLOCKED']);
    await register({ deviceId, state: 'active' });
    now += 2 * minute;
    worker = anotherWorker();
    expect((await worker.issue(redelivered(message))).map(answerOf)).toEqual(['issued']);
  });

  it('is looked at again once the intent stands: what another worker recorded meanwhile counts', async () => {
    const deviceId = await newDevice();
    const other = anotherWorker();
    worker.dynamoDB.before(updates(tables.issuance, 'intent'), () => other.issue(requestOf(deviceId, eitherKey)));
    const { answer, message } = await ask(deviceId, eitherKey);
    expect([answer, worker.signer.calls]).toEqual(['RENEWAL_TOO_EARLY', []]);
    expect(await statesOf(deviceId)).toEqual(['issued', 'rejected']);
    const { requestId } = JSON.parse(message.body) as { requestId: string };
    const row = (await rowsOf(deviceId)).find((one) => one['requestId']?.S === requestId);
    expect(row?.['abandonedSerialNumbers']?.L).toHaveLength(1);
  });

  it('is looked at when intents are taken up again, with two reads of rows however many there are', async () => {
    const deviceId = await newDevice();
    // Recorded before the profile had renewal, say.
    const { renewal: _, ...before } = eitherKey;
    const earlier = startWorker({ tables: store, ca, profiles: [before], now: () => now });
    earlier.signer.beforeSigning = () => Promise.reject(new Error('The HSM is away.'));
    const open = Array.from({ length: 8 }, () => requestOf(deviceId, eitherKey));
    await earlier.issue(...open);
    expect(await statesOf(deviceId)).toEqual(open.map(() => 'intent'));
    expect((await ask(deviceId, eitherKey)).answer).toBe('RENEWAL_TOO_EARLY');
    const read = worker.dynamoDB.commands.filter(
      (command) =>
        command instanceof BatchGetItemCommand && command.input.RequestItems?.[tables.issuance] !== undefined,
    );
    // The request's own, and that of what it would renew.
    expect(read).toHaveLength(2);
    expect((await worker.issue(...open.map(redelivered))).map(answerOf).toSorted()).toEqual([
      ...open.slice(1).map(() => 'RENEWAL_TOO_EARLY'),
      'issued',
    ]);
    expect(worker.signer.calls.flat()).toHaveLength(1);
  });

  it('is no renewal after a revocation, or under another profile', async () => {
    const deviceId = await newDevice();
    await revoke(await issuedRow(deviceId, eitherKey));
    await issuedRow(deviceId, newKey);
    expect((await ask(deviceId, eitherKey)).answer).toBe('issued');
    expect((await ask(deviceId, eitherKey)).answer).toBe('RENEWAL_TOO_EARLY');
  });

  it.each([
    [newKey, 'same', 'RENEWAL_KEY_NOT_ALLOWED'],
    [newKey, 'another', 'issued'],
    [sameKey, 'same', 'issued'],
    [sameKey, 'another', 'RENEWAL_KEY_NOT_ALLOWED'],
    [eitherKey, 'same', 'issued'],
    [eitherKey, 'another', 'issued'],
  ] as const)('with %o: %s key is %s', async (profile, which, expected) => {
    const deviceId = await newDevice();
    const key = newPrivateKey();
    const live = readIssuedCertificate((await issuedRow(deviceId, profile, key)).certificate);
    now = live.notAfter;
    expect((await ask(deviceId, profile, which === 'same' ? key : newPrivateKey())).answer).toBe(expected);
  });

  it('does not take back what is issued: the same request is answered with its certificate at any time', async () => {
    const deviceId = await newDevice();
    const { message, outcome } = await ask(deviceId, newKey);
    expect(await worker.issue(redelivered(message))).toEqual([outcome]);
  });
});

describe('what is read', () => {
  it('is nothing for a profile without quota and renewal', async () => {
    await issuedRow(await newDevice(), deviceTls);
    expect(queries(worker)).toEqual([]);
    expect(worker.dynamoDB.commands.filter((command) => JSON.stringify(command).includes(tables.quotas))).toEqual([]);
  });

  it('is a query before the intent, and one after it', async () => {
    await issuedRow(await newDevice(), eitherKey);
    expect(queries(worker)).toHaveLength(2);
    worker = anotherWorker();
    await issuedRow(await newDevice(), one);
    expect(queries(worker)).toHaveLength(2);
  });

  it('is what counts, however much else there is', async () => {
    const deviceId = await newDevice();
    await fill(store.client, deviceId, 400);
    await issuedRow(deviceId, two);
    const [before, after] = queries(worker) as [QueryCommand, QueryCommand];
    // As an emulator reports it: entries that were read, whether or not they were given.
    const read = async (query: QueryCommand) => (await store.client.send(new QueryCommand(query.input))).ScannedCount;
    expect(before.input.ConsistentRead).toBe(true);
    expect([await read(before), await read(after)]).toEqual([1, 1]);
  });
});

/** Rows of a device that do not count: refused, given up, ended long ago, of other profiles. */
async function fill(client: DynamoDBClient, deviceId: string, count: number): Promise<void> {
  const long = start - 100 * day;
  const rows = Array.from({ length: count }, (_, index) => ({
    deviceId: { S: deviceId },
    requestId: { S: `old-${index}` },
    state: { S: index % 2 === 0 ? 'rejected' : 'issued' },
    ...(index % 4 === 1 ? { countsUntil: { S: countsUntilOf(two.name, long, long) } } : {}),
    ...(index % 4 === 3 ? { countsUntil: { S: countsUntilOf(`${two.name}-2`, start + day, start) } } : {}),
  }));
  for (let from = 0; from < count; from += 25) {
    const writes = rows.slice(from, from + 25).map((Item) => ({ PutRequest: { Item } }));
    await client.send(new BatchWriteItemCommand({ RequestItems: { [tables.issuance]: writes } }));
  }
}

describe('DeviceRows', () => {
  it('reads so many and no more, those that count longest first', async () => {
    const deviceId = await newDevice();
    const rows: IssuedRow[] = [];
    for (let count = 0; count < 5; count++) {
      rows.push(await issuedRow(deviceId, deviceTls));
      now += hour;
    }
    const deviceRows = new DeviceRows(store.client, tables.issuance);
    const find = async (maximum: number) => {
      const found = await deviceRows.findCounted(deviceId, deviceTls.name, now, maximum);
      return [found.rows.map(({ serialNumber }) => serialNumber), found.isComplete];
    };
    const newestFirst = rows.map(({ serialNumber }) => serialNumber).reverse();
    expect(await find(3)).toEqual([newestFirst.slice(0, 3), false]);
    expect(await find(6)).toEqual([newestFirst, true]);
  });

  it('refuses what it cannot count to the end', async () => {
    const deviceId = await newDevice();
    const entry = (index: number) => ({
      deviceId: { S: deviceId },
      requestId: { S: `revoked-${index}` },
      state: { S: 'issued' },
      issuerId: { S: 'devices' },
      serialNumber: { S: index.toString(16).padStart(32, '0') },
      crlShard: { N: '0' },
      notAfter: { S: new Date(start - hour).toISOString() },
      intentAt: { S: new Date(start - 2 * day).toISOString() },
      // Counted by neither limit, and read all the same.
      countsUntil: { S: `${two.name}#${new Date(start + day).toISOString()}` },
    });
    for (let from = 0; from <= 2000; from += 25) {
      const writes = Array.from({ length: 25 }, (_, index) => ({ PutRequest: { Item: entry(from + index) } }));
      await store.client.send(new BatchWriteItemCommand({ RequestItems: { [tables.issuance]: writes } }));
    }
    expect((await ask(deviceId, two)).outcome).toMatchObject({
      code: 'QUOTA_EXCEEDED',
      detail: expect.stringContaining('more than 2000'),
    });
  });

  it('loses a row with the attempt that is given up, and has it again with the next', async () => {
    const deviceId = await newDevice();
    const deviceRows = new DeviceRows(store.client, tables.issuance);
    const count = async () => (await deviceRows.findCounted(deviceId, one.name, now, 10)).rows.length;
    worker.signer.beforeSigning = () => Promise.reject(new Error('The HSM is away.'));
    const { message } = await ask(deviceId, one);
    expect(await count()).toBe(1);
    // Past signBefore.
    now += 16 * minute;
    worker.dynamoDB.fail(updates(tables.issuance, 'intent'), 'not-written');
    await worker.issue(redelivered(message));
    expect([await statesOf(deviceId), await count()]).toEqual([['abandoned'], 0]);
    worker.signer.beforeSigning = async () => undefined;
    expect((await worker.issue(redelivered(message))).map(answerOf)).toEqual(['issued']);
    expect(await count()).toBe(1);
  });
});

import { BatchGetItemCommand, ScanCommand, UpdateItemCommand } from '@aws-sdk/client-dynamodb';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Outcome, QueuedRequest } from '../../shared/issuance/outcome.ts';
import type { Profile } from '../../shared/issuance/profile.ts';
import { type Device, Devices } from '../../shared/ledger/devices.ts';
import { Issuers } from '../../shared/ledger/issuers.ts';
import { minute, queue, redelivered, startWorker, type Worker } from '../support/issuing.ts';
import { type IssuingCa, makeIssuingCa } from '../support/issuing-ca.ts';
import { deviceTls } from '../support/profile.ts';
import { startTables, type Tables, tables } from '../support/tables.ts';
import { updates } from '../support/wrapped-client.ts';

/** A quarter of an hour before a window's end. */
const start = Date.parse('2026-11-22T12:45:00Z');
const windowEnd = Date.parse('2026-11-22T13:00:00Z');
const day = 86_400_000;

let store: Tables;
let ca: IssuingCa;
let now: number;
let runs = 0;
let devices = 0;
let profile: Profile;
let worker: Worker;

const anotherWorker = (rateShard = 1): Worker =>
  startWorker({ tables: store, ca, profiles: [profile], now: () => now, rateShard });

beforeAll(async () => {
  store = await startTables();
  ca = makeIssuingCa({ notBefore: new Date(start - day), notAfter: new Date(start + 10 * 365 * day) });
  await new Issuers(store.client, tables.issuers).add(ca.issuer);
});

/** Of a name of its own for each test: so are its buckets. */
function deploy(quota: Profile['quota']): void {
  now = start;
  profile = { ...deviceTls, name: `limited-${++runs}`, quota };
  worker = anotherWorker(0);
}

beforeEach(() => deploy({ perHour: 3 }));

afterAll(() => store.close());

async function newRequest(more: Partial<Device> = {}): Promise<QueuedRequest> {
  const deviceId = `device-${++devices}`;
  await new Devices(store.client, tables.devices).register({ deviceId, state: 'active', ...more });
  return queue(now, { deviceId, profile: profile.name });
}

const newRequests = (count: number, more?: Partial<Device>) =>
  Promise.all(Array.from({ length: count }, () => newRequest(more)));

const answerOf = (outcome: Outcome) => (outcome.kind === 'rejected' ? outcome.code : outcome.kind);
const answersOf = (outcomes: readonly Outcome[]) => outcomes.map(answerOf).toSorted();

/** This profile's buckets. */
async function buckets() {
  const { Items: items = [] } = await store.client.send(new ScanCommand({ TableName: tables.quotas }));
  return items
    .filter(({ bucket }) => bucket?.S?.includes(`#${profile.name}#`))
    .map(({ bucket, count, expiresAt }) => [bucket?.S, Number(count?.N), Number(expiresAt?.N)] as const)
    .toSorted();
}

const totalCounted = async () => (await buckets()).reduce((total, [, count]) => total + count, 0);

const reads = ({ dynamoDB }: Worker) =>
  dynamoDB.commands.filter(
    (command) => command instanceof BatchGetItemCommand && command.input.RequestItems?.[tables.quotas] !== undefined,
  ).length;
const adds = ({ dynamoDB }: Worker) =>
  dynamoDB.commands.filter(
    (command) => command instanceof UpdateItemCommand && command.input.TableName === tables.quotas,
  ).length;

describe('a limit of an hour', () => {
  it('is kept within a batch, and says when the next window begins', async () => {
    const outcomes = await worker.issue(...(await newRequests(5)));
    expect(answersOf(outcomes)).toEqual(['QUOTA_EXCEEDED', 'QUOTA_EXCEEDED', 'issued', 'issued', 'issued']);
    const refused = outcomes.find(({ kind }) => kind === 'rejected');
    expect(refused).toMatchObject({ detail: expect.stringContaining('until 2026-11-22T13:00:00.000Z') });
    now = windowEnd - 1;
    expect(answersOf(await worker.issue(await newRequest()))).toEqual(['QUOTA_EXCEEDED']);
    now = windowEnd;
    expect(answersOf(await worker.issue(...(await newRequests(3))))).toEqual(['issued', 'issued', 'issued']);
  });

  it('is read once and counted once for a batch, in an item that ends a day after its window', async () => {
    await worker.issue(...(await newRequests(2)));
    expect([reads(worker), adds(worker)]).toEqual([1, 1]);
    const expiresAt = (windowEnd + day) / 1000;
    expect(await buckets()).toEqual([[`profile#${profile.name}#2026-11-22T12:00:00.000Z#0`, 2, expiresAt]]);
  });

  it('is one of all environments', async () => {
    const other = anotherWorker();
    expect(answersOf(await worker.issue(...(await newRequests(2))))).toEqual(['issued', 'issued']);
    expect(answersOf(await other.issue(...(await newRequests(2))))).toEqual(['QUOTA_EXCEEDED', 'issued']);
    // What was read less than two seconds ago is not read again; after that it is.
    now += 1_999;
    expect(answersOf(await worker.issue(await newRequest()))).toEqual(['issued']);
    expect(reads(worker)).toBe(1);
    now += 1;
    expect(answersOf(await worker.issue(await newRequest()))).toEqual(['QUOTA_EXCEEDED']);
    expect(await totalCounted()).toBe(4);
    // And what is full is not read again at all.
    now += minute;
    const before = reads(worker);
    expect(answersOf(await worker.issue(await newRequest()))).toEqual(['QUOTA_EXCEEDED']);
    expect(reads(worker)).toBe(before);
  });

  it('counts what is recorded: no redelivery, nothing that was refused, nothing that came to no intent', async () => {
    const [message] = await newRequests(1);
    worker.openingFails = new Error('No HSM today.');
    await worker.issue(message as QueuedRequest);
    worker.openingFails = undefined;
    await worker.issue(await newRequest({ state: 'blocked' }));
    expect(await totalCounted()).toBe(0);
    for (let count = 0; count < 3; count++) await worker.issue(redelivered(message as QueuedRequest));
    expect(await totalCounted()).toBe(1);
    expect(answersOf(await worker.issue(...(await newRequests(3))))).toEqual(['QUOTA_EXCEEDED', 'issued', 'issued']);
  });

  it('refuses nothing for a place that came to no intent', async () => {
    deploy({ perHour: 1 });
    const messages = await newRequests(3);
    worker.openingFails = new Error('No HSM today.');
    expect(answersOf(await worker.issue(...messages))).toEqual(['retry', 'retry', 'retry']);
    worker.openingFails = undefined;
    expect(answersOf(await worker.issue(...messages.map(redelivered)))).toEqual([
      'QUOTA_EXCEEDED',
      'QUOTA_EXCEEDED',
      'issued',
    ]);
  });

  it('counts an intent whose reply was lost', async () => {
    worker.dynamoDB.fail(updates(tables.issuance, 'intent'), 'reply-lost');
    const message = await newRequest();
    expect(answersOf(await worker.issue(message))).toEqual(['retry']);
    expect(answersOf(await worker.issue(redelivered(message)))).toEqual(['issued']);
    expect(await totalCounted()).toBe(1);
  });

  it('lets nothing through while what others have counted cannot be read', async () => {
    const concernsQuotas = (command: object) =>
      command instanceof BatchGetItemCommand && command.input.RequestItems?.[tables.quotas] !== undefined;
    worker.dynamoDB.fail(concernsQuotas, 'not-written');
    const messages = await newRequests(2);
    expect(answersOf(await worker.issue(...messages))).toEqual(['retry', 'retry']);
    expect(worker.signer.calls).toEqual([]);
    expect(answersOf(await worker.issue(...messages.map(redelivered)))).toEqual(['issued', 'issued']);
  });

  it('signs nothing that it could not count, and counts it with the next batch', async () => {
    worker.dynamoDB.fail(updates(tables.quotas), 'not-written');
    const messages = await newRequests(2);
    expect(answersOf(await worker.issue(...messages))).toEqual(['retry', 'retry']);
    expect([worker.signer.calls, await totalCounted()]).toEqual([[], 0]);
    expect(answersOf(await worker.issue(...messages.map(redelivered)))).toEqual(['issued', 'issued']);
    expect(await totalCounted()).toBe(2);
  });

  it('counts an addition whose reply was lost twice at most, and never less than there is', async () => {
    worker.dynamoDB.fail(updates(tables.quotas), 'reply-lost');
    const message = await newRequest();
    await worker.issue(message);
    await worker.issue(redelivered(message));
    expect(await totalCounted()).toBe(2);
  });
});

describe('a limit of a fleet', () => {
  beforeEach(() => deploy({ perFleetPerHour: 1 }));

  it('is of each fleet by itself, and of all devices without one together', async () => {
    const messages = [
      ...(await newRequests(2, { fleet: 'doors' })),
      ...(await newRequests(2, { fleet: 'pumps' })),
      ...(await newRequests(2)),
    ];
    const outcomes = await worker.issue(...messages);
    expect(outcomes.map(answerOf)).toEqual(Array.from({ length: 3 }, () => ['issued', 'QUOTA_EXCEEDED']).flat());
    expect(outcomes[1]).toMatchObject({ detail: expect.stringContaining('the fleet doors') });
    expect([reads(worker), adds(worker)]).toEqual([3, 3]);
  });

  it('stands beside that of the profile', async () => {
    deploy({ perFleetPerHour: 2, perHour: 3 });
    const messages = [...(await newRequests(3, { fleet: 'doors' })), ...(await newRequests(3, { fleet: 'pumps' }))];
    expect((await worker.issue(...messages)).map(answerOf)).toEqual([
      'issued',
      'issued',
      'QUOTA_EXCEEDED',
      'issued',
      'QUOTA_EXCEEDED',
      'QUOTA_EXCEEDED',
    ]);
  });
});

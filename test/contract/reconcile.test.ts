import { createHash, X509Certificate } from 'node:crypto';
import { GetItemCommand, ScanCommand, UpdateItemCommand } from '@aws-sdk/client-dynamodb';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Breakers } from '../../shared/breaker/breakers.ts';
import { Gatekeeper } from '../../shared/breaker/gate.ts';
import { MintmarkError } from '../../shared/errors.ts';
import { AdmittedIssuers } from '../../shared/issuance/admitted-issuers.ts';
import type { FinishingAuthority } from '../../shared/issuance/authority.ts';
import type { Outcome, QueuedRequest } from '../../shared/issuance/outcome.ts';
import type { Profile } from '../../shared/issuance/profile.ts';
import { type Reconciliation, reconcile } from '../../shared/issuance/reconcile.ts';
import { readTbsCertificate } from '../../shared/issuance/tbs-reader.ts';
import { Devices } from '../../shared/ledger/devices.ts';
import { keyOf, type StandingRow } from '../../shared/ledger/issuance.ts';
import { Issuers } from '../../shared/ledger/issuers.ts';
import { OpenIntents } from '../../shared/ledger/open-intents.ts';
import { base64, minute, queue, redelivered, startWorker, type Worker } from '../support/issuing.ts';
import { type IssuingCa, makeIssuingCa } from '../support/issuing-ca.ts';
import { deviceTls } from '../support/profile.ts';
import { sumOfSigned } from '../support/signed-counts.ts';
import { startTables, type Tables, tables } from '../support/tables.ts';
import { updates } from '../support/wrapped-client.ts';

const start = Date.parse('2026-11-22T12:00:00Z');
const patience = 3 * minute;
const sender = 'AROAEXAMPLEROLEID';
const temporary: Profile = { ...deviceTls, name: 'temporary' };

let store: Tables;
let ca: IssuingCa;
let now: number;
let devices = 0;
/** The issue function, and the process that reconciles. */
let worker: Worker;
let reconciler: Worker;

const newWorker = (profiles: readonly Profile[] = [deviceTls, temporary]): Worker =>
  startWorker({ tables: store, ca, profiles, now: () => now });

beforeAll(async () => {
  ca = makeIssuingCa({ notBefore: new Date(start - 86_400_000), notAfter: new Date(start + 10 * 365 * 86_400_000) });
});

// A store for each test: a run looks at every intent that there is.
beforeEach(async () => {
  store = await startTables();
  await new Issuers(store.client, tables.issuers).add(ca.issuer);
  now = start;
  worker = newWorker();
  reconciler = newWorker();
  return () => store.close();
});

const register = (deviceId: string, more: { state?: 'active' | 'blocked'; allowedSenders?: readonly string[] } = {}) =>
  new Devices(store.client, tables.devices).register({ deviceId, state: 'active', ...more });

const authorityOf = ({ authority }: Worker, over: Partial<FinishingAuthority> = {}): FinishingAuthority => ({
  ...authority,
  ...over,
});

const run = (
  by: Worker = reconciler,
  over: Partial<FinishingAuthority> = {},
  deadline = now + 40_000,
): Promise<Reconciliation> =>
  reconcile({
    authority: authorityOf(by, over),
    openIntents: new OpenIntents(by.dynamoDB.client, tables.issuance),
    patience,
    firstShard: 7,
    deadline,
  });

interface Left {
  readonly deviceId: string;
  readonly requestId: string;
  readonly message: QueuedRequest;
  readonly serialNumber: string;
}

/** An intent whose worker ended before it signed. */
async function leaveIntent(fields: { profile?: string; allowedSenders?: readonly string[] } = {}): Promise<Left> {
  const deviceId = `device-${++devices}`;
  const { profile = 'device-tls', ...device } = fields;
  await register(deviceId, device);
  const message = queue(now, { deviceId, profile });
  worker.signer.faults.push('unavailable');
  await worker.issue(message);
  const key = { deviceId, requestId: 'request-1' };
  const row = await standing(key);
  if (row?.state !== 'intent') throw new Error(`not an intent: ${row?.state}`);
  return { ...key, message, serialNumber: row.serialNumber };
}

const standing = async (key: { deviceId: string; requestId: string }): Promise<StandingRow | undefined> =>
  (await worker.authority.ledger.read([key])).get(keyOf(key));

async function item({ deviceId, requestId }: Left) {
  const Key = { deviceId: { S: deviceId }, requestId: { S: requestId } };
  return (await store.client.send(new GetItemCommand({ TableName: tables.issuance, Key, ConsistentRead: true }))).Item;
}

async function revoked(): Promise<(string | undefined)[]> {
  const { Items: items = [] } = await store.client.send(new ScanCommand({ TableName: tables.revocations }));
  return items.map((each) => each.serialNumber?.S);
}

const announced = ({ announced: outcomes }: Worker): string[] =>
  outcomes.map((outcome) => (outcome.kind === 'issued' ? outcome.row.serialNumber : outcome.kind));

const became = ({ requests }: Reconciliation): string[] =>
  requests.map((request) => (request.became === 'hindered' ? request.error.code : request.became));

const certificateIn = (outcome: Outcome | undefined): string =>
  outcome?.kind === 'issued' ? base64(outcome.row.certificate) : `not issued: ${outcome?.kind}`;

describe('an intent whose message does not come back', () => {
  it('is left alone while it is young', async () => {
    const left = await leaveIntent();
    now += patience - 1;
    expect(became(await run())).toEqual(['left']);
    expect(await standing(left)).toMatchObject({ state: 'intent' });
  });

  it('is finished: the TBS and the serial number that were recorded, announced, and no longer open', async () => {
    const left = await leaveIntent({ allowedSenders: [sender] });
    now += patience;
    const { requests, overdue, isComplete } = await run();
    expect(requests).toEqual([
      { deviceId: left.deviceId, requestId: left.requestId, became: 'finished', serialNumber: left.serialNumber },
    ]);
    expect([overdue, isComplete]).toEqual([0, true]);
    const row = await standing(left);
    if (row?.state !== 'issued') throw new Error(`not issued: ${row?.state}`);
    expect(row).not.toHaveProperty('isUnsettled');
    const certificate = new X509Certificate(row.certificate);
    expect(certificate.verify(new X509Certificate(ca.issuer.certificate).publicKey)).toBe(true);
    expect(certificate.serialNumber.toLowerCase()).toBe(left.serialNumber);
    expect(reconciler.signer.calls).toEqual(worker.signer.calls);
    expect(announced(reconciler)).toEqual([left.serialNumber]);
    expect(await run()).toEqual({ requests: [], overdue: 0, isComplete: true });
  });

  it('is one certificate for the delivery that comes after all', async () => {
    const { message } = await leaveIntent();
    now += patience;
    await run();
    const [outcome] = await worker.issue(redelivered(message));
    expect(certificateIn(outcome)).toBe(certificateIn(reconciler.announced[0]));
  });

  it('is announced by the next run when the topic did not take it', async () => {
    const left = await leaveIntent();
    now += patience;
    reconciler.refusesToPublish = () => true;
    expect(became(await run())).toEqual(['STORE_UNAVAILABLE']);
    expect(await standing(left)).toMatchObject({ state: 'issued', isUnsettled: true });
    reconciler.refusesToPublish = () => false;
    now += 20 * minute;
    expect(await run()).toMatchObject({
      requests: [{ became: 'announced', serialNumber: left.serialNumber }],
      overdue: 0,
    });
    expect(announced(reconciler)).toEqual([left.serialNumber]);
    expect(reconciler.signer.calls).toHaveLength(1);
    expect((await run()).requests).toEqual([]);
  });

  it('is announced by the next run when this one died before it said so in the row', async () => {
    const left = await leaveIntent();
    now += patience;
    reconciler.dynamoDB.fail(
      (command) =>
        command instanceof UpdateItemCommand && command.input.UpdateExpression?.startsWith('REMOVE') === true,
      'not-written',
    );
    expect(became(await run())).toEqual(['STORE_UNAVAILABLE']);
    expect(became(await run())).toEqual(['announced']);
    expect(announced(reconciler)).toEqual([left.serialNumber, left.serialNumber]);
  });

  it('is abandoned past its deadline, revoked, and made anew for the delivery that comes after all', async () => {
    const left = await leaveIntent();
    now += 15 * minute;
    expect(await run()).toMatchObject({ requests: [{ became: 'abandoned', reason: 'deadline-passed' }], overdue: 0 });
    expect(await standing(left)).toMatchObject({ state: 'abandoned', abandonReason: 'deadline-passed' });
    expect(await standing(left)).not.toHaveProperty('isUnsettled');
    expect(await revoked()).toEqual([left.serialNumber]);
    expect(reconciler.signer.calls).toEqual([]);
    const [outcome] = await worker.issue(redelivered(left.message));
    expect(outcome).toMatchObject({ kind: 'issued', row: { attempt: 2 } });
    expect(await standing(left)).toMatchObject({ state: 'issued', attempt: 2 });
  });

  it('is revoked by the next run when whoever abandoned it died in between', async () => {
    const left = await leaveIntent();
    now += 15 * minute;
    worker.dynamoDB.fail(updates(tables.revocations), 'not-written');
    expect(became(await run(worker))).toEqual(['STORE_UNAVAILABLE']);
    expect([await standing(left), await revoked()]).toMatchObject([{ state: 'abandoned' }, []]);
    expect(became(await run())).toEqual(['revoked']);
    expect(await revoked()).toEqual([left.serialNumber]);
    expect((await run()).requests).toEqual([]);
  });

  it('counts as overdue while the table does not take that it is abandoned', async () => {
    await leaveIntent();
    now += 15 * minute;
    reconciler.dynamoDB.fail(updates(tables.issuance, 'abandoned'), 'not-written', 1);
    expect(await run()).toMatchObject({ requests: [{ became: 'hindered' }], overdue: 1, isComplete: true });
    expect((await run()).overdue).toBe(0);
  });
});

describe('two at once', () => {
  it('a redelivery that stores while a run is signing: one certificate, the redelivery announces it', async () => {
    const left = await leaveIntent();
    now += patience;
    let redelivery: Outcome[] = [];
    reconciler.signer.beforeSigning = async () => {
      redelivery = await worker.issue(redelivered(left.message));
    };
    expect(became(await run())).toEqual(['finished']);
    const row = await standing(left);
    expect(row).toMatchObject({ state: 'issued', serialNumber: left.serialNumber });
    expect(certificateIn(redelivery[0])).toBe(row?.state === 'issued' && base64(row.certificate));
    expect([announced(worker), announced(reconciler)]).toEqual([[left.serialNumber], []]);
    const { issuerId } = ca.issuer;
    expect(reconciler.signed).toEqual([
      { issuerId, requested: 1 },
      { issuerId, made: 1, repeated: 1, wrong: 0 },
    ]);
  });

  it('a run that stores while a redelivery is signing: one certificate, both answer with it', async () => {
    const left = await leaveIntent();
    now += patience;
    worker.signer.beforeSigning = async () => void (await run());
    const [outcome] = await worker.issue(redelivered(left.message));
    const row = await standing(left);
    expect(certificateIn(outcome)).toBe(row?.state === 'issued' && base64(row.certificate));
    expect(announced(reconciler)).toEqual([left.serialNumber]);
    expect(new Set([...worker.signer.calls, ...reconciler.signer.calls].flat()).size).toBe(1);
  });

  it('a run that abandons while a redelivery is signing: no certificate of that attempt', async () => {
    const left = await leaveIntent();
    now += patience;
    worker.signer.beforeSigning = async () => {
      now += 15 * minute;
      await run();
    };
    const [outcome] = await worker.issue(redelivered(left.message));
    expect(outcome).toMatchObject({ kind: 'retry', error: { code: 'STORE_UNAVAILABLE' } });
    expect(await standing(left)).toMatchObject({ state: 'abandoned' });
    expect(await revoked()).toEqual([left.serialNumber]);
  });

  it('a redelivery that stores before a run abandons: the certificate stands, and is not revoked', async () => {
    const left = await leaveIntent();
    now += 15 * minute - 1;
    reconciler.dynamoDB.before(updates(tables.issuance, 'abandoned'), () => worker.issue(redelivered(left.message)));
    now += 1;
    const late = now;
    now = late - 1;
    const authority = { now: () => late };
    expect((await run(reconciler, authority)).requests).toEqual([]);
    expect(await standing(left)).toMatchObject({ state: 'issued', serialNumber: left.serialNumber });
    expect(await revoked()).toEqual([]);
  });
});

describe('a world that changed since the intent', () => {
  const abandonedBecause = async (left: Left, reason: string): Promise<void> => {
    expect((await run()).requests).toMatchObject([{ became: 'abandoned', reason }]);
    expect(await standing(left)).toMatchObject({ state: 'abandoned', abandonReason: reason });
    expect(await revoked()).toEqual([left.serialNumber]);
    expect(reconciler.signer.calls).toEqual([]);
  };

  it('a device that was blocked a moment ago', async () => {
    const left = await leaveIntent();
    now += patience;
    // It is remembered as it was.
    await reconciler.authority.devices.find([left.deviceId], now);
    await register(left.deviceId, { state: 'blocked' });
    await abandonedBecause(left, 'device-blocked');
  });

  it('a device that is registered for other senders only', async () => {
    const left = await leaveIntent({ allowedSenders: [sender] });
    await register(left.deviceId, { allowedSenders: ['AROAEXAMPLEOTHERID'] });
    now += patience;
    await abandonedBecause(left, 'sender-not-allowed');
  });

  it('a sender that the profile lists no more', async () => {
    const left = await leaveIntent();
    reconciler = newWorker([{ ...deviceTls, allowedSenders: ['AROAEXAMPLEOTHERID'] }]);
    now += patience;
    await abandonedBecause(left, 'sender-not-allowed');
  });

  it('a profile that is gone', async () => {
    const left = await leaveIntent({ profile: 'temporary' });
    reconciler = newWorker([deviceTls]);
    now += patience;
    await abandonedBecause(left, 'profile-unknown');
  });

  it('a serial number that was revoked', async () => {
    const left = await leaveIntent();
    const row = await standing(left);
    if (row?.state !== 'intent') throw new Error('no intent');
    await reconciler.authority.revocations.revokeAbandoned(row, now);
    now += patience;
    await abandonedBecause(left, 'serial-number-revoked');
  });

  it('a row into which somebody wrote the TBS of another', async () => {
    const left = await leaveIntent();
    const tbsCertificate = (await item(await leaveIntent()))?.tbsCertificate ?? { NULL: true };
    const write = new UpdateItemCommand({
      TableName: tables.issuance,
      Key: { deviceId: { S: left.deviceId }, requestId: { S: left.requestId } },
      UpdateExpression: 'SET tbsCertificate = :tbsCertificate',
      ExpressionAttributeValues: { ':tbsCertificate': tbsCertificate },
    });
    await store.client.send(write);
    now += patience;
    expect(became(await run()).toSorted()).toEqual(['abandoned', 'finished']);
    expect(await standing(left)).toMatchObject({ state: 'abandoned', abandonReason: 'lint-failed' });
    expect(await revoked()).toEqual([left.serialNumber]);
    expect(reconciler.signer.calls.flat()).toHaveLength(1);
  });

  it('an issuer with another certificate', async () => {
    const left = await leaveIntent();
    const validity = { notBefore: new Date(start - 86_400_000), notAfter: new Date(start + 10 * 365 * 86_400_000) };
    await changeIssuer('certificate = :value', { B: makeIssuingCa(validity).issuer.certificate });
    now += patience;
    await abandonedBecause(left, 'issuer-replaced');
  });

  it('an issuer that was retired signs nothing; the intent ends at its deadline', async () => {
    const left = await leaveIntent();
    now += patience;
    await reconciler.authority.issuers.open(ca.issuer.issuerId, now + 1000);
    await changeIssuer('#state = :value', { S: 'retired' }, { '#state': 'state' });
    expect(became(await run())).toEqual(['ISSUER_NOT_ACTIVE']);
    expect(await standing(left)).toMatchObject({ state: 'intent' });
    now += 15 * minute;
    await abandonedBecause(left, 'deadline-passed');
  });

  it('a profile with other rules: what was recorded under the old ones is what is signed', async () => {
    const left = await leaveIntent();
    const before = await item(left);
    reconciler = newWorker([{ ...deviceTls, hash: 'f'.repeat(64), validity: { ...deviceTls.validity, days: 1 } }]);
    now += patience;
    expect(became(await run())).toEqual(['finished']);
    const tbsCertificate = before?.tbsCertificate?.B ?? new Uint8Array();
    const digest = createHash('sha256').update(tbsCertificate).digest('hex');
    expect(reconciler.signer.calls).toEqual([[digest]]);
    expect((await item(left))?.profileHash).toEqual(before?.profileHash);
    const { notAfter } = readTbsCertificate(tbsCertificate);
    const row = await standing(left);
    expect(Date.parse(new X509Certificate(row?.state === 'issued' ? row.certificate : '').validTo)).toBe(notAfter);
  });

  async function changeIssuer(set: string, value: { B: Uint8Array } | { S: string }, names?: Record<string, string>) {
    const command = new UpdateItemCommand({
      TableName: tables.issuers,
      Key: { issuerId: { S: ca.issuer.issuerId } },
      UpdateExpression: `SET ${set}`,
      ExpressionAttributeValues: { ':value': value },
      ...(names === undefined ? {} : { ExpressionAttributeNames: names }),
    });
    await store.client.send(command);
  }
});

describe('a signer', () => {
  it('whose breaker is open is not asked, and what is past its deadline is abandoned all the same', async () => {
    const old = await leaveIntent();
    now += 13 * minute;
    const young = await leaveIntent();
    now += patience;
    const breakers = new Breakers(store.client, tables.issuers);
    const why = { reason: 'SIGNER_UNAVAILABLE', detail: 'No HSM answers.' } as const;
    await breakers.hold(await breakers.read(ca.issuer.issuerId), why, now);
    const onError = (error: MintmarkError) => {
      throw error;
    };
    const gate = new Gatekeeper({
      breakers,
      pausedSeconds: 60,
      checkSignerSeconds: 60,
      now: () => now,
      onError,
    }).newGate('run');
    const issuers = new AdmittedIssuers(reconciler.authority.issuers, gate, (_, error) => onError(error));
    expect(became(await run(reconciler, { issuers }))).toEqual(['abandoned', 'SIGNER_PAUSED']);
    expect(reconciler.signer.calls).toEqual([]);
    expect([await standing(old), await standing(young)]).toMatchObject([{ state: 'abandoned' }, { state: 'intent' }]);
  });

  it('that does not answer is asked once in a run, and the next run finishes', async () => {
    const left = [];
    for (let count = 0; count < 6; count++) left.push(await leaveIntent());
    const shards = new Set(left.map(({ serialNumber }) => serialNumber.slice(-1)));
    now += patience;
    reconciler.openingFails = new MintmarkError('SIGNER_UNAVAILABLE', 'No HSM answers.');
    let openings = 0;
    const { issuers } = reconciler.authority;
    const counted: FinishingAuthority['issuers'] = {
      requireActive: (issuerId) => issuers.requireActive(issuerId),
      open: (issuerId, deadline) => issuers.open(issuerId, deadline),
      openNow: (issuerId, deadline) => {
        openings++;
        return issuers.openNow(issuerId, deadline);
      },
      keyPairs: () => issuers.keyPairs(),
    };
    const { requests } = await run(reconciler, { issuers: counted });
    expect(requests.map((request) => request.became)).toEqual(left.map(() => 'hindered'));
    // Those of one shard look at the same time; the other shards' do not look any more.
    expect(openings).toBeLessThanOrEqual(left.length - shards.size + 1);
    reconciler.openingFails = undefined;
    expect(became(await run())).toEqual(left.map(() => 'finished'));
  });

  it('that fails one request of a page does not fail the others', async () => {
    for (let count = 0; count < 3; count++) await leaveIntent();
    now += patience;
    reconciler.signer.faults.push('corrupt');
    expect(became(await run()).toSorted()).toEqual(['SIGNATURE_WRONG', 'finished', 'finished']);
    expect(sumOfSigned(reconciler.signed)).toEqual({ requested: 3, made: 3, repeated: 3, wrong: 1, stored: 2 });
  });
});

describe('a run', () => {
  it('without time left looks at nothing, and says so', async () => {
    const left = await leaveIntent();
    now += 15 * minute;
    expect(await run(reconciler, {}, now)).toEqual({ requests: [], overdue: 1, isComplete: false });
    expect(await standing(left)).toMatchObject({ state: 'intent' });
  });

  it('reads a crowded shard page by page, and every shard before it goes on with one', async () => {
    const left = [];
    for (let count = 0; count < 30; count++) left.push(await leaveIntent());
    // All but two into one shard, which is as unfair as it gets.
    for (const [index, { deviceId, requestId }] of left.entries()) {
      const command = new UpdateItemCommand({
        TableName: tables.issuance,
        Key: { deviceId: { S: deviceId }, requestId: { S: requestId } },
        UpdateExpression: 'SET openIntentShard = :shard',
        ExpressionAttributeValues: { ':shard': { S: ['3', 'c'][index] ?? '7' } },
      });
      await store.client.send(command);
    }
    const pages: number[] = [];
    for await (const page of new OpenIntents(store.client, tables.issuance).pending(now, 7)) pages.push(page.length);
    expect(pages).toEqual([25, 1, 1, 3]);
    now += patience;
    // One of the first page finds the HSM busy, which says nothing of the HSM when the others are signed.
    reconciler.signer.faults.push('unavailable');
    expect(became(await run()).toSorted()).toEqual(['SIGNER_UNAVAILABLE', ...left.slice(1).map(() => 'finished')]);
    expect(became(await run())).toEqual(['finished']);
  });

  it('is not kept from the others by a row that cannot be read', async () => {
    const [bad, good] = [await leaveIntent(), await leaveIntent()];
    const command = new UpdateItemCommand({
      TableName: tables.issuance,
      Key: { deviceId: { S: bad.deviceId }, requestId: { S: bad.requestId } },
      UpdateExpression: 'REMOVE serialNumber',
    });
    await store.client.send(command);
    now += patience;
    expect(became(await run()).toSorted()).toEqual(['INTERNAL', 'finished']);
    expect(await standing(good)).toMatchObject({ state: 'issued' });
  });
});

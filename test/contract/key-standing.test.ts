import { BatchGetItemCommand, GetItemCommand, UpdateItemCommand } from '@aws-sdk/client-dynamodb';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { parseCertificationRequest } from '../../shared/issuance/certification-request.ts';
import { spkiSha256Of } from '../../shared/issuance/key-standing.ts';
import type { Outcome } from '../../shared/issuance/outcome.ts';
import type { Profile } from '../../shared/issuance/profile.ts';
import { reconcile } from '../../shared/issuance/reconcile.ts';
import { type Device, Devices } from '../../shared/ledger/devices.ts';
import { Issuers } from '../../shared/ledger/issuers.ts';
import { claimOutlivesNotAfterBy, type KeyClaim } from '../../shared/ledger/key-claims.ts';
import { KeyRecords } from '../../shared/ledger/key-records.ts';
import { OpenIntents } from '../../shared/ledger/open-intents.ts';
import { dNSName, makeRequest, newPrivateKey } from '../support/csr.ts';
import {
  base64,
  type MessageFields,
  minute,
  queue,
  redelivered,
  startWorker,
  type Worker,
} from '../support/issuing.ts';
import { type IssuingCa, makeIssuingCa } from '../support/issuing-ca.ts';
import { deviceTls } from '../support/profile.ts';
import { startTables, type Tables, tables } from '../support/tables.ts';
import { updates } from '../support/wrapped-client.ts';

const start = Date.parse('2026-11-22T12:00:00Z');
const day = 86_400_000;
const once: Profile = { ...deviceTls, name: 'once', keys: { ...deviceTls.keys, reuse: 'refused' } };
const anybodys: Profile = { ...deviceTls, name: 'anybodys', registration: 'optional' };

let store: Tables;
let ca: IssuingCa;
let records: KeyRecords;
let now: number;
let devices = 0;
let worker: Worker;

const anotherWorker = (): Worker =>
  startWorker({ tables: store, ca, profiles: [deviceTls, once, anybodys], now: () => now });

beforeAll(async () => {
  store = await startTables();
  records = new KeyRecords(store.client, tables.keys);
  ca = makeIssuingCa({ notBefore: new Date(start - day), notAfter: new Date(start + 10 * 365 * day) });
  await new Issuers(store.client, tables.issuers).add(ca.issuer);
});

beforeEach(() => {
  now = start;
  worker = anotherWorker();
});

afterAll(() => store.close());

/** A registered device that no other test uses. */
async function newDevice(more: Partial<Device> = {}): Promise<string> {
  const deviceId = `device-${++devices}`;
  await new Devices(store.client, tables.devices).register({ deviceId, state: 'active', ...more });
  return deviceId;
}

const spkiSha256 = (privateKey: string): string =>
  spkiSha256Of(parseCertificationRequest(makeRequest(privateKey)).subjectPublicKeyInfo);

/** A message with a CSR of this key. */
const asking = (privateKey: string, fields: MessageFields) =>
  queue(now, { csr: base64(makeRequest(privateKey)), ...fields });

const kindOf = (outcome: Outcome | undefined): string | undefined =>
  outcome?.kind === 'retry'
    ? outcome.error.code
    : outcome !== undefined && 'code' in outcome
      ? outcome.code
      : outcome?.kind;

async function ask(privateKey: string, fields: MessageFields): Promise<string | undefined> {
  return kindOf((await worker.issue(asking(privateKey, fields)))[0]);
}

async function row(deviceId: string, requestId = 'request-1') {
  const Key = { deviceId: { S: deviceId }, requestId: { S: requestId } };
  return (await store.client.send(new GetItemCommand({ TableName: tables.issuance, Key, ConsistentRead: true }))).Item;
}

const holderOf = async (privateKey: string): Promise<KeyClaim | undefined> => {
  const key = spkiSha256(privateKey);
  return (await records.get([key])).get(key)?.holder as KeyClaim | undefined;
};

const reconciled = async () => {
  const openIntents = new OpenIntents(store.client, tables.issuance);
  const { authority } = worker;
  return (await reconcile({ authority, openIntents, patience: minute, firstShard: 0, deadline: now + minute }))
    .requests;
};

describe('a compromised key', () => {
  it('is in no certificate; another key of the same device is', async () => {
    const [deviceId, leaked] = [await newDevice(), newPrivateKey()];
    await records.block(spkiSha256(leaked), 'in a public repository', now);
    expect(await ask(leaked, { deviceId })).toBe('KEY_COMPROMISED');
    expect(worker.signer.calls).toEqual([]);
    expect((await row(deviceId))?.reopenable).toEqual({ BOOL: true });
    expect(JSON.stringify(await row(deviceId))).not.toContain('in a public repository');
    expect(await ask(newPrivateKey(), { deviceId, requestId: 'request-2' })).toBe('issued');
  });

  it('is refused from the moment on that it is blocked, and certified again once it is not', async () => {
    const [deviceId, key] = [await newDevice(), newPrivateKey()];
    expect(await ask(key, { deviceId })).toBe('issued');
    await records.block(spkiSha256(key), 'leaked', now);
    expect(await ask(key, { deviceId, requestId: 'request-2' })).toBe('KEY_COMPROMISED');
    // What was issued is the answer to its request, whatever has become of the key.
    expect(await ask(key, { deviceId })).toBe('issued');
    await records.unblock(spkiSha256(key), now);
    expect(await ask(key, { deviceId, requestId: 'request-3' })).toBe('issued');
    expect(await ask(key, { deviceId, requestId: 'request-2' })).toBe('issued');
  });

  it('ends an intent that is resumed, by its message', async () => {
    const [deviceId, key] = [await newDevice(), newPrivateKey()];
    const message = asking(key, { deviceId });
    worker.dynamoDB.fail(updates(tables.issuance, 'issued'), 'not-written');
    expect((await worker.issue(message)).map(kindOf)).toEqual(['STORE_UNAVAILABLE']);
    await records.block(spkiSha256(key), 'leaked', now);
    const signed = worker.signer.calls.length;
    expect((await worker.issue(redelivered(message))).map(kindOf)).toEqual(['KEY_COMPROMISED']);
    expect(worker.signer.calls).toHaveLength(signed);
    const abandoned = (await row(deviceId))?.abandonedSerialNumbers?.L ?? [];
    expect(abandoned).toHaveLength(1);
    const [serial] = abandoned.map(({ M }) => M?.serialNumber?.S ?? '');
    const issuerId = ca.issuer.issuerId;
    const crlShard = Number(abandoned[0]?.M?.crlShard?.N);
    expect(await worker.authority.revocations.isRevoked({ issuerId, serialNumber: serial ?? '', crlShard })).toBe(true);
  });

  it('ends an intent that is resumed, by reconciliation, which finishes another', async () => {
    const keys = [newPrivateKey(), newPrivateKey()] as const;
    const deviceIds = [await newDevice(), await newDevice()] as const;
    worker.dynamoDB.fail(updates(tables.issuance, 'issued'), 'not-written', 2);
    await worker.issue(...keys.map((key, index) => asking(key, { deviceId: deviceIds[index] ?? '' })));
    await records.block(spkiSha256(keys[0]), 'leaked', now);
    now += 2 * minute;
    const ended = await reconciled();
    const of = (deviceId: string) => ended.find((one) => one.deviceId === deviceId);
    expect(of(deviceIds[0])).toMatchObject({ became: 'abandoned', reason: 'key-compromised' });
    expect((await row(deviceIds[0]))?.abandonReason).toEqual({ S: 'key-compromised' });
    expect(of(deviceIds[1])).toMatchObject({ became: 'finished' });
  });

  it('is looked at past everything known where another worker came between', async () => {
    const [deviceId, key] = [await newDevice(), newPrivateKey()];
    const message = asking(key, { deviceId });
    worker.dynamoDB.before(updates(tables.issuance, 'intent'), async () => {
      const other = anotherWorker();
      other.dynamoDB.fail(updates(tables.issuance, 'issued'), 'not-written');
      await other.issue(message);
      await records.block(spkiSha256(key), 'leaked', now);
    });
    expect((await worker.issue(message)).map(kindOf)).toEqual(['KEY_COMPROMISED']);
    expect(worker.signer.calls).toEqual([]);
  });

  it('is asked for once for a batch, whatever is in it', async () => {
    const deviceIds = [await newDevice(), await newDevice(), await newDevice()] as const;
    const leaked = newPrivateKey();
    await records.block(spkiSha256(leaked), 'leaked', now);
    const outcomes = await worker.issue(
      asking(newPrivateKey(), { deviceId: deviceIds[0] }),
      queue(now, { deviceId: deviceIds[1], csr: 'AAAA' }),
      asking(leaked, { deviceId: deviceIds[2] }),
    );
    expect(outcomes.map(kindOf)).toEqual(['issued', 'CSR_NOT_DECODABLE', 'KEY_COMPROMISED']);
    const asked = worker.dynamoDB.commands.filter(
      (command) => command instanceof BatchGetItemCommand && command.input.RequestItems?.[tables.keys] !== undefined,
    );
    expect(asked).toHaveLength(1);
    expect(asked[0]).toMatchObject({ input: { RequestItems: { [tables.keys]: { ConsistentRead: true } } } });
  });

  it('keeps no request from being tried again where the table cannot be read, and certifies nothing until then', async () => {
    const [deviceId, key] = [await newDevice(), newPrivateKey()];
    const readsKeys = (command: object) =>
      command instanceof BatchGetItemCommand && command.input.RequestItems?.[tables.keys] !== undefined;
    worker.dynamoDB.fail(readsKeys, 'not-written');
    const message = asking(key, { deviceId });
    expect((await worker.issue(message)).map(kindOf)).toEqual(['STORE_UNAVAILABLE']);
    expect(await row(deviceId)).toBeUndefined();
    expect((await worker.issue(redelivered(message))).map(kindOf)).toEqual(['issued']);
  });
});

describe('pinned keys', () => {
  it('are the only ones of their device; a device that pins none may have any', async () => {
    const [pinned, other] = [newPrivateKey(), newPrivateKey()];
    const pinnedKeys = [spkiSha256(newPrivateKey()), spkiSha256(pinned)];
    const deviceId = await newDevice({ pinnedKeys });
    expect(await ask(other, { deviceId })).toBe('KEY_NOT_PINNED');
    expect((await row(deviceId))?.detail?.S).toContain(spkiSha256(other));
    expect(await ask(pinned, { deviceId, requestId: 'request-2' })).toBe('issued');
    expect(await ask(other, { deviceId: await newDevice() })).toBe('issued');
    expect(await ask(other, { deviceId: 'nobody-registered-me', profile: 'anybodys' })).toBe('issued');
  });

  it('none at all lets no key in', async () => {
    expect(await ask(newPrivateKey(), { deviceId: await newDevice({ pinnedKeys: [] }) })).toBe('KEY_NOT_PINNED');
  });

  it('changed, let the same request be decided anew', async () => {
    const key = newPrivateKey();
    const deviceId = await newDevice({ pinnedKeys: [] });
    const message = asking(key, { deviceId });
    expect((await worker.issue(message)).map(kindOf)).toEqual(['KEY_NOT_PINNED']);
    await new Devices(store.client, tables.devices).register({
      deviceId,
      state: 'active',
      pinnedKeys: [spkiSha256(key)],
    });
    now += 2 * minute;
    expect((await worker.issue(redelivered(message))).map(kindOf)).toEqual(['issued']);
  });

  it('end an intent that is resumed', async () => {
    const deviceId = await newDevice();
    const message = asking(newPrivateKey(), { deviceId });
    worker.dynamoDB.fail(updates(tables.issuance, 'issued'), 'not-written');
    await worker.issue(message);
    await new Devices(store.client, tables.devices).register({ deviceId, state: 'active', pinnedKeys: [] });
    now += 2 * minute;
    const ended = await reconciled();
    expect(ended.find((one) => one.deviceId === deviceId)).toMatchObject({
      became: 'abandoned',
      reason: 'key-not-pinned',
    });
  });
});

describe('a key that is live for another device', () => {
  const profile = 'once';

  it('is refused where the profile says so, until that certificate has ended; elsewhere it is certified', async () => {
    const key = newPrivateKey();
    const [one, two] = [await newDevice(), await newDevice()];
    expect(await ask(key, { deviceId: one, profile })).toBe('issued');
    const { notAfter } = (await holderOf(key)) ?? { notAfter: 0 };
    expect(new Date(notAfter).toISOString()).toBe((await row(one))?.notAfter?.S);

    const message = asking(key, { deviceId: two, profile });
    expect((await worker.issue(message)).map(kindOf)).toEqual(['KEY_REUSED']);
    expect(worker.signer.calls).toHaveLength(1);
    expect((await row(two))?.detail?.S).not.toContain(one);
    expect(await ask(key, { deviceId: two, requestId: 'of-another-profile' })).toBe('issued');

    now = notAfter + claimOutlivesNotAfterBy;
    const later = { ...redelivered(message), sentAt: now };
    expect((await worker.issue(later)).map(kindOf)).toEqual(['KEY_REUSED']);
    now += 1;
    expect((await worker.issue({ ...later, sentAt: now })).map(kindOf)).toEqual(['issued']);
    expect(await holderOf(key)).toMatchObject({ deviceId: two });
  });

  it("is the device's own to renew with", async () => {
    const [deviceId, key] = [await newDevice(), newPrivateKey()];
    expect(await ask(key, { deviceId, profile })).toBe('issued');
    now += 30 * day;
    expect(await ask(key, { deviceId, profile, requestId: 'renewal' })).toBe('issued');
    expect(await holderOf(key)).toMatchObject({ requestId: 'renewal' });
  });

  it('costs a third write, and where the profile does not ask, none', async () => {
    const writes = async (name: string) => {
      const before = worker.dynamoDB.commands.length;
      expect(await ask(newPrivateKey(), { deviceId: await newDevice(), profile: name })).toBe('issued');
      return worker.dynamoDB.commands
        .slice(before)
        .flatMap((command) => (command instanceof UpdateItemCommand ? [command.input.TableName] : []));
    };
    expect(await writes(profile)).toEqual([tables.keys, tables.issuance, tables.issuance]);
    expect(await writes('device-tls')).toEqual([tables.issuance, tables.issuance]);
  });

  it("is one device's of two in the same batch", async () => {
    const key = newPrivateKey();
    const both = [await newDevice(), await newDevice()];
    const outcomes = await worker.issue(...both.map((deviceId) => asking(key, { deviceId, profile })));
    expect(outcomes.map(kindOf).toSorted()).toEqual(['KEY_REUSED', 'issued']);
  });

  it.each([
    ['its claim', tables.keys, ['KEY_REUSED', 'issued']],
    ['its intent', tables.issuance, ['issued', 'KEY_REUSED']],
  ])("is one device's of two at the same moment: the other asks just before %s is written", async (_, table, ended) => {
    const key = newPrivateKey();
    const [one, two] = [await newDevice(), await newDevice()];
    const other = anotherWorker();
    let answer: string | undefined;
    worker.dynamoDB.before(updates(table), async () => {
      answer = kindOf((await other.issue(asking(key, { deviceId: two, profile })))[0]);
    });
    expect([await ask(key, { deviceId: one, profile }), answer]).toEqual(ended);
  });

  it('is claimed by nobody who has not its private key, or is refused for anything else', async () => {
    const [key, deviceId] = [newPrivateKey(), await newDevice()];
    const forged = makeRequest(key);
    forged[forged.length - 1] = (forged.at(-1) ?? 0) ^ 1;
    expect(await ask(key, { deviceId, profile, csr: base64(forged) })).toBe('PROOF_OF_POSSESSION_FAILED');
    const named = base64(makeRequest(key, { names: [dNSName('other.example.com')] }));
    expect(await ask(key, { deviceId, profile, requestId: 'names', csr: named })).toBe('NAME_NOT_ALLOWED');
    expect(await holderOf(key)).toBeUndefined();
    expect(await ask(key, { deviceId: await newDevice(), profile })).toBe('issued');
  });

  it('stays claimed where the intent was never written: for its device, and for no other while the certificate would live', async () => {
    const key = newPrivateKey();
    const [one, two] = [await newDevice(), await newDevice()];
    const message = asking(key, { deviceId: one, profile });
    worker.dynamoDB.fail(updates(tables.issuance, 'intent'), 'not-written');
    expect((await worker.issue(message)).map(kindOf)).toEqual(['STORE_UNAVAILABLE']);
    const { notAfter } = (await holderOf(key)) ?? { notAfter: 0 };
    expect(await ask(key, { deviceId: two, profile })).toBe('KEY_REUSED');
    now += minute;
    expect((await worker.issue(redelivered(message))).map(kindOf)).toEqual(['issued']);
    expect((await holderOf(key))?.notAfter).toBe(notAfter + minute);
  });
});

import { createHash } from 'node:crypto';
import {
  BatchGetItemCommand,
  DeleteItemCommand,
  type DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
} from '@aws-sdk/client-dynamodb';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { batchGet } from '../../shared/ledger/batch-get.ts';
import { Devices } from '../../shared/ledger/devices.ts';
import { Failures } from '../../shared/ledger/failures.ts';
import { type Issuer, Issuers } from '../../shared/ledger/issuers.ts';
import { crlShardOf, Revocations } from '../../shared/ledger/revocations.ts';
import { startTables, type Tables, tables } from '../support/tables.ts';
import { wrapClient } from '../support/wrapped-client.ts';

const now = Date.parse('2026-11-22T23:59:00Z');
const day = '2026-11-22';

let store: Tables;

beforeAll(async () => {
  store = await startTables();
});

afterAll(() => store.close());

describe('batchGet', () => {
  const keys = (count: number) => Array.from({ length: count }, (_, index) => ({ deviceId: { S: `batch-${index}` } }));

  /** A client whose BatchGetItem hands back what is over `taken` keys as unprocessed. */
  function throttled(taken: number): { client: DynamoDBClient; calls: () => number } {
    const client = store.newClient();
    const send = client.send.bind(client) as (command: BatchGetItemCommand) => Promise<object>;
    let calls = 0;
    const limited = async (command: BatchGetItemCommand) => {
      calls++;
      const [[table, request] = ['', { Keys: [] }]] = Object.entries(command.input.RequestItems ?? {});
      const all = request.Keys ?? [];
      if (all.length > 100) throw Object.assign(new Error('Too many items'), { name: 'ValidationException' });
      expect(request.ConsistentRead).toBe(true);
      const answer =
        taken === 0
          ? { Responses: {} }
          : await send(
              new BatchGetItemCommand({ RequestItems: { [table]: { ...request, Keys: all.slice(0, taken) } } }),
            );
      const left = all.slice(taken);
      return left.length === 0
        ? answer
        : { ...answer, UnprocessedKeys: { [table]: { Keys: left, ConsistentRead: true } } };
    };
    client.send = limited as typeof client.send;
    return { client, calls: () => calls };
  }

  beforeAll(async () => {
    const devices = new Devices(store.client, tables.devices);
    await Promise.all(keys(230).map(({ deviceId }) => devices.register({ deviceId: deviceId.S, state: 'active' })));
  });

  it.each([0, 1, 100, 101, 230])('reads %i items', async (count) => {
    const items = await batchGet(store.client, tables.devices, keys(count));
    expect(new Set(items.map(({ deviceId }) => deviceId?.S)).size).toBe(count);
  });

  it('asks again for what was left unprocessed', async () => {
    const { client, calls } = throttled(30);
    const items = await batchGet(client, tables.devices, keys(130));
    expect(new Set(items.map(({ deviceId }) => deviceId?.S)).size).toBe(130);
    expect(calls()).toBe(5);
  });

  it('is unavailable when keys stay unprocessed, and never answers with less', async () => {
    const { client, calls } = throttled(0);
    await expect(batchGet(client, tables.devices, keys(3))).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    expect(calls()).toBe(5);
  });

  it('tells a table that is not there from one that does not answer', async () => {
    await expect(batchGet(store.client, 'no-such-table', keys(1))).rejects.toMatchObject({ code: 'STORE_REFUSED' });
    const wrapped = wrapClient(store.newClient());
    wrapped.fail(() => true, 'not-written');
    await expect(batchGet(wrapped.client, tables.devices, keys(1))).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
    });
  });
});

describe('Devices', () => {
  const registry = () => new Devices(store.client, tables.devices);

  it('remembers a device for less than a minute, so a block is seen after that', async () => {
    const devices = registry();
    await devices.register({ deviceId: 'cached', state: 'active' });
    const stateAt = async (time: number) => (await devices.find(['cached'], time)).get('cached')?.state;
    expect(await stateAt(now)).toBe('active');
    await devices.register({ deviceId: 'cached', state: 'blocked' });
    expect(await stateAt(now + 59_999)).toBe('active');
    expect(await stateAt(now + 60_000)).toBe('blocked');
  });

  it('reads past what it remembers when asked to, and remembers that', async () => {
    const devices = registry();
    await devices.register({ deviceId: 'now', state: 'active' });
    await devices.find(['now'], now);
    await devices.register({ deviceId: 'now', state: 'blocked' });
    expect((await devices.findNow(['now'], now + 1)).get('now')?.state).toBe('blocked');
    expect((await devices.find(['now'], now + 2)).get('now')?.state).toBe('blocked');
  });

  it('never remembers that a device is not registered, nor one that is gone', async () => {
    const devices = registry();
    expect((await devices.find(['later'], now)).get('later')).toBeUndefined();
    await devices.register({ deviceId: 'later', state: 'active' });
    expect((await devices.find(['later'], now)).get('later')?.state).toBe('active');
    await store.client.send(new DeleteItemCommand({ TableName: tables.devices, Key: { deviceId: { S: 'later' } } }));
    expect((await devices.findNow(['later'], now)).get('later')).toBeUndefined();
    expect((await devices.find(['later'], now)).get('later')).toBeUndefined();
  });

  it('asks once for a batch, for those alone that it does not remember', async () => {
    const wrapped = wrapClient(store.newClient());
    const devices = new Devices(wrapped.client, tables.devices);
    for (const deviceId of ['one', 'two']) await registry().register({ deviceId, state: 'active' });
    await devices.find(['one', 'one'], now);
    const found = await devices.find(['one', 'two', 'three', 'two'], now);
    expect(['one', 'two', 'three'].map((deviceId) => found.get(deviceId)?.state)).toEqual([
      'active',
      'active',
      undefined,
    ]);
    const asked = wrapped.commands.map((command) =>
      command instanceof BatchGetItemCommand
        ? command.input.RequestItems?.[tables.devices]?.Keys?.map(({ deviceId }) => deviceId?.S)
        : undefined,
    );
    expect(asked).toEqual([['one'], ['two', 'three']]);
  });

  it('takes any state but active for blocked, and keeps the list of senders', async () => {
    const Item = { deviceId: { S: 'odd' }, state: { S: 'Active' }, allowedSenders: { L: [{ S: 'AROAEXAMPLE' }] } };
    await store.client.send(new PutItemCommand({ TableName: tables.devices, Item }));
    expect((await registry().find(['odd'], now)).get('odd')).toEqual({
      deviceId: 'odd',
      state: 'blocked',
      allowedSenders: ['AROAEXAMPLE'],
    });
  });

  it('fails closed on a list of senders that is none', async () => {
    const Item = { deviceId: { S: 'listless' }, state: { S: 'active' }, allowedSenders: { SS: ['AROAEXAMPLE'] } };
    await store.client.send(new PutItemCommand({ TableName: tables.devices, Item }));
    const found = await registry().find(['listless'], now);
    expect(() => found.get('listless')).toThrow('allowedSenders');
  });

  it('keeps an empty list of senders, which allows nobody', async () => {
    await registry().register({ deviceId: 'nobody', state: 'active', allowedSenders: [] });
    expect((await registry().find(['nobody'], now)).get('nobody')?.allowedSenders).toEqual([]);
  });
});

describe('Failures', () => {
  const failures = () => new Failures(store.client, tables.failures);
  const failure = (messageId: string) =>
    ({
      code: 'SIGNER_UNAVAILABLE',
      detail: 'The HSM is busy.',
      messageId,
      sender: 'AROAEXAMPLE:session',
      body: '{"version":1}',
      tries: 7,
      sentAt: now - 1000,
      failedAt: now,
    }) as const;
  async function item(classDay: string, messageId: string) {
    const Key = { classDay: { S: classDay }, messageId: { S: messageId } };
    return (await store.client.send(new GetItemCommand({ TableName: tables.failures, Key, ConsistentRead: true })))
      .Item;
  }

  it('round trips', async () => {
    await failures().record(failure('round-trip'));
    const listed = await failures().list('transient-exhausted', day);
    expect(listed).toContainEqual({ ...failure('round-trip'), failureClass: 'transient-exhausted' });
    expect(await failures().list('transient-exhausted', '2026-11-23')).toEqual([]);
  });

  it('keeps the first error beside the last, and is safe to repeat', async () => {
    const first = failure('twice');
    const last = { ...first, code: 'SIGNER_DEADLINE', detail: 'No answer.', tries: 9, failedAt: now + 30_000 } as const;
    await failures().record(first);
    await failures().record(last);
    const stored = await item(`transient-exhausted#${day}`, 'twice');
    await failures().record(last);
    expect(await item(`transient-exhausted#${day}`, 'twice')).toEqual(stored);
    expect(stored).toMatchObject({
      firstCode: { S: 'SIGNER_UNAVAILABLE' },
      firstDetail: { S: 'The HSM is busy.' },
      firstFailedAt: { S: '2026-11-22T23:59:00.000Z' },
      code: { S: 'SIGNER_DEADLINE' },
      detail: { S: 'No answer.' },
      failedAt: { S: '2026-11-22T23:59:30.000Z' },
      tries: { N: '9' },
    });
  });

  it.each([
    ['one octet each', 'x'.repeat(1_048_576)],
    ['three octets each', '€'.repeat(349_525)],
    ['no octets but an escape', '\ud800'.repeat(349_525)],
  ])('takes a body of 1 MiB (%s), cut, with the length and the hash of the whole', async (name, body) => {
    await failures().record({ ...failure(`big, ${name}`), code: 'MESSAGE_TOO_LARGE', body });
    const stored = await item(`unreadable#${day}`, `big, ${name}`);
    const bytes = Buffer.from(body, 'utf8');
    expect(stored?.bodyBytes).toEqual({ N: String(bytes.length) });
    expect(stored?.bodySha256).toEqual({ S: createHash('sha256').update(bytes).digest('hex') });
    expect(stored?.bodyCut).toEqual({ BOOL: true });
    expect(stored?.body?.S?.slice(0, 21_000)).toBe(bytes.toString('utf8').slice(0, 21_000));
    expect(Buffer.byteLength(stored?.body?.S ?? '')).toBeLessThan(65_539);
  });

  it('keeps whole what a readable message may be, and an empty one', async () => {
    for (const body of ['€'.repeat(21_845), '']) {
      await failures().record({ ...failure(`whole ${body.length}`), body });
      expect(await item(`transient-exhausted#${day}`, `whole ${body.length}`)).toMatchObject({
        body: { S: body },
        bodyCut: { BOOL: false },
      });
    }
  });

  it.each([
    ['whole', '-----BEGIN PRIVATE KEY-----\\nMIGH\\n-----END PRIVATE KEY-----'],
    ['of an older kind, cut', '-----BEGIN EC PRIVATE KEY-----\\nMHc'],
  ])('keeps no private key (%s)', async (name, key) => {
    await failures().record({ ...failure(`key ${name}`), body: `{"csr":"${key}` });
    const stored = await item(`transient-exhausted#${day}`, `key ${name}`);
    expect(stored).toMatchObject({ body: { S: '{"csr":"[a private key]' }, bodyCut: { BOOL: true } });
  });

  it('lists more than a page', async () => {
    const ids = Array.from({ length: 24 }, (_, index) => `page-${String(index).padStart(2, '0')}`);
    for (const messageId of ids)
      await failures().record({ ...failure(messageId), code: 'INTERNAL', body: 'y'.repeat(65_536) });
    expect((await failures().list('bug', day)).map(({ messageId }) => messageId)).toEqual(ids);
  });

  it('says when it cannot', async () => {
    const nowhere = new Failures(store.client, 'no-such-table');
    await expect(nowhere.record(failure('lost'))).rejects.toMatchObject({ code: 'STORE_REFUSED' });
    await expect(nowhere.list('bug', day)).rejects.toMatchObject({ code: 'STORE_REFUSED' });
  });
});

describe('Issuers', () => {
  const issuers = () => new Issuers(store.client, tables.issuers);
  const issuer: Issuer = {
    issuerId: 'one',
    state: 'active',
    certificate: Uint8Array.of(1, 2),
    chain: [Uint8Array.of(3), Uint8Array.of(4, 5)],
    signerUri: 'pkcs11:token=t;object=o',
    clusterId: 'cluster-1',
    sealedPins: { 'eu-west-1': Uint8Array.of(6), 'eu-central-1': Uint8Array.of(7) },
    baseUrl: 'http://ca.example.com',
    crlShardCount: 64,
  };

  it('round trips, and never replaces', async () => {
    await issuers().add(issuer);
    await expect(issuers().add({ ...issuer, baseUrl: 'http://other.example.com' })).rejects.toThrow('Adding an issuer');
    expect(await issuers().read('one')).toEqual(issuer);
    expect(await issuers().read('two')).toBeUndefined();
  });

  it('takes any state but active for retired', async () => {
    await issuers().add({ ...issuer, issuerId: 'odd', state: 'Active' as 'active' });
    expect((await issuers().read('odd'))?.state).toBe('retired');
  });
});

describe('Revocations', () => {
  const serial = { issuerId: 'devices', serialNumber: '1f00000000000000000000000000abcd', crlShard: 13 };
  async function item() {
    const Key = { issuerShard: { S: 'devices#13' }, serialNumber: { S: serial.serialNumber } };
    return (await store.client.send(new GetItemCommand({ TableName: tables.revocations, Key, ConsistentRead: true })))
      .Item;
  }

  it('keep the first time and reason', async () => {
    const revocations = new Revocations(store.client, tables.revocations);
    await revocations.revokeAbandoned(serial, now);
    const first = await item();
    await revocations.revokeAbandoned(serial, now + 1000);
    expect(await item()).toEqual(first);
    expect(first).toMatchObject({ revokedAt: { S: '2026-11-22T23:59:00.000Z' }, reason: { S: 'superseded' } });
  });

  it('are in the shard that the low bits say', () => {
    expect(crlShardOf(serial.serialNumber, 16)).toBe(0xabcd % 16);
    expect(crlShardOf(serial.serialNumber, 1)).toBe(0);
    const shards = new Set(
      Array.from({ length: 256 }, (_, low) => crlShardOf(low.toString(16).padStart(32, '0'), 128)),
    );
    expect(shards.size).toBe(128);
  });
});

import { randomBytes } from 'node:crypto';
import { type AttributeValue, GetItemCommand, PutItemCommand } from '@aws-sdk/client-dynamodb';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CompromisedKeys } from '../../shared/ledger/compromised-keys.ts';
import { claimOutlivesNotAfterBy, type KeyClaim, KeyClaims } from '../../shared/ledger/key-claims.ts';
import { KeyRecords } from '../../shared/ledger/key-records.ts';
import { startTables, type Tables, tables } from '../support/tables.ts';
import { updates, wrapClient } from '../support/wrapped-client.ts';

const now = Date.parse('2026-11-22T12:00:00Z');
const hour = 3_600_000;

let store: Tables;
let compromised: CompromisedKeys;
let claims: KeyClaims;
let records: KeyRecords;

beforeAll(async () => {
  store = await startTables();
  compromised = new CompromisedKeys(store.client, tables.keys);
  claims = new KeyClaims(store.client, tables.keys);
  records = new KeyRecords(store.client, tables.keys);
});

afterAll(() => store.close());

const newKey = () => randomBytes(32).toString('hex');
const claimOf = (deviceId: string, notAfter: number, requestId = 'first'): KeyClaim => ({
  deviceId,
  requestId,
  notAfter,
});
const holderOf = async (key: string) => (await records.get([key])).get(key)?.holder;
const put = (item: Record<string, AttributeValue>) =>
  store.client.send(new PutItemCommand({ TableName: tables.keys, Item: item }));
const rowOf = async (fact: string, key: string) => {
  const Key = { factSpkiSha256: { S: `${fact}#${key}` } };
  return (await store.client.send(new GetItemCommand({ TableName: tables.keys, Key, ConsistentRead: true }))).Item;
};

describe('among', () => {
  it('is those that were blocked and not cleared, in as many batches as it takes', async () => {
    const [blocked, cleared] = [newKey(), newKey()];
    await records.block(blocked, 'leaked', now);
    await records.block(cleared, 'leaked', now);
    await records.unblock(cleared, now);
    const others = Array.from({ length: 150 }, newKey);
    expect(await compromised.among([...others, blocked, cleared, blocked])).toEqual(new Set([blocked]));
    expect(await compromised.among([])).toEqual(new Set());
  });

  it('takes a state that is not known, or none, for compromised', async () => {
    const [odd, none] = [newKey(), newKey()];
    await put({ factSpkiSha256: { S: `compromised#${odd}` }, state: { S: 'Cleared' } });
    await put({ factSpkiSha256: { S: `compromised#${none}` } });
    expect(await compromised.among([odd, none])).toEqual(new Set([odd, none]));
  });

  it('is not answered from memory, nor by a table that is not there', async () => {
    const key = newKey();
    expect(await compromised.among([key])).toEqual(new Set());
    await records.block(key, 'leaked', now);
    expect(await compromised.among([key])).toEqual(new Set([key]));
    await expect(new CompromisedKeys(store.client, 'none').among([key])).rejects.toMatchObject({
      code: 'STORE_REFUSED',
    });
  });
});

describe('claim', () => {
  it("gives a key that is nobody's to the first device, and to no other while its certificate lives", async () => {
    const key = newKey();
    const first = claimOf('door-1', now + hour);
    expect(await claims.claim(key, first, now)).toBeUndefined();
    expect(await claims.claim(key, claimOf('door-2', now + 9 * hour), now)).toEqual(first);
    expect(await holderOf(key)).toEqual(first);
  });

  it('lets the device itself renew, and keeps the later end', async () => {
    const key = newKey();
    const later = claimOf('door-1', now + 2 * hour, 'second');
    expect(await claims.claim(key, claimOf('door-1', now + hour), now)).toBeUndefined();
    expect(await claims.claim(key, later, now)).toBeUndefined();
    expect(await claims.claim(key, claimOf('door-1', now + hour, 'third'), now)).toBeUndefined();
    expect(await holderOf(key)).toEqual(later);
  });

  it('lets another have it a minute after the end, and not before; a clock that is ahead by less takes nothing', async () => {
    const key = newKey();
    const first = claimOf('door-1', now);
    const second = claimOf('door-2', now + hour);
    await claims.claim(key, first, now - hour);
    expect(await claims.claim(key, second, now + claimOutlivesNotAfterBy)).toEqual(first);
    expect(await claims.claim(key, second, now + claimOutlivesNotAfterBy + 1)).toBeUndefined();
    expect(await claims.claim(key, claimOf('door-1', now + 2 * hour), now + hour)).toEqual(second);
  });

  it('outlives its certificate in the table by that minute, and what is compromised stays for good', async () => {
    const key = newKey();
    await claims.claim(key, claimOf('door-1', now + 1), now);
    await records.block(key, 'leaked', now);
    expect((await rowOf('live', key))?.expiresAt).toEqual({ N: String(now / 1000 + 61) });
    expect(await rowOf('compromised', key)).not.toHaveProperty('expiresAt');
  });

  it('of a certificate without an end lasts as long', async () => {
    const key = newKey();
    const endless = claimOf('door-1', Date.parse('9999-12-31T23:59:59Z'));
    await claims.claim(key, endless, now);
    expect(await claims.claim(key, claimOf('door-2', now + hour), now + 100 * 365 * 24 * hour)).toEqual(endless);
  });

  it('is safe to repeat when its answer was lost', async () => {
    const key = newKey();
    const wrapped = wrapClient(store.newClient());
    wrapped.fail(updates(tables.keys), 'reply-lost');
    const unlucky = new KeyClaims(wrapped.client, tables.keys);
    await expect(unlucky.claim(key, claimOf('door-1', now + hour), now)).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
    });
    expect(await unlucky.claim(key, claimOf('door-1', now + hour + 1), now + 1)).toBeUndefined();
  });

  it('decides anew where the row that was in the way has changed before it is read', async () => {
    const key = newKey();
    await claims.claim(key, claimOf('door-1', now + hour), now);
    const wrapped = wrapClient(store.newClient());
    let isRefused = false;
    wrapped.before(
      (command) => {
        const comesAfter = isRefused;
        isRefused ||= updates(tables.keys)(command);
        return comesAfter;
      },
      () => put({ factSpkiSha256: { S: `live#${key}` }, ...claimItemOf('door-1', now - hour) }),
    );
    expect(
      await new KeyClaims(wrapped.client, tables.keys).claim(key, claimOf('door-2', now + hour), now),
    ).toBeUndefined();
    expect(await holderOf(key)).toMatchObject({ deviceId: 'door-2' });
  });

  const claimItemOf = (deviceId: string, notAfter: number): Record<string, AttributeValue> => ({
    deviceId: { S: deviceId },
    requestId: { S: 'first' },
    notAfter: { S: new Date(notAfter).toISOString() },
  });

  it("takes a row that it cannot read for nobody else's to have", async () => {
    const key = newKey();
    await put({ factSpkiSha256: { S: `live#${key}` }, notAfter: { S: '2030-01-01T00:00:00.000Z' } });
    await expect(claims.claim(key, claimOf('door-1', now + hour), now)).rejects.toMatchObject({ code: 'INTERNAL' });
    expect(await holderOf(key)).toMatchObject({ code: 'INTERNAL' });
  });
});

describe('block and unblock', () => {
  it('are done once, tell what stands, and forget nothing', async () => {
    const key = newKey();
    const compromised = { state: 'compromised', compromisedAt: now, reason: 'leaked' };
    const cleared = { ...compromised, state: 'cleared', clearedAt: now + 2 };
    expect(await records.block(key, 'leaked', now)).toEqual({ outcome: 'changed', compromise: compromised });
    expect(await records.block(key, 'again', now + 1)).toEqual({ outcome: 'unchanged', compromise: compromised });
    expect(await records.unblock(key, now + 2)).toEqual({ outcome: 'changed', compromise: cleared });
    expect(await records.unblock(key, now + 3)).toEqual({ outcome: 'unchanged', compromise: cleared });
    const anew = { state: 'compromised', compromisedAt: now + 4, reason: 'after all' };
    expect(await records.block(key, 'after all', now + 4)).toEqual({ outcome: 'changed', compromise: anew });
    expect((await records.get([key])).get(key)).toEqual({ compromise: anew });
  });

  it('unblocks no key that was never blocked, and leaves no row behind', async () => {
    const key = newKey();
    expect(await records.unblock(key, now)).toEqual({ outcome: 'unknown' });
    expect(await records.get([key])).toEqual(new Map());
  });

  it('leave whose the key is as it is', async () => {
    const key = newKey();
    const holder = claimOf('door-1', now + hour);
    await claims.claim(key, holder, now);
    await records.block(key, 'leaked', now);
    expect((await records.get([key])).get(key)).toMatchObject({ holder, compromise: { state: 'compromised' } });
    await records.unblock(key, now);
    expect(await claims.claim(key, claimOf('door-2', now + hour), now)).toEqual(holder);
  });

  it('is unavailable when DynamoDB is: nothing is taken for done', async () => {
    const wrapped = wrapClient(store.newClient());
    wrapped.fail(() => true, 'not-written', 2);
    const away = new KeyRecords(wrapped.client, tables.keys);
    await expect(away.block(newKey(), 'leaked', now)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    await expect(away.unblock(newKey(), now)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  });
});

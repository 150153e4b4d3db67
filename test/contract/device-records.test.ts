import { type AttributeValue, DeleteItemCommand, GetItemCommand, PutItemCommand } from '@aws-sdk/client-dynamodb';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DeviceRecords } from '../../shared/ledger/device-records.ts';
import { type Device, Devices } from '../../shared/ledger/devices.ts';
import { collect } from '../support/collect.ts';
import { startTables, type Tables, tables } from '../support/tables.ts';
import { updates, wrapClient } from '../support/wrapped-client.ts';

const now = Date.parse('2026-11-22T23:59:00Z');

let store: Tables;

beforeAll(async () => {
  store = await startTables();
});

afterAll(() => store.close());

const records = () => new DeviceRecords(store.client, tables.devices);
const registry = () => new Devices(store.client, tables.devices);
const standing = async (deviceId: string) => (await records().get([deviceId])).get(deviceId);
const put = (item: Record<string, AttributeValue>) =>
  store.client.send(new PutItemCommand({ TableName: tables.devices, Item: item }));
const item = async (deviceId: string) =>
  (await store.client.send(new GetItemCommand({ TableName: tables.devices, Key: { deviceId: { S: deviceId } } }))).Item;

const whole: Device = {
  deviceId: 'whole',
  state: 'blocked',
  fleet: 'doors',
  allowedSenders: ['AROAEXAMPLE'],
  pinnedKeys: ['ab'.repeat(32)],
  allowedNames: ['DNS:whole.example.com'],
  maximumLiveCertificates: 2,
  registeredAt: now,
  blockedAt: now + 1,
  blockReason: 'stolen',
};

describe('a row', () => {
  it('says all that a registration does, to whoever issues and to whoever looks after it', async () => {
    await registry().register(whole);
    expect((await registry().find(['whole'], now)).get('whole')).toEqual(whole);
    expect(await standing('whole')).toEqual({ deviceId: 'whole', device: whole });
  });

  const active = { state: { S: 'active' } };
  const unreadable: readonly (readonly [what: string, attributes: Record<string, AttributeValue>])[] = [
    ['allowedSenders', { allowedSenders: { S: 'AROAEXAMPLE' } }],
    ['pinnedKeys', { pinnedKeys: { SS: ['ab'.repeat(32)] } }],
    ['allowedNames', { allowedNames: { L: [{ N: '1' }] } }],
    ['fleet', { fleet: { L: [] } }],
    ['maximumLiveCertificates', { maximumLiveCertificates: { S: '1' } }],
    ['maximumLiveCertificates', { maximumLiveCertificates: { N: '1.5' } }],
    ['maximumLiveCertificates', { maximumLiveCertificates: { N: '-1' } }],
    ['pinnedKey', { pinnedKey: { L: [] } }],
    ['allowedProfiles', { allowedProfiles: { L: [] } }],
  ];

  it.each(unreadable)('whose %s cannot be read, or is not known, is no device: %j', async (name, attributes) => {
    await put({ deviceId: { S: 'unreadable' }, ...active, ...attributes });
    const found = await registry().find(['unreadable'], now);
    expect(() => found.get('unreadable')).toThrow(`"${name}"`);
    expect(await standing('unreadable')).toMatchObject({ state: 'active', problem: { code: 'INTERNAL' } });
  });

  it('hides no other row, and none of them from a list', async () => {
    await put({ deviceId: { S: 'unreadable' }, ...active, pinnedKeys: { S: 'x' } });
    await registry().register(whole);
    const found = await registry().find(['unreadable', 'whole'], now);
    expect(found.get('whole')).toEqual(whole);
    const listed = await collect(records().find());
    expect(listed.map(({ record }) => record.deviceId)).toEqual(expect.arrayContaining(['unreadable', 'whole']));
  });

  it('is as good without the times that only people read', async () => {
    await put({ deviceId: { S: 'timeless' }, ...active, registeredAt: { S: 'yesterday' }, blockedAt: { N: '1' } });
    expect((await registry().find(['timeless'], now)).get('timeless')).toEqual({
      deviceId: 'timeless',
      state: 'active',
    });
  });
});

describe('register', () => {
  it('makes an active device, with the time; one that is there stays as it is', async () => {
    expect(await records().register('new', { fleet: 'doors', pinnedKeys: [] }, now)).toBe(true);
    const device = { deviceId: 'new', state: 'active', fleet: 'doors', pinnedKeys: [], registeredAt: now };
    expect(await standing('new')).toEqual({ deviceId: 'new', device });
    expect(await records().register('new', {}, now + 1)).toBe(false);
    expect(await standing('new')).toEqual({ deviceId: 'new', device });
  });
});

describe('changeTerms', () => {
  it('changes what is named, and neither state nor the rest', async () => {
    await registry().register({ ...whole, deviceId: 'changed' });
    expect(await records().changeTerms('changed', { fleet: 'gates', pinnedKeys: null, allowedNames: [] })).toBe(true);
    const { pinnedKeys: _, ...kept } = whole;
    expect(await standing('changed')).toEqual({
      deviceId: 'changed',
      device: { ...kept, deviceId: 'changed', fleet: 'gates', allowedNames: [] },
    });
    expect(await records().changeTerms('changed', { maximumLiveCertificates: null })).toBe(true);
    expect(await item('changed')).not.toHaveProperty('maximumLiveCertificates');
  });

  it('makes no device of one that is not registered', async () => {
    expect(await records().changeTerms('nobody', { fleet: 'doors' })).toBe(false);
    expect(await standing('nobody')).toBeUndefined();
  });
});

describe('block and unblock', () => {
  it('change the state and nothing else, once, and say what was', async () => {
    const { state: _, blockedAt: __, blockReason: ___, ...terms } = { ...whole, deviceId: 'turned' };
    const active: Device = { ...terms, state: 'active' };
    const blocked: Device = { ...terms, state: 'blocked', blockedAt: now, blockReason: 'lost' };
    await registry().register(active);
    const before = (device: Device) => ({ deviceId: 'turned', device });
    expect(await records().block('turned', 'lost', now)).toEqual({ outcome: 'changed', before: before(active) });
    expect(await records().block('turned', 'another', now + 1)).toEqual({
      outcome: 'unchanged',
      before: before(blocked),
    });
    expect(await standing('turned')).toEqual(before(blocked));
    expect(await records().unblock('turned')).toEqual({ outcome: 'changed', before: before(blocked) });
    expect(await records().unblock('turned')).toEqual({ outcome: 'unchanged', before: before(active) });
    expect(await standing('turned')).toEqual(before(active));
  });

  it('of one that is not registered: nothing, and it says so', async () => {
    expect(await records().block('nobody', 'lost', now)).toEqual({ outcome: 'unknown' });
    expect(await records().unblock('nobody')).toEqual({ outcome: 'unknown' });
    expect(await item('nobody')).toBeUndefined();
  });

  it('work on a row that cannot be read: it is blocked all the same', async () => {
    await put({ deviceId: { S: 'odd' }, state: { S: 'Active' }, pinnedKeys: { S: 'x' } });
    expect(await records().block('odd', 'lost', now)).toMatchObject({
      outcome: 'changed',
      before: { state: 'blocked' },
    });
    expect(await item('odd')).toMatchObject({ state: { S: 'blocked' }, pinnedKeys: { S: 'x' } });
  });

  it('tell what stands when somebody comes between, and block it then', async () => {
    const wrapped = wrapClient(store.newClient());
    const overtaken = new DeviceRecords(wrapped.client, tables.devices);
    await records().register('contended', {}, now);
    await records().block('contended', 'first', now);
    // Between the update that finds it blocked and the read of what there is, it is unblocked.
    let isUpdated = false;
    wrapped.before(
      (command) => {
        const comesAfter = isUpdated;
        isUpdated ||= updates(tables.devices)(command);
        return comesAfter;
      },
      () => records().unblock('contended'),
    );
    expect(await overtaken.block('contended', 'second', now + 1)).toMatchObject({ outcome: 'changed' });
    expect(await item('contended')).toMatchObject({ state: { S: 'blocked' }, blockReason: { S: 'second' } });
  });

  it('is unavailable when DynamoDB is: nothing is taken for done', async () => {
    const wrapped = wrapClient(store.newClient());
    wrapped.fail(() => true, 'not-written');
    const away = new DeviceRecords(wrapped.client, tables.devices);
    await expect(away.block('turned', 'lost', now)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    await expect(new DeviceRecords(store.client, 'none').unblock('turned')).rejects.toMatchObject({
      code: 'STORE_REFUSED',
    });
  });
});

describe('find', () => {
  it('gives every device once, over pages and from where another reader ended', async () => {
    const own = Array.from({ length: 7 }, (_, index) => `paged-${index}`);
    for (const deviceId of own) await records().register(deviceId, {}, now);
    const all = await collect(records().find({ pageSize: 2 }));
    const ids = all.map(({ record }) => record.deviceId);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids).toEqual(expect.arrayContaining(own));
    const rest = await collect(records().find({ after: all[2]?.position, pageSize: 3 }));
    expect(rest.map(({ record }) => record.deviceId)).toEqual(ids.slice(3));
  });
});

it('get leaves out what is gone', async () => {
  await records().register('gone', {}, now);
  await store.client.send(new DeleteItemCommand({ TableName: tables.devices, Key: { deviceId: { S: 'gone' } } }));
  expect(await standing('gone')).toBeUndefined();
});

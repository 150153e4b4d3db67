import { type AttributeValue, BatchGetItemCommand, PutItemCommand } from '@aws-sdk/client-dynamodb';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type SenderRecord, SenderRecords } from '../../shared/ledger/sender-records.ts';
import { Senders } from '../../shared/ledger/senders.ts';
import { startTables, type Tables, tables } from '../support/tables.ts';
import { wrapClient } from '../support/wrapped-client.ts';

const now = Date.parse('2026-11-22T12:00:00Z');

let store: Tables;
beforeAll(async () => {
  store = await startTables();
});
afterAll(() => store.close());

const senders = () => new Senders(store.client, tables.senders);
const records = () => new SenderRecords(store.client, tables.senders);
const put = (Item: Record<string, AttributeValue>) =>
  store.client.send(new PutItemCommand({ TableName: tables.senders, Item }));

describe('Senders', () => {
  it('finds those that are registered, and asks for no empty id', async () => {
    await records().add({ principalId: 'AROAFOUND', fleets: ['doors'], profiles: '*' }, now);
    const found = await senders().find(['AROAFOUND', 'AROANOBODY', '', 'AROAFOUND'], now);
    expect(found.get('AROAFOUND')).toEqual({ principalId: 'AROAFOUND', fleets: ['doors'], profiles: '*' });
    expect(found.get('AROANOBODY')).toBeUndefined();
    expect(found.get('')).toBeUndefined();
  });

  it('sees a change after a minute, and a new row at once', async () => {
    const cached = senders();
    await records().add({ principalId: 'AROACACHED', fleets: '*', profiles: '*' }, now);
    const fleetsAt = async (time: number) => (await cached.find(['AROACACHED'], time)).get('AROACACHED')?.fleets;
    expect(await fleetsAt(now)).toBe('*');
    await records().remove('AROACACHED');
    expect(await fleetsAt(now + 59_999)).toBe('*');
    expect(await fleetsAt(now + 60_000)).toBeUndefined();
    await records().add({ principalId: 'AROACACHED', fleets: ['doors'], profiles: '*' }, now);
    expect(await fleetsAt(now + 60_001)).toEqual(['doors']);
  });

  it('findNow sees it at once, and so does whoever asks next', async () => {
    const cached = senders();
    await records().add({ principalId: 'AROANOW', fleets: '*', profiles: '*' }, now);
    await cached.find(['AROANOW'], now);
    await records().remove('AROANOW');
    expect((await cached.findNow(['AROANOW'], now)).get('AROANOW')).toBeUndefined();
    expect((await cached.find(['AROANOW'], now)).get('AROANOW')).toBeUndefined();
  });

  it('asks once for what it has read, whatever it is asked for with', async () => {
    const wrapped = wrapClient(store.newClient());
    await records().add({ principalId: 'AROAONCE', fleets: '*', profiles: '*' }, now);
    const cached = new Senders(wrapped.client, tables.senders);
    await cached.find(['AROAONCE', 'AROANOBODY'], now);
    await cached.find(['AROAONCE', 'AROANOBODY'], now + 1);
    const asked = wrapped.commands.map((command) =>
      command instanceof BatchGetItemCommand
        ? command.input.RequestItems?.[tables.senders]?.Keys?.map(({ principalId }) => principalId?.S)
        : command,
    );
    expect(asked).toEqual([['AROAONCE', 'AROANOBODY'], ['AROANOBODY']]);
  });

  it('says when it cannot', async () => {
    const wrapped = wrapClient(store.newClient());
    wrapped.fail(() => true, 'not-written', 2);
    const failing = new Senders(wrapped.client, tables.senders);
    await expect(failing.find(['AROAFOUND'], now)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    await expect(failing.findNow(['AROAFOUND'], now)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  });

  const row = { fleets: { S: '*' }, profiles: { L: [{ S: 'device-tls' }] } };
  it.each<readonly [string, Record<string, AttributeValue>, string]>([
    ['no fleets', { profiles: row.profiles }, 'no fleets'],
    ['no profiles', { fleets: row.fleets }, 'no profiles'],
    ['one fleet that is no list', { ...row, fleets: { S: 'doors' } }, 'no fleets'],
    ['fleets as a set', { ...row, fleets: { SS: ['doors'] } }, 'no fleets'],
    ['a list of numbers', { ...row, profiles: { L: [{ N: '1' }] } }, 'no profiles'],
    ['an attribute that is not known', { ...row, until: { S: '2026-11-22' } }, '"until"'],
  ])('throws for a row that has %s, and for that row alone', async (name, attributes, told) => {
    const principalId = `AROA${name}`;
    await put({ principalId: { S: principalId }, ...attributes });
    await records().add({ principalId: 'AROAGOOD', fleets: [], profiles: [] }, now);
    const found = await senders().find([principalId, 'AROAGOOD'], now);
    expect(() => found.get(principalId)).toThrow(told);
    expect(() => found.get(principalId)).toThrow(principalId);
    // Nothing is what it may, which is not everything.
    expect(found.get('AROAGOOD')).toEqual({ principalId: 'AROAGOOD', fleets: [], profiles: [] });
    expect((await records().get(principalId))?.held).toContain(told);
  });
});

describe('SenderRecords', () => {
  it('keep what is not said again, and say what was there', async () => {
    const entry = { principalId: 'AROAKEPT', fleets: ['doors', 'gates'], profiles: '*' } as const;
    const arn = 'arn:aws:iam::000000000000:role/gateway';
    expect(await records().add({ ...entry, arn, note: 'the north' }, now)).toBeUndefined();
    const first: SenderRecord = {
      principalId: 'AROAKEPT',
      held: { fleets: ['doors', 'gates'], profiles: '*' },
      arn,
      addedAt: now,
      note: 'the north',
    };
    expect(await records().get('AROAKEPT')).toEqual(first);
    expect(await records().add({ ...entry, fleets: '*', profiles: ['device-tls'] }, now + 1_000)).toEqual(first);
    const second = { ...first, held: { fleets: '*', profiles: ['device-tls'] } };
    expect(await records().get('AROAKEPT')).toEqual(second);
    expect(await records().remove('AROAKEPT')).toEqual(second);
    expect(await records().remove('AROAKEPT')).toBeUndefined();
    expect(await records().get('AROAKEPT')).toBeUndefined();
  });

  it('list all, a page at a time and from a place on', async () => {
    const ids = Array.from({ length: 7 }, (_, index) => `AROALIST${index}`);
    for (const principalId of ids) await records().add({ principalId, fleets: '*', profiles: '*' }, now);
    const all = [];
    for await (const placed of records().list({ pageSize: 2 })) all.push(placed);
    const listed = all.map(({ sender }) => sender.principalId);
    expect(listed).toEqual(expect.arrayContaining(ids));
    expect(new Set(listed).size).toBe(listed.length);
    const rest = [];
    for await (const { sender } of records().list({ after: all[2]?.position })) rest.push(sender.principalId);
    expect(rest).toEqual(listed.slice(3));
  });

  it('say when they cannot', async () => {
    const nowhere = new SenderRecords(store.client, 'no-such-table');
    const entry = { principalId: 'AROA', fleets: '*', profiles: '*' } as const;
    await expect(nowhere.add(entry, now)).rejects.toMatchObject({ code: 'STORE_REFUSED' });
    await expect(nowhere.remove('AROA')).rejects.toMatchObject({ code: 'STORE_REFUSED' });
    await expect(nowhere.get('AROA')).rejects.toMatchObject({ code: 'STORE_REFUSED' });
    await expect(nowhere.list().next()).rejects.toMatchObject({ code: 'STORE_REFUSED' });
  });
});

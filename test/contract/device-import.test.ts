import { type DynamoDBClient, UpdateItemCommand } from '@aws-sdk/client-dynamodb';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type Existing,
  FileChanged,
  type ImportedDevice,
  type ImportOptions,
  importRegistrations,
} from '../../shared/devices/import.ts';
import { registrationsIn } from '../../shared/devices/registration-file.ts';
import { DeviceRecords } from '../../shared/ledger/device-records.ts';
import { type Device, Devices } from '../../shared/ledger/devices.ts';
import { startTables, type Tables, tables } from '../support/tables.ts';
import { updates, wrapClient } from '../support/wrapped-client.ts';

const now = Date.parse('2026-11-22T23:59:00Z');

let store: Tables;

beforeAll(async () => {
  store = await startTables();
});

afterAll(() => store.close());

const registry = () => new Devices(store.client, tables.devices);
const device = async (deviceId: string) => (await registry().findNow([deviceId], now)).get(deviceId);

async function* bytesOf(lines: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const line of lines) yield Buffer.from(`${line}\n`);
}

interface Run {
  readonly existing?: Existing;
  readonly client?: DynamoDBClient;
  readonly over?: Partial<ImportOptions>;
}

/** Imports a CSV file with the fields deviceId and fleet. @returns what was told, by device */
async function run(rows: readonly string[], { existing = 'update', client = store.client, over = {} }: Run = {}) {
  const told: ImportedDevice[] = [];
  const waits: number[] = [];
  const error: unknown = await importRegistrations(registrationsIn(bytesOf(['deviceId,fleet', ...rows]), 'csv'), {
    records: new DeviceRecords(client, tables.devices),
    existing,
    isDryRun: false,
    onImported: (devices) => told.push(...devices),
    backoff: { random: () => 0.5, wait: async (milliseconds) => waits.push(milliseconds) },
    until: new AbortController().signal,
    now: () => now,
    ...over,
  }).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  return { told: told.toSorted((one, other) => one.line - other.line), waits, error };
}

const outcomes = ({ told }: Awaited<ReturnType<typeof run>>) =>
  Object.fromEntries(told.map(({ deviceId, outcome }) => [deviceId, outcome]));

const rowsOf = (name: string, count: number) => Array.from({ length: count }, (_, index) => `${name}-${index},doors`);

describe('an import', () => {
  it('registers what is not there, and is the same when it is run again', async () => {
    const rows = rowsOf('fresh', 100);
    expect(new Set(Object.values(outcomes(await run(rows))))).toEqual(new Set(['registered']));
    expect(await device('fresh-99')).toEqual({
      deviceId: 'fresh-99',
      state: 'active',
      fleet: 'doors',
      registeredAt: now,
    });
    const { client, commands } = wrapClient(store.newClient());
    const again = await run(rows, { client });
    expect(again.told).toHaveLength(100);
    expect(new Set(Object.values(outcomes(again)))).toEqual(new Set(['unchanged']));
    expect(commands.filter(updates(tables.devices))).toEqual([]);
  });

  it.each([
    ['update', 'updated', 'gates', undefined],
    ['skip', 'skipped', 'doors', undefined],
    ['refuse', 'refused', 'doors', 'It is registered with another fleet.'],
  ] as const)('%ss a device that is registered otherwise', async (existing, outcome, fleet, reason) => {
    const deviceId = `otherwise-${existing}`;
    await registry().register({ deviceId, state: 'active', fleet: 'doors', pinnedKeys: ['ab'] });
    const { told } = await run([`${deviceId},gates`], { existing });
    expect(told).toEqual([
      { line: 2, deviceId, outcome, isBlocked: false, ...(reason === undefined ? {} : { reason }) },
    ]);
    expect(await device(deviceId)).toEqual({ deviceId, state: 'active', fleet, pinnedKeys: ['ab'] });
    // What stands as the file has it is none of these.
    expect(outcomes(await run([`${deviceId},${fleet}`], { existing }))).toEqual({ [deviceId]: 'unchanged' });
  });

  it('leaves alone what an empty cell says nothing of, and takes away what - names', async () => {
    await registry().register({ deviceId: 'silent', state: 'active', fleet: 'doors' });
    expect(outcomes(await run(['silent,']))).toEqual({ silent: 'unchanged' });
    expect(outcomes(await run(['silent,-']))).toEqual({ silent: 'updated' });
    expect(await device('silent')).toEqual({ deviceId: 'silent', state: 'active' });
    expect(outcomes(await run(['silent,-', 'never,-']))).toEqual({ silent: 'unchanged', never: 'registered' });
    expect(await device('never')).toEqual({ deviceId: 'never', state: 'active', registeredAt: now });
  });

  it('never unblocks: not one that it changes, nor one that is blocked while it runs', async () => {
    const blocked: Device = {
      deviceId: 'blocked',
      state: 'blocked',
      blockedAt: now,
      blockReason: 'stolen',
      fleet: 'doors',
    };
    await registry().register(blocked);
    await registry().register({ deviceId: 'meanwhile', state: 'active' });
    const wrapped = wrapClient(store.newClient());
    wrapped.before(updates(tables.devices), () =>
      new DeviceRecords(store.client, tables.devices).block('meanwhile', 'lost', now),
    );
    const { told } = await run(['blocked,gates', 'meanwhile,gates'], { client: wrapped.client });
    expect(told).toMatchObject([
      { outcome: 'updated', isBlocked: true },
      { outcome: 'updated', isBlocked: false },
    ]);
    expect(await device('blocked')).toEqual({ ...blocked, fleet: 'gates' });
    expect(await device('meanwhile')).toMatchObject({ state: 'blocked', fleet: 'gates', blockReason: 'lost' });
  });

  it('decides anew where somebody was faster', async () => {
    const wrapped = wrapClient(store.newClient());
    wrapped.before(updates(tables.devices), () =>
      registry().register({ deviceId: 'raced', state: 'blocked', fleet: 'x' }),
    );
    const { told } = await run(['raced,doors'], { existing: 'refuse', client: wrapped.client });
    expect(told).toMatchObject([{ deviceId: 'raced', outcome: 'refused', isBlocked: true }]);
    expect(await device('raced')).toEqual({ deviceId: 'raced', state: 'blocked', fleet: 'x' });
  });

  it('refuses to touch a row that it cannot read', async () => {
    const odd = { TableName: tables.devices, Key: { deviceId: { S: 'odd' } } };
    await store.client.send(
      new UpdateItemCommand({
        ...odd,
        UpdateExpression: 'SET #state = :active, pinnedKeys = :active',
        ExpressionAttributeNames: { '#state': 'state' },
        ExpressionAttributeValues: { ':active': { S: 'active' } },
      }),
    );
    expect((await run(['odd,doors'])).told).toMatchObject([
      { deviceId: 'odd', outcome: 'refused', reason: expect.stringContaining('pinnedKeys') },
    ]);
  });

  it('writes nothing in a dry run, and tells the same', async () => {
    await registry().register({ deviceId: 'dry-1', state: 'active', fleet: 'gates' });
    const { client, commands } = wrapClient(store.newClient());
    const dry = await run(['dry-1,doors', 'dry-2,doors'], { client, over: { isDryRun: true } });
    expect(outcomes(dry)).toEqual({ 'dry-1': 'updated', 'dry-2': 'registered' });
    expect(commands.filter(updates(tables.devices))).toEqual([]);
    expect(outcomes(await run(['dry-1,doors', 'dry-2,doors']))).toEqual(outcomes(dry));
  });

  it('that is interrupted has done what it told, and another one goes on', async () => {
    const interrupted = new AbortController();
    const rows = rowsOf('cut', 200);
    const told: ImportedDevice[] = [];
    const { error } = await run(rows, {
      over: {
        until: interrupted.signal,
        onImported: (devices) => {
          told.push(...devices);
          interrupted.abort();
        },
      },
    });
    expect(error).toBeUndefined();
    expect(told.length).toBeGreaterThan(0);
    expect(told.length).toBeLessThan(200);
    const rest = await run(rows);
    const unchanged = rest.told.filter(({ outcome }) => outcome === 'unchanged').map(({ deviceId }) => deviceId);
    expect(unchanged.toSorted()).toEqual(told.map(({ deviceId }) => deviceId).toSorted());
    expect(rest.told).toHaveLength(200);
  });

  it('ends at a call that fails, after what had begun; another one goes on', async () => {
    const wrapped = wrapClient(store.newClient());
    const rows = rowsOf('away', 100);
    wrapped.fail((command) => updates(tables.devices)(command) && wrapped.commands.length > 40, 'reply-lost');
    const { told, error } = await run(rows, { client: wrapped.client });
    expect(error).toMatchObject({ code: 'STORE_UNAVAILABLE' });
    const rest = outcomes(await run(rows));
    expect(Object.keys(rest)).toHaveLength(100);
    for (const { deviceId } of told) expect(rest[deviceId]).toBe('unchanged');
  });

  it('waits for a throttled table, longer each time, and for no other trouble', async () => {
    const throttled = (times: number) => {
      const client = store.newClient();
      const send = client.send.bind(client) as (command: object) => Promise<unknown>;
      let left = times;
      client.send = (async (command: object) => {
        if (!updates(tables.devices)(command) || left-- <= 0) return send(command);
        throw Object.assign(new Error('slow down'), { name: 'ThrottlingException' });
      }) as typeof client.send;
      return client;
    };
    const patient = await run(['slow-1,doors'], { client: throttled(9) });
    expect(patient.error).toBeUndefined();
    expect(patient.waits).toEqual([25, 50, 100, 200, 400, 800, 1_600, 2_500, 2_500]);
    const beyond = await run(['slow-2,doors'], { client: throttled(10) });
    expect(beyond.error).toMatchObject({ code: 'STORE_UNAVAILABLE' });
    const wrapped = wrapClient(store.newClient());
    wrapped.fail(() => true, 'not-written');
    const away = await run(['slow-3,doors'], { client: wrapped.client });
    expect(away).toMatchObject({ error: { code: 'STORE_UNAVAILABLE' }, waits: [] });
  });

  it('has no more than 48 calls open', async () => {
    const client = store.newClient();
    const send = client.send.bind(client) as (command: object) => Promise<unknown>;
    let [open, most] = [0, 0];
    client.send = (async (command: object) => {
      open += 1;
      most = Math.max(most, open);
      return send(command).finally(() => {
        open -= 1;
      });
    }) as typeof client.send;
    await run(rowsOf('many', 300), { client });
    expect(most).toBeGreaterThanOrEqual(12);
    expect(most).toBeLessThanOrEqual(48);
  });

  it('ends at a line that cannot have been in the file when it was checked', async () => {
    const { error } = await run(['fine,doors', 'not fine,doors']);
    expect(error).toBeInstanceOf(FileChanged);
    expect(error).toMatchObject({ line: 3 });
  });
});

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Devices } from '../../shared/ledger/devices.ts';
import { runOnTables } from '../support/command-on-tables.ts';
import { deviceTlsYaml } from '../support/profile.ts';
import { startTables, type Tables, tables } from '../support/tables.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

/** What `mintmark senders add` says of names that nothing has. */

const now = Date.parse('2026-11-22T12:00:00Z');
const folder = temporaryFolder('sender-warnings');
writeFileSync(join(folder, 'device-tls.yaml'), deviceTlsYaml);

let store: Tables;
beforeAll(async () => {
  store = await startTables();
  const devices = new Devices(store.client, tables.devices);
  await devices.register({ deviceId: 'door-7', state: 'active', fleet: 'doors' });
  await devices.register({ deviceId: 'of-none', state: 'active' });
});
afterAll(() => store.close());

const add = (...words: readonly string[]) =>
  runOnTables(store, () => now, 'senders', 'add', 'AROAGATEWAY', ...words, '--profiles', folder);

describe('senders add', () => {
  it('is silent on profiles and fleets that there are, and on all of them', async () => {
    expect(await add('--fleet', 'doors', '--profile', 'device-tls')).toMatchObject({
      exitCode: 0,
      json: { change: 'added', warnings: [] },
    });
    expect(await add('--all-fleets', '--all-profiles')).toMatchObject({ exitCode: 0, json: { warnings: [] } });
  });

  it('warns of those that there are not, which may be yet to come', async () => {
    const { exitCode, json, lines } = await add('--fleet', 'doors', '--fleet', 'dors', '--profile', 'device-tsl');
    const warnings = [
      'Of the profiles that were read (device-tls) none is called device-tsl.',
      'No device is registered of the fleet dors.',
    ];
    expect([exitCode, json]).toEqual([0, expect.objectContaining({ change: 'changed', warnings })]);
    expect(lines.slice(-2)).toEqual(warnings);
  });
});

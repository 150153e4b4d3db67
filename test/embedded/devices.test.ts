import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { PutItemCommand } from '@aws-sdk/client-dynamodb';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generateEcKey } from '../fixtures/csr/make.ts';
import { TestCloud } from '../support/embedded-cloud.ts';
import { makePemCsr } from '../support/embedded-openssl.ts';
import { MintmarkCommand } from '../support/mintmark-command.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const key = generateEcKey('P-256');
const folder = temporaryFolder('devices');

let cloud: TestCloud;
beforeAll(async () => {
  cloud = await TestCloud.start();
});
afterAll(() => cloud.stop());

const mintmark = new MintmarkCommand(() => ({ HOME: folder, ...cloud.local.cloud.environment }));
const run = mintmark.run.bind(mintmark);
const json = mintmark.json.bind(mintmark);

function file(name: string, content: string): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

const registered = async (deviceId: string) => {
  const { value } = await json('devices', 'show', deviceId);
  return (value as { device: object | null }).device;
};

const tableOf = (logicalId: string) => cloud.local.cloud.resources[logicalId]?.ref;

describe('import', () => {
  it('a CSV file: counts, progress, and the same again changes nothing', async () => {
    const rows = Array.from({ length: 40 }, (_, index) => `import-${index},doors,DNS:import-${index}.example.com\n`);
    const path = file('import.csv', `deviceId,fleet,allowedNames\n${rows.join('')}`);
    const dry = await run(['devices', 'import', path, '--dry-run']);
    expect(dry).toMatchObject({ code: 0, stdout: expect.stringContaining('It would be: 40 registered, 0 updated') });
    expect(await registered('import-7')).toBeNull();
    const first = await run(['devices', 'import', path]);
    expect(first).toMatchObject({
      code: 0,
      stdout: '40 registered, 0 updated, 0 unchanged, 0 skipped, 0 refused.\n',
      stderr: expect.stringContaining('40/40 imported'),
    });
    expect(await registered('import-7')).toEqual({
      deviceId: 'import-7',
      state: 'active',
      fleet: 'doors',
      allowedNames: ['DNS:import-7.example.com'],
      registeredAt: expect.stringMatching(/Z$/),
    });
    const again = await json('devices', 'import', path);
    expect(again).toMatchObject({
      code: 0,
      value: { devices: 40, registered: 0, unchanged: 40, open: 0, refusals: [] },
    });
  });

  it('--existing refuse: the others are registered, exit 1, and it is said which and why', async () => {
    await run(['devices', 'import', file('one.csv', 'deviceId,fleet\nrefused-1,doors\n')]);
    const path = file('refused.jsonl', '{"deviceId":"refused-1","fleet":"gates"}\n{"deviceId":"refused-2"}\n');
    const { code, value } = await json('devices', 'import', path, '--existing', 'refuse');
    expect(code).toBe(1);
    expect(value).toMatchObject({
      registered: 1,
      refused: 1,
      refusals: [{ line: 1, deviceId: 'refused-1', reason: 'It is registered with another fleet.' }],
    });
    expect(await registered('refused-2')).toMatchObject({ state: 'active' });
  });

  it('from stdin, which is read once and leaves nothing behind', async () => {
    const command = fileURLToPath(new URL('../../local/setup/mintmark.mjs', import.meta.url));
    const left = () => readdirSync(tmpdir()).filter((name) => name.startsWith('mintmark-devices-'));
    const before = left();
    const child = spawn(process.execPath, [command, 'devices', 'import', '-', '--format', 'csv', '--json'], {
      env: { PATH: process.env['PATH'], HOME: folder, ...cloud.local.cloud.environment },
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    child.stdin.end('deviceId\nfrom-stdin\n');
    const [stdout, [code]] = await Promise.all([text(child.stdout), once(child, 'close') as Promise<[number]>]);
    expect({ code, value: JSON.parse(stdout) as unknown }).toMatchObject({
      code: 0,
      value: { file: 'stdin', registered: 1 },
    });
    expect(left()).toEqual(before);
  });

  it('a file that is wrong anywhere: each line and field, exit 2, and nothing of it is written', async () => {
    const path = file('wrong.csv', 'deviceId,fleet,pinnedKeys\nwrong-1,,\nwrong-2,a b,abcd\nwrong-1,,\n');
    const ended = await run(['devices', 'import', path]);
    expect(ended.code).toBe(2);
    expect(ended.stderr).toMatch(/^mintmark: 3 things are wrong in .*wrong\.csv; nothing was written\. [^\n]*\n$/);
    expect(ended.stdout).toMatch(/^3 +9 +fleet +"a b" is no fleet name; expected: /m);
    expect(ended.stdout).toMatch(/^3 +13 +pinnedKeys +"abcd" is no SHA-256 .*64 hex digits\.$/m);
    expect(ended.stdout).toMatch(/^4 +deviceId +wrong-1 is on line 2 already/m);
    expect(await registered('wrong-1')).toBeNull();
    expect(await json('devices', 'import', path)).toMatchObject({
      code: 2,
      value: { error: { message: expect.any(String) }, problemCount: 3, problems: [{ line: 3, column: 9 }, {}, {}] },
    });
  });

  const wrong: readonly (readonly [what: string, args: readonly string[], told: RegExp])[] = [
    ['no file', [], /Missing required argument/],
    ['a file that is not there', [join(folder, 'none.csv')], /There is no such file/],
    ['a folder', [folder, '--format', 'csv'], /This is a folder/],
    ['a file that does not say what it is', [file('devices.txt', 'deviceId\n')], /--format csv or --format jsonl/],
    ['stdin that does not say what it is', ['-'], /stdin does not say what it is/],
    ['a format that is none', ['-', '--format', 'xml'], /Allowed choices/],
    ['a choice that is none', [file('x.csv', 'deviceId\nx\n'), '--existing', 'replace'], /Allowed choices/],
  ];
  it.each(wrong)('wrong use: %s', async (_, args, told) => {
    const ended = await run(['devices', 'import', ...args]);
    expect(ended).toMatchObject({ code: 2, stdout: '' });
    expect(ended.stderr).toMatch(told);
    expect(ended.stderr).toMatch(/^mintmark: [^\n]*\n$/);
  });
});

describe('list', () => {
  it('by fleet and state, in pages', async () => {
    const rows = Array.from({ length: 5 }, (_, index) => `listed-${index},list-fleet\n`);
    await run(['devices', 'import', file('listed.csv', `deviceId,fleet\n${rows.join('')}`)]);
    await run(['devices', 'block', 'listed-3', '--reason', 'lost']);
    const ids = (value: unknown) => (value as { devices: { deviceId: string }[] }).devices.map((one) => one.deviceId);
    const all = await json('devices', 'list', '--fleet', 'list-fleet');
    expect(ids(all.value).toSorted()).toEqual(rows.map((_, index) => `listed-${index}`));
    const blocked = await json('devices', 'list', '--fleet', 'list-fleet', '--state', 'blocked');
    expect(blocked.value).toMatchObject({ devices: [{ deviceId: 'listed-3', blockReason: 'lost' }], cursor: null });
    const found: string[] = [];
    let cursor: string | null = null;
    do {
      const { value } = await json(
        'devices',
        'list',
        '--limit',
        '20',
        ...(cursor === null ? [] : ['--cursor', cursor]),
      );
      found.push(...ids(value));
      ({ cursor } = value as { cursor: string | null });
    } while (cursor !== null);
    expect(new Set(found).size).toBe(found.length);
    expect(found).toEqual(expect.arrayContaining(ids(all.value)));
    expect(await run(['devices', 'list', '--fleet', 'nobodys'])).toMatchObject({ code: 0, stdout: 'No devices.\n' });
    expect((await run(['devices', 'list', '--cursor', 'x'])).stderr).toMatch(/--cursor is not one/);
  });

  it('shows a row that cannot be read as such, and all others', async () => {
    const Item = { deviceId: { S: 'broken-row' }, state: { S: 'active' }, pinnedKeys: { S: 'x' } };
    await cloud.local.clients.dynamoDB.send(new PutItemCommand({ TableName: tableOf('DevicesTable'), Item }));
    const ended = await run(['devices', 'list', '--limit', '1000']);
    expect(ended.code).toBe(0);
    expect(ended.stdout).toMatch(/^broken-row +unreadable .*pinnedKeys/m);
    expect(await registered('broken-row')).toMatchObject({
      problem: expect.stringContaining('Nothing is issued to it.'),
    });
  });
});

describe('show', () => {
  it('the registration, the requests by state, what is live, and who may enrol it', async () => {
    await run(['devices', 'import', file('shown.csv', 'deviceId,fleet\nshown,show-fleet\n')]);
    const csr = file('shown.csr', makePemCsr(key, 'shown'));
    const { value } = await json('request', csr, '--wait');
    const [{ serialNumber } = { serialNumber: '' }] = (value as { requests: { serialNumber: string }[] }).requests;
    const { code, value: shown } = await json('devices', 'show', 'shown');
    expect(code).toBe(0);
    expect(shown).toMatchObject({
      device: { deviceId: 'shown', state: 'active', fleet: 'show-fleet' },
      requests: { issued: 1 },
      liveCertificates: [{ serialNumber, issuerId: 'devices', notAfter: expect.stringMatching(/Z$/) }],
      othersMay: 'as the profile says',
    });
    const ended = await run(['devices', 'show', 'shown']);
    expect(ended.stdout).toMatch(/^fleet +show-fleet$/m);
    expect(ended.stdout).toContain('Requests: 1 issued.');
    expect(ended.stdout).toMatch(new RegExp(`^${serialNumber} +devices +device-tls +\\d{4}-`, 'm'));
  });

  it('of what is not there: exit 1', async () => {
    const { code, value } = await json('devices', 'show', 'nobody');
    expect(code).toBe(1);
    expect(value).toMatchObject({ device: null, requests: {}, liveCertificates: [], registeredSenders: null });
  });
});

describe('block and unblock', () => {
  it('say what was changed and when it takes effect; a request of a blocked device is rejected', async () => {
    const deviceId = 'turned';
    await run(['devices', 'import', file('turned.csv', `deviceId\n${deviceId}\n`)]);
    const blocked = await run(['devices', 'block', deviceId, '--reason', 'stolen \u001b[31m']);
    expect(blocked).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^turned was active and is blocked\.\nIt takes effect within 60 seconds/),
    });
    const again = await json('devices', 'block', deviceId, 'nobody', '--reason', 'another');
    expect(again).toMatchObject({
      code: 1,
      value: {
        devices: [
          { deviceId, outcome: 'unchanged' },
          { deviceId: 'nobody', outcome: 'unknown' },
        ],
      },
    });
    const twice = await run(['devices', 'block', deviceId, '--reason', 'another']);
    expect(twice.stdout).toMatch(/^turned is blocked already since .*Z: stolen \?\[31m\n$/);
    const csr = file(`${deviceId}.csr`, makePemCsr(key, deviceId));
    expect(await json('request', csr, '--wait')).toMatchObject({
      code: 1,
      value: { requests: [{ status: 'rejected', code: 'DEVICE_BLOCKED' }] },
    });
    const unblocked = await run(['devices', 'unblock', deviceId]);
    expect(unblocked.stdout).toMatch(/^turned is active; it was blocked since .*: stolen/);
    expect(await registered(deviceId)).not.toHaveProperty('blockReason');
    expect(await run(['devices', 'unblock', deviceId])).toMatchObject({
      code: 0,
      stdout: 'turned is active already.\n',
    });
  });

  it('--reason is asked for', async () => {
    expect(await run(['devices', 'block', 'x'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--reason'),
    });
    expect(await run(['devices', 'block', 'x', '--reason', ''])).toMatchObject({ code: 2 });
  });
});

// At the end: the lists above would have more to read.
describe('an import of many', () => {
  it('that is interrupted says what is left, exit 130, and goes on when it is run again', async () => {
    const rows = Array.from({ length: 500 }, (_, index) => `cut-${index}\n`);
    const path = file('cut.csv', `deviceId\n${rows.join('')}`);
    const child = mintmark.start(['devices', 'import', path, '--json']);
    child.stderr.once('data', () => child.kill('SIGINT'));
    const [stdout, [code]] = await Promise.all([text(child.stdout), once(child, 'close') as Promise<[number]>]);
    const { registered: done, open } = JSON.parse(stdout) as { registered: number; open: number };
    expect({ code, all: done + open }).toEqual({ code: 130, all: 500 });
    expect(open).toBeGreaterThan(0);
    expect(await json('devices', 'import', path)).toMatchObject({
      code: 0,
      value: { registered: open, unchanged: done, open: 0 },
    });
  });
});

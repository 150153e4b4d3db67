import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ScanCommand } from '@aws-sdk/client-dynamodb';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generateEcKey, generateRsaKey } from '../fixtures/csr/make.ts';
import { TestCloud } from '../support/embedded-cloud.ts';
import { makePemCsr } from '../support/embedded-openssl.ts';
import { MintmarkCommand } from '../support/mintmark-command.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const folder = temporaryFolder('keys');

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

interface Asked {
  readonly status: string;
  readonly code?: string;
  readonly serialNumber?: string;
}

/** What a registered device gets for a key. */
async function ask(deviceId: string, key: string, ...args: readonly string[]): Promise<Asked | undefined> {
  const path = file(`${deviceId}.csr`, makePemCsr(key, deviceId));
  const { value } = await json('request', path, '--wait', ...args);
  return (value as { requests: Asked[] }).requests[0];
}

interface Shown {
  readonly keys: readonly { readonly spkiSha256: string; readonly state: string }[];
}

const shown = async (...args: readonly string[]) => {
  const { code, value } = await json('keys', 'show', ...args);
  return { code, keys: (value as Shown).keys };
};

describe('a leaked private key', () => {
  it('is blocked by its file, certified no more, and again once that is taken back', async () => {
    const deviceId = await cloud.newDevice('leaked');
    const leaked = generateEcKey('P-256');
    const path = file('leaked.key', leaked);
    expect(await shown(path)).toMatchObject({ code: 1, keys: [{ state: 'free' }] });

    const blocked = await run(['keys', 'block', path, '--reason', 'in a public repository']);
    expect(blocked).toMatchObject({ code: 0, stdout: expect.stringContaining('is blocked.') });
    const again = await run(['keys', 'block', path, '--reason', 'once more']);
    expect(again).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/is blocked already since .*Z: in a public repository/),
    });
    expect(await ask(deviceId, leaked)).toMatchObject({ status: 'rejected', code: 'KEY_COMPROMISED' });
    const { keys } = await shown(path);
    expect(keys).toMatchObject([{ state: 'compromised', compromise: { reason: 'in a public repository' } }]);

    const [hash = ''] = keys.map(({ spkiSha256 }) => spkiSha256);
    expect(await run(['keys', 'unblock', hash])).toMatchObject({ code: 0 });
    expect(await shown(hash)).toMatchObject({ code: 0, keys: [{ state: 'free', compromise: { state: 'cleared' } }] });
    expect(await ask(deviceId, leaked, '--again', '1')).toMatchObject({ status: 'issued' });
  });

  it('is neither stored nor shown, beyond the hash of its public part', async () => {
    const keys = [generateEcKey('P-384'), generateRsaKey(2048)];
    const paths = keys.map((key, index) => file(`secret-${index}.key`, key));
    const said = [
      await run(['keys', 'block', ...paths, '--reason', 'test']),
      await run(['keys', 'show', ...paths, '--json']),
      await run(['keys', 'unblock', ...paths, '--json']),
    ];
    expect(said.map(({ code }) => code)).toEqual([0, 0, 0]);
    expect(said[0]?.stderr).toContain('2/2 blocked');
    const scan = new ScanCommand({ TableName: cloud.local.cloud.resources['KeysTable']?.ref });
    const rows = JSON.stringify((await cloud.local.clients.dynamoDB.send(scan)).Items);
    expect(rows).toContain('compromised#');
    const everything = [rows, ...said.flatMap(({ stdout, stderr }) => [stdout, stderr])].join('\n');
    for (const key of keys) {
      const lines = key.split('\n').filter((line) => line.length > 20 && !line.startsWith('-'));
      expect(lines.length).toBeGreaterThan(0);
      for (const line of lines) expect(everything).not.toContain(line.slice(0, 20));
    }
  });
});

describe('a key in two devices, by a profile that lets none be', () => {
  it('is certified for the first, and shown as its own with the certificate', async () => {
    const [one, two] = [await cloud.newDevice('one'), await cloud.newDevice('two')];
    const key = generateEcKey('P-256');
    const first = await ask(one, key, '--profile', 'code-signing');
    expect(first).toMatchObject({ status: 'issued' });
    expect(await ask(two, key, '--profile', 'code-signing')).toMatchObject({ status: 'rejected', code: 'KEY_REUSED' });
    expect(await shown(join(folder, `${one}.csr`))).toMatchObject({
      code: 0,
      keys: [{ state: 'live', holder: { deviceId: one }, certificates: [{ serialNumber: first?.serialNumber }] }],
    });
    const told = await run(['keys', 'show', join(folder, `${two}.csr`)]);
    expect(told.stdout).toMatch(new RegExp(`^device +${one}$`, 'm'));
  });
});

describe('bad input', () => {
  it('ends with 2, names everything that is wrong, and writes nothing', async () => {
    const good = file('good.key', generateEcKey('P-256'));
    const text = file('letter.txt', 'Dear colleagues');
    const ended = await run(['keys', 'block', good, text, 'nowhere.pem', '--reason', 'test']);
    expect(ended).toMatchObject({ code: 2, stdout: '' });
    expect(ended.stderr).toContain(`${text}: It holds no key that can be read.`);
    expect(ended.stderr).toContain('nowhere.pem: There is no such file.');
    expect(await shown(good)).toMatchObject({ code: 1 });
  });

  it.each([
    ['no reason', ['keys', 'block', 'ab'.repeat(32)]],
    ['an empty reason', ['keys', 'block', 'ab'.repeat(32), '--reason', '']],
    ['no key', ['keys', 'show']],
    ['a folder', ['keys', 'unblock', folder]],
  ])('%s', async (_, args) => {
    expect(await run(args)).toMatchObject({ code: 2, stdout: '' });
  });

  it('a key that was never blocked is not unblocked: 1', async () => {
    expect(await run(['keys', 'unblock', 'cd'.repeat(32)])).toMatchObject({
      code: 1,
      stdout: expect.stringContaining('was never blocked'),
    });
  });
});

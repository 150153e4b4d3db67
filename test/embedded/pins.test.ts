import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type DynamoDBClient, paginateScan } from '@aws-sdk/client-dynamodb';
import { KMSClient, ListAliasesCommand } from '@aws-sdk/client-kms';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readInstalled } from '../../local/setup/installed.ts';
import { withToken } from '../../local/softhsm/token.ts';
import { Issuers } from '../../shared/ledger/issuers.ts';
import { unsealPin } from '../../shared/signer/pin.ts';
import { generateEcKey } from '../fixtures/csr/make.ts';
import { bodyOf, TestCloud } from '../support/embedded-cloud.ts';
import { makePemCsr } from '../support/embedded-openssl.ts';
import { type Ended, MintmarkCommand } from '../support/mintmark-command.ts';
import { processesWhose } from '../support/proc.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

/**
 * `mintmark pin` as processes, on a cloud whose functions log in with what it seals. A SoftHSM2 token has one user, so the
 * second crypto user is the token's under another PIN: whoever is logged in stays so, and the PIN of before opens nothing.
 */

const folder = temporaryFolder('pins');
const key = generateEcKey('P-256');
/** In nothing that is not sealed. */
const recognisable = 'Unmistakable-7c1f';
const secondPin = `crypto_user_2:${recognisable}`;
const canaryPin = `canary_user_2:${recognisable}`;

let cloud: TestCloud;
let kms: KMSClient;
let firstPin: string;
let keyArn: string;
const ended: (Ended & { readonly words: string })[] = [];

const environment = () => cloud.local.cloud.environment;
const region = () => environment()['AWS_REGION'] ?? '';
const issuersTable = () => cloud.local.cloud.resources['IssuersTable']?.ref ?? '';
const mark = `PINS_TEST_${process.pid}`;
const mintmark = new MintmarkCommand(() => ({ HOME: folder, [mark]: '1', ...environment() }));

beforeAll(async () => {
  cloud = await TestCloud.start({ issueConcurrency: '1' });
  const credentials = { accessKeyId: 'LOCALOPERATOR', secretAccessKey: 'local' };
  kms = new KMSClient({ endpoint: cloud.local.stubEndpoint, region: region(), credentials });
  const issuer = await new Issuers(cloud.local.clients.dynamoDB, issuersTable()).read('devices');
  const purpose = { clusterId: issuer?.clusterId ?? '', issuerId: 'devices', stage: 'local' };
  firstPin = Buffer.from(await unsealPin(kms, issuer?.sealedPins[region()] ?? new Uint8Array(), purpose)).toString();
  const { Aliases: aliases = [] } = await kms.send(new ListAliasesCommand({}));
  const [sealing] = aliases.filter(({ AliasName: name }) => name === 'alias/mintmark-sealing');
  keyArn = `${(sealing?.AliasArn ?? '').split(':').slice(0, 5).join(':')}:key/${sealing?.TargetKeyId}`;
});
afterAll(async () => {
  kms?.destroy();
  await cloud?.stop();
});

/** What other processes of this user see of a command while it waits for the end of its stdin. */
interface Seen {
  readonly environments: string;
  readonly commandLines: string;
}
const seen: Seen[] = [];

/** @param input through the pipe; the processes are looked at before it ends */
async function pin(input: string, ...words: readonly string[]): Promise<Ended> {
  const child = mintmark.startPiped(['pin', ...words]);
  const [stdout, stderr, closed] = [text(child.stdout), text(child.stderr), once(child, 'close')];
  // One that ends without having read has no use for it.
  child.stdin.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
  child.stdin.write(input);
  if (existsSync('/proc/self/environ')) {
    const look = () => {
      const pids = processesWhose((environ) => environ.includes(`${mark}=`));
      const read = (name: string) => pids.map((pid) => procFile(pid, name)).join('\n');
      return { environments: read('environ'), commandLines: read('cmdline') };
    };
    // The command's own process is the child of what is started here.
    const running = () => child.exitCode !== null || look().commandLines.includes('main.ts');
    await cloud.until(running, `${words.join(' ')} as a process`);
    seen.push(look());
  }
  child.stdin.end();
  const [code] = (await closed) as [number | null];
  const result = { code, stdout: await stdout, stderr: await stderr };
  ended.push({ ...result, words: words.join(' ') });
  return result;
}

function procFile(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'latin1');
  } catch (error) {
    if (['ENOENT', 'ESRCH', 'EACCES'].includes((error as NodeJS.ErrnoException).code ?? '')) return '';
    throw error;
  }
}

const json = async (input: string, ...words: readonly string[]) => {
  const { code, stdout } = await pin(input, ...words, '--json');
  return { code, value: JSON.parse(stdout) as unknown };
};

async function request(name: string): Promise<{ readonly pid: number; readonly outcomes: readonly string[] }> {
  const deviceId = await cloud.newDevice(name);
  const messageId = await cloud.send(bodyOf({ deviceId, requestId: 'r', csr: makePemCsr(key, deviceId) }));
  const { pid } = await cloud.ended(messageId);
  const outcomes = cloud.outcomesOf(messageId).map(({ message, code }) => code ?? message);
  // It is free for the next request when it has answered for this one.
  await cloud.drained();
  return { pid, outcomes };
}

async function endEnvironments(): Promise<void> {
  const running = () => cloud.local.cloud.functions['issue']?.pids() ?? [];
  const before = running();
  for (const pid of before) process.kill(pid, 'SIGKILL');
  await cloud.until(() => !running().some((pid) => before.includes(pid)), 'end of the environments');
}

function setPassword(from: string, to: string): void {
  const { softhsm2Library: library } = readInstalled();
  const directory = join(dirname(cloud.local.shim.faults), 'tokens');
  withToken({ directory, library, label: 'devices', userPin: from }, ({ pkcs11, handle }) =>
    pkcs11.C_SetPIN(handle, from, to),
  );
}

const glass = join(folder, 'glass');
const glassFiles = () => readdirSync(glass).map((name) => join(glass, name));
const issuer = ['--issuer', 'devices'];

describe('the PIN of the issuer', () => {
  it('is rotated while requests are issued: those that run sign on, those that start have the new one', async () => {
    expect(await json('', 'status')).toMatchObject({
      code: 0,
      value: { issuers: [{ regions: [{ userName: null }] }] },
    });
    const { pid: warm, outcomes } = await request('before');
    expect(outcomes).toEqual(['issued']);

    const unsaid = await pin(`${secondPin}\n`, 'rotate', ...issuer, '--key', keyArn, '--yes');
    expect(unsaid).toMatchObject({ code: 2, stderr: expect.stringContaining('--from-user') });
    setPassword(firstPin, secondPin);
    const words = ['rotate', ...issuer, '--key', keyArn, '--from-user', 'crypto_user', '--yes'];
    const begun = await json(secondPin, ...words, '--break-glass', glass, '--shares', '3', '--threshold', '2');
    expect(begun).toMatchObject({
      code: 0,
      value: { change: 'begun', rotation: { fromUser: 'crypto_user', toUser: 'crypto_user_2' } },
    });

    const after = await request('after');
    expect(after).toEqual({ pid: warm, outcomes: ['issued'] });
    await endEnvironments();
    const cold = await request('cold');
    expect(cold.outcomes).toEqual(['issued']);
    expect(cold.pid).not.toBe(warm);

    // This cloud's Lambda does not say when its functions were updated.
    expect(await json('', 'rotate', ...issuer)).toMatchObject({
      code: 1,
      value: { isProved: false, missing: [expect.stringContaining('Lambda does not say'), expect.anything()] },
    });
    expect(await json('', 'rotate', ...issuer, '--done')).toMatchObject({ code: 1, value: { change: 'none' } });
    expect(await pin('', 'rotate', ...issuer, '--done', '--force')).toMatchObject({ code: 0 });
    expect(await json('', 'status')).toMatchObject({
      code: 0,
      value: { issuers: [{ regions: [{ userName: 'crypto_user_2', keyArn }], rotation: null }] },
    });
  });

  it('that was mistyped is refused once, held, and taken back without being known', async () => {
    const wrong = `crypto_user_3:${recognisable}-not`;
    expect(await pin(wrong, 'rotate', ...issuer, '--yes')).toMatchObject({ code: 0 });
    await endEnvironments();
    const deviceId = await cloud.newDevice('refused');
    const messageId = await cloud.send(bodyOf({ deviceId, requestId: 'r', csr: makePemCsr(key, deviceId) }));
    const refused = () => cloud.outcomesOf(messageId).find(({ code }) => code === 'SIGNER_PIN_REFUSED');
    await cloud.until(refused, 'refusal');
    const status = await cloud.until(async () => {
      const { value } = await json('', 'rotate', ...issuer);
      const { missing } = value as { missing: readonly string[] };
      return missing.some((sentence) => sentence.includes('A PIN was refused')) && missing;
    }, 'refusal in the breaker');
    expect(status.join('\n')).toContain('go back with --back');

    const back = await json('', 'rotate', ...issuer, '--back');
    expect(back).toMatchObject({
      code: 0,
      value: { change: 'back', notes: expect.arrayContaining([expect.stringContaining('queue resume')]) },
    });
    await cloud.until(
      async () => (await mintmark.run(['queue', 'resume', '--issuer', 'devices'])).code === 0,
      'resume',
    );
    expect((await cloud.ended(messageId)).message).toBe('issued');
  });

  it('is recovered by two of three holders, without a cloud, and sealed from there', async () => {
    const files = glassFiles();
    const [copy = ''] = files.filter((name) => name.endsWith('.copy.txt'));
    const [one = '', two = '', three = ''] = files.filter((name) => name.includes('.share-')).toSorted();
    for (const path of files) expect(statSync(path).mode & 0o777).toBe(0o600);

    expect(await json('', 'recover', copy, three, one)).toMatchObject({
      code: 0,
      value: { isOpened: true, userName: 'crypto_user_2', shares: 3, threshold: 2 },
    });
    expect(await pin('', 'recover', copy, two)).toMatchObject({
      code: 2,
      stdout: '',
      stderr: expect.stringContaining('It takes 2 shares, and there is 1.'),
    });
    expect((await pin('', 'recover', copy, one, one)).stderr).toContain('are one share, twice');
    expect((await pin('', 'recover', copy, one, two, '--stdout', '--json')).stdout).toContain('"error"');

    // A pipe from the one to the other, in which it is seen by nobody.
    const recovering = mintmark.start(['pin', 'recover', two, copy, three, '--stdout'], { AWS_ENDPOINT_URL: '' });
    const sealing = mintmark.startPiped(['pin', 'seal', ...issuer, '--yes', '--json']);
    recovering.stdout.pipe(sealing.stdin);
    const [facts, stdout, stderr] = await Promise.all([
      text(recovering.stderr),
      text(sealing.stdout),
      text(sealing.stderr),
      once(sealing, 'close'),
    ]);
    expect(facts).toContain('crypto_user_2');
    expect(JSON.parse(stdout)).toMatchObject({ change: 'sealed', userName: 'crypto_user_2' });
    ended.push({ code: 0, stdout, stderr: stderr + facts, words: 'recover | seal' });
    await endEnvironments();
    expect((await request('recovered')).outcomes).toEqual(['issued']);
  });
});

describe("the PIN of the watch's canary", () => {
  it('is sealed into its own row, and used by the watch at its next look', async () => {
    const row = async () => (await pin('', 'seal', '--canary', '--dry-run', '--key', keyArn)).stdout;
    expect(await row()).toContain('in place of one whose user is not written down');
    expect(await json(`${canaryPin}\n`, 'seal', '--canary', '--yes', '--key', keyArn)).toMatchObject({
      code: 0,
      value: { canary: region(), userName: 'canary_user_2' },
    });
    // The token's user has another PIN, which is what the watch finds out, with one login.
    const { code, stdout } = await mintmark.run(['health', '--json']);
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({
      findings: [expect.objectContaining({ rule: 'signing-canary', observed: 'SIGNER_PIN_REFUSED' })],
    });
  });
});

describe('what is wrong with how a command is used', () => {
  it.each([
    ['a PIN without a user', recognisable, ['seal', ...issuer, '--yes']],
    ['a PIN of two lines', `${secondPin}\n\n`, ['seal', ...issuer, '--yes']],
    ['a PIN that is too long', `u:${recognisable.repeat(3)}`, ['seal', ...issuer, '--yes']],
    ['nobody to ask', secondPin, ['seal', ...issuer]],
    ['the same user', secondPin, ['rotate', ...issuer, '--yes']],
    ['a key that is none', secondPin, ['seal', ...issuer, '--yes', '--key', 'x']],
    ['no stage', secondPin, ['seal', ...issuer, '--yes', '--stage', 'nowhere']],
  ])('%s: exit 2, and not a word of it', async (_, input, words) => {
    expect((await pin(input, ...words)).code).toBe(2);
  });

  it('a key store that is disconnected, an HSM that is not reached by KMS', async () => {
    await cloud.drill('custom-key-store', { connectionState: 'DISCONNECTED' });
    expect(await pin(secondPin, 'seal', ...issuer, '--yes')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('its custom key store is not CONNECTED'),
    });
    await cloud.drill('custom-key-store', { connectionState: 'CONNECTED' });
    await cloud.drill('faults', {
      faults: [{ operation: 'TrentService.Encrypt', code: 'KMSInternalException', count: 5 }],
    });
    expect((await pin(secondPin, 'seal', ...issuer, '--yes')).code).toBe(2);
    await cloud.drill('faults', { faults: [] });
  });
});

/** Last: over everything that the tests above have left. */
describe('the PINs', () => {
  /** As they are, and as bytes are usually written. */
  const forms = () =>
    [recognisable, secondPin, canaryPin, firstPin.slice(firstPin.indexOf(':') + 1)].flatMap((secret) => {
      const bytes = Buffer.from(secret);
      // Base64 without its last characters, which depend on what comes next.
      return [
        secret,
        bytes.toString('hex'),
        bytes.toString('base64').replace(/..?=*$/, ''),
        bytes.toJSON().data.join(','),
      ];
    });
  /** Never the texts themselves: a failing test must not be the one that prints the secret. */
  const holdsNone = (where: string, found: string) =>
    expect(
      forms().some((secret) => found.includes(secret)),
      where,
    ).toBe(false);

  it('are in no output of any command', () => {
    expect(ended.length).toBeGreaterThan(20);
    for (const { words, stdout, stderr } of ended) holdsNone(words, stdout + stderr);
  });

  const hasProc = existsSync('/proc/self/environ');
  it.skipIf(!hasProc)(`are in no environment and no command line${hasProc ? '' : ' (skipped: no /proc)'}`, () => {
    const all = seen.map(({ environments, commandLines }) => environments + commandLines).join('\n');
    expect(all).toContain(mark);
    const waiting = seen.filter(({ commandLines }) => /main\.ts\0pin\0(seal|rotate)/.test(commandLines));
    expect(waiting.length).toBeGreaterThan(8);
    holdsNone('environments and command lines', all);
  });

  it('are in no file that a command wrote, the break-glass copy and its shares included', () => {
    const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    expect(files.filter(({ name }) => name.startsWith('pin-local-devices-'))).toHaveLength(4);
    for (const { parentPath, name } of files) holdsNone(name, readFileSync(join(parentPath, name), 'latin1'));
    // Nor did any of them dump its memory beside itself.
    expect(files.filter(({ name }) => /^core(\.\d+)?$/.test(name))).toEqual([]);
  });

  it('are in no log of a function, and in no table', async () => {
    holdsNone('log', cloud.lines.join('\n'));
    const client: DynamoDBClient = cloud.local.clients.dynamoDB;
    const items: unknown[] = [];
    for await (const page of paginateScan({ client }, { TableName: issuersTable() })) items.push(...(page.Items ?? []));
    const rows = JSON.stringify(items, (_, value: unknown) =>
      value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : value,
    );
    expect(rows).toContain('crypto_user_2');
    holdsNone('issuers table', rows);
  });
});

import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DecryptCommand, EncryptCommand, KMSClient } from '@aws-sdk/client-kms';
import { afterEach, beforeEach, expect, it } from 'vitest';

const main = fileURLToPath(new URL('../../local/stub/main.ts', import.meta.url));
let directory: string;
const children: ChildProcess[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'mintmark-stub-process-'));
});
afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  rmSync(directory, { recursive: true, force: true });
});

interface Ready {
  readonly type: string;
  readonly endpoint: string;
  readonly sealingKeyArn: string;
}

async function start(environment: Record<string, string> = {}) {
  const child = fork(main, ['--log'], {
    env: { ...process.env, MINTMARK_STUB_DIRECTORY: directory, AWS_REGION: 'eu-west-1', ...environment },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  children.push(child);
  let output = '';
  child.stdout?.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const [ready] = (await once(child, 'message')) as [Ready];
  return { child, ready, output: () => output };
}

it('tells its parent where it listens, keeps its secrets, and goes with its parent', async () => {
  const { child, ready, output } = await start();
  expect(ready).toMatchObject({
    type: 'ready',
    endpoint: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
    clusterId: expect.stringMatching(/^cluster-/),
    customKeyStoreId: expect.stringMatching(/^cks-/),
    sealingKeyArn: expect.stringMatching(/^arn:aws:kms:eu-west-1:000000000000:key\//),
  });
  const kms = new KMSClient({
    region: 'eu-west-1',
    endpoint: ready.endpoint,
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
  });
  const Plaintext = Buffer.from('crypto_user:do-not-print-this');
  const { CiphertextBlob } = await kms.send(new EncryptCommand({ KeyId: ready.sealingKeyArn, Plaintext }));
  const { Plaintext: back } = await kms.send(new DecryptCommand({ CiphertextBlob }));
  expect(Buffer.from(back ?? [])).toEqual(Plaintext);
  kms.destroy();

  expect(readdirSync(directory)).toHaveLength(1);
  const exited = once(child, 'exit');
  child.disconnect();
  await exited;
  expect(readdirSync(directory)).toEqual([]);
  expect(output()).toContain('"target":"TrentService.Decrypt","httpStatus":200');
  expect(output()).not.toContain('do-not-print-this');
  expect(output()).not.toContain(Plaintext.toString('base64'));
});

it.each(['SIGTERM', 'SIGINT'] as const)('ends cleanly on %s', async (signal) => {
  const { child } = await start();
  const exited = once(child, 'exit');
  child.kill(signal);
  expect(await exited).toEqual([0, null]);
  expect(readdirSync(directory)).toEqual([]);
});

/** The exit code and stderr of a start that is meant to fail. */
async function failedStart(args: readonly string[], environment: Record<string, string> = {}) {
  const child = spawn(process.execPath, [main, ...args], {
    env: { ...process.env, MINTMARK_STUB_DIRECTORY: directory, ...environment },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  children.push(child);
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number];
  return { code, stderr };
}

it('prints where it listens when it has no parent to tell', async () => {
  const child = spawn(process.execPath, [main, '--directory', directory, '--region', 'us-west-2'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  expect(line.toString()).toMatch(/^http:\/\/127\.0\.0\.1:\d+\n$/);
  const state = await (await fetch(`${line.toString().trim()}/_stub/state`)).json();
  expect(state).toMatchObject({ region: 'us-west-2' });
});

it('says in a sentence why it cannot start', async () => {
  const unknown = await failedStart(['--colour', 'red']);
  expect(unknown).toMatchObject({ code: 2, stderr: expect.stringContaining('--colour') });
  const region = await failedStart([], { AWS_REGION: 'nowhere' });
  expect(region).toMatchObject({ code: 2, stderr: expect.stringContaining('is no AWS Region') });
  const library = await failedStart(['--softhsm2-library', join(directory, 'none.so')]);
  expect(library).toMatchObject({ code: 1, stderr: expect.stringContaining('none.so') });

  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  const address = taken.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const second = await failedStart(['--port', String(port)]);
  taken.close();
  expect(second).toMatchObject({ code: 1, stderr: expect.stringContaining(String(port)) });
  expect(readdirSync(directory)).toEqual([]);
});

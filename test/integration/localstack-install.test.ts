import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { underLock } from '../../local/localstack/lock.ts';
import { findPython, missing } from '../../local/localstack/prerequisites.ts';
import { localStackOptions, orWhyNot, unavailable } from './localstack-fixture.ts';

const file = (name: string) => JSON.stringify(new URL(`../../local/localstack/${name}.ts`, import.meta.url).href);
const node = (script: string, env: NodeJS.ProcessEnv = process.env) =>
  spawn(process.execPath, ['--input-type=module', '--eval', script], { env, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });

describe.skipIf(unavailable !== undefined)(`setting LocalStack up${orWhyNot}`, () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'mintmark-cache-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));

  /** In a cache folder of its own, with no way to the network. */
  async function install(): Promise<unknown> {
    const nowhere = 'http://127.0.0.1:9';
    const child = node(
      `process.send(await (await import(${file('install')})).installLocalStack()); process.disconnect();`,
      {
        ...process.env,
        XDG_CACHE_HOME: folder,
        PIP_PROXY: nowhere,
        PIP_NO_CACHE_DIR: '1',
        PIP_RETRIES: '0',
        PIP_FIND_LINKS: '',
      },
    );
    let result: unknown;
    child.once('message', (message) => (result = message));
    await once(child, 'exit');
    return result;
  }

  it('says so when the network is missing, and starts over what was left half-finished', async () => {
    const cure = /^LocalStack could not be downloaded: make sure that pip and Maven reach their registries/;
    const expected = { kind: 'unavailable', missing: 'network', sentence: expect.stringMatching(cure) };
    expect(await install()).toEqual(expected);
    const [name = ''] = readdirSync(join(folder, 'mintmark')).filter((each) => each.startsWith('localstack-4.14.0-'));
    const venv = join(folder, 'mintmark', name, 'venv');
    expect(existsSync(join(venv, 'bin', 'python'))).toBe(true);
    expect(existsSync(join(venv, 'complete'))).toBe(false);

    writeFileSync(join(venv, 'half'), '');
    expect(await install()).toEqual(expected);
    expect(existsSync(join(venv, 'half'))).toBe(false);
  }, 180_000);

  it('does nothing the second time', async () => {
    const { installation } = localStackOptions();
    const script = `const { installLocalStack } = await import(${file('install')});
      const start = performance.now();
      const { python } = await installLocalStack();
      process.send({ python, milliseconds: performance.now() - start }); process.disconnect();`;
    const child = node(script, { ...process.env, PIP_PROXY: 'http://127.0.0.1:9' });
    let said = '';
    child.stderr?.on('data', (chunk) => (said += chunk));
    const [{ python, milliseconds }] = (await once(child, 'message')) as [{ python: string; milliseconds: number }];
    await once(child, 'close');
    expect(python).toBe(installation.python);
    expect(said).toBe('');
    expect(milliseconds).toBeLessThan(5_000);
  });
});

const python = findPython();
const orWhyNoLock = python === undefined ? ` (skipped: ${missing('python').sentence})` : '';
describe.skipIf(python === undefined)(`the installation's lock${orWhyNoLock}`, () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'mintmark-lock-'));
    mkdirSync(folder, { recursive: true });
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it('is held by one at a time, and free when its holder is killed', async () => {
    const lock = join(folder, 'lock');
    const trace = join(folder, 'trace');
    const holder = node(`const { underLock } = await import(${file('lock')});
      await underLock(${JSON.stringify(lock)}, ${JSON.stringify(python)}, () => new Promise(() => { process.send('held'); setInterval(() => {}, 1000); }));`);
    await once(holder, 'message');
    appendFileSync(trace, 'held ');
    const waiting = underLock(lock, python ?? '', async () => appendFileSync(trace, 'taken'));
    // Time in which a lock that does not hold would be taken.
    expect(await Promise.race([waiting, new Promise((resolve) => setTimeout(resolve, 1_500, 'waiting'))])).toBe(
      'waiting',
    );
    appendFileSync(trace, 'killed ');
    holder.kill('SIGKILL');
    await waiting;
    expect(readFileSync(trace, 'utf8')).toBe('held killed taken');
  });
});

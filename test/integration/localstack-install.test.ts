import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findPython, missing } from '../../local/localstack/prerequisites.mjs';
import { hasProc, localStackOptions, orWhyNot, unavailable } from './localstack-fixture.ts';

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
        // pip tells of a lost connection as it tries again.
        PIP_RETRIES: '1',
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
    const expected = { kind: 'unavailable', missing: ['network'], sentence: expect.stringMatching(cure) };
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
      process.send(await installLocalStack()); process.disconnect();`;
    // No Python to install with, no Maven, no network.
    const { javaHome } = installation;
    const nothing = { PATH: '', PYENV_ROOT: folder, JAVA_HOME: javaHome, PIP_PROXY: 'http://127.0.0.1:9' };
    const child = node(script, { ...process.env, ...nothing });
    let said = '';
    child.stderr?.on('data', (chunk) => (said += chunk));
    const ended = once(child, 'close');
    expect((await once(child, 'message'))[0]).toEqual(installation);
    await ended;
    expect(said).toBe('');
  });
});

const python = findPython();
const orWhyNoLock = python === undefined ? ` (skipped: ${missing(['python']).sentence})` : '';
describe.skipIf(python === undefined)(`the installation's lock${orWhyNoLock}`, () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'mintmark-lock-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  /**
   * A process that wants the lock, says `taken` when it has it, and lets go when it hears something; or gives up, when it
   * hears that. What it writes to stderr is `said`.
   */
  function wants(lock: string): { child: ChildProcess; said: () => string } {
    const script = `const { underLock } = await import(${file('lock')});
      const givenUp = new AbortController();
      const heard = new Promise((resolve) => process.on('message', (message) => {
        if (message === 'give up') givenUp.abort();
        resolve();
      }));
      await underLock(${JSON.stringify(lock)}, ${JSON.stringify(python)}, async () => {
        process.send('taken');
        await heard;
      }, givenUp.signal).catch((error) => { if (!givenUp.signal.aborted) throw error; process.send(error.name); });
      process.disconnect();`;
    const child = node(script);
    let text = '';
    child.stderr?.on('data', (chunk) => (text += chunk));
    children.push(child);
    return { child, said: () => text };
  }
  const children: ChildProcess[] = [];
  afterEach(async () => {
    for (const child of children.splice(0)) {
      const ended = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : undefined;
      child.kill('SIGKILL');
      await ended;
    }
  });

  const waitingFor = (holder: ChildProcess) =>
    `set-up: waiting for process ${holder.pid}, which installs the same ... `;

  it.each([
    ['lets go', (holder: ChildProcess) => holder.send('enough')],
    ['is killed', (holder: ChildProcess) => holder.kill('SIGKILL')],
  ])('is held by one at a time; another says for whom it waits, and has it when that one %s', async (_, end) => {
    const lock = join(folder, 'lock');
    const trace: unknown[] = [];
    const follow = (who: string, child: ChildProcess) => child.on('message', (what) => trace.push(`${who}: ${what}`));

    const { child: holder } = wants(lock);
    follow('holder', holder);
    await once(holder, 'message');
    const { child: other, said } = wants(lock);
    follow('other', other);
    await expect.poll(said, { timeout: 10_000 }).toBe(waitingFor(holder));
    if (flock !== undefined) await expect.poll(() => isInFlock(other), { timeout: 10_000 }).toBe(true);
    trace.push('end');
    const taken = once(other, 'message');
    end(holder);
    await taken;
    expect(trace).toEqual(['holder: taken', 'end', 'other: taken']);

    other.send('enough');
    await once(other, 'exit');
    const { child: third, said: saidByThird } = wants(lock);
    await once(third, 'message');
    expect(saidByThird()).toBe('');
  });

  it('is not waited for any more by one that is given up', async () => {
    const lock = join(folder, 'lock');
    const { child: holder } = wants(lock);
    await once(holder, 'message');
    const { child: other, said } = wants(lock);
    await expect.poll(said, { timeout: 10_000 }).toBe(waitingFor(holder));
    if (flock !== undefined) await expect.poll(() => isInFlock(other), { timeout: 10_000 }).toBe(true);
    const answer = once(other, 'message');
    const ended = once(other, 'close');
    other.send('give up');
    expect(await answer).toEqual(['AbortError', undefined]);
    expect(await ended).toEqual([0, null]);
    expect(said()).toBe(`${waitingFor(holder)}failed\n`);
  });
});

/** The number of the system call where it is known; /proc/locks shows no waiters inside a PID namespace. */
const flock = hasProc ? { x64: '73', arm64: '32' }[process.arch as string] : undefined;

/** Whether a child of a process is blocked in flock(2): proc_pid_syscall(5). */
function isInFlock({ pid }: ChildProcess): boolean {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean);
  return children.some((child) => syscallOf(child) === flock);
}

/** Undefined for a process that has ended meanwhile. */
function syscallOf(pid: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/syscall`, 'utf8').split(' ')[0];
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}

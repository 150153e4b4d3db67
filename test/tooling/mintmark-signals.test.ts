import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, existsSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { project } from '../../local/setup/machine.mjs';
import { processesWhose } from '../support/proc.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

/** The command while it is blocked in a call of the operating system: reading a pipe into which nothing is written. */

const folder = temporaryFolder('mintmark-signals');
const launcher = join(project, 'local', 'setup', 'mintmark.mjs');

let count = 0;
const left: string[] = [];
const writers: number[] = [];

/** Those of a start's processes that run `cli/main.ts`, by an environment variable that they have inherited. */
const commandsOf = (mark: string): number[] =>
  processesWhose((environment) => environment.includes(`MINTMARK_TEST_MARK=${mark}\0`)).filter((pid) =>
    readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('main.ts'),
  );

/** Whether somebody has the pipe open to read (fifo(7)); from then on somebody has it open to write as well. */
function isRead(pipe: string): boolean {
  try {
    writers.push(openSync(pipe, constants.O_WRONLY | constants.O_NONBLOCK));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENXIO') return false;
    throw error;
  }
}

/** @returns the launcher, once the command has come to where it is blocked */
async function blocked() {
  const mark = `${process.pid}-${count++}`;
  left.push(mark);
  const pipe = join(folder, `${mark}.yaml`);
  spawnSync('mkfifo', [pipe]);
  const env = { PATH: process.env['PATH'], HOME: folder, MINTMARK_TEST_MARK: mark };
  const child = spawn(process.execPath, [launcher, 'profiles', 'check', pipe], { env, stdio: 'ignore' });
  await vi.waitUntil(() => isRead(pipe), { timeout: 20_000, interval: 100 });
  return { child, mark };
}

afterAll(() => {
  for (const pid of left.flatMap(commandsOf)) process.kill(pid, 'SIGKILL');
  for (const writer of writers) closeSync(writer);
});

describe.skipIf(!existsSync('/proc/self/environ'))('a command that is blocked', { timeout: 60_000 }, () => {
  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('ends by %s, with its launcher', async (signal, code) => {
    const { child, mark } = await blocked();
    child.kill(signal);
    expect(await once(child, 'exit')).toEqual([code, null]);
    expect(commandsOf(mark)).toEqual([]);
  });

  it('goes with its launcher when that is killed', async () => {
    const { child, mark } = await blocked();
    child.kill('SIGKILL');
    await once(child, 'exit');
    await vi.waitUntil(() => commandsOf(mark).length === 0, { timeout: 20_000, interval: 100 });
  });
});

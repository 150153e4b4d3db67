import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { constants } from 'node:os';
import { SetUpError } from '../setup/machine.mjs';
import { step } from '../setup/steps.mjs';

/**
 * Runs `work` while no other process does; says on stderr whom it waits for. The lock (flock(2)) belongs to the open file:
 * it ends with this process and with the last child that was given the file (one that outlives this process still
 * writes), so it never goes stale. The file holds the process id of who has it.
 *
 * @param python what takes the lock; Node has no flock
 * @param signal gives the waiting up
 * @throws AbortError
 */
export async function underLock<T>(
  path: string,
  python: string,
  work: (lock: number) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  const lock = openSync(path, 'a');
  try {
    const take = (how: 'at once' | 'wait') => takeLock(lock, path, python, how, signal);
    if (!(await take('at once'))) {
      await step(`waiting for ${holderOf(path)}, which installs the same`, () => take('wait'));
    }
    ftruncateSync(lock);
    writeSync(lock, String(process.pid));
    try {
      return await work(lock);
    } finally {
      ftruncateSync(lock);
    }
  } finally {
    closeSync(lock);
  }
}

/** Where a child has the lock's file. */
const descriptor = 3;

/** Somebody else has it: EX_TEMPFAIL of sysexits(3). */
const held = 75;

const flock = {
  'at once': `import fcntl, sys
try: fcntl.flock(${descriptor}, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError: sys.exit(${held})`,
  wait: `import fcntl; fcntl.flock(${descriptor}, fcntl.LOCK_EX)`,
};

/** @returns false when somebody else has it */
async function takeLock(
  lock: number,
  path: string,
  python: string,
  how: keyof typeof flock,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const code = await runHolding(python, ['-c', flock[how]], { log: 'ignore', lock, signal });
  if (code !== 0 && code !== held) throw new SetUpError(`The lock ${path} could not be taken (flock).`);
  return code === 0;
}

/** In words; it may be letting go just now. */
function holderOf(path: string): string {
  const pid = readFileSync(path, 'utf8');
  return pid === '' ? 'another process' : `process ${pid}`;
}

export interface HoldingOptions {
  /** File descriptor that its output goes to. */
  readonly log: number | 'ignore';
  readonly lock: number;
  readonly env?: NodeJS.ProcessEnv;
  /** Ends the program. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Runs a program to its end, holding the lock with this process. It is in this process's group, so that whatever ends the
 * group ends it too.
 *
 * @returns its exit code; 128 plus the signal's number when one ended it
 * @throws AbortError
 */
export async function runHolding(program: string, args: readonly string[], how: HoldingOptions): Promise<number> {
  const stdio = ['ignore', how.log, how.log, how.lock] as const;
  const { env = process.env, signal: abort } = how;
  const child = spawn(program, args, { stdio: [...stdio], env, signal: abort });
  const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
  return code ?? 128 + (signal === null ? 0 : constants.signals[signal]);
}

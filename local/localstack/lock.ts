import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { constants } from 'node:os';
import { SetUpError } from '../setup/machine.mjs';

/**
 * Runs `work` while no other process does. The lock (flock(2)) belongs to the open file: it ends with this process and
 * with the last child that was given the file (one that outlives this process still writes), so it never goes stale.
 *
 * @param python what takes the lock; Node has no flock
 */
export async function underLock<T>(path: string, python: string, work: (lock: number) => Promise<T>): Promise<T> {
  const lock = openSync(path, 'a');
  try {
    const take = `import fcntl; fcntl.flock(${descriptor}, fcntl.LOCK_EX)`;
    const code = await runHolding(python, ['-c', take], { log: 'ignore', lock });
    if (code !== 0) throw new SetUpError(`The lock ${path} could not be taken (flock).`);
    return await work(lock);
  } finally {
    closeSync(lock);
  }
}

/** Where a child has the lock's file. */
const descriptor = 3;

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

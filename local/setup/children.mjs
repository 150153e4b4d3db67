import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:os';

import { whenParentIsGone } from './parent-process.mjs';

/** Between a polite end and SIGKILL, in milliseconds; longer than what endWithParent allows a clean-up. */
const grace = 8_000;

/** The terminal and npm both pass one Ctrl-C on; the second of a pair within this many milliseconds is the same one. */
const sameSignal = 500;

/** @type {readonly NodeJS.Signals[]} */
const endingSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/**
 * Runs a program to its end as this process's stand-in: same terminal, signals passed on, and its exit code (128 plus
 * the signal's number when one killed it) returned.
 *
 * The child leads a process group of its own: so it gets each signal once, from here, and whatever it leaves behind in
 * its group is ended with it. When this process's own parent dies, the child is told to end, and
 * its end is the end of this process too. A child with the terminal has an IPC channel too, by which it learns of this process's death (endWithParent), even by
 * SIGKILL; one whose output goes to a file is a step of set-up that ends by itself.
 *
 * @param {string} program
 * @param {readonly string[]} args
 * @param {{ env?: NodeJS.ProcessEnv, stdio?: 'inherit' | number, endsWithin?: number }} [how] `stdio` a file descriptor: its
 *   output goes there; `endsWithin` milliseconds: a child that has not ended so long after a signal is blocked, and killed
 * @returns {Promise<number>}
 */
export async function runToEnd(program, args, { env = process.env, stdio = 'inherit', endsWithin } = {}) {
  const child = spawn(program, args, {
    env,
    stdio: stdio === 'inherit' ? ['inherit', 'inherit', 'inherit', 'ipc'] : ['ignore', stdio, stdio],
    detached: true,
  });

  const group = -(child.pid ?? 0);
  /** @param {NodeJS.Signals} signal */
  const signalGroup = (signal) => {
    try {
      if (group !== 0) process.kill(group, signal);
    } catch (error) {
      if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'ESRCH') throw error;
    }
  };

  /** @type {{ signal: NodeJS.Signals | undefined, at: number }} */
  let last = { signal: undefined, at: 0 };
  /** @param {NodeJS.Signals} signal */
  const passOn = (signal) => {
    const now = Date.now();
    if (signal === last.signal && now - last.at < sameSignal) return;
    last = { signal, at: now };
    child.kill(signal);
    if (endsWithin !== undefined) setTimeout(() => signalGroup('SIGKILL'), endsWithin).unref();
  };
  for (const signal of endingSignals) process.on(signal, passOn);

  whenParentIsGone(() => {
    // Nobody reads this any more; an EPIPE must not keep the child from being ended.
    process.stdout.on('error', () => {});
    process.stderr.on('error', () => {});
    if (child.connected) child.disconnect();
    else child.kill('SIGTERM');
    setTimeout(() => signalGroup('SIGKILL'), grace).unref();
  });

  try {
    const [code, signal] = /** @type {[number | null, NodeJS.Signals | null]} */ (await once(child, 'exit'));
    // Killed for not ending: the signal that it was to end by is what ended it.
    const ended = signal === 'SIGKILL' && endsWithin !== undefined ? (last.signal ?? signal) : signal;
    return code ?? 128 + (ended === null ? 0 : constants.signals[ended]);
  } finally {
    signalGroup('SIGKILL');
    for (const name of endingSignals) process.off(name, passOn);
  }
}

import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { SetUpError, userCache } from './machine.mjs';

/**
 * Runs commands whose output goes to a log file in the cache folder. A failure names the log and shows its end; a
 * command that a signal ended (Ctrl-C) ends this process the same way, with nothing to explain.
 *
 * @param {string} name the log file's name
 * @param {(log: number) => Promise<{ code: number, what: string }>} work is given the file descriptor to write to
 */
export async function withLog(name, work) {
  const folder = join(userCache, 'log');
  mkdirSync(folder, { recursive: true });
  const path = join(folder, name);
  const log = openSync(path, 'w');
  try {
    const { code, what } = await work(log);
    if (code > 128) throw new Interrupted(code);
    if (code !== 0)
      throw new SetUpError(`${what} failed with exit code ${code}; its output is in ${path}, ending:\n${tail(path)}`);
  } finally {
    closeSync(log);
  }
}

/** A signal ended a step of set-up; `code` is the exit code that says so. */
export class Interrupted extends Error {
  /** @param {number} code */
  constructor(code) {
    super('interrupted');
    this.name = 'Interrupted';
    this.code = code;
  }
}

/** @param {string} path */
function tail(path) {
  return readFileSync(path, 'utf8')
    .trimEnd()
    .split('\n')
    .slice(-8)
    .map((line) => `  ${line}`)
    .join('\n');
}

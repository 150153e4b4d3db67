import { createHash } from 'node:crypto';
import { linkSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { isRunning } from './parent-process.mjs';

/** Between two looks at a lock that somebody else holds, in milliseconds. */
const lookInterval = 200;

/**
 * Runs `work` while no other process of this user does so for the same checkout: two npm ci in one folder spoil it for
 * both. The lock is a file outside of the checkout that holds the process id; one whose process is gone is nobody's.
 *
 * @template T
 * @param {string} checkout
 * @param {() => Promise<T>} work
 * @param {(holder: number) => void} onWait called once, when somebody else is at work
 * @returns {Promise<T>}
 */
export async function underLock(checkout, work, onWait) {
  const name = createHash('sha256').update(checkout).digest('hex').slice(0, 16);
  const path = join(tmpdir(), `mintmark-set-up-${process.getuid?.() ?? 'user'}-${name}.lock`);
  let waits = false;
  while (!take(path)) {
    const holder = holderOf(path);
    if (holder === undefined) continue;
    if (isRunning(holder)) {
      if (!waits) onWait(holder);
      waits = true;
      await delay(lookInterval);
    } else if (holder === holderOf(path)) remove(path);
  }
  const release = () => remove(path);
  process.once('exit', release);
  try {
    return await work();
  } finally {
    process.off('exit', release);
    release();
  }
}

/**
 * Written first and linked to its name then, so that a lock never is without its holder.
 *
 * @param {string} path
 */
function take(path) {
  const own = `${path}.${process.pid}`;
  writeFileSync(own, String(process.pid), { mode: 0o600 });
  try {
    linkSync(own, path);
    return true;
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'EEXIST') return false;
    throw error;
  } finally {
    remove(own);
  }
}

/**
 * @param {string} path
 * @returns {number | undefined} undefined when it is gone
 */
function holderOf(path) {
  try {
    return Number.parseInt(readFileSync(path, 'utf8'), 10) || undefined;
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** @param {string} path */
function remove(path) {
  try {
    unlinkSync(path);
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'ENOENT') throw error;
  }
}

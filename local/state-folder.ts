import { lstatSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isRunning } from './setup/parent-process.mjs';

const prefix = 'mintmark-local-';

/** What the name of a local cloud's folder in the system's temporary folder starts with: whose it is. */
export const statePrefix = (): string => `${prefix}${process.pid}-`;

/**
 * A local cloud that was killed could not remove its folder, which holds its tokens; the next one to start does. Only
 * this user's: the temporary folder is everybody's.
 */
export function removeAbandonedState(): void {
  for (const name of readdirSync(tmpdir())) {
    const pid = /^mintmark-local-(\d+)-/.exec(name)?.[1];
    if (pid === undefined || isRunning(Number(pid))) continue;
    const folder = join(tmpdir(), name);
    const owner = lstatSync(folder, { throwIfNoEntry: false })?.uid;
    if (owner !== undefined && owner === process.getuid?.()) remove(folder);
  }
}

function remove(folder: string): void {
  try {
    rmSync(folder, { recursive: true, force: true });
  } catch (error) {
    // Another start may be removing the same folder; what two of them leave behind, the next one removes.
    if ((error as NodeJS.ErrnoException).code !== 'ENOTEMPTY') throw error;
  }
}

import { readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const prefix = 'mintmark-local-';

/** What the name of a local cloud's folder in the system's temporary folder starts with: whose it is. */
export const statePrefix = (): string => `${prefix}${process.pid}-`;

/** A local cloud that was killed could not remove its folder, which holds its tokens; the next one to start does. */
export function removeAbandonedState(): void {
  for (const name of readdirSync(tmpdir())) {
    const pid = /^mintmark-local-(\d+)-/.exec(name)?.[1];
    if (pid === undefined || isRunning(Number(pid))) continue;
    rmSync(join(tmpdir(), name), { recursive: true, force: true });
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: somebody else's process has this number, so somebody else's folder may be in use.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

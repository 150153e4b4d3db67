import { readdirSync, readFileSync } from 'node:fs';

/** Ids of the processes whose environment, NAME=value by NAME=value with a NUL between, is one that is looked for. */
export function processesWhose(isLookedFor: (environment: string) => boolean): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => isLookedFor(environmentOf(pid)))
    .map(Number);
}

/** Empty for a process that has ended, or is somebody else's. */
function environmentOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8');
  } catch (error) {
    if (['ENOENT', 'ESRCH', 'EACCES', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '')) return '';
    throw error;
  }
}

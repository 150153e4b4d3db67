import { readFileSync, renameSync, writeFileSync } from 'node:fs';

/** What the shim can do wrong; README.md beside this file says what each is. */
export type FaultName =
  | 'busy'
  | 'session-lost'
  | 'device-removed'
  | 'reply-lost'
  | 'corrupt'
  | 'crash'
  | 'crash-after'
  | 'slow'
  | 'hang-initialize';

export interface Fault {
  readonly fault: FaultName;
  /** How often, over all processes; -1: until the file is written again. */
  readonly count: number;
  /** For `slow` and `hang-initialize`. */
  readonly milliseconds?: number;
}

/** Replaces the faults file in one step, so that no call sees half of it. No faults: an empty file. */
export function writeFaults(path: string, faults: readonly Fault[]): void {
  const lines = faults.map(({ fault, count, milliseconds }) => {
    if (!Number.isInteger(count) || count < -1) throw new RangeError(`Not a count of faults: ${count}`);
    return `${fault} ${count} ${milliseconds ?? 0}\n`;
  });
  const written = `${path}.${process.pid}`;
  writeFileSync(written, lines.join(''), { mode: 0o600 });
  renameSync(written, path);
}

/** What is left of the faults. */
export function readFaults(path: string): Fault[] {
  return readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [fault, count, milliseconds] = line.split(' ');
      return { fault: fault as FaultName, count: Number(count), milliseconds: Number(milliseconds) };
    });
}

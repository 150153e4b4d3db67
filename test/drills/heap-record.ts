import { existsSync, readFileSync } from 'node:fs';

/** The environment variable that names the file. */
export const heapRecordVariable = 'DRILL_HEAP_RECORD';

/** What one thread found after collecting its garbage; sizes in bytes. */
export interface Measurement {
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly processId: number;
  /** 0 is the main thread. */
  readonly threadId: number;
  /** What this thread's objects and the buffers that they hold take. */
  readonly live: number;
  /** The resident set of the whole process. */
  readonly resident: number;
}

/** One appended line, in one write: processes and threads do not get into each other's. */
export const measurementLine = ({ at, processId, threadId, live, resident }: Measurement): string =>
  `${[at, processId, threadId, live, resident].join(' ')}\n`;

/** Without the file, no process lived long enough to write it. */
export function readHeapRecord(path: string): Measurement[] {
  if (!existsSync(path)) return [];
  return readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [at = 0, processId = 0, threadId = 0, live = 0, resident = 0] = line.split(' ').map(Number);
      return { at, processId, threadId, live, resident };
    });
}

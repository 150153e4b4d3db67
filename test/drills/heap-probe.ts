/**
 * Loaded into a function's process before the function (NODE_OPTIONS), for a drill and nowhere else: each of its threads
 * collects its garbage now and then and appends to the file `DRILL_HEAP_RECORD` what is left, so that what grows is what
 * is kept and not what nobody has collected yet.
 */
import { appendFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { threadId } from 'node:worker_threads';
import { heapRecordVariable, measurementLine } from './heap-record.ts';

/** Milliseconds between two measurements. */
const interval = 5_000;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

function measure(path: string): void {
  collectGarbage();
  const { heapUsed, external, rss } = process.memoryUsage();
  appendFileSync(
    path,
    measurementLine({
      at: Date.now(),
      processId: process.pid,
      threadId,
      live: heapUsed + external,

      resident: rss,
    }),
  );
}

const path = process.env[heapRecordVariable];
if (path === undefined) throw new Error(`${heapRecordVariable} is not set.`);
setInterval(measure, interval, path).unref();

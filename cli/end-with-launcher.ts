import { workerData } from 'node:worker_threads';

/**
 * A thread that ends this process when the one that started it is gone: main.ts hears of that by its channel, but not while it
 * is blocked in a call (a file on a server that does not answer, a pipe that nobody writes to). `workerData` is the id of the
 * process that started this one: an orphan is adopted, so that its parent's id is another then.
 */

/** Neither Node nor POSIX tells a process that its parent has died. Milliseconds. */
const interval = 500;

/** What main.ts has to end by itself, in milliseconds; more than it takes (`interrupt`). */
const grace = 4_000;

const watch = setInterval(() => {
  if (process.ppid === workerData) return;
  clearInterval(watch);
  setTimeout(() => process.kill(process.pid, 'SIGKILL'), grace);
}, interval);

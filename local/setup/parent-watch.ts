import { whenParentIsGone } from './parent-process.mjs';

/** How long a clean-up may take, in milliseconds: nobody is there any more to interrupt one that hangs. */
const cleanUpLimit = 5_000;

/**
 * Ties this process to the one that started it: when that is gone, whatever killed it, `onEnd` runs once and the
 * process exits with code 1 as soon as it has settled, after five seconds at the latest.
 *
 * A process spawned with an IPC channel (`stdio: [..., 'ipc']`, or `fork`) learns of it from the channel, at once; any
 * other looks at its parent's id a few times a second. Neither keeps the process alive: one that has nothing left to
 * do ends as it would have without this.
 *
 * For a process's own start (local/start.ts, the children it spawns), called once, before anything that needs
 * cleaning up exists. `onEnd` need not report what it fails at: output that nobody reads is dropped.
 */
export function endWithParent(onEnd: () => void | Promise<void>): void {
  const end = () => {
    // The other end of these pipes may be gone too; an EPIPE must not cut the clean-up short.
    process.stdout.on('error', () => {});
    process.stderr.on('error', () => {});
    setTimeout(() => process.exit(1), cleanUpLimit);
    void Promise.resolve()
      .then(onEnd)
      .catch((error: unknown) => console.error(error))
      .finally(() => process.exit(1));
  };

  if (process.connected === true) {
    process.once('disconnect', end);
    // A listener for 'disconnect' makes Node hold the loop open for the channel.
    process.channel?.unref();
  } else if (process.send !== undefined) {
    end();
  } else {
    whenParentIsGone(end);
  }
}

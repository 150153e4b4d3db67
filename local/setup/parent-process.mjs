/** How often the parent is looked for. Neither Node nor POSIX tells a process that its parent has died. */
const interval = 200;

/**
 * Calls `onGone` once when the process that started this one no longer exists, SIGKILL included: an orphan is adopted,
 * so its parent's id changes. Does not keep the process alive.
 *
 * @param {() => void} onGone
 */
export function whenParentIsGone(onGone) {
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    onGone();
  }, interval);
  timer.unref();
}

/**
 * @param {number} pid
 * @returns {boolean} whether there is such a process, anybody's
 */
export function isRunning(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return /** @type {NodeJS.ErrnoException} */ (error).code === 'EPERM';
  }
}

/**
 * Runs one step and says so on stderr, with its time: `set-up: fetching SoftHSM2 ... 31.2 s`; one that takes longer says
 * every 15 seconds that it still runs. Set-up speaks on stderr only, so that stdout stays the program's own.
 *
 * @template T
 * @param {string} what
 * @param {() => Promise<T> | T} work
 * @returns {Promise<T>}
 */
export async function step(what, work) {
  const start = performance.now();
  process.stderr.write(`set-up: ${what} ... `);
  const stillRuns = setInterval(() => process.stderr.write(`${seconds(performance.now() - start)} ... `), 15_000);
  try {
    const result = await work();
    process.stderr.write(`${seconds(performance.now() - start)}\n`);
    return result;
  } catch (error) {
    process.stderr.write('failed\n');
    throw error;
  } finally {
    clearInterval(stillRuns);
  }
}

/** @param {number} milliseconds */
export function seconds(milliseconds) {
  return `${(milliseconds / 1000).toFixed(milliseconds < 1000 ? 2 : 1)} s`;
}

/** No message waits longer than this between two tries. */
const maximumDelaySeconds = 900;

/**
 * How long a message waits before it is tried again: exponential in its deliveries, with jitter over the upper half so
 * that a batch that failed together does not come back together.
 * @param receiveCount this delivery counted, so 1 or more
 * @param random from 0 to 1, 1 excluded
 * @returns whole seconds, at least 1
 */
export function retryDelaySeconds(receiveCount: number, baseSeconds: number, random: number): number {
  const ceiling = Math.min(maximumDelaySeconds, baseSeconds * 2 ** Math.min(receiveCount - 1, 16));
  return Math.max(1, Math.round(ceiling / 2 + (random * ceiling) / 2));
}

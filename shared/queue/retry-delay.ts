/** No message waits longer than this between two tries. */
const maximumDelaySeconds = 900;

/** How much trouble a message has had, from the attributes that SQS keeps of it (Amazon SQS API reference, ReceiveMessage). */
export interface Tried {
  /** ApproximateReceiveCount: this delivery counted, so 1 or more. */
  readonly receiveCount: number;
  /** Since its ApproximateFirstReceiveTimestamp. */
  readonly seconds: number;
}

/**
 * How long a message waits before it is tried again: exponential in its deliveries, and never longer than it has been in
 * trouble: SQS counts deliveries, not errors, and a message whose workers died ten times within a minute would otherwise wait
 * for a quarter of an hour after its first error. Jitter over the upper half, so that a batch that failed together does not
 * come back together.
 * @param random from 0 to 1, 1 excluded
 * @returns whole seconds, at least 1
 */
export function retryDelaySeconds({ receiveCount, seconds }: Tried, baseSeconds: number, random: number): number {
  const exponential = baseSeconds * 2 ** Math.min(receiveCount - 1, 16);
  const ceiling = Math.min(maximumDelaySeconds, exponential, Math.max(baseSeconds, seconds));
  return Math.max(1, Math.round(ceiling / 2 + (random * ceiling) / 2));
}

/** The ends of a wait, in seconds. */
export interface Wait {
  readonly least: number;
  readonly most: number;
}

/**
 * How long a message waits that was told between what and what: anywhere in between, so that a batch that was turned away
 * together does not come back together.
 * @param random from 0 to 1, 1 excluded
 * @returns whole seconds, from 1 to what no message waits longer than
 */
export function waitSeconds({ least, most }: Wait, random: number): number {
  return Math.min(maximumDelaySeconds, Math.max(1, Math.round(least + random * (most - least))));
}

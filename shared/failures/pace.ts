/** Waits until as many more may be sent. */
export type Pace = (count: number) => Promise<void>;

/**
 * A rate that is never exceeded over more than one batch, and not made up for after a delay.
 * @param perSecond above 0
 * @param wait milliseconds; resolves early where nothing more is to be sent
 */
export function paceOf(perSecond: number, now: () => number, wait: (milliseconds: number) => Promise<void>): Pace {
  let due = now();
  return async (count) => {
    const early = due - now();
    if (early > 0) await wait(early);
    due = Math.max(due, now()) + (count * 1_000) / perSecond;
  };
}

/** Of several rounds. */
export interface Spread {
  readonly median: number;
  readonly minimum: number;
  readonly maximum: number;
}

/** @param values at least one */
export function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (index: number): number => {
    const value = sorted[index];
    if (value === undefined) throw new RangeError('There is no spread of nothing.');
    return value;
  };
  const middle = sorted.length >> 1;
  return {
    median: sorted.length % 2 === 1 ? at(middle) : (at(middle - 1) + at(middle)) / 2,
    minimum: at(0),
    maximum: at(sorted.length - 1),
  };
}

/**
 * How often a second something can be done, one after the other, in about `milliseconds`.
 * @param step does it, and says how often
 */
export async function rateOf(milliseconds: number, step: () => number | Promise<number>): Promise<number> {
  const start = performance.now();
  let done = 0;
  let elapsed = 0;
  while (elapsed < milliseconds) {
    done += await step();
    elapsed = performance.now() - start;
  }
  return (done * 1000) / elapsed;
}

import { describe, expect, it } from 'vitest';
import { rateOf, spreadOf } from '../bench/measure.ts';

describe('the figures of a bench', () => {
  it('are the middle of the rounds, with the least and the most', () => {
    expect(spreadOf([3, 1, 2])).toEqual({ median: 2, minimum: 1, maximum: 3 });
    expect(spreadOf([4, 1, 3, 2])).toEqual({ median: 2.5, minimum: 1, maximum: 4 });
    expect(spreadOf([7])).toEqual({ median: 7, minimum: 7, maximum: 7 });
    expect(() => spreadOf([])).toThrow(RangeError);
  });

  it('count what was done in the time that it took, to the last step', async () => {
    const start = performance.now();
    let done = 0;
    const rate = await rateOf(20, async () => {
      done += 5;
      return 5;
    });
    const elapsed = performance.now() - start;
    expect(done).toBeGreaterThan(0);
    // What passed between the two looks at the clock is all that the rate may leave out.
    expect(rate).toBeGreaterThanOrEqual((done * 1000) / elapsed);
    expect(rate).toBeLessThanOrEqual((done * 1000) / 20);
  });
});

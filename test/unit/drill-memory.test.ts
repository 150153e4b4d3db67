import { describe, expect, it } from 'vitest';
import type { Measurement } from '../drills/heap-record.ts';
import { memoryTrend } from '../drills/memory.ts';
import { memoryProblems } from '../drills/soak.ts';

const kibibyte = 1024;

/** A measurement every ten seconds; the first two minutes are ten times as steep. */
function thread(processId: number, threadId: number, minutes: number, kibibytesAMinute: number): Measurement[] {
  return Array.from({ length: minutes * 6 + 1 }, (_, index) => {
    const minute = index / 6;
    const grown = kibibytesAMinute * (minute < 2 ? minute * 10 : 20 + (minute - 2));
    return {
      at: 1_000_000 + minute * 60_000,
      processId,
      threadId,
      live: (20_000 * processId + grown) * kibibyte,
      resident: (100_000 + 2 * grown) * kibibyte,
    };
  });
}

describe('the memory of workers', () => {
  it('is the slope after the warm-up, of all threads together', () => {
    const { live, resident, maximum } = memoryTrend([...thread(1, 0, 5, 30), ...thread(1, 2, 5, 12)]);
    expect(live).toBeCloseTo(42, 5);
    expect(resident).toBeCloseTo(60, 5);
    expect(maximum).toBe(100_000 + 2 * 30 * 23);
  });

  it('is one slope for processes that have levels of their own', () => {
    expect(memoryTrend([...thread(1, 0, 6, 30), ...thread(2, 0, 4, 30)]).live).toBeCloseTo(30, 5);
  });

  it('is not hidden by what V8 throws away at once', () => {
    const measurements = thread(1, 0, 5, 600).map((measurement, index) =>
      index < 22 ? measurement : { ...measurement, live: measurement.live - 6_000 * kibibyte },
    );
    expect(memoryTrend(measurements).live).toBeCloseTo(600, 5);
  });

  it('says nothing of processes that lived for less than four minutes', () => {
    expect(memoryTrend(thread(1, 0, 3, 1_000))).toMatchObject({ live: null, resident: null });
    expect(memoryTrend([])).toEqual({ maximum: 0, live: null, resident: null });
  });

  it('is a problem when it grows by more than its ups and downs, which count for less the longer it takes', () => {
    expect(memoryProblems(5, 1_024)).toEqual([]);
    expect(memoryProblems(5, 1_025)).toEqual(['A worker keeps 1025 KiB/min more.']);
    expect(memoryProblems(20, 170)).toEqual([]);
    expect(memoryProblems(20, 171)).toEqual(['A worker keeps 171 KiB/min more.']);
  });

  it('is a problem when nobody can say', () => {
    expect(memoryProblems(5, null)).toEqual(['No worker lived long enough to judge its memory.']);
    expect(memoryProblems(4, null)).toEqual([]);
  });
});

import type { Measurement } from './heap-record.ts';

export interface MemoryTrend {
  /** The largest resident set there was, in KiB; 0 where nothing was measured. */
  readonly maximum: number;
  /**
   * KiB a minute of what a process's objects take after a garbage collection, all its threads together. Null where no
   * process lived long enough.
   */
  readonly live: number | null;
  /**
   * KiB a minute of the resident set; null likewise. V8 keeps what it was once given for its heap, and allocators what was
   * once allocated, so it creeps up for long without any leak.
   */
  readonly resident: number | null;
}

/** Minutes of a process's life that do not count: modules are loaded, code is compiled, pools and caches are filled. */
export const warmUp = 2;

/** Minutes after that for which a process must have lived. */
const shortest = 2;

/**
 * KiB. What a thread keeps has been seen to fall by 6 MiB from one measurement to the next, some minutes after its start; code
 * that V8 throws away, presumably. What is lost there must not hide what grows before and after.
 */
const fall = 3_072;

const minute = 60_000;

/** How the memory of processes went, each with a level of its own. Pure. */
export function memoryTrend(measurements: readonly Measurement[]): MemoryTrend {
  const main = measurements.filter(({ threadId }) => threadId === 0);
  const others = measurements.filter(({ threadId }) => threadId !== 0);
  const slopeOf = (of: readonly Measurement[], size: (measurement: Measurement) => number) =>
    commonSlope(
      [...Map.groupBy(of, ({ processId, threadId }) => `${processId}/${threadId}`).values()]
        .map((ofOne) => ofOne.map((one): Sample => ({ at: one.at / minute, kibibytes: size(one) / 1024 })))
        .map(afterWarmUp)
        .filter((samples) => (samples.at(-1)?.at ?? 0) - (samples[0]?.at ?? 0) >= shortest)
        .flatMap(betweenFalls),
    );
  const live = slopeOf(main, (measurement) => measurement.live);
  return {
    maximum: Math.round(Math.max(0, ...measurements.map(({ resident }) => resident)) / 1024),
    live: live === undefined ? null : live + (slopeOf(others, (measurement) => measurement.live) ?? 0),
    resident: slopeOf(main, ({ resident }) => resident) ?? null,
  };
}

interface Sample {
  /** Minutes. */
  readonly at: number;
  readonly kibibytes: number;
}

const afterWarmUp = (samples: readonly Sample[]): Sample[] =>
  samples.filter(({ at }) => at - (samples[0]?.at ?? 0) >= warmUp);

/** In parts with a level of their own. */
function betweenFalls(samples: readonly Sample[]): Sample[][] {
  const parts: Sample[][] = [];
  let last = Number.NEGATIVE_INFINITY;
  for (const sample of samples) {
    if (parts.length === 0 || sample.kibibytes < last - fall) parts.push([]);
    parts.at(-1)?.push(sample);
    last = sample.kibibytes;
  }
  return parts;
}

/** Least squares over groups that share a slope and nothing else. */
export function commonSlope(groups: readonly (readonly Sample[])[]): number | undefined {
  let covariance = 0;
  let variance = 0;
  for (const samples of groups) {
    const mean = (of: (sample: Sample) => number) =>
      samples.reduce((total, sample) => total + of(sample), 0) / samples.length;
    const [at, kibibytes] = [mean((sample) => sample.at), mean((sample) => sample.kibibytes)];
    for (const sample of samples) {
      covariance += (sample.at - at) * (sample.kibibytes - kibibytes);
      variance += (sample.at - at) ** 2;
    }
  }
  return variance === 0 ? undefined : covariance / variance;
}

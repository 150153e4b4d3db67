import { readFileSync } from 'node:fs';

interface Sample {
  /** Minutes. */
  readonly at: number;
  readonly kibibytes: number;
}

/** Minutes of a process's life that do not count: modules are loaded, the heap finds its size. */
const warmUp = 1;

/** Minutes after that for which one of them must have lived: the heap's own ups and downs are some seconds long. */
const shortest = 2;

/** The resident memory of processes over time, from /proc. */
export class MemorySamples {
  readonly #samples = new Map<number, Sample[]>();

  /** @param now minutes, on any clock */
  take(pids: readonly number[], now: number): void {
    for (const pid of pids) {
      const kibibytes = residentKibibytes(pid);
      if (kibibytes === undefined) continue;
      const samples = this.#samples.get(pid);
      if (samples === undefined) this.#samples.set(pid, [{ at: now, kibibytes }]);
      else samples.push({ at: now, kibibytes });
    }
  }

  /** The largest there was, in KiB. */
  get maximum(): number {
    return Math.max(0, ...[...this.#samples.values()].flat().map(({ kibibytes }) => kibibytes));
  }

  /** KiB a minute: one slope for all processes, each with a level of its own. Undefined where none lived long enough. */
  get slope(): number | undefined {
    const warm = [...this.#samples.values()].map((samples) =>
      samples.filter(({ at }) => at - (samples[0]?.at ?? 0) >= warmUp),
    );
    return commonSlope(warm.filter((samples) => (samples.at(-1)?.at ?? 0) - (samples[0]?.at ?? 0) >= shortest));
  }
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

/** Undefined for a process that has ended. */
function residentKibibytes(pid: number): number | undefined {
  try {
    const [, kibibytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
    return kibibytes === undefined ? undefined : Number(kibibytes);
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}

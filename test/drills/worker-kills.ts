import type { SeededRandom } from '../../local/embedded/seeded-random.ts';

export interface WorkerKillsOptions {
  /** The workers that are up. */
  readonly pids: () => readonly number[];
  readonly kill: (pid: number) => void;
  readonly random: SeededRandom;
}

/**
 * Kills workers on demand, but never one of them, which is spared until it ends otherwise: its memory must have time to show
 * something. Where that one is alone, a kill waits for another.
 */
export class WorkerKills {
  readonly #options: WorkerKillsOptions;
  #spared: number | undefined;
  #isDue = false;

  constructor(options: WorkerKillsOptions) {
    this.#options = options;
  }

  /** The one that is not killed; undefined where none is up. */
  get spared(): number | undefined {
    const up = this.#options.pids();
    if (this.#spared === undefined || !up.includes(this.#spared)) this.#spared = up[0];
    return this.#spared;
  }

  /** One is to be killed, at the next look that finds one. */
  ask(): void {
    this.#isDue = true;
  }

  /** @returns whether one was killed now */
  look(): boolean {
    const { pids, kill, random } = this.#options;
    const { spared } = this;
    const others = pids().filter((pid) => pid !== spared);
    if (!this.#isDue || others.length === 0) return false;
    kill(random.pick(others));
    this.#isDue = false;
    return true;
  }
}

import type { ApiCall, AroundCall } from '../../local/embedded/api-call.ts';
import type { SeededRandom } from '../../local/embedded/seeded-random.ts';
import { type Fault, readFaults } from '../../local/pkcs11-shim/faults.ts';
import { stepOf } from './steps.ts';

/** A moment before or after a step: `after store the certificate`. */
export type Boundary = `${'before' | 'after'} ${string}`;

export const boundariesOf = (step: string): Boundary[] => [`before ${step}`, `after ${step}`];

export interface BoundaryKillsOptions {
  /** Logical id of the function whose processes are killed. */
  readonly function: string;
  /** Goes before the name of each of its steps; nothing of the issue function's. */
  readonly prefix?: string;
  /** Of the boundaries, from 0 to 1: each is drawn when a process first comes to it. Undefined: all. */
  readonly share?: number;
  /** How often a process is killed at each of those, if it gets there often enough. */
  readonly each: number;
  /** How often at all of them together, at most. */
  readonly limit: number;
  readonly random: SeededRandom;
}

/**
 * The first process at a boundary dies: some boundaries are seldom reached. After that not each time, so that others than
 * the first batch of a process die too.
 */
const chance = 0.2;

/**
 * Kills processes at the boundaries of their calls of AWS: `before`, the call has left the process and is never carried
 * out; `after`, it is carried out and nobody is left to hear of it.
 */
export class BoundaryKills {
  readonly #options: BoundaryKillsOptions;
  readonly #killed = new Map<Boundary, number>();
  readonly #passed = new Map<Boundary, number>();
  readonly #drawn = new Map<Boundary, boolean>();
  #active = true;

  constructor(options: BoundaryKillsOptions) {
    this.#options = options;
  }

  /** How often at each boundary that a process came to. */
  get killed(): ReadonlyMap<Boundary, number> {
    return this.#killed;
  }

  get total(): number {
    return [...this.#killed.values()].reduce((total, times) => total + times, 0);
  }

  /** How often processes came to a boundary, whether they were killed there or not. */
  passed(boundary: Boundary): number {
    return this.#passed.get(boundary) ?? 0;
  }

  /** Kills nothing more. */
  end(): void {
    this.#active = false;
  }

  /** Whether the function's processes are meant that make this call. */
  isOf({ caller }: ApiCall): boolean {
    return caller?.function === this.#options.function;
  }

  readonly around: AroundCall = async (call, perform) => {
    const { caller } = call;
    if (caller?.function !== this.#options.function) return perform();
    const step = `${this.#options.prefix ?? ''}${stepOf(call)}`;
    if (this.#falls(`before ${step}`)) {
      await caller.kill();
      return undefined;
    }
    const answer = await perform();
    if (!this.#falls(`after ${step}`)) return answer;
    await caller.kill();
    return undefined;
  };

  #falls(boundary: Boundary): boolean {
    const killed = this.#killed.get(boundary) ?? 0;
    this.#passed.set(boundary, this.passed(boundary) + 1);
    const { each, limit, random } = this.#options;
    const isDue = this.#isDrawn(boundary) && (killed === 0 || random.chance(chance));
    const falls = this.#active && isDue && killed < each && this.total < limit;
    this.#killed.set(boundary, killed + (falls ? 1 : 0));
    return falls;
  }

  #isDrawn(boundary: Boundary): boolean {
    const drawn = this.#drawn.get(boundary) ?? this.#options.random.chance(this.#options.share ?? 1);
    this.#drawn.set(boundary, drawn);
    return drawn;
  }
}

/** The boundaries of a signature, which the shim kills at: it is in the process. */
const signatureBoundaries = ['crash-before-sign', 'crash-after-sign'] as const;

export const signatureStep = 'sign';

/**
 * @param each how often at each of them
 * @param requests among which they are spread
 */
export function signatureKills(each: number, requests: number, random: SeededRandom): Fault[] {
  // So that all have happened when a fifth of the requests is signed, and a batch of ten does not always die; of few
  // requests it may, since one in a thousand drills at most is to have had none at a boundary.
  const probability = Math.max(Math.min(0.1, (5 * each) / requests), 1 - 0.001 ** (1 / requests));
  return signatureBoundaries.map((fault) => ({
    fault,
    count: each,
    chance: { probability, state: random.named(fault).bits() },
  }));
}

/** How often each of `signatureKills(each)` has happened. */
export function signatureKillsDone(faultsPath: string, each: number): Map<Boundary, number> {
  const left = new Map(readFaults(faultsPath).map(({ fault, count }) => [fault, count]));
  return new Map(
    signatureBoundaries.map((fault) => [
      `${fault === 'crash-before-sign' ? 'before' : 'after'} ${signatureStep}`,
      each - (left.get(fault) ?? each),
    ]),
  );
}

/** Kills processes at moments that nothing decides but the seed. */
export class RandomKills {
  readonly #pids: () => readonly number[];
  readonly #random: SeededRandom;
  readonly #meanMilliseconds: number;
  #left: number;
  #done = 0;
  #timer: NodeJS.Timeout | undefined;

  /** @param pids those that may be killed now */
  constructor(pids: () => readonly number[], kills: number, meanMilliseconds: number, random: SeededRandom) {
    this.#pids = pids;
    this.#left = kills;
    this.#meanMilliseconds = meanMilliseconds;
    this.#random = random;
    this.#next();
  }

  get done(): number {
    return this.#done;
  }

  end(): void {
    this.#left = 0;
    clearTimeout(this.#timer);
  }

  /** The times between are distributed as those of a Poisson process. */
  #next(): void {
    if (this.#left === 0) return;
    this.#timer = setTimeout(
      () => {
        this.#kill();
        this.#next();
      },
      -Math.log(1 - this.#random.fraction()) * this.#meanMilliseconds,
    );
  }

  #kill(): void {
    const pids = this.#pids();
    if (pids.length === 0) return;
    killProcess(this.#random.pick(pids));
    this.#left -= 1;
    this.#done += 1;
  }
}

/** SIGKILL; a process that has ended by itself in between is none the worse for it. */
export function killProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

import type { AroundCall } from '../../local/embedded/api-call.ts';
import type { SeededRandom } from '../../local/embedded/seeded-random.ts';
import { type Fault, readFaults } from '../../local/pkcs11-shim/faults.ts';

/** A moment before or after a call: `after dynamodb UpdateItem mintmark-local-issuance to issued`. */
type Boundary = string;

export interface BoundaryKillsOptions {
  /** Logical id of the function whose processes are killed. */
  readonly function: string;
  /** How often a process is killed at each boundary, at least, if it gets there often enough. */
  readonly each: number;
  /** How often at all of them together, at most. */
  readonly limit: number;
  readonly random: SeededRandom;
}

/** Not each time, so that it is not always the first batch of a process that dies; but soon. */
const chance = 0.3;
/** So often may a boundary be passed before the first kill there. */
const patience = 4;

/**
 * Kills processes at the boundaries of their calls of AWS: `before`, the call has left the process and is never carried
 * out; `after`, it is carried out and nobody is left to hear of it.
 */
export class BoundaryKills {
  readonly #options: BoundaryKillsOptions;
  readonly #killed = new Map<Boundary, number>();
  readonly #passed = new Map<Boundary, number>();
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

  /** Kills nothing more. */
  end(): void {
    this.#active = false;
  }

  readonly around: AroundCall = async (call, perform) => {
    const { caller } = call;
    if (caller?.function !== this.#options.function) return perform();
    const step = `${call.service} ${call.operation}${subjectOf(call.request.body)}`;
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
    const passed = this.#passed.get(boundary) ?? 0;
    this.#passed.set(boundary, passed + 1);
    const isDue = this.#options.random.chance(chance) || (killed === 0 && passed >= patience);
    const { each, limit } = this.#options;
    const falls = this.#active && isDue && killed < each && this.total < limit;
    this.#killed.set(boundary, killed + (falls ? 1 : 0));
    return falls;
  }
}

/** Of a DynamoDB call, its tables, and the state that an update is to; they are what tells one step from another. */
function subjectOf(body: Buffer): string {
  const text = body.toString();
  if (!text.startsWith('{')) return '';
  const input = JSON.parse(text) as {
    readonly TableName?: string;
    readonly RequestItems?: Readonly<Record<string, unknown>>;
    readonly ExpressionAttributeValues?: Readonly<Record<string, { readonly S?: string }>>;
  };
  const tables = [input.TableName ?? [], Object.keys(input.RequestItems ?? {})].flat();
  const to = input.ExpressionAttributeValues?.[':to']?.S;
  return [...tables.map((table) => ` ${table}`), to === undefined ? '' : ` to ${to}`].join('');
}

/** The boundaries of a signature, which the shim kills at: it is in the process. */
export const signatureBoundaries = ['crash-before-sign', 'crash-after-sign'] as const;

/**
 * @param each how often at each of them
 * @param requests among which they are spread
 */
export function signatureKills(each: number, requests: number, random: SeededRandom): Fault[] {
  // So that all have happened when a third of the requests is signed, and a batch of ten does not always die.
  const probability = Math.min(0.1, (3 * each) / requests);
  return signatureBoundaries.map((fault) => ({
    fault,
    count: each,
    chance: { probability, state: random.named(fault).bits() },
  }));
}

/** How many of `signatureKills(each)` have happened. */
export function signatureKillsDone(faultsPath: string, each: number): number {
  const left = readFaults(faultsPath).filter(({ fault }) => signatureBoundaries.some((name) => name === fault));
  return left.reduce((total, { count }) => total + each - count, 0);
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

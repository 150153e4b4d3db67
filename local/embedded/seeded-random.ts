import { createHash } from 'node:crypto';

const mask = (1n << 64n) - 1n;

/**
 * Random numbers that a seed decides: SplitMix64 (Sebastiano Vigna, public domain), as the PKCS#11 shim has it. For
 * drills, where a run must be told again; never for keys or serial numbers.
 */
export class SeededRandom {
  readonly #origin: bigint;
  #state: bigint;

  /** @param state any 64 bits */
  constructor(state: bigint) {
    this.#origin = state & mask;
    this.#state = this.#origin;
  }

  /** Of a seed as a person writes it. */
  static of(seed: number): SeededRandom {
    return new SeededRandom(BigInt(Math.trunc(seed)));
  }

  /** A sequence of its own for each name, whatever was drawn from this one: concurrent users do not disturb another. */
  named(name: string): SeededRandom {
    const digest = createHash('sha256').update(`${this.#origin}/${name}`).digest();
    return new SeededRandom(digest.readBigUInt64BE());
  }

  /** 64 random bits. */
  bits(): bigint {
    this.#state = (this.#state + 0x9e3779b97f4a7c15n) & mask;
    let z = this.#state;
    z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & mask;
    z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & mask;
    return z ^ (z >> 31n);
  }

  /** From 0 to 1, 1 excluded. */
  fraction(): number {
    return Number(this.bits() >> 11n) / 2 ** 53;
  }

  /** A whole number from 0 to `count`, `count` excluded. */
  below(count: number): number {
    return Math.floor(this.fraction() * count);
  }

  /** True as often as `probability` says, from 0 to 1. */
  chance(probability: number): boolean {
    return this.fraction() < probability;
  }

  /** One of them. @throws RangeError when there is none */
  pick<T>(choices: readonly T[]): T {
    if (choices.length === 0) throw new RangeError('There is nothing to pick from.');
    return choices[this.below(choices.length)] as T;
  }

  /** A new array with the same elements in a random order (Fisher and Yates). */
  shuffled<T>(elements: readonly T[]): T[] {
    const result = [...elements];
    for (let index = result.length - 1; index > 0; index--) {
      const other = this.below(index + 1);
      [result[index], result[other]] = [result[other] as T, result[index] as T];
    }
    return result;
  }
}

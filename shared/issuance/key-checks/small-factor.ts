import { primesBelow } from './integers.ts';

/** NIST SP 800-89 section 5.3.3, CA/Browser Forum Baseline Requirements section 6.1.6: no factors smaller than 752. */
const primes = primesBelow(752);

/** Primes by the group whose product a double holds: one long division for each group, and short ones from there. */
const groups = grouped(primes);

interface Group {
  readonly product: bigint;
  readonly primes: readonly number[];
}

function grouped(all: readonly number[]): Group[] {
  const made: { product: number; primes: number[] }[] = [];
  for (const prime of all) {
    const last = made.at(-1);
    if (last !== undefined && last.product * prime <= Number.MAX_SAFE_INTEGER) {
      last.product *= prime;
      last.primes.push(prime);
    } else made.push({ product: prime, primes: [prime] });
  }
  return made.map((group) => ({ product: BigInt(group.product), primes: group.primes }));
}

/** The smallest prime factor below 752, if there is one. */
export function smallFactorOf(modulus: bigint): number | undefined {
  for (const group of groups) {
    const residue = Number(modulus % group.product);
    const factor = group.primes.find((prime) => residue % prime === 0);
    if (factor !== undefined) return factor;
  }
  return undefined;
}

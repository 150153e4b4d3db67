import { bitLength, integerRoot, modularPower, primesBelow } from './integers.ts';

/** A base below this is a small factor, which is looked for first. */
const smallestBase = 752;

/** Of the largest modulus that a profile may allow, in bits (profile/schema.ts). */
const largestModulusBits = 8192;

const largestExponent = Math.floor(largestModulusBits / Math.log2(smallestBase));

/** Three moduli for each exponent k, all 1 modulo k: one residue in k is a k-th power there. */
const sievesPerExponent = 3;
const candidates = primesBelow(20_000);
const sieves = primesBelow(largestExponent + 1)
  .filter((exponent) => exponent > 2)
  .map((exponent) => ({
    exponent,
    primes: candidates.filter((prime) => prime % exponent === 1).slice(0, sievesPerExponent),
  }));

/** Euler's criterion: an integer that is a k-th power is one modulo every prime q; where k divides q - 1 that tells. */
function maybePower(value: bigint, exponent: number, prime: number): boolean {
  const residue = Number(value % BigInt(prime));
  return residue === 0 || modularPower(residue, (prime - 1) / exponent, prime) === 1;
}

/**
 * The smallest odd prime k for which `modulus` is a k-th power, if there is one. Looks at moduli of at most 8192 bits
 * without factors below 752; squares are what Fermat's method finds first (close-primes.ts).
 */
export function oddPowerOf(modulus: bigint): number | undefined {
  const bits = bitLength(modulus);
  for (const { exponent, primes } of sieves) {
    if (bits < exponent * Math.log2(smallestBase)) return undefined;
    if (!primes.every((prime) => maybePower(modulus, exponent, prime))) continue;
    if (integerRoot(modulus, exponent) ** BigInt(exponent) === modulus) return exponent;
  }
  return undefined;
}

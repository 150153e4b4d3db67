import { integerRoot } from './integers.ts';

/**
 * CA/Browser Forum Baseline Requirements section 6.1.1.3 asks for 100, Boulder does 110. Primes that are chosen at
 * random are never this close: the keys of printers with CVE-2022-26320 fall in the first rounds.
 */
const fermatRounds = 110;

/** Odd prime powers with few squares among their residues; with 256 they leave one number in 130. */
const sieve = 9 * 5 * 7 * 11 * 13;
const squaresModulo256 = squaresModulo(256);
const squaresModuloSieve = squaresModulo(sieve);

function squaresModulo(modulus: number): Uint8Array {
  const isSquare = new Uint8Array(modulus);
  for (let root = 0; root < modulus; root++) isSquare[(root * root) % modulus] = 1;
  return isSquare;
}

function isPerfectSquare(value: bigint): boolean {
  if (squaresModulo256[Number(value & 255n)] !== 1) return false;
  if (squaresModuloSieve[Number(value % BigInt(sieve))] !== 1) return false;
  return value === 0n || integerRoot(value, 2) ** 2n === value;
}

/**
 * Whether Fermat's method factors an odd modulus within 110 rounds: n = a^2 - b^2 = (a + b)(a - b), with a counted up from
 * the square root of n, rounded up, so that the square of a prime falls in the first round.
 */
export function hasClosePrimes(modulus: bigint): boolean {
  let a = integerRoot(modulus, 2);
  if (a * a < modulus) a++;
  let bSquared = a * a - modulus;
  for (let round = 1; round <= fermatRounds; round++) {
    if (isPerfectSquare(bSquared)) return true;
    bSquared += 2n * a + 1n;
    a++;
  }
  return false;
}

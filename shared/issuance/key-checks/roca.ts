import { primesBelow } from './integers.ts';

/**
 * Infineon's library made primes of the form k * M + (65537^a mod M), where M is the product of the first primes: so a
 * modulus of its keys is a power of 65537 modulo every one of those (Nemec et al., "The Return of Coppersmith's Attack",
 * ACM CCS 2017, section 2). For keys of any size M holds the primes up to 167; of use are the 17 modulo which some
 * residues are no power of 65537. A key that was made otherwise passes for one of these once in 2^27.
 */
const fingerprints = primesBelow(168)
  .map((prime) => ({ prime, powers: powersModulo(prime, 65537) }))
  .filter(({ prime, powers }) => powers.size < prime - 1)
  .map(({ prime, powers }) => ({ prime: BigInt(prime), powers }));

function powersModulo(prime: number, generator: number): ReadonlySet<number> {
  const powers = new Set<number>();
  for (let power = 1; !powers.has(power); power = (power * generator) % prime) powers.add(power);
  return powers;
}

/** Whether a modulus has the fingerprint of CVE-2017-15361 (ROCA), as crocs-muni/roca and Boulder look for it. */
export function hasRocaFingerprint(modulus: bigint): boolean {
  return fingerprints.every(({ prime, powers }) => powers.has(Number(modulus % prime)));
}

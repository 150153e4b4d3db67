import { MintmarkError } from '../../errors.ts';
import { hasClosePrimes } from './close-primes.ts';
import { oddPowerOf } from './perfect-power.ts';
import { hasRocaFingerprint } from './roca.ts';
import { smallFactorOf } from './small-factor.ts';

const weak = (message: string): MintmarkError => new MintmarkError('KEY_WEAK', message);

/**
 * Refuses an odd RSA modulus that known methods factor at once (CA/Browser Forum Baseline Requirements sections 6.1.1.3
 * and 6.1.6, as Boulder's goodkey does, and powers of a prime besides). The cheaper looks come first.
 * @throws MintmarkError KEY_WEAK, KEY_ROCA
 */
export function checkRsaModulus(modulus: bigint): void {
  const factor = smallFactorOf(modulus);
  if (factor !== undefined) throw weak(`The RSA modulus is divisible by ${factor}.`);
  if (hasRocaFingerprint(modulus)) {
    throw new MintmarkError('KEY_ROCA', 'The RSA modulus has the fingerprint of CVE-2017-15361 (ROCA).');
  }
  const power = oddPowerOf(modulus);
  if (power !== undefined) throw weak(`The RSA modulus is an integer to the power of ${power}.`);
  if (hasClosePrimes(modulus)) {
    throw weak("The primes of the RSA modulus are so close that Fermat's method factors it.");
  }
}

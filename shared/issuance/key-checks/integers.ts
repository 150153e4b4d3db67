/** The primes below `limit`, ascending (the sieve of Eratosthenes). */
export function primesBelow(limit: number): number[] {
  const isComposite = new Uint8Array(limit);
  const primes: number[] = [];
  for (let candidate = 2; candidate < limit; candidate++) {
    if (isComposite[candidate] === 1) continue;
    primes.push(candidate);
    for (let multiple = candidate * candidate; multiple < limit; multiple += candidate) isComposite[multiple] = 1;
  }
  return primes;
}

/** Of a positive integer: its length in bits. */
export function bitLength(value: bigint): number {
  const hexadecimal = value.toString(16);
  return hexadecimal.length * 4 - (Math.clz32(Number.parseInt(hexadecimal.charAt(0), 16)) - 28);
}

/** `base` to the `exponent` modulo `modulus`, which is below 2^26, so that a product of two residues is exact. */
export function modularPower(base: number, exponent: number, modulus: number): number {
  let result = 1;
  let square = base % modulus;
  for (let rest = exponent; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) result = (result * square) % modulus;
    square = (square * square) % modulus;
  }
  return result;
}

/**
 * The largest integer whose `degree`-th power is at most `value`, which is positive: Newton's method from above, where it
 * falls until it is there.
 */
export function integerRoot(value: bigint, degree: number): bigint {
  const k = BigInt(degree);
  let root = estimateAbove(value, degree);
  for (;;) {
    const next = ((k - 1n) * root + value / root ** (k - 1n)) / k;
    if (next >= root) return root;
    root = next;
  }
}

/** Above the root by a part in 2^32: the leading 64 bits as a double, with more than its rounding added. */
function estimateAbove(value: bigint, degree: number): bigint {
  const shift = Math.max(bitLength(value) - 64, 0);
  const logarithm = (Math.log2(Number(value >> BigInt(shift))) + shift) / degree;
  const whole = Math.max(Math.floor(logarithm) - 52, 0);
  const leading = Math.ceil(2 ** (logarithm - whole) * (1 + 2 ** -32)) + 1;
  return BigInt(leading) << BigInt(whole);
}

import { createPublicKey, generateKeyPairSync, randomInt } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bitString, objectIdentifier, sequence } from '../../shared/asn1/der-writer.ts';
import { MintmarkError } from '../../shared/errors.ts';
import { hasClosePrimes } from '../../shared/issuance/key-checks/close-primes.ts';
import { bitLength, integerRoot, primesBelow } from '../../shared/issuance/key-checks/integers.ts';
import { oddPowerOf } from '../../shared/issuance/key-checks/perfect-power.ts';
import { hasRocaFingerprint } from '../../shared/issuance/key-checks/roca.ts';
import { smallFactorOf } from '../../shared/issuance/key-checks/small-factor.ts';
import { objectIdentifiers } from '../../shared/issuance/object-identifiers.ts';
import { checkPublicKey, readPublicKey } from '../../shared/issuance/public-key.ts';
import { vulnerableModuli } from '../fixtures/csr/roca.ts';
import { bytesOf, numberOf } from '../fixtures/csr/rsa.ts';

/** Printed where a test fails; `MINTMARK_TEST_SEED=n` makes the same numbers again. */
const seed = Number(process.env['MINTMARK_TEST_SEED'] ?? randomInt(2 ** 31));

const ofBits = (bits: number): fc.Arbitrary<bigint> =>
  fc.bigInt({ min: 1n << BigInt(bits - 1), max: (1n << BigInt(bits)) - 1n });
const odd = (value: bigint): bigint => value | 1n;

describe('integers', () => {
  it('a root to the power of its degree is at most the value, and that of the next integer above it', () => {
    const degree = fc.integer({ min: 2, max: 430 });
    fc.assert(
      fc.property(
        degree,
        fc.integer({ min: 1, max: 4200 }).chain((bits) => ofBits(bits)),
        (k, value) => {
          const root = integerRoot(value, k);
          expect(root ** BigInt(k) <= value && value < (root + 1n) ** BigInt(k)).toBe(true);
        },
      ),
      { numRuns: 1000, seed },
    );
  });

  it('the root of a power is its base, and that of one less is not', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 60 }), fc.bigInt({ min: 2n, max: 1n << 200n }), (k, base) => {
        expect(integerRoot(base ** BigInt(k), k)).toBe(base);
        expect(integerRoot(base ** BigInt(k) - 1n, k)).toBe(base - 1n);
      }),
      { numRuns: 500, seed },
    );
  });

  it('lengths in bits are those of the binary digits', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 70 }).chain(ofBits), (value) => {
        expect(bitLength(value)).toBe(value.toString(2).length);
      }),
      { seed },
    );
  });

  it('primes are what nothing divides', () => {
    const divisible = (value: number): boolean =>
      Array.from({ length: value - 2 }, (_, index) => index + 2).some((divisor) => value % divisor === 0);
    const numbers = Array.from({ length: 998 }, (_, index) => index + 2);
    expect(primesBelow(1000)).toEqual(numbers.filter((value) => !divisible(value)));
    expect(primesBelow(751).at(-1)).toBe(743);
    expect(primesBelow(752).at(-1)).toBe(751);
  });
});

it('small factors: as division by every number below 752 says', () => {
  const expected = (modulus: bigint): number | undefined => {
    for (let divisor = 2; divisor < 752; divisor++) if (modulus % BigInt(divisor) === 0n) return divisor;
    return undefined;
  };
  const counts = { found: 0, none: 0 };
  fc.assert(
    fc.property(ofBits(2048), (modulus) => {
      const factor = expected(odd(modulus));
      counts[factor === undefined ? 'none' : 'found']++;
      expect(smallFactorOf(odd(modulus))).toBe(factor);
    }),
    { numRuns: 500, seed },
  );
  expect(Math.min(...Object.values(counts)), `seed ${seed}`).toBeGreaterThan(10);
});

it("close primes: as 110 rounds of Fermat's method say, each with a square root of its own", () => {
  /** Boulder's checkPrimeFactorsTooClose (goodkey/good_key.go), but for the square root, which is rounded up here. */
  const expected = (modulus: bigint): boolean => {
    let a = integerRoot(modulus, 2);
    if (a * a < modulus) a++;
    for (let round = 0; round < 110; round++, a++) {
      const bSquared = a * a - modulus;
      if (bSquared === 0n || integerRoot(bSquared, 2) ** 2n === bSquared) return true;
    }
    return false;
  };
  const counts = { found: 0, none: 0 };
  // p q = a^2 - b^2 is found in round b^2 / 2a: these distances lie around that of 110 rounds, on both sides of it.
  const spread = fc.integer({ min: 1, max: 220 });
  fc.assert(
    fc.property(ofBits(256), spread, fc.bigInt({ min: 0n, max: 1000n }), (start, rounds, jitter) => {
      const p = odd(start);
      const distance = 2n * integerRoot(2n * p * BigInt(rounds), 2) + 2n * jitter;
      const modulus = p * (p + distance);
      const found = expected(modulus);
      counts[found ? 'found' : 'none']++;
      expect(hasClosePrimes(modulus)).toBe(found);
    }),
    { numRuns: 300, seed },
  );
  expect(Math.min(...Object.values(counts)), `seed ${seed}`).toBeGreaterThan(50);
});

it('powers: up to 8192 bits, the most that a profile may allow', () => {
  expect(oddPowerOf(757n ** 853n)).toBe(853);
  expect(oddPowerOf(757n ** 853n + 2n)).toBeUndefined();
});

it('powers: the exponent of what is one, and nothing else', () => {
  const odds = primesBelow(60).filter((prime) => prime > 2);
  fc.assert(
    fc.property(fc.constantFrom(...odds), fc.bigInt({ min: 376n, max: 1n << 34n }), (k, half) => {
      const power = (2n * half + 1n) ** BigInt(k);
      // A base that is a power itself may be found by its own exponent.
      const found = oddPowerOf(power);
      if (found === undefined) expect.fail(`a power of ${k} was not found`);
      expect(integerRoot(power, found) ** BigInt(found)).toBe(power);
      expect(oddPowerOf(power + 2n)).toBeUndefined();
      expect(oddPowerOf(power * (2n * half + 3n))).toBeUndefined();
    }),
    { numRuns: 300, seed },
  );
});

describe('CVE-2017-15361 (ROCA)', () => {
  /**
   * The residues that are marked in the detection tool of those who found it (github.com/crocs-muni/roca, detect.py, MIT
   * licence): bit r of a mask stands for the residue r modulo the odd prime in its place.
   */
  const masks = [
    6n,
    30n,
    126n,
    1026n,
    5658n,
    107286n,
    199410n,
    8388606n,
    536870910n,
    2147483646n,
    67109890n,
    2199023255550n,
    8796093022206n,
    140737488355326n,
    5310023542746834n,
    576460752303423486n,
    1455791217086302986n,
    147573952589676412926n,
    20052041432995567486n,
    6041388139249378920330n,
    207530445072488465666n,
    9671406556917033397649406n,
    618970019642690137449562110n,
    79228162521181866724264247298n,
    2535301200456458802993406410750n,
    1760368345969468176824550810518n,
    50079290986288516948354744811034n,
    473022961816146413042658758988474n,
    10384593717069655257060992658440190n,
    144390480366845522447407333004847678774n,
    2722258935367507707706996859454145691646n,
    174224571863520493293247799005065324265470n,
    696898287454081973172991196020261297061886n,
    713623846352979940529142984724747568191373310n,
    1800793591454480341970779146165214289059119882n,
    126304807362733370595828809000324029340048915994n,
    11692013098647223345629478661730264157247460343806n,
    187072209578355573530071658587684226515959365500926n,
  ];
  const primes = primesBelow(168).slice(1);
  const expected = (modulus: bigint): boolean =>
    masks.every((mask, index) => ((mask >> (modulus % BigInt(primes[index] ?? 0))) & 1n) === 1n);

  it('every residue modulo every prime is judged as in the published tool', () => {
    expect(primes).toHaveLength(masks.length);
    const counts = { marked: 0, unmarked: 0 };
    for (const prime of primes) {
      // A vulnerable modulus, with nothing but its residue modulo this one prime changed.
      const others = primes.filter((other) => other !== prime).reduce((product, other) => product * BigInt(other), 1n);
      for (let step = 0n; step < prime; step++) {
        const modulus = vulnerableModuli.rsa2048 + step * others;
        // The tool marks no multiple of any of them; here those that have no other say are refused as small factors.
        if (modulus % BigInt(prime) === 0n) continue;
        const marked = expected(modulus);
        counts[marked ? 'marked' : 'unmarked']++;
        expect(hasRocaFingerprint(modulus), `modulo ${prime}`).toBe(marked);
      }
    }
    expect(counts.marked).toBeGreaterThan(1000);
    expect(counts.unmarked).toBeGreaterThan(500);
  });

  it('numbers at random have no fingerprint', () => {
    fc.assert(
      fc.property(ofBits(2048), (modulus) => {
        expect(hasRocaFingerprint(odd(modulus))).toBe(false);
        expect(expected(odd(modulus))).toBe(false);
      }),
      { numRuns: 2000, seed },
    );
  });
});

describe.each([
  ['P-256', objectIdentifiers.secp256r1, 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n],
  ['P-384', objectIdentifiers.secp384r1, 2n ** 384n - 2n ** 128n - 2n ** 96n + 2n ** 32n - 1n],
  ['P-521', objectIdentifiers.secp521r1, 2n ** 521n - 1n],
])('points of %s', (namedCurve, oid, prime) => {
  const octets = Math.ceil(bitLength(prime) / 8);
  const spkiOf = (...point: readonly Uint8Array[]): Uint8Array =>
    sequence(
      sequence(objectIdentifier(objectIdentifiers.idEcPublicKey), objectIdentifier(oid)),
      bitString(Buffer.concat(point)),
    );
  const isAccepted = (der: Uint8Array): boolean => {
    try {
      checkPublicKey(readPublicKey(der), { ec: { curves: [namedCurve] } });
      return true;
    } catch (error) {
      if (error instanceof MintmarkError && error.code === 'KEY_INVALID') return false;
      throw error;
    }
  };
  const isImported = (der: Uint8Array): boolean => {
    try {
      createPublicKey({ key: Buffer.from(der), format: 'der', type: 'spki' });
      return true;
    } catch (error) {
      if (error instanceof Error && 'opensslErrorStack' in error) return false;
      throw error;
    }
  };

  it('uncompressed: accepted where OpenSSL imports them, and nowhere else', () => {
    const { x = '', y = '' } = generateKeyPairSync('ec', { namedCurve }).publicKey.export({ format: 'jwk' });
    const good = { x: numberOf(Buffer.from(x, 'base64url')), y: numberOf(Buffer.from(y, 'base64url')) };
    const limit = 2n ** BigInt(8 * octets);
    const near = fc.bigInt({ min: -3n, max: 3n });
    const coordinate = (of: bigint): fc.Arbitrary<bigint> =>
      fc.oneof(
        fc.constant(of),
        fc.constant(prime - of),
        fc.constant(of + prime),
        near.map((by) => of + by),
        near.map((by) => prime + by),
        fc.bigInt({ min: 0n, max: limit - 1n }),
      );
    const counts = { accepted: 0, refused: 0 };
    fc.assert(
      fc.property(coordinate(good.x), coordinate(good.y), (changedX, changedY) => {
        const point = [changedX, changedY].map((value) => bytesOf(((value % limit) + limit) % limit, octets));
        const der = spkiOf(Buffer.of(4), ...point);
        const accepted = isAccepted(der);
        counts[accepted ? 'accepted' : 'refused']++;
        expect(accepted).toBe(isImported(der));
      }),
      { numRuns: 500, seed },
    );
    expect(Math.min(...Object.values(counts)), `seed ${seed}`).toBeGreaterThan(5);
  });

  it('at infinity: refused, which OpenSSL leaves to whoever uses the key', () => {
    expect(isAccepted(spkiOf(Buffer.of(0)))).toBe(false);
  });
});

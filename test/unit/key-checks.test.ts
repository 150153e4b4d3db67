import { createPublicKey, type KeyObject, randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { bitString, nullValue, objectIdentifier, sequence } from '../../shared/asn1/der-writer.ts';
import { decodeCsr, parseCertificationRequest } from '../../shared/issuance/certification-request.ts';
import { keyPairOfIssuer, refuseIssuersKey } from '../../shared/issuance/key-checks/issuer-key.ts';
import { objectIdentifiers } from '../../shared/issuance/object-identifiers.ts';
import { verifyProofOfPossession } from '../../shared/issuance/proof-of-possession.ts';
import { checkPublicKey, type KeyPolicy, readPublicKey } from '../../shared/issuance/public-key.ts';
import {
  generateEcKey,
  generateEd25519Key,
  generateKey,
  generateRsaKey,
  handMakeCsr,
  makeCsr,
  openssl,
  opensslAccepts,
  subjectPublicKeyInfoOf,
} from '../fixtures/csr/make.ts';
import { refusalOf } from '../fixtures/csr/refusal.ts';
import { csrOfVulnerableChip, soundModulus, vulnerableModuli } from '../fixtures/csr/roca.ts';
import {
  bytesOf,
  csrOfFactors,
  factorsOfSize,
  inverseModulo,
  nextPrime,
  numberOf,
  powerModulo,
  randomPrime,
  rsaSubjectPublicKeyInfo,
} from '../fixtures/csr/rsa.ts';

const policy: KeyPolicy = {
  ec: { curves: ['P-256', 'P-384', 'P-521'] },
  rsa: { minimumBits: 2048, maximumBits: 4096 },
  ed25519: true,
};

/** What is asked of the key in a CSR, and the proof that its sender has the private one. */
function accept(der: Uint8Array): void {
  const csr = parseCertificationRequest(der);
  checkPublicKey(csr.publicKey, policy);
  verifyProofOfPossession(csr);
}

/** Of a CSR that openssl finds nothing wrong with. */
async function refusedThoughSound(der: Uint8Array): Promise<{ code: string; message: string }> {
  expect(await opensslAccepts([der])).toEqual([true]);
  return refusalOf(() => accept(der));
}

const product = (factors: readonly bigint[]): bigint => factors.reduce((all, prime) => all * prime);

describe('the size of an RSA modulus', () => {
  it.each([2048, 4096])('%i bits pass', (bits) => {
    accept(csrOfFactors(factorsOfSize(bits)));
  });

  it.each([
    [2047, 'KEY_TOO_SMALL'],
    [4097, 'KEY_TOO_LARGE'],
  ])('%i bits are %s', async (bits, code) => {
    expect(await refusedThoughSound(csrOfFactors(factorsOfSize(bits)))).toMatchObject({ code });
  });
});

describe('the RSA public exponent', () => {
  const csrOfExponent = (exponent: bigint): Uint8Array =>
    makeCsr(generateKey('-algorithm', 'RSA', '-pkeyopt', `rsa_keygen_pubexp:${exponent}`));

  it.each([65537n, 2n ** 32n - 1n])('%i passes', (exponent) => {
    accept(csrOfExponent(exponent));
  });

  it.each([65535n, 2n ** 32n + 1n])('%i is KEY_EXPONENT_NOT_ALLOWED', async (exponent) => {
    expect(await refusedThoughSound(csrOfExponent(exponent))).toMatchObject({ code: 'KEY_EXPONENT_NOT_ALLOWED' });
  });
});

describe('small factors of an RSA modulus', () => {
  it('757 is none', () => {
    accept(csrOfFactors(factorsOfSize(2048, [757n])));
  });

  it.each([3n, 751n])('%i is one', async (prime) => {
    expect(await refusedThoughSound(csrOfFactors(factorsOfSize(2048, [prime])))).toMatchObject({
      code: 'KEY_WEAK',
      message: `The RSA modulus is divisible by ${prime}.`,
    });
  });

  it('2 makes it no key', () => {
    const even = rsaSubjectPublicKeyInfo(2n * product(factorsOfSize(2047)));
    // No proof of possession is to be had: openssl takes no even modulus.
    const csr = handMakeCsr(generateEcKey('P-256'), {
      subjectPublicKeyInfo: even,
      signatureAlgorithm: sequence(objectIdentifier(objectIdentifiers.sha256WithRsaEncryption), nullValue()),
    });
    expect(refusalOf(() => accept(csr))).toMatchObject({ code: 'KEY_INVALID', message: 'The RSA modulus is even.' });
  });
});

describe('powers', () => {
  it('the square of a prime times another prime is none', () => {
    const prime = randomPrime(512);
    accept(csrOfFactors(factorsOfSize(2048, [prime, prime])));
  });

  it.each([
    ['square', 1024, 2, 'so close'],
    ['third power', 683, 3, 'to the power of 3'],
    ['fourth power', 513, 4, 'so close'],
    ['fifth power', 410, 5, 'to the power of 5'],
    ['37th power', 57, 37, 'to the power of 37'],
  ])('the %s of a prime is KEY_WEAK', async (_, bits, degree, sentence) => {
    const factors = new Array<bigint>(degree).fill(randomPrime(bits));
    const { code, message } = await refusedThoughSound(csrOfFactors(factors));
    expect(code).toBe('KEY_WEAK');
    expect(message).toContain(sentence);
  });

  it('the 211th power of 839, as high as they go in 2048 bits, is KEY_WEAK', async () => {
    const refusal = await refusedThoughSound(csrOfFactors(new Array<bigint>(211).fill(839n)));
    expect(refusal).toMatchObject({ code: 'KEY_WEAK', message: 'The RSA modulus is an integer to the power of 211.' });
  });
});

describe('primes that are close to each other', () => {
  /** The square root of an integer, rounded down: by halving, which has nothing of what is tested. */
  function squareRoot(value: bigint): bigint {
    let [low, high] = [0n, 1n << 1100n];
    while (high - low > 1n) {
      const middle = (low + high) / 2n;
      if (middle * middle <= value) low = middle;
      else high = middle;
    }
    return low;
  }

  /** Two primes p and q of which Fermat's method finds (p + q) / 2 in this round, the first being the root rounded up. */
  function factorsOfRound(round: bigint): [bigint, bigint] {
    const p = randomPrime(1024);
    // (p + q) / 2 - sqrt(pq) is about (q - p)^2 / 8p; half a round back, in the middle of those that fall in this one.
    const distance = squareRoot(4n * p * (2n * round - 1n));
    const q = nextPrime(p + distance + (distance % 2n), 2n);
    expect((p + q) / 2n - squareRoot(p * q)).toBe(round);
    return [p, q];
  }

  it('what falls in the 111th round passes', () => {
    accept(csrOfFactors(factorsOfRound(111n)));
  });

  it.each([1n, 110n])('what falls in round %i is KEY_WEAK', async (round) => {
    expect(await refusedThoughSound(csrOfFactors(factorsOfRound(round)))).toMatchObject({
      code: 'KEY_WEAK',
      message: "The primes of the RSA modulus are so close that Fermat's method factors it.",
    });
  });
});

describe('CVE-2017-15361 (ROCA)', () => {
  const codeOfModulus = (modulus: bigint): string =>
    refusalOf(() => checkPublicKey(readPublicKey(rsaSubjectPublicKeyInfo(modulus)), policy)).code;

  it('the CSR of a vulnerable chip is KEY_ROCA', async () => {
    expect(await refusedThoughSound(decodeCsr(csrOfVulnerableChip))).toMatchObject({ code: 'KEY_ROCA' });
  });

  it.each(Object.entries(vulnerableModuli))('the published modulus %s is KEY_ROCA', (_, modulus) => {
    expect(codeOfModulus(modulus)).toBe('KEY_ROCA');
  });

  it('a published modulus that no vulnerable chip made passes', () => {
    checkPublicKey(readPublicKey(rsaSubjectPublicKeyInfo(soundModulus)), policy);
  });

  it('a key that is made as the chips made theirs is KEY_ROCA', async () => {
    // The primes of a key of 1984 to 3936 bits: k * M + (65537^a mod M), M the product of the primes up to 701.
    let primorial = 1n;
    for (let candidate = 2n; candidate <= 701n; candidate = nextPrime(candidate + 1n, 1n)) primorial *= candidate;
    const chipPrime = (): bigint => {
      const power = powerModulo(65537n, numberOf(randomBytes(32)), primorial);
      const multiple = (2n ** 1024n - numberOf(randomBytes(4)) * primorial - 1n) / primorial;
      return nextPrime(multiple * primorial + power, primorial);
    };
    const factors = [chipPrime(), chipPrime()];
    expect(product(factors).toString(2).length).toBeLessThan(2052);
    expect(await refusedThoughSound(csrOfFactors(factors))).toMatchObject({ code: 'KEY_ROCA' });
  });

  it('a power of 65537 modulo 16 of the 17 primes, and none modulo the last, passes', () => {
    const primes = [11n, 13n, 17n, 19n, 37n, 53n, 61n, 71n, 73n, 79n, 97n, 103n, 107n, 109n, 127n, 151n];
    const last = 157n;
    const modulo = product([...primes, last]);
    const sixteen = product(primes);
    let residue = powerModulo(65537n, numberOf(randomBytes(8)), sixteen);
    // 65537 is of order 78 modulo 157: its powers are the squares there.
    while (powerModulo(residue, 78n, last) === 1n) residue += sixteen;
    const p = randomPrime(1024);
    const wanted = (residue * inverseModulo(p, modulo)) % modulo;
    const start = randomPrime(1024);
    const q = nextPrime(start - (start % modulo) + wanted, modulo);
    accept(csrOfFactors([p, q]));
  });
});

describe('EC points', () => {
  const privateKey = generateEcKey('P-256');
  const spki = subjectPublicKeyInfoOf(privateKey);

  it('a point of the curve passes, and one that a bit of y takes off it is KEY_INVALID', () => {
    accept(handMakeCsr(privateKey));
    const off = Buffer.from(spki);
    off.writeUInt8(off.readUInt8(off.length - 1) ^ 1, off.length - 1);
    const refusal = refusalOf(() => accept(handMakeCsr(privateKey, { subjectPublicKeyInfo: off })));
    expect(refusal).toMatchObject({ code: 'KEY_INVALID', message: 'The EC key is a point that is not on P-256.' });
  });

  it('infinity is KEY_INVALID', () => {
    const infinity = sequence(
      sequence(objectIdentifier(objectIdentifiers.idEcPublicKey), objectIdentifier(objectIdentifiers.secp256r1)),
      bitString(Uint8Array.of(0)),
    );
    const refusal = refusalOf(() => accept(handMakeCsr(privateKey, { subjectPublicKeyInfo: infinity })));
    expect(refusal).toMatchObject({ code: 'KEY_INVALID', message: 'The EC key is the point at infinity.' });
  });

  it('the same point compressed is KEY_INVALID', async () => {
    const compressed = makeCsr(openssl(['ec', '-conv_form', 'compressed'], privateKey).toString());
    expect(await refusedThoughSound(compressed)).toMatchObject({ code: 'KEY_INVALID' });
  });
});

describe('Ed25519 keys', () => {
  const ed25519 = objectIdentifier(objectIdentifiers.idEd25519);
  const spkiOf = (key: Uint8Array): Uint8Array => sequence(sequence(ed25519), bitString(key));
  const littleEndian = (value: bigint): Buffer => bytesOf(value, 32).reverse();
  const prime = 2n ** 255n - 19n;

  it('the neutral element, with a proof of possession that nobody needs a key for, is KEY_INVALID', async () => {
    // S * B = R + h * A (RFC 8032 section 5.1.7) with A and R neutral and S = 0, whatever h is.
    const neutral = littleEndian(1n);
    const csr = handMakeCsr(generateEcKey('P-256'), {
      subjectPublicKeyInfo: spkiOf(neutral),
      signatureAlgorithm: sequence(ed25519),
      signature: Buffer.concat([neutral, Buffer.alloc(32)]),
    });
    expect(await refusedThoughSound(csr)).toMatchObject({
      code: 'KEY_INVALID',
      message: 'The Ed25519 key is a point of small order.',
    });
  });

  it('y passes where it is below the prime, and p + y is KEY_INVALID', () => {
    // The points with y = 3 are of full order; p + 3 is the same number, and 255 bits long too.
    checkPublicKey(readPublicKey(spkiOf(littleEndian(3n))), policy);
    expect(refusalOf(() => checkPublicKey(readPublicKey(spkiOf(littleEndian(prime + 3n))), policy))).toMatchObject({
      code: 'KEY_INVALID',
      message: 'The Ed25519 key is not in its canonical encoding.',
    });
  });

  it('a key of openssl passes', () => {
    accept(makeCsr(generateEd25519Key()));
  });
});

describe("the issuing CA's own key", () => {
  const makers = {
    'P-256': () => generateEcKey('P-256'),
    'P-521': () => generateEcKey('P-521'),
    RSA: () => generateRsaKey(2048),
    Ed25519: generateEd25519Key,
  };
  const names = ['P-256', 'P-521', 'RSA', 'Ed25519'] as const;
  const issuersOf = (issuer: KeyObject) => new Set([keyPairOfIssuer(issuer) ?? '']);
  const issuerKeys = names.map((name) => [name, makers[name]()] as const);

  it.each(issuerKeys)('of %s is KEY_BELONGS_TO_ISSUER, and no other issuer is in its way', (name, privateKey) => {
    const { publicKey } = parseCertificationRequest(makeCsr(privateKey));
    for (const [other, issuerKey] of issuerKeys) {
      const refuse = (): void => refuseIssuersKey(publicKey, issuersOf(createPublicKey(issuerKey)));
      if (other === name) expect(refusalOf(refuse).code).toBe('KEY_BELONGS_TO_ISSUER');
      else refuse();
    }
  });

  it.each(issuerKeys)('of %s is not in the way of another key of its kind', (name, privateKey) => {
    const { publicKey } = parseCertificationRequest(makeCsr(makers[name]()));
    refuseIssuersKey(publicKey, issuersOf(createPublicKey(privateKey)));
  });

  it('is recognised with another exponent, and in another encoding', () => {
    const rsa = createPublicKey(new Map(issuerKeys).get('RSA') ?? '');
    const modulus = numberOf(Buffer.from(rsa.export({ format: 'jwk' }).n ?? '', 'base64url'));
    const otherExponent = readPublicKey(rsaSubjectPublicKeyInfo(modulus, 65539n));
    expect(refusalOf(() => refuseIssuersKey(otherExponent, issuersOf(rsa))).code).toBe('KEY_BELONGS_TO_ISSUER');

    const privateKey = generateEcKey('P-384');
    const compressed = openssl(['ec', '-pubout', '-conv_form', 'compressed'], privateKey);
    const key = readPublicKey(subjectPublicKeyInfoOf(privateKey));
    expect(refusalOf(() => refuseIssuersKey(key, issuersOf(createPublicKey(compressed)))).code).toBe(
      'KEY_BELONGS_TO_ISSUER',
    );
  });

  it.each([
    ['P-256', 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n, 32],
    ['P-521', 2n ** 521n - 1n, 66],
  ] as const)('of %s is recognised by x: the private key of (x, p - y) is n - d', (curve, p, octets) => {
    const issuer = createPublicKey(generateEcKey(curve));
    const der = issuer.export({ type: 'spki', format: 'der' });
    const negated = p - numberOf(der.subarray(-octets));
    const other = Buffer.concat([
      der.subarray(0, -octets),
      Buffer.from(negated.toString(16).padStart(2 * octets, '0'), 'hex'),
    ]);
    expect(createPublicKey({ key: other, format: 'der', type: 'spki' }).equals(issuer)).toBe(false);
    const key = readPublicKey(other);
    expect(refusalOf(() => refuseIssuersKey(key, issuersOf(issuer))).code).toBe('KEY_BELONGS_TO_ISSUER');
  });

  it('of Ed25519 is recognised by y: the scalar of (-x, y) is -s', () => {
    const issuer = createPublicKey(generateEd25519Key());
    const der = issuer.export({ type: 'spki', format: 'der' });
    der[der.length - 1] = (der.at(-1) ?? 0) ^ 0x80;
    expect(refusalOf(() => refuseIssuersKey(readPublicKey(der), issuersOf(issuer))).code).toBe('KEY_BELONGS_TO_ISSUER');
  });
});

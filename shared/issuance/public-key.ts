import { DerError, DerReader, tags } from '../asn1/index.ts';
import { MintmarkError } from '../errors.ts';
import { checkRsaModulus } from './key-checks/rsa-modulus.ts';
import { describeObjectIdentifier, objectIdentifiers } from './object-identifiers.ts';

export type CurveName = 'P-256' | 'P-384' | 'P-521';

export type PublicKey =
  /** `point` is uncompressed: 04, x, y (SEC 1 section 2.3.3). */
  | { readonly kind: 'ec'; readonly curve: CurveName; readonly point: Uint8Array }
  /** `modulus` is unsigned, big-endian, without leading zeros. */
  | { readonly kind: 'rsa'; readonly modulusBits: number; readonly modulus: Uint8Array; readonly exponent: bigint }
  /** RFC 8032 section 5.1.5: 32 octets. */
  | { readonly kind: 'ed25519'; readonly key: Uint8Array };

/** What a profile allows; a kind that is left out is not allowed. */
export interface KeyPolicy {
  readonly ec?: { readonly curves: readonly string[] } | undefined;
  readonly rsa?: { readonly minimumBits: number; readonly maximumBits: number } | undefined;
  readonly ed25519?: boolean | undefined;
}

interface Curve {
  readonly name: CurveName;
  /** The length of a coordinate. */
  readonly octets: number;
  /** y^2 = x^3 - 3x + b modulo p, the cofactor 1 (FIPS 186-4 appendix D.1.2). */
  readonly p: bigint;
  readonly b: bigint;
}

const curves: readonly (readonly [oid: string, curve: Curve])[] = [
  [
    objectIdentifiers.secp256r1,
    {
      name: 'P-256',
      octets: 32,
      p: 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n,
      b: 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn,
    },
  ],
  [
    objectIdentifiers.secp384r1,
    {
      name: 'P-384',
      octets: 48,
      p: 2n ** 384n - 2n ** 128n - 2n ** 96n + 2n ** 32n - 1n,
      b: 0xb3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aefn,
    },
  ],
  [
    objectIdentifiers.secp521r1,
    {
      name: 'P-521',
      octets: 66,
      p: 2n ** 521n - 1n,
      b: 0x0051953eb9618e1c9a1f929a21a0b68540eea2da725b99b315f3b8b489918ef109e156193951ec7e937b1652c0bd3bb1bf073573df883d2c34f1ef451fd46b503f00n,
    },
  ],
];
const curvesByIdentifier = new Map(curves);
const curvesByName = new Map(curves.map(([, curve]) => [curve.name, curve]));

/**
 * FIPS 186-5 appendix A.1.1 and the recommendation of CA/Browser Forum Baseline Requirements section 6.1.6 begin at 65537
 * too; what lies above 2^32 only makes verifying slow. Boulder takes 65537 alone.
 */
const smallestExponent = 65537n;
const largestExponent = 2n ** 32n - 1n;

const ed25519Octets = 32;
const ed25519Prime = 2n ** 255n - 19n;
const ed25519OrderEight = 0x05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826n;
/** The y of every point whose order divides 8, each of which has one or two x. */
const ed25519SmallOrder: ReadonlySet<bigint> = new Set([
  0n,
  1n,
  ed25519Prime - 1n,
  ed25519OrderEight,
  ed25519Prime - ed25519OrderEight,
]);

const invalid = (message: string): MintmarkError => new MintmarkError('KEY_INVALID', message);

function unsigned(bytes: Uint8Array): bigint {
  return BigInt(`0x0${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex')}`);
}

/** Turns what DER finds wrong inside a key into a refusal of the key. */
function readingKey<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof DerError)) throw error;
    throw new MintmarkError('KEY_INVALID', `The public key is not encoded as its algorithm says: ${error.message}.`, {
      cause: error,
    });
  }
}

/** RFC 5480 section 2.1.1: of the three forms of ECParameters only namedCurve is allowed in certificates. */
function readCurve(parameters: DerReader): Curve {
  const tag = parameters.peekTag();
  if (tag === tags.sequence) {
    throw new MintmarkError('KEY_CURVE_NOT_ALLOWED', 'The EC key spells its curve out; a named curve is needed.');
  }
  if (tag === tags.null) {
    throw new MintmarkError('KEY_CURVE_NOT_ALLOWED', 'The EC key leaves its curve implicit; a named curve is needed.');
  }
  const identifier = readingKey(() => parameters.readObjectIdentifier());
  const curve = curvesByIdentifier.get(identifier);
  if (curve !== undefined) return curve;
  throw new MintmarkError(
    'KEY_CURVE_NOT_ALLOWED',
    `The EC key's curve is ${describeObjectIdentifier(identifier)}; P-256, P-384 and P-521 may be used.`,
  );
}

/** Uncompressed only, which RFC 5480 section 2.2 makes everyone write; the other forms are optional there. */
function readPoint(curve: Curve, point: Uint8Array): PublicKey {
  const form = point[0];
  if (form === 0) throw invalid('The EC key is the point at infinity.');
  if (form === 2 || form === 3) throw invalid('The EC key is a compressed point; send it uncompressed.');
  if (form !== 4) throw invalid('The EC key is not an uncompressed point (04, x, y).');
  const expected = 1 + 2 * curve.octets;
  if (point.length !== expected) {
    throw invalid(`The EC key has ${point.length} octets; a point of ${curve.name} has ${expected}.`);
  }
  return { kind: 'ec', curve: curve.name, point };
}

/** RSAPublicKey, RFC 8017 appendix A.1.1. */
function readRsaPublicKey(contents: Uint8Array): PublicKey {
  const [modulusInteger, exponentInteger] = readingKey(() => {
    const reader = DerReader.ofContents(contents);
    const key = reader.readSequence();
    reader.expectEnd('RSAPublicKey');
    const integers = [key.readInteger(), key.readInteger()] as const;
    key.expectEnd('RSAPublicKey');
    return integers;
  });
  const top = modulusInteger[0] ?? 0;
  if (top >= 0x80) throw invalid('The RSA modulus is negative.');
  const modulus = top === 0 ? modulusInteger.subarray(1) : modulusInteger;
  const modulusBits = modulus.length === 0 ? 0 : modulus.length * 8 - (Math.clz32(modulus[0] ?? 0) - 24);
  if ((exponentInteger[0] ?? 0) >= 0x80) throw exponentNotAllowed('is negative');
  if (exponentInteger.length > modulusInteger.length) throw exponentNotAllowed('is longer than the modulus');
  return { kind: 'rsa', modulusBits, modulus, exponent: unsigned(exponentInteger) };
}

function exponentNotAllowed(verdict: string): MintmarkError {
  return new MintmarkError('KEY_EXPONENT_NOT_ALLOWED', `The RSA public exponent ${verdict}.`);
}

function readEd25519(key: Uint8Array): PublicKey {
  if (key.length !== ed25519Octets) throw invalid(`The Ed25519 key has ${key.length} octets; it must have 32.`);
  return { kind: 'ed25519', key };
}

/**
 * SubjectPublicKeyInfo, RFC 5280 section 4.1.2.7. Parameters are as RFC 3279 section 2.3.1 (rsaEncryption: NULL),
 * RFC 5480 section 2.1.1 (id-ecPublicKey: a named curve) and RFC 8410 section 3 (id-Ed25519: none) say, nothing else.
 * An RSA key under id-RSASSA-PSS or id-RSAES-OAEP is refused: few relying parties read such a certificate.
 * @throws DerError where the SubjectPublicKeyInfo itself is broken, MintmarkError where its key is not read
 */
export function readSubjectPublicKeyInfo(reader: DerReader): PublicKey {
  const spki = reader.readSequence();
  const algorithmIdentifier = spki.readSequence();
  const algorithm = algorithmIdentifier.readObjectIdentifier();
  const subjectPublicKey = spki.readOctetAlignedBitString();
  spki.expectEnd('SubjectPublicKeyInfo');
  let curve: Curve | undefined;
  switch (algorithm) {
    case objectIdentifiers.idEcPublicKey:
      curve = readCurve(algorithmIdentifier);
      break;
    case objectIdentifiers.rsaEncryption:
      readingKey(() => algorithmIdentifier.readNull());
      break;
    case objectIdentifiers.idEd25519:
      break;
    default:
      throw new MintmarkError(
        'KEY_ALGORITHM_NOT_ALLOWED',
        `The key's algorithm is ${describeObjectIdentifier(algorithm)}; EC, RSA (rsaEncryption) and Ed25519 may be used.`,
      );
  }
  readingKey(() => algorithmIdentifier.expectEnd('AlgorithmIdentifier'));
  if (curve !== undefined) return readPoint(curve, subjectPublicKey);
  return algorithm === objectIdentifiers.rsaEncryption
    ? readRsaPublicKey(subjectPublicKey)
    : readEd25519(subjectPublicKey);
}

/**
 * The key in a SubjectPublicKeyInfo that stands alone. Reads, and does no arithmetic.
 * @throws MintmarkError KEY_ALGORITHM_NOT_ALLOWED, KEY_CURVE_NOT_ALLOWED, KEY_EXPONENT_NOT_ALLOWED, KEY_INVALID
 */
export function readPublicKey(subjectPublicKeyInfo: Uint8Array): PublicKey {
  return readingKey(() => {
    const reader = DerReader.ofInput(subjectPublicKeyInfo);
    const key = readSubjectPublicKeyInfo(reader);
    reader.expectEnd('SubjectPublicKeyInfo');
    return key;
  });
}

/** How a key is called in sentences and rows: `P-256`, `RSA 2048`, `Ed25519`. */
export function describePublicKey(key: PublicKey): string {
  if (key.kind === 'ec') return key.curve;
  return key.kind === 'rsa' ? `RSA ${key.modulusBits}` : 'Ed25519';
}

/**
 * Whether the policy allows the key, and whether it is one: what costs nothing first, so that an attacker's key is
 * sorted out by its size before any arithmetic is done with it.
 * @throws MintmarkError KEY_ALGORITHM_NOT_ALLOWED, KEY_CURVE_NOT_ALLOWED, KEY_TOO_SMALL, KEY_TOO_LARGE,
 *   KEY_EXPONENT_NOT_ALLOWED, KEY_INVALID, KEY_WEAK, KEY_ROCA
 */
export function checkPublicKey(key: PublicKey, policy: KeyPolicy): void {
  switch (key.kind) {
    case 'ec':
      if (policy.ec === undefined) throw kindNotAllowed('EC');
      if (!policy.ec.curves.includes(key.curve)) {
        const allowed = policy.ec.curves.join(', ');
        throw new MintmarkError(
          'KEY_CURVE_NOT_ALLOWED',
          `The key's curve is ${key.curve}; the profile allows ${allowed}.`,
        );
      }
      return checkPoint(key.curve, key.point);
    case 'rsa':
      if (policy.rsa === undefined) throw kindNotAllowed('RSA');
      checkModulusSize(key.modulusBits, policy.rsa);
      return checkRsaNumbers(key.modulus, key.exponent);
    case 'ed25519':
      if (policy.ed25519 !== true) throw kindNotAllowed('Ed25519');
      return checkEd25519(key.key);
  }
}

function kindNotAllowed(kind: string): MintmarkError {
  return new MintmarkError('KEY_ALGORITHM_NOT_ALLOWED', `The profile allows no ${kind} keys.`);
}

/** SEC 1 section 3.2.2.1; with a cofactor of 1, a point on the curve is in its prime-order group. */
function checkPoint(name: CurveName, point: Uint8Array): void {
  const curve = curvesByName.get(name);
  if (curve === undefined) throw new TypeError(`no such curve: ${name}`);
  const { p, b, octets } = curve;
  const x = unsigned(point.subarray(1, 1 + octets));
  const y = unsigned(point.subarray(1 + octets));
  if (x >= p || y >= p) throw invalid(`The EC key has a coordinate that is not below the prime of ${name}.`);
  if ((y * y - (x * x * x - 3n * x + b)) % p !== 0n) throw invalid(`The EC key is a point that is not on ${name}.`);
}

function checkModulusSize(bits: number, allowed: { readonly minimumBits: number; readonly maximumBits: number }): void {
  if (bits < allowed.minimumBits) {
    throw new MintmarkError(
      'KEY_TOO_SMALL',
      `The RSA modulus has ${bits} bits; the profile asks for ${allowed.minimumBits}.`,
    );
  }
  if (bits > allowed.maximumBits) {
    throw new MintmarkError(
      'KEY_TOO_LARGE',
      `The RSA modulus has ${bits} bits; the profile allows ${allowed.maximumBits}.`,
    );
  }
}

function checkRsaNumbers(modulus: Uint8Array, exponent: bigint): void {
  if (exponent < smallestExponent) throw exponentNotAllowed(`is ${exponent}, below 65537`);
  if (exponent > largestExponent) throw exponentNotAllowed('is above 2^32 - 1');
  if (exponent % 2n === 0n) throw exponentNotAllowed(`is ${exponent}, an even number`);
  if (((modulus.at(-1) ?? 0) & 1) === 0) throw invalid('The RSA modulus is even.');
  checkRsaModulus(unsigned(modulus));
}

/**
 * Canonical and not of small order (RFC 8032 section 5.1.3, step 1). Whether such a point exists at all takes a
 * square root, which verifying the proof of possession does.
 */
function checkEd25519(key: Uint8Array): void {
  const y = unsigned(Uint8Array.from(key).reverse()) & (2n ** 255n - 1n);
  if (y >= ed25519Prime) throw invalid('The Ed25519 key is not in its canonical encoding.');
  if (ed25519SmallOrder.has(y)) throw invalid('The Ed25519 key is a point of small order.');
}

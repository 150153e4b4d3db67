import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  bitString,
  nullValue,
  objectIdentifier,
  sequence,
  tlv,
  unsignedInteger,
} from '../../shared/asn1/der-writer.ts';
import { objectIdentifiers } from '../../shared/issuance/object-identifiers.ts';
import {
  checkPublicKey,
  describePublicKey,
  type KeyPolicy,
  type PublicKey,
  readPublicKey,
} from '../../shared/issuance/public-key.ts';
import { generateEcKey, generateKey, openssl, subjectPublicKeyInfoOf } from '../fixtures/csr/make.ts';
import { refusalOf } from '../fixtures/csr/refusal.ts';
import { soundModulus } from '../fixtures/csr/roca.ts';
import { bytesOf } from '../fixtures/csr/rsa.ts';

const policy: KeyPolicy = {
  ec: { curves: ['P-256', 'P-384', 'P-521'] },
  rsa: { minimumBits: 2048, maximumBits: 4096 },
  ed25519: true,
};

function spki(algorithm: string, parameters: readonly Uint8Array[], key: Uint8Array): Uint8Array {
  return sequence(sequence(objectIdentifier(algorithm), ...parameters), bitString(key));
}

const rsaSpki = (modulus: Uint8Array, exponent: Uint8Array): Uint8Array =>
  spki(objectIdentifiers.rsaEncryption, [nullValue()], sequence(unsignedInteger(modulus), unsignedInteger(exponent)));

const p256Spki = (point: Uint8Array): Uint8Array =>
  spki(objectIdentifiers.idEcPublicKey, [objectIdentifier(objectIdentifiers.secp256r1)], point);

const ed25519Spki = (key: Uint8Array): Uint8Array => spki(objectIdentifiers.idEd25519, [], key);

/** All ones: of a size to be refused for, or with something to be refused for that is looked at before its factors. */
function modulusOf(bits: number): Uint8Array {
  const modulus = new Uint8Array(Math.ceil(bits / 8)).fill(0xff);
  modulus[0] = 0xff >> (modulus.length * 8 - bits);
  return modulus;
}
const usualExponent = Uint8Array.of(1, 0, 1);

function check(subjectPublicKeyInfo: Uint8Array, allowed: KeyPolicy = policy): PublicKey {
  const key = readPublicKey(subjectPublicKeyInfo);
  checkPublicKey(key, allowed);
  return key;
}
const codeOf = (subjectPublicKeyInfo: Uint8Array, allowed?: KeyPolicy): string =>
  refusalOf(() => check(subjectPublicKeyInfo, allowed)).code;

const point = readPublicKey(subjectPublicKeyInfoOf(generateEcKey('P-256')));
const goodPoint = point.kind === 'ec' ? point.point : new Uint8Array();

describe('keys that are allowed', () => {
  it.each(['P-256', 'P-384', 'P-521'])('%s, many of them', (curve) => {
    for (let made = 0; made < 25; made++) {
      const { publicKey } = generateKeyPairSync('ec', { namedCurve: curve });
      expect(check(publicKey.export({ format: 'der', type: 'spki' }))).toMatchObject({ kind: 'ec', curve });
    }
  });

  it('RSA of 2048 bits, as openssl reads it', () => {
    const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const key = check(publicKey.export({ format: 'der', type: 'spki' }));
    const jwk = publicKey.export({ format: 'jwk' });
    expect(key).toMatchObject({ kind: 'rsa', modulusBits: 2048, exponent: 65537n });
    expect(key.kind === 'rsa' && Buffer.from(key.modulus).toString('base64url')).toBe(jwk.n);
  });

  it('Ed25519, many of them', () => {
    for (let made = 0; made < 50; made++) {
      const { publicKey } = generateKeyPairSync('ed25519');
      expect(describePublicKey(check(publicKey.export({ format: 'der', type: 'spki' })))).toBe('Ed25519');
    }
  });

  it('RSA with the largest exponent', () => {
    const key = rsaSpki(bytesOf(soundModulus), Uint8Array.of(255, 255, 255, 255));
    expect(check(key)).toMatchObject({ exponent: 4294967295n });
  });
});

describe('algorithms and curves', () => {
  it.each([
    ['DSA', objectIdentifiers.idDsa],
    ['RSASSA-PSS', objectIdentifiers.idRsassaPss],
    ['X25519', objectIdentifiers.idX25519],
    ['Ed448', objectIdentifiers.idEd448],
    ['one nobody knows', '1.3.6.1.4.1.99999.1'],
  ])('%s is no key algorithm here', (_, algorithm) => {
    expect(codeOf(spki(algorithm, [], new Uint8Array(32)))).toBe('KEY_ALGORITHM_NOT_ALLOWED');
  });

  it.each([
    ['-algorithm', 'X25519'],
    ['-algorithm', 'ED448'],
    ['-algorithm', 'RSA-PSS', '-pkeyopt', 'rsa_keygen_bits:2048'],
  ])("openssl's %s %s is refused", (...options) => {
    expect(codeOf(subjectPublicKeyInfoOf(generateKey(...options)))).toBe('KEY_ALGORITHM_NOT_ALLOWED');
  });

  it.each(['secp256k1', 'P-224', 'brainpoolP256r1', 'prime192v1'])('curve %s is refused', (curve) => {
    expect(codeOf(subjectPublicKeyInfoOf(generateEcKey(curve)))).toBe('KEY_CURVE_NOT_ALLOWED');
  });

  it('a curve spelled out is refused, even if it is P-256', () => {
    const key = generateEcKey('P-256');
    const explicit = openssl(['ec', '-pubout', '-param_enc', 'explicit', '-outform', 'DER'], key);
    expect(refusalOf(() => check(explicit))).toMatchObject({
      code: 'KEY_CURVE_NOT_ALLOWED',
      message: 'The EC key spells its curve out; a named curve is needed.',
    });
  });

  it('an implicit curve is refused', () => {
    expect(codeOf(spki(objectIdentifiers.idEcPublicKey, [nullValue()], goodPoint))).toBe('KEY_CURVE_NOT_ALLOWED');
  });

  it.each([
    ['EC', p256Spki(goodPoint), { ed25519: true }],
    ['RSA', rsaSpki(modulusOf(2048), usualExponent), { ed25519: true }],
    ['Ed25519', ed25519Spki(new Uint8Array(32).fill(9)), { ec: { curves: ['P-256'] }, ed25519: false }],
  ])('%s is refused where the profile does not list it', (_, subjectPublicKeyInfo, allowed) => {
    expect(codeOf(subjectPublicKeyInfo, allowed)).toBe('KEY_ALGORITHM_NOT_ALLOWED');
  });

  it('a curve that the profile does not list is refused', () => {
    expect(codeOf(p256Spki(goodPoint), { ec: { curves: ['P-384'] } })).toBe('KEY_CURVE_NOT_ALLOWED');
  });
});

describe('RSA keys', () => {
  it.each([
    ['1024 bits', 1024, 'KEY_TOO_SMALL'],
    ['2047 bits', 2047, 'KEY_TOO_SMALL'],
    ['4097 bits', 4097, 'KEY_TOO_LARGE'],
    ['16384 bits', 16384, 'KEY_TOO_LARGE'],
  ])('%s', (_, bits, code) => {
    expect(codeOf(rsaSpki(modulusOf(bits), usualExponent))).toBe(code);
  });

  it.each([
    ['0', [0]],
    ['1', [1]],
    ['3', [3]],
    ['17', [17]],
    ['65535', [255, 255]],
    ['65536', [1, 0, 0]],
    ['65538', [1, 0, 2]],
    ['2^32', [1, 0, 0, 0, 0]],
    ['2^32 + 1', [1, 0, 0, 0, 1]],
    ['2^2047 + 1', [128, ...new Array<number>(254).fill(0), 1]],
    ['longer than the modulus', [1, ...new Array<number>(300).fill(1)]],
  ])('exponent %s', (_, exponent) => {
    expect(codeOf(rsaSpki(modulusOf(2048), Uint8Array.from(exponent)))).toBe('KEY_EXPONENT_NOT_ALLOWED');
  });

  it('a negative exponent', () => {
    const key = sequence(unsignedInteger(modulusOf(2048)), tlv(0x02, Uint8Array.of(0xff)));
    expect(codeOf(spki(objectIdentifiers.rsaEncryption, [nullValue()], key))).toBe('KEY_EXPONENT_NOT_ALLOWED');
  });

  it.each([
    ['an even modulus', sequence(unsignedInteger(modulusOf(2048).fill(0xfe, 255)), unsignedInteger(usualExponent))],
    ['a negative modulus', sequence(tlv(0x02, modulusOf(2048).fill(0x80, 0, 1)), unsignedInteger(usualExponent))],
    ['a padded modulus', sequence(tlv(0x02, Uint8Array.of(0), modulusOf(2047)), unsignedInteger(usualExponent))],
    ['no exponent', sequence(unsignedInteger(modulusOf(2048)))],
    [
      'something after the exponent',
      sequence(unsignedInteger(modulusOf(2048)), unsignedInteger(usualExponent), nullValue()),
    ],
    ['no SEQUENCE', unsignedInteger(modulusOf(2048))],
    ['nothing', new Uint8Array()],
  ])('%s is KEY_INVALID', (_, key) => {
    expect(codeOf(spki(objectIdentifiers.rsaEncryption, [nullValue()], key))).toBe('KEY_INVALID');
  });

  it('parameters other than NULL are KEY_INVALID', () => {
    const key = sequence(unsignedInteger(modulusOf(2048)), unsignedInteger(usualExponent));
    for (const parameters of [[], [sequence()], [nullValue(), nullValue()]]) {
      expect(codeOf(spki(objectIdentifiers.rsaEncryption, parameters, key))).toBe('KEY_INVALID');
    }
  });

  it('a modulus of zero is too small', () => {
    expect(codeOf(rsaSpki(Uint8Array.of(0), Uint8Array.of(1)))).toBe('KEY_TOO_SMALL');
  });
});

describe('EC points', () => {
  const changed = (index: number): Uint8Array => {
    const copy = Uint8Array.from(goodPoint);
    copy[index] = (copy[index] ?? 0) ^ 1;
    return copy;
  };
  const prime = Buffer.from('ffffffff00000001000000000000000000000000ffffffffffffffffffffffff', 'hex');

  it.each([
    ['off the curve, by x', changed(32), 'not on P-256'],
    ['off the curve, by y', changed(64), 'not on P-256'],
    ['the origin', Uint8Array.of(4, ...new Array<number>(64).fill(0)), 'not on P-256'],
    [
      'with a coordinate that is not reduced',
      Uint8Array.of(4, ...prime, ...goodPoint.subarray(33)),
      'not below the prime',
    ],
    ['at infinity', Uint8Array.of(0), 'infinity'],
    ['compressed', Uint8Array.of(2 + ((goodPoint[64] ?? 0) & 1), ...goodPoint.subarray(1, 33)), 'compressed'],
    ['hybrid', Uint8Array.of(6 + ((goodPoint[64] ?? 0) & 1), ...goodPoint.subarray(1)), 'not an uncompressed point'],
    ['a byte short', goodPoint.subarray(0, 64), 'has 64 octets'],
    ['a byte long', Uint8Array.of(...goodPoint, 0), 'has 66 octets'],
    ['of no bytes', new Uint8Array(), 'not an uncompressed point'],
  ])('a point %s is KEY_INVALID', (_, key, sentence) => {
    const refusal = refusalOf(() => check(p256Spki(key)));
    expect(refusal.code).toBe('KEY_INVALID');
    expect(refusal.message).toContain(sentence);
  });

  it('a point of another curve of the same length is KEY_INVALID', () => {
    const other = subjectPublicKeyInfoOf(generateEcKey('secp256k1')).subarray(-65);
    expect(codeOf(p256Spki(other))).toBe('KEY_INVALID');
  });

  it('no parameters are KEY_INVALID', () => {
    expect(codeOf(spki(objectIdentifiers.idEcPublicKey, [], goodPoint))).toBe('KEY_INVALID');
  });
});

describe('Ed25519 keys', () => {
  // The canonical encodings of the eight points of small order, and what decodes to one of them without being reduced.
  it.each([
    '0100000000000000000000000000000000000000000000000000000000000000',
    'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    '0000000000000000000000000000000000000000000000000000000000000000',
    '0000000000000000000000000000000000000000000000000000000000000080',
    '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
    '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85',
    'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
    'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa',
    '0100000000000000000000000000000000000000000000000000000000000080',
    'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff',
    'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff',
    'ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff',
  ])('%s is KEY_INVALID', (hex) => {
    expect(codeOf(ed25519Spki(Buffer.from(hex, 'hex')))).toBe('KEY_INVALID');
  });

  it.each([0, 31, 33, 64])('%i octets are KEY_INVALID', (length) => {
    expect(codeOf(ed25519Spki(new Uint8Array(length).fill(9)))).toBe('KEY_INVALID');
  });

  it('parameters are KEY_INVALID', () => {
    expect(codeOf(spki(objectIdentifiers.idEd25519, [nullValue()], new Uint8Array(32).fill(9)))).toBe('KEY_INVALID');
  });
});

it('a SubjectPublicKeyInfo that is none is KEY_INVALID', () => {
  for (const der of [new Uint8Array(), Uint8Array.of(0x30, 0x80, 0, 0), Uint8Array.of(...p256Spki(goodPoint), 0)]) {
    expect(codeOf(der)).toBe('KEY_INVALID');
  }
});

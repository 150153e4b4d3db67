import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { parseScheme, schemeOf } from '../../shared/signer/scheme.ts';

const ec = (namedCurve: string) => generateKeyPairSync('ec', { namedCurve }).publicKey;
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey;

describe('how a CA key signs', () => {
  it.each([
    ['P-256', 'sha256'],
    ['P-384', 'sha384'],
    ['P-521', 'sha512'],
  ])('is on %s ECDSA with %s, if nothing else is asked', (curve, hash) => {
    expect(schemeOf(ec(curve), undefined)).toEqual({ algorithm: 'ecdsa', hash });
  });

  it('is with RSA PKCS#1 v1.5 and SHA-256, if nothing else is asked', () => {
    expect(schemeOf(rsa, undefined)).toEqual({ algorithm: 'rsa-pkcs1-v1_5', hash: 'sha256' });
  });

  it.each([
    ['rsa-pss-sha384', { algorithm: 'rsa-pss', hash: 'sha384' }],
    ['rsa-pkcs1-v1_5-sha512', { algorithm: 'rsa-pkcs1-v1_5', hash: 'sha512' }],
    ['ecdsa-sha256', { algorithm: 'ecdsa', hash: 'sha256' }],
  ])('is %s in an issuer row', (name, scheme) => {
    expect(parseScheme(name)).toEqual(scheme);
  });

  it.each(['', 'rsa-pss', 'RSA-PSS-SHA256', 'ecdsa-sha1', 'constructor'])('is not %j', (name) => {
    expect(() => parseScheme(name)).toThrow(expect.objectContaining({ code: 'SIGNER_MISCONFIGURED' }));
  });

  it.each([
    ['a key of another kind', generateKeyPairSync('ed25519').publicKey, undefined, /of the kind ed25519/],
    ['a curve that no CA is on', ec('secp256k1'), undefined, /curve is not P-256, P-384 or P-521/],
    ['RSA with an EC key', ec('P-256'), 'rsa-pss-sha256', /cannot sign with rsa-pss/],
    ['ECDSA with an RSA key', rsa, 'ecdsa-sha256', /cannot sign with ecdsa/],
    ['a hash longer than the order of the curve', ec('P-256'), 'ecdsa-sha384', /longer than the order/],
  ] as const)('is refused for %s', (_, publicKey, asked, message) => {
    expect(() => schemeOf(publicKey, asked === undefined ? undefined : parseScheme(asked))).toThrow(
      expect.objectContaining({ code: 'SIGNER_MISCONFIGURED', message: expect.stringMatching(message) }),
    );
  });
});

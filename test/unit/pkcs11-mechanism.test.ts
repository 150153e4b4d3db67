import { constants, createHash, generateKeyPairSync, privateEncrypt, verify } from 'node:crypto';
import { createRequire } from 'node:module';
import type * as Pkcs11js from 'pkcs11js';
import { describe, expect, it } from 'vitest';
import { digestOfSignInput, mechanismOf, signInput } from '../../shared/signer/pkcs11-mechanism.ts';
import { digestLength } from '../../shared/signer/scheme.ts';

const pkcs11js = createRequire(import.meta.url)('pkcs11js') as typeof Pkcs11js;
const hashes = ['sha256', 'sha384', 'sha512'] as const;

describe('what C_Sign is given', () => {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });

  it.each(hashes)('for PKCS#1 v1.5 with %s is a DigestInfo that OpenSSL verifies', (hash) => {
    const message = Buffer.from('message');
    const digest = createHash(hash).update(message).digest();
    const input = signInput({ algorithm: 'rsa-pkcs1-v1_5', hash }, digest);
    // CKM_RSA_PKCS pads with block type 1 and applies the private key; so does this.
    const signature = privateEncrypt({ key: privateKey, padding: constants.RSA_PKCS1_PADDING }, input);
    expect(verify(hash, message, publicKey, signature)).toBe(true);
    expect(Buffer.from(digestOfSignInput(pkcs11js.CKM_RSA_PKCS, input))).toEqual(digest);
  });

  it.each(['ecdsa', 'rsa-pss'] as const)('for %s is the digest', (algorithm) => {
    const digest = createHash('sha256').update('message').digest();
    expect(signInput({ algorithm, hash: 'sha256' }, digest)).toBe(digest);
    expect(digestOfSignInput(pkcs11js.CKM_ECDSA, digest)).toBe(digest);
  });

  it('is not taken for a DigestInfo when it is none', () => {
    expect(() => digestOfSignInput(pkcs11js.CKM_RSA_PKCS, new Uint8Array(51))).toThrow(RangeError);
  });
});

describe('mechanismOf', () => {
  it("has the standard's numbers", () => {
    expect(mechanismOf({ algorithm: 'ecdsa', hash: 'sha256' })).toEqual({ mechanism: pkcs11js.CKM_ECDSA });
    expect(mechanismOf({ algorithm: 'rsa-pkcs1-v1_5', hash: 'sha256' })).toEqual({ mechanism: pkcs11js.CKM_RSA_PKCS });
  });

  it.each([
    ['sha256', pkcs11js.CKM_SHA256, pkcs11js.CKG_MGF1_SHA256],
    ['sha384', pkcs11js.CKM_SHA384, pkcs11js.CKG_MGF1_SHA384],
    ['sha512', pkcs11js.CKM_SHA512, pkcs11js.CKG_MGF1_SHA512],
  ] as const)('salts PSS with as many bytes as %s has', (hash, hashAlg, mgf) => {
    expect(mechanismOf({ algorithm: 'rsa-pss', hash })).toEqual({
      mechanism: pkcs11js.CKM_RSA_PKCS_PSS,
      pss: { hashAlg, mgf, saltLen: digestLength(hash) },
    });
  });
});

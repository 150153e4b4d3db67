import { createPrivateKey, generateKeyPairSync, type KeyObject, sign, verify } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ecdsaSignatureToDer } from '../../shared/signer/ecdsa-signature.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

describe('ecdsaSignatureToDer', () => {
  it.each([
    ['small numbers', '0102', '3006020101020102'],
    ['a top bit', '80ff', '300802020080020200ff'],
    ['leading zeros', '00010002', '3006020101020102'],
    ['a leading zero that keeps the number positive', '00800002', '300702020080020102'],
    ['zero', '00000000', '3006020100020100'],
  ])('encodes %s as X.690 says', (_, raw, der) => {
    expect(hex(ecdsaSignatureToDer(Buffer.from(raw, 'hex')))).toBe(der);
  });

  const curves: [string, KeyObject][] = ['P-256', 'P-384', 'P-521'].map((namedCurve) => {
    const { privateKey } = generateKeyPairSync('ec', {
      namedCurve,
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
      publicKeyEncoding: { type: 'spki', format: 'pem' },
    });
    return [namedCurve, createPrivateKey(privateKey)];
  });

  it.each(curves)('gives for %s what OpenSSL takes as DER for the same signature', (_, key) => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 64 }), (message) => {
        const raw = sign('sha256', message, { key, dsaEncoding: 'ieee-p1363' });
        const der = ecdsaSignatureToDer(raw);
        expect(verify('sha256', message, { key, dsaEncoding: 'der' }, der)).toBe(true);
      }),
      { numRuns: 100 },
    );
  });

  it('keeps both numbers, shortest form, for any two of them', () => {
    const half = fc.constantFrom(32, 48, 66).chain((size) => {
      const number = fc.oneof(
        fc.uint8Array({ minLength: size, maxLength: size }),
        // Numbers with many leading zeros, which random ones never have.
        fc
          .uint8Array({ minLength: 1, maxLength: 2 })
          .map((low) => Buffer.concat([Buffer.alloc(size - low.length), low])),
      );
      return fc.tuple(number, number);
    });
    fc.assert(
      fc.property(half, ([r, s]) => {
        const der = Buffer.from(ecdsaSignatureToDer(Buffer.concat([r, s])));
        const header = der[1] === 0x81 ? 3 : 2;
        expect([der[0], der[header - 1]]).toEqual([0x30, der.length - header]);
        let at = header;
        for (const number of [r, s]) {
          const length = der[at + 1] as number;
          const content = der.subarray(at + 2, at + 2 + length);
          expect(der[at]).toBe(0x02);
          expect(BigInt(`0x${hex(content)}`)).toBe(BigInt(`0x${hex(number)}`));
          expect(content[0] as number).toBeLessThan(0x80);
          if (content.length > 1 && content[0] === 0) expect(content[1] as number).toBeGreaterThanOrEqual(0x80);
          at += 2 + length;
        }
        expect(at).toBe(der.length);
      }),
    );
  });

  it.each([0, 1, 63, 134])('refuses %i bytes', (length) => {
    expect(() => ecdsaSignatureToDer(new Uint8Array(length))).toThrow(RangeError);
  });
});

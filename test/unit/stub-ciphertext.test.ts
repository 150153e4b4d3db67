import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { additionalData, decodeCiphertext, encodeCiphertext } from '../../local/stub/kms/ciphertext.ts';

const arn = 'arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab';
const pairs = fc.array(fc.tuple(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme' })), { maxLength: 5 });
const contexts = pairs.map((entries) => Object.fromEntries(entries));

describe('additionalData', () => {
  it('is one encoding for one context and never the same for two', () => {
    fc.assert(
      fc.property(contexts, contexts, (one, other) => {
        const canonical = (context: Record<string, string>) => JSON.stringify(Object.entries(context).sort());
        const same = canonical(one) === canonical(other);
        expect(additionalData(arn, one).equals(additionalData(arn, other))).toBe(same);
      }),
    );
  });

  it('does not depend on the order of the pairs', () => {
    fc.assert(
      fc.property(contexts, (context) => {
        const reversed = Object.fromEntries(Object.entries(context).toReversed());
        expect(additionalData(arn, reversed)).toEqual(additionalData(arn, context));
      }),
    );
  });

  it('tells pairs apart that only differ in where a text ends, or in a pair named __proto__', () => {
    const encodings = [
      { ab: 'c' },
      { a: 'bc' },
      { a: 'b', c: '' },
      { a: '', b: 'c' },
      {},
      Object.fromEntries([['__proto__', 'x']]),
      Object.fromEntries([['__proto__', 'y']]),
    ].map((context) => additionalData(arn, context).toString('hex'));
    expect(new Set(encodings).size).toBe(encodings.length);
  });

  it('binds the key', () => {
    expect(additionalData(`${arn}0`, {})).not.toEqual(additionalData(arn, {}));
  });
});

describe('CiphertextBlob', () => {
  const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length }).map((b) => Buffer.from(b));

  it('carries key id, IV and body', () => {
    const body = fc.uint8Array({ minLength: 17, maxLength: 64 }).map((b) => Buffer.from(b));
    fc.assert(
      fc.property(fc.uuid(), bytes(12), body, (keyId, iv, sealed) => {
        const ciphertext = { keyId, iv, body: sealed };
        expect(decodeCiphertext(encodeCiphertext(ciphertext))).toEqual(ciphertext);
      }),
    );
  });

  it('is nothing for bytes of another format or too few of them', () => {
    const whole = encodeCiphertext({
      keyId: '1234abcd-12ab-34cd-56ef-1234567890ab',
      iv: Buffer.alloc(12),
      body: Buffer.alloc(17),
    });
    expect(decodeCiphertext(whole)).toBeDefined();
    for (let length = 0; length < whole.length; length += 1) {
      expect(decodeCiphertext(whole.subarray(0, length))).toBeUndefined();
    }
    expect(decodeCiphertext(Buffer.concat([Buffer.of(2), whole.subarray(1)]))).toBeUndefined();
  });
});

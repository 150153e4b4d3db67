import { describe, expect, it } from 'vitest';
import { DerError } from '../../shared/asn1/der-reader.ts';
import {
  bitString,
  contextConstructed,
  contextPrimitive,
  objectIdentifier,
  octetString,
  sequence,
  tlv,
} from '../../shared/asn1/der-writer.ts';
import { readTbsCertificate } from '../../shared/issuance/tbs-reader.ts';

const text = (tag: number, value: string): Uint8Array => tlv(tag, Buffer.from(value));
const utc = (value: string) => text(0x17, value);
const generalized = (value: string) => text(0x18, value);
const version3 = contextConstructed(0, tlv(2, Uint8Array.of(2)));
const good = {
  version: [version3],
  notBefore: utc('261122120000Z'),
  notAfter: utc('271122120000Z'),
  extensions: [] as Uint8Array[],
};

function tbs(changes: Partial<typeof good> = {}): Uint8Array {
  const { version, notBefore, notAfter, extensions } = { ...good, ...changes };
  const algorithm = sequence(objectIdentifier('1.2.840.10045.4.3.2'));
  return sequence(
    ...version,
    tlv(2, Uint8Array.of(1)),
    algorithm,
    sequence(),
    sequence(notBefore, notAfter),
    sequence(),
    sequence(algorithm, bitString(Uint8Array.of(1))),
    ...extensions,
  );
}

const read = (changes?: Partial<typeof good>) => readTbsCertificate(tbs(changes));
const extension = (...members: readonly Uint8Array[]): Uint8Array[] => [
  contextConstructed(3, sequence(sequence(objectIdentifier('1.2.3'), ...members))),
];

describe('readTbsCertificate', () => {
  it.each([
    ['the first of UTCTime', utc('500101000000Z'), '1950-01-01T00:00:00Z'],
    ['the last year of the century', utc('991231235959Z'), '1999-12-31T23:59:59Z'],
    ['the first of this one', utc('000101000000Z'), '2000-01-01T00:00:00Z'],
    ['the last of UTCTime', utc('491231235959Z'), '2049-12-31T23:59:59Z'],
    ['the first of GeneralizedTime', generalized('20500101000000Z'), '2050-01-01T00:00:00Z'],
    ['the last there is', generalized('99991231235959Z'), '9999-12-31T23:59:59Z'],
    ['a leap day', utc('280229000000Z'), '2028-02-29T00:00:00Z'],
  ])('reads %s', (_, time, expected) => {
    expect(read({ notBefore: time, notAfter: time })).toMatchObject({
      notBefore: Date.parse(expected),
      notAfter: Date.parse(expected),
    });
  });

  it.each([
    ['GeneralizedTime before 2050', generalized('20491231235959Z')],
    ['no seconds', utc('2611221200Z')],
    ['an offset', utc('261122120000+0000')],
    ['no Z', utc('261122120000')],
    ['a fraction', generalized('20500101000000.5Z')],
    ['30 February', utc('260230000000Z')],
    ['29 February of a year that is no leap year', utc('270229000000Z')],
    ['month 0', utc('260001000000Z')],
    ['month 13', utc('261301000000Z')],
    ['hour 24', utc('261122240000Z')],
    ['second 60', utc('261122120060Z')],
    ['no digits', utc('2611221200ooZ')],
    ['nothing', utc('')],
    ['another type', text(0x0c, '261122120000Z')],
  ])('refuses a time with %s', (_, time) => {
    expect(() => read({ notBefore: time })).toThrow(DerError);
    expect(() => read({ notAfter: time })).toThrow(DerError);
  });

  it('reads versions and extensions as they are', () => {
    expect(read({ version: [] })).toMatchObject({ version: 0, extensions: [] });
    expect(read({ version: [contextConstructed(0, tlv(2, Uint8Array.of(1)))] }).version).toBe(1);
    const value = octetString(Uint8Array.of(5, 0));
    expect(read({ extensions: extension(value) }).extensions).toMatchObject([{ extnID: '1.2.3', critical: false }]);
    expect(read({ extensions: extension(tlv(1, Uint8Array.of(0xff)), value) }).extensions).toMatchObject([
      { critical: true },
    ]);
  });

  it.each([
    ['unique identifiers', [contextPrimitive(1, Uint8Array.of(0, 1))]],
    ['extensions twice', [...extension(octetString(Uint8Array.of())), ...extension(octetString(Uint8Array.of()))]],
    ['an extension without a value', extension()],
    ['an extension with two values', extension(octetString(Uint8Array.of()), octetString(Uint8Array.of()))],
    ['an encoded default', extension(tlv(1, Uint8Array.of(0)), octetString(Uint8Array.of()))],
    ['something after the extensions', [...extension(octetString(Uint8Array.of())), tlv(5)]],
  ])('refuses %s', (_, extensions) => {
    expect(() => read({ extensions })).toThrow(DerError);
  });

  it('refuses what follows, and every truncation', () => {
    const whole = tbs({ extensions: extension(octetString(Uint8Array.of(1))) });
    expect(() => readTbsCertificate(Uint8Array.of(...whole, 0))).toThrow(DerError);
    for (let length = 0; length < whole.length; length++) {
      expect(() => readTbsCertificate(whole.subarray(0, length)), String(length)).toThrow(DerError);
    }
  });
});

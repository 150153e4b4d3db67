import {
  AsnBitStringConverter,
  AsnBooleanConverter,
  AsnConvert,
  AsnGeneralizedTimeConverter,
  AsnIntegerArrayBufferConverter,
  AsnNullConverter,
  AsnPrintableStringConverter,
  AsnUTCTimeConverter,
  AsnUtf8StringConverter,
  OctetString,
} from '@peculiar/asn1-schema';
import { KeyUsage } from '@peculiar/asn1-x509';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  bitString,
  boolean,
  contextConstructed,
  contextPrimitive,
  namedBits,
  nullValue,
  octetString,
  printableString,
  sequence,
  setOf,
  time,
  tlv,
  unsignedInteger,
  utf8String,
} from '../../shared/asn1/der-writer.ts';

const hex = (bytes: Uint8Array | ArrayBuffer): string => Buffer.from(bytes as Uint8Array).toString('hex');
const buffer = (bytes: Uint8Array): ArrayBuffer => Uint8Array.from(bytes).buffer;
/** What the oracle's converters make of a value. */
const oracle = <T>(converter: { toASN(value: T): { toBER(): ArrayBuffer } }, value: T): string =>
  hex(converter.toASN(value).toBER());
const bytes = fc.uint8Array({ maxLength: 400 });

describe('the DER writer, beside @peculiar/asn1-schema', () => {
  it('writes OCTET STRING and its lengths', () => {
    for (const length of [0, 1, 127, 128, 129, 255, 256, 257, 65_535, 65_536]) {
      const contents = new Uint8Array(length).fill(0x5a);
      expect(hex(octetString(contents)), String(length)).toBe(
        hex(AsnConvert.serialize(new OctetString(buffer(contents)))),
      );
    }
  });

  it('writes BIT STRING', () => {
    fc.assert(
      fc.property(bytes, (value) => {
        expect(hex(bitString(value))).toBe(oracle(AsnBitStringConverter, buffer(value)));
      }),
    );
  });

  it('writes INTEGER in the fewest octets, never negative', () => {
    const value = fc
      .uint8Array({ minLength: 1, maxLength: 24 })
      .chain((drawn) => fc.constantFrom(drawn, Uint8Array.of(0, 0, ...drawn)));
    fc.assert(
      fc.property(value, (drawn) => {
        const number = BigInt(`0x${hex(drawn)}`);
        const digits = number.toString(16);
        const even = digits.length % 2 === 0 ? digits : `0${digits}`;
        const contents = Buffer.from(/^[89a-f]/.test(even) ? `00${even}` : even, 'hex');
        expect(hex(unsignedInteger(drawn))).toBe(oracle(AsnIntegerArrayBufferConverter, buffer(contents)));
      }),
    );
    expect(hex(unsignedInteger(Uint8Array.of()))).toBe('0200');
  });

  it('writes BOOLEAN and NULL', () => {
    for (const value of [true, false]) expect(hex(boolean(value))).toBe(oracle(AsnBooleanConverter, value));
    expect(hex(nullValue())).toBe(oracle(AsnNullConverter, null));
  });

  it('writes strings', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        expect(hex(utf8String(text))).toBe(oracle(AsnUtf8StringConverter, text));
      }),
    );
    const printable = fc.string({ unit: fc.constantFrom(..."AZaz09 '()+,-./:=?".split('')) });
    fc.assert(
      fc.property(printable, (text) => {
        expect(hex(printableString(text))).toBe(oracle(AsnPrintableStringConverter, text));
      }),
    );
  });

  it('writes named bits without trailing zeros', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.integer({ min: 0, max: 8 })), (positions) => {
        const flags = positions.reduce((value, position) => value | (1 << position), 0);
        expect(hex(namedBits(positions))).toBe(hex(AsnConvert.serialize(new KeyUsage(flags))));
      }),
    );
    expect(hex(namedBits([]))).toBe('030100');
    expect(hex(namedBits([8]))).toBe('0303070080');
  });

  it('writes UTCTime through 2049, GeneralizedTime from 2050, whole seconds', () => {
    const drawn = fc.integer({
      min: Date.parse('1950-01-01T00:00:00Z') / 1000,
      max: Date.parse('9999-12-31T23:59:59Z') / 1000,
    });
    fc.assert(
      fc.property(drawn, fc.integer({ min: 0, max: 999 }), (seconds, fraction) => {
        const date = new Date(seconds * 1000);
        const converter = date.getUTCFullYear() < 2050 ? AsnUTCTimeConverter : AsnGeneralizedTimeConverter;
        expect(hex(time(seconds * 1000 + fraction))).toBe(oracle(converter, date));
      }),
    );
    const edge = Date.parse('2050-01-01T00:00:00Z');
    expect(Buffer.from(time(edge - 1)).toString('latin1')).toBe('\x17\x0d491231235959Z');
    expect(Buffer.from(time(edge)).toString('latin1')).toBe('\x18\x0f20500101000000Z');
  });
});

describe('the DER writer, beside X.690', () => {
  it("orders SET OF by its members' encodings, the shorter first where one begins the other", () => {
    const [a, b, c] = [tlv(4, Uint8Array.of(2)), tlv(4, Uint8Array.of(1, 9)), tlv(2, Uint8Array.of(9))];
    const expected = hex(tlv(0x31, c, a, b));
    for (const order of [
      [a, b, c],
      [c, b, a],
      [b, a, c],
    ])
      expect(hex(setOf(...order))).toBe(expected);
    expect(hex(setOf())).toBe('3100');
  });

  it('nests', () => {
    expect(hex(sequence(contextPrimitive(6, Uint8Array.of(0x61)), contextConstructed(3, sequence())))).toBe(
      '3007860161a3023000',
    );
  });
});

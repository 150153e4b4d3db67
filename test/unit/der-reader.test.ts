import { describe, expect, it } from 'vitest';
import { DerError, type DerErrorReason, DerReader, nameOfTag } from '../../shared/asn1/der-reader.ts';

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'));
const input = (hex: string): DerReader => DerReader.ofInput(bytes(hex));

function refused(hex: string, read: (reader: DerReader) => unknown): DerError {
  const reader = input(hex);
  try {
    read(reader);
    reader.expectEnd('value');
  } catch (error) {
    if (error instanceof DerError) return error;
    throw error;
  }
  throw new Error(`${hex} was read`);
}

interface Case {
  readonly what: string;
  readonly hex: string;
  readonly read: (reader: DerReader) => unknown;
  readonly reason: DerErrorReason;
}

const boolean = (reader: DerReader): unknown => reader.readBoolean();
const integer = (reader: DerReader): unknown => reader.readInteger();
const small = (reader: DerReader): unknown => reader.readSmallInteger();
const bits = (reader: DerReader): unknown => reader.readBitString();
const octets = (reader: DerReader): unknown => reader.readOctetString();
const oid = (reader: DerReader): unknown => reader.readObjectIdentifier();
const nothing = (reader: DerReader): unknown => reader.readNull();
const integers = (reader: DerReader): unknown => reader.readSetOf((members) => members.readInteger());
const utf8 = (reader: DerReader): unknown => reader.readUtf8String();
const any = (reader: DerReader): unknown => reader.readAny();

describe('what a strict DER reader refuses', () => {
  const cases: readonly Case[] = [
    { what: 'nothing', hex: '', read: octets, reason: 'truncated' },
    { what: 'a tag alone', hex: '04', read: octets, reason: 'truncated' },
    { what: 'half a length', hex: '04 82 01', read: octets, reason: 'truncated' },
    { what: 'too few contents', hex: '04 02 00', read: octets, reason: 'truncated' },
    { what: 'a length of 4 GiB', hex: '04 84 ff ff ff ff 00', read: octets, reason: 'truncated' },
    { what: 'a length in 5 octets', hex: '04 85 01 00 00 00 00 00', read: octets, reason: 'truncated' },
    { what: 'a length in 126 octets', hex: `04 fe ${'01'.repeat(126)}`, read: octets, reason: 'truncated' },
    { what: 'a reserved length', hex: '04 ff 00', read: octets, reason: 'malformed' },
    {
      what: 'an indefinite length',
      hex: '24 80 04 01 00 00 00',
      read: (reader) => reader.readElement(),
      reason: 'not-der',
    },
    { what: 'an indefinite SEQUENCE', hex: '30 80 00 00', read: (reader) => reader.readSequence(), reason: 'not-der' },
    { what: 'a long form of a short length', hex: '04 81 01 00', read: octets, reason: 'not-der' },
    { what: 'a length with a leading zero', hex: `04 82 00 80 ${'00'.repeat(128)}`, read: octets, reason: 'not-der' },
    { what: 'a byte after the end', hex: '04 01 00 00', read: octets, reason: 'trailing' },
    { what: 'another type', hex: '02 01 00', read: octets, reason: 'malformed' },
    { what: 'a constructed OCTET STRING', hex: '24 03 04 01 00', read: octets, reason: 'not-der' },
    { what: 'a primitive SEQUENCE', hex: '10 00', read: (reader) => reader.readSequence(), reason: 'not-der' },
    { what: 'end-of-contents octets', hex: '00 00', read: any, reason: 'not-der' },
    { what: 'a high tag number', hex: '1f 20 00', read: any, reason: 'malformed' },
    { what: 'a high context tag number', hex: 'bf 20 00', read: any, reason: 'malformed' },
    { what: 'a BOOLEAN of 01', hex: '01 01 01', read: boolean, reason: 'not-der' },
    { what: 'an empty BOOLEAN', hex: '01 00', read: boolean, reason: 'malformed' },
    { what: 'a BOOLEAN of two octets', hex: '01 02 ff ff', read: boolean, reason: 'malformed' },
    {
      what: 'an encoded DEFAULT',
      hex: '01 01 00',
      read: (reader) => reader.readBooleanDefaultFalse(),
      reason: 'not-der',
    },
    { what: 'an empty INTEGER', hex: '02 00', read: integer, reason: 'malformed' },
    { what: 'a padded INTEGER', hex: '02 02 00 7f', read: integer, reason: 'not-der' },
    { what: 'a padded negative INTEGER', hex: '02 02 ff 80', read: integer, reason: 'not-der' },
    { what: 'an empty ENUMERATED', hex: '0a 00', read: any, reason: 'malformed' },
    { what: 'a padded ENUMERATED', hex: '0a 02 00 7f', read: any, reason: 'not-der' },
    { what: 'a BMPString of 3 octets', hex: '1e 03 00 61 00', read: any, reason: 'malformed' },
    { what: 'a UniversalString of 6 octets', hex: '1c 06 00 00 00 61 00 00', read: any, reason: 'malformed' },
    { what: 'a negative small INTEGER', hex: '02 01 ff', read: small, reason: 'malformed' },
    { what: 'an INTEGER of 2^31', hex: '02 05 00 80 00 00 00', read: small, reason: 'malformed' },
    { what: 'an empty BIT STRING', hex: '03 00', read: bits, reason: 'malformed' },
    { what: '8 unused bits', hex: '03 02 08 00', read: bits, reason: 'malformed' },
    { what: 'unused bits of nothing', hex: '03 01 01', read: bits, reason: 'malformed' },
    { what: 'an unused bit that is set', hex: '03 02 01 01', read: bits, reason: 'not-der' },
    {
      what: 'bits for octets',
      hex: '03 02 01 02',
      read: (reader) => reader.readOctetAlignedBitString(),
      reason: 'malformed',
    },
    { what: 'a NULL with contents', hex: '05 01 00', read: nothing, reason: 'malformed' },
    { what: 'an empty OBJECT IDENTIFIER', hex: '06 00', read: oid, reason: 'malformed' },
    { what: 'an arc with a leading 80', hex: '06 03 2a 80 01', read: oid, reason: 'not-der' },
    { what: 'a first arc with a leading 80', hex: '06 02 80 01', read: oid, reason: 'not-der' },
    { what: 'an arc without an end', hex: '06 02 2a 86', read: oid, reason: 'malformed' },
    { what: 'an endless OBJECT IDENTIFIER', hex: `06 41 ${'01'.repeat(65)}`, read: oid, reason: 'malformed' },
    { what: 'SET OF out of order', hex: '31 06 02 01 02 02 01 01', read: integers, reason: 'not-der' },
    { what: 'overlong UTF-8', hex: '0c 02 c0 80', read: utf8, reason: 'malformed' },
    { what: 'a surrogate in UTF-8', hex: '0c 03 ed a0 80', read: utf8, reason: 'malformed' },
    {
      what: 'an @ in a PrintableString',
      hex: '13 01 40',
      read: (reader) => reader.readPrintableString(),
      reason: 'malformed',
    },
    {
      what: 'a letter in a NumericString',
      hex: '12 01 41',
      read: (reader) => reader.readNumericString(),
      reason: 'malformed',
    },
    {
      what: 'an eighth bit in an IA5String',
      hex: '16 01 80',
      read: (reader) => reader.readIa5String(),
      reason: 'malformed',
    },
    { what: 'BER deep inside', hex: '30 06 a0 04 01 02 ff ff', read: any, reason: 'malformed' },
    { what: 'a BER length deep inside', hex: '30 06 a0 04 04 81 01 00', read: any, reason: 'not-der' },
    { what: 'a member beyond its container', hex: '30 03 04 02 00', read: any, reason: 'malformed' },
    {
      what: 'a member that is not there',
      hex: '30 00',
      read: (reader) => reader.readSequence().readNull(),
      reason: 'malformed',
    },
    {
      what: 'a member too many',
      hex: '30 02 05 00',
      read: (reader) => reader.readSequence().expectEnd('SEQUENCE'),
      reason: 'malformed',
    },
  ];
  it.each(cases)('$what is $reason', ({ hex, read, reason }) => {
    expect(refused(hex, read).reason).toBe(reason);
  });

  it('says where', () => {
    const error = refused('30 05 02 01 00 01 00', (reader) => {
      const inside = reader.readSequence();
      inside.readInteger();
      inside.readNull();
    });
    expect(error.offset).toBe(5);
    expect(error.message).toBe('BOOLEAN where NULL belongs at byte 5');
  });

  it.each([
    ['01 00', boolean],
    ['02 00', integer],
    ['03 00', bits],
    ['06 00', oid],
  ])('an element without contents, %s, is found fault with where it starts', (hex, read) => {
    expect(refused(`30 02 ${hex}`, (reader) => read(reader.readSequence())).offset).toBe(2);
  });

  it('does not follow nesting beyond its bound', () => {
    let nested = bytes('30 00');
    for (let depth = 0; depth < 1000; depth++) {
      const { length } = nested;
      const header =
        length < 128 ? [0x30, length] : length < 256 ? [0x30, 0x81, length] : [0x30, 0x82, length >> 8, length & 255];
      nested = Uint8Array.from([...header, ...nested]);
    }
    expect(() => DerReader.ofInput(nested).readAny()).toThrow('nested too deeply');
  });
});

describe('what a DER reader reads', () => {
  it('hands out views, not copies', () => {
    const source = bytes('30 04 04 02 aa bb');
    const contents = DerReader.ofInput(source).readSequence().readOctetString();
    expect(contents).toEqual(bytes('aa bb'));
    expect(contents.buffer).toBe(source.buffer);
    expect(contents.byteOffset).toBe(4);
  });

  it.each([
    ['06 03 2a 03 04', '1.2.3.4'],
    ['06 01 00', '0.0'],
    ['06 01 27', '0.39'],
    ['06 01 4f', '1.39'],
    ['06 01 50', '2.0'],
    ['06 02 88 37', '2.999'],
    ['06 09 2a 86 48 86 f7 0d 01 01 0b', '1.2.840.113549.1.1.11'],
    // 2.25 with a UUID of all ones: an arc of 128 bits (X.667).
    [`06 14 69 83 ${'ff'.repeat(17)} 7f`, `2.25.${2n ** 128n - 1n}`],
  ])('OBJECT IDENTIFIER %s is %s', (hex, dotted) => {
    expect(input(hex).readObjectIdentifier()).toBe(dotted);
  });

  it('reads values of every type', () => {
    expect(input('01 01 ff').readBoolean()).toBe(true);
    expect(input('01 01 00').readBoolean()).toBe(false);
    expect(input('05 00').readBooleanDefaultFalse()).toBe(false);
    expect(input('02 04 7f ff ff ff').readSmallInteger()).toBe(2147483647);
    expect(input('02 02 00 80').readInteger()).toEqual(bytes('00 80'));
    expect(input('03 02 01 02').readBitString()).toEqual({ bytes: bytes('02'), unusedBits: 1 });
    expect(input('03 01 00').readOctetAlignedBitString()).toEqual(bytes(''));
    expect(input('0c 03 e2 82 ac').readUtf8String()).toBe('€');
    expect(input('31 06 02 01 01 02 01 02').readSetOf((members) => members.readSmallInteger())).toEqual([1, 2]);
    expect(input(`04 81 80 ${'00'.repeat(128)}`).readOctetString()).toHaveLength(128);
    expect(input('81 01 41').readIa5String(0x81)).toBe('A');
  });

  it('names tags as ASN.1 does', () => {
    expect([0x30, 0xa0, 0x82, 0x41, 0xc3, 0x17].map(nameOfTag)).toEqual([
      'SEQUENCE',
      '[0]',
      '[2]',
      '[APPLICATION 1]',
      '[PRIVATE 3]',
      '[UNIVERSAL 23]',
    ]);
  });
});

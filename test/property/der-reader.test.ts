import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DerError, DerReader } from '../../shared/asn1/der-reader.ts';
import { encode, type Tree } from '../fixtures/csr/tree.ts';

/** An INTEGER's contents, by a way of its own: two's complement in as many bits as it takes. */
function integerContents(value: bigint): Buffer {
  let octets = 1;
  while (BigInt.asIntN(octets * 8, value) !== value) octets++;
  return Buffer.from(
    BigInt.asUintN(octets * 8, value)
      .toString(16)
      .padStart(octets * 2, '0'),
    'hex',
  );
}

function arcContents(arc: bigint): number[] {
  const septets =
    arc
      .toString(2)
      .padStart(Math.ceil(arc.toString(2).length / 7) * 7, '0')
      .match(/.{7}/g) ?? [];
  return septets.map((septet, index) => Number.parseInt(septet, 2) + (index < septets.length - 1 ? 0x80 : 0));
}

const integer = fc.bigInt({ min: -(2n ** 600n), max: 2n ** 600n });
const octets = fc.uint8Array({ maxLength: 300 });
const identifier = fc.oneof(
  fc.tuple(
    fc.constantFrom(0n, 1n),
    fc.bigInt({ min: 0n, max: 39n }),
    fc.array(fc.bigInt({ min: 0n, max: 2n ** 70n }), { maxLength: 5 }),
  ),
  fc.tuple(
    fc.constant(2n),
    fc.bigInt({ min: 0n, max: 2n ** 70n }),
    fc.array(fc.bigInt({ min: 0n, max: 2n ** 130n }), { maxLength: 2 }),
  ),
);

const primitive: fc.Arbitrary<Tree> = fc.oneof(
  integer.map((value) => ({ tag: 0x02, contents: integerContents(value) })),
  octets.map((value) => ({ tag: 0x04, contents: Buffer.from(value) })),
  fc.boolean().map((value) => ({ tag: 0x01, contents: Buffer.of(value ? 0xff : 0) })),
  fc.constant({ tag: 0x05, contents: Buffer.alloc(0) }),
  fc
    .tuple(fc.integer({ min: 0, max: 30 }), octets)
    .map(([tag, value]) => ({ tag: 0x80 + tag, contents: Buffer.from(value) })),
);
const { tree } = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    primitive,
    fc
      .tuple(fc.constantFrom(0x30, 0x31, 0xa0, 0xa3, 0xbe, 0x60), fc.array(tie('tree'), { maxLength: 5 }))
      .map(([tag, children]) => ({ tag, children })),
  ),
}));

function walk(reader: DerReader): Tree {
  const tag = reader.peekTag() ?? 0;
  if ((tag & 0x20) === 0) return { tag, contents: Buffer.from(reader.readContents(tag)) };
  const inside = reader.readConstructed(tag);
  const children: Tree[] = [];
  while (!inside.isAtEnd) children.push(walk(inside));
  return { tag, children };
}

function derErrorOf(run: () => unknown): DerError | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    if (error instanceof DerError) return error;
    throw error;
  }
}

describe('DerReader', () => {
  it('reads back what was encoded', () => {
    fc.assert(
      fc.property(tree, (made) => {
        const der = encode(made);
        const reader = DerReader.ofInput(der);
        expect(walk(reader)).toEqual(made);
        reader.expectEnd('value');
        expect(Buffer.from(DerReader.ofInput(der).readAny())).toEqual(der);
      }),
      { numRuns: 500 },
    );
  });

  it('reads INTEGER, OBJECT IDENTIFIER and BIT STRING values back', () => {
    fc.assert(
      fc.property(
        integer,
        identifier,
        octets,
        fc.integer({ min: 0, max: 7 }),
        (value, [first, second, rest], bits, unused) => {
          const contents = DerReader.ofInput(encode({ tag: 0x02, contents: integerContents(value) })).readInteger();
          expect(BigInt.asIntN(contents.length * 8, BigInt(`0x${Buffer.from(contents).toString('hex')}`))).toBe(value);

          const arcs = Buffer.from([first * 40n + second, ...rest].flatMap(arcContents));
          const dotted = [first, second, ...rest].join('.');
          expect(DerReader.ofInput(encode({ tag: 0x06, contents: arcs })).readObjectIdentifier()).toBe(dotted);

          const unusedBits = bits.length === 0 ? 0 : unused;
          const bytes = Buffer.from(bits);
          if (bytes.length > 0) bytes[bytes.length - 1] = ((bytes.at(-1) ?? 0) >> unusedBits) << unusedBits;
          const bitString = encode({ tag: 0x03, contents: Buffer.of(unusedBits, ...bytes) });
          const read = DerReader.ofInput(bitString).readBitString();
          expect(read.unusedBits).toBe(unusedBits);
          expect(Buffer.from(read.bytes)).toEqual(bytes);
        },
      ),
      { numRuns: 500 },
    );
  });

  it('calls whatever is cut off truncated, whatever follows trailing', () => {
    fc.assert(
      fc.property(tree, fc.nat(), fc.uint8Array({ minLength: 1, maxLength: 5 }), (made, cut, more) => {
        const der = encode(made);
        const short = der.subarray(0, cut % der.length);
        expect(derErrorOf(() => DerReader.ofInput(short).readAny())?.reason).toBe('truncated');
        const long = DerReader.ofInput(Buffer.concat([der, more]));
        long.readAny();
        expect(derErrorOf(() => long.expectEnd('value'))).toMatchObject({ reason: 'trailing', offset: der.length });
      }),
      { numRuns: 500 },
    );
  });

  it('throws nothing but DerErrors, inside the input, whatever the bytes', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.tuple(tree, fc.nat(), fc.nat({ max: 255 })).map(([made, at, octet]) => {
        const der = encode(made);
        der[at % der.length] = octet;
        return der;
      }),
    );
    const reads: readonly ((reader: DerReader) => unknown)[] = [
      (reader) => reader.readAny(),
      (reader) => reader.readSequence().readAny(),
      (reader) => reader.readSetOf((members) => members.readAny()),
      (reader) => reader.readObjectIdentifier(),
      (reader) => reader.readUtf8String(),
      (reader) => reader.readIa5String(0x82),
      (reader) => reader.readSmallInteger(),
    ];
    fc.assert(
      fc.property(bytes, fc.constantFrom(...reads), (input, read) => {
        const reader = DerReader.ofInput(input);
        const error = derErrorOf(() => read(reader));
        if (error !== undefined) expect(error.offset).toBeLessThanOrEqual(input.length);
        expect(reader.offset).toBeLessThanOrEqual(input.length);
      }),
      { numRuns: 3000 },
    );
  });
});

/**
 * Reading DER (X.690 sections 8, 10 and 11), strictly: what is read here has one encoding only. Contents are views of
 * the input, never copies, so nothing is allocated for a length that is claimed but not there.
 */

/**
 * - `truncated`: the input ends before the outermost element does.
 * - `trailing`: something follows the outermost element.
 * - `not-der`: an encoding that BER allows, or half of the world reads, and DER forbids.
 * - `malformed`: not the type that belongs here, or no encoding of any value.
 */
export type DerErrorReason = 'truncated' | 'trailing' | 'not-der' | 'malformed';

/** `message` is a clause that says what is wrong and at which byte; `offset` counts from the start of the input. */
export class DerError extends Error {
  readonly reason: DerErrorReason;
  readonly offset: number;

  constructor(reason: DerErrorReason, offset: number, message: string) {
    super(`${message} at byte ${offset}`);
    this.name = 'DerError';
    this.reason = reason;
    this.offset = offset;
  }
}

/** Identifier octets of the universal types that are met in certification requests (X.680 section 8.6). */
export const tags = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  objectIdentifier: 0x06,
  enumerated: 0x0a,
  utf8String: 0x0c,
  numericString: 0x12,
  printableString: 0x13,
  teletexString: 0x14,
  ia5String: 0x16,
  universalString: 0x1c,
  bmpString: 0x1e,
  sequence: 0x30,
  set: 0x31,
} as const;

const tagNames = new Map<number, string>([
  [tags.boolean, 'BOOLEAN'],
  [tags.integer, 'INTEGER'],
  [tags.bitString, 'BIT STRING'],
  [tags.octetString, 'OCTET STRING'],
  [tags.null, 'NULL'],
  [tags.objectIdentifier, 'OBJECT IDENTIFIER'],
  [tags.enumerated, 'ENUMERATED'],
  [tags.utf8String, 'UTF8String'],
  [tags.numericString, 'NumericString'],
  [tags.printableString, 'PrintableString'],
  [tags.teletexString, 'TeletexString'],
  [tags.ia5String, 'IA5String'],
  [tags.universalString, 'UniversalString'],
  [tags.bmpString, 'BMPString'],
  [tags.sequence, 'SEQUENCE'],
  [tags.set, 'SET'],
]);

const classNames = ['UNIVERSAL ', 'APPLICATION ', '', 'PRIVATE '];

/** An identifier octet in ASN.1's own words: `SEQUENCE`, `[0]`, `[APPLICATION 3]`. */
export function nameOfTag(tag: number): string {
  return tagNames.get(tag) ?? `[${classNames[tag >> 6] ?? ''}${tag & 0x1f}]`;
}

/** The identifier octet of `[number]` around, or in the place of, a constructed type. */
export const constructedTag = (number: number): number => 0xa0 | number;

/** The identifier octet of `[number] IMPLICIT` in the place of a primitive type. */
export const primitiveTag = (number: number): number => 0x80 | number;

const constructed = 0x20;
/** EXTERNAL, EMBEDDED PDV, SEQUENCE, SET and CHARACTER STRING: the universal types that are always constructed. */
const constructedUniversalTypes = new Set([8, 11, 16, 17, 29]);
/** Four length octets count 4 GiB; what has more of them is longer than any input. */
const maximumLengthOctets = 4;
/** No registered arc path comes near it; it keeps a dotted form that is compared and printed short. */
const maximumObjectIdentifierOctets = 64;

const printableStringForm = /^[A-Za-z0-9 '()+,\-./:=?]*$/;
const numericStringForm = /^[0-9 ]*$/;
const ia5StringForm = /^\p{ASCII}*$/u;
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

/** One subidentifier, octets `start` to `end` (X.690 section 8.19.2); up to 49 bits fit a number. */
function readSubidentifier(bytes: Uint8Array, start: number, end: number): number | bigint {
  if (end - start <= 7) {
    let value = 0;
    for (let index = start; index < end; index++) value = value * 128 + ((bytes[index] ?? 0) & 0x7f);
    return value;
  }
  let value = 0n;
  for (let index = start; index < end; index++) value = (value << 7n) | BigInt((bytes[index] ?? 0) & 0x7f);
  return value;
}

/** The first subidentifier holds two arcs: 40 times the first (0, 1 or 2) plus the second (X.690 section 8.19.4). */
function firstArcs(subidentifier: number | bigint): string {
  if (subidentifier < 40) return `0.${subidentifier}`;
  if (subidentifier < 80) return `1.${Number(subidentifier) - 40}`;
  return `2.${typeof subidentifier === 'bigint' ? subidentifier - 80n : subidentifier - 80}`;
}

interface BitString {
  readonly bytes: Uint8Array;
  /** How many low bits of the last octet do not belong to the string: 0 to 7. */
  readonly unusedBits: number;
}

/**
 * Reads the elements of an input, or of one constructed element in it, one after another. Each `read` method takes one
 * element, moves past it and returns its value, or throws a DerError. `tag` is an identifier octet; a method that takes
 * one reads its type under IMPLICIT tagging.
 */
export class DerReader {
  readonly #bytes: Uint8Array;
  readonly #end: number;
  readonly #outermost: boolean;
  #position: number;

  private constructor(bytes: Uint8Array, start: number, end: number, outermost: boolean) {
    this.#bytes = bytes;
    this.#position = start;
    this.#end = end;
    this.#outermost = outermost;
  }

  /** Reads a whole input: what ends too early is `truncated`, what follows is `trailing`. */
  static ofInput(bytes: Uint8Array): DerReader {
    return new DerReader(bytes, 0, bytes.length, true);
  }

  /** Reads what an OCTET STRING or BIT STRING holds: whatever is wrong with its end is `malformed`. */
  static ofContents(bytes: Uint8Array): DerReader {
    return new DerReader(bytes, 0, bytes.length, false);
  }

  /** Where the next element starts, counted from the start of the input. */
  get offset(): number {
    return this.#position;
  }

  get isAtEnd(): boolean {
    return this.#position >= this.#end;
  }

  /** The next element's identifier octet; undefined at the end. */
  peekTag(): number | undefined {
    return this.isAtEnd ? undefined : this.#bytes[this.#position];
  }

  /** @throws DerError where something is left; `container` names what should have ended, for the message */
  expectEnd(container: string): void {
    if (this.isAtEnd) return;
    if (this.#outermost) {
      const count = this.#end - this.#position;
      throw new DerError('trailing', this.#position, `${count} byte${count === 1 ? '' : 's'} after the ${container}`);
    }
    throw this.malformed(`an unexpected ${nameOfTag(this.#bytes[this.#position] ?? 0)} in the ${container}`);
  }

  /** The bytes from `offset` to the next element: what was read since. */
  since(offset: number): Uint8Array {
    return this.#bytes.subarray(offset, this.#position);
  }

  /** A DerError about the next element, for what only the caller can know to be wrong. */
  malformed(message: string, offset = this.#position): DerError {
    return new DerError('malformed', offset, message);
  }

  /** One element whole: identifier, length and contents. What is inside is not looked at. */
  readElement(tag?: number): Uint8Array {
    const start = this.#position;
    this.#takeHeader(tag);
    return this.since(start);
  }

  readContents(tag: number): Uint8Array {
    return this.since(this.#takeHeader(tag));
  }

  /** A reader of the elements inside a SEQUENCE, a SET whose order does not matter, or a constructed tag. */
  readConstructed(tag: number): DerReader {
    const start = this.#takeHeader(tag);
    return new DerReader(this.#bytes, start, this.#position, false);
  }

  readSequence(): DerReader {
    return this.readConstructed(tags.sequence);
  }

  /** SET OF, members in ascending order of their encodings (X.690 section 11.6); `read` takes one member. */
  readSetOf<T>(read: (members: DerReader) => T, tag: number = tags.set): T[] {
    const members = this.readConstructed(tag);
    const values: T[] = [];
    let previous: Uint8Array | undefined;
    while (!members.isAtEnd) {
      const start = members.offset;
      values.push(read(members));
      const member = members.since(start);
      if (previous !== undefined && Buffer.compare(previous, member) > 0) {
        throw new DerError('not-der', start, 'SET OF members that are not in ascending order');
      }
      previous = member;
    }
    return values;
  }

  readBoolean(): boolean {
    const offset = this.#position;
    const start = this.#takeHeader(tags.boolean);
    if (this.#position - start !== 1) throw this.malformed('a BOOLEAN that is not one octet', offset);
    const octet = this.#bytes[start];
    if (octet !== 0 && octet !== 0xff) throw new DerError('not-der', start, 'a BOOLEAN that is neither 00 nor FF');
    return octet === 0xff;
  }

  /** BOOLEAN DEFAULT FALSE: the default value is left out, never encoded (X.690 section 11.5). */
  readBooleanDefaultFalse(): boolean {
    if (this.peekTag() !== tags.boolean) return false;
    const start = this.#position;
    if (!this.readBoolean()) throw new DerError('not-der', start, 'a DEFAULT value that is encoded');
    return true;
  }

  /** An INTEGER's contents: big-endian two's complement in the fewest octets, at least one. */
  readInteger(tag: number = tags.integer): Uint8Array {
    const offset = this.#position;
    const start = this.#takeHeader(tag);
    const contents = this.since(start);
    const [first, second] = contents;
    if (first === undefined) throw this.malformed(`an ${nameOfTag(tag)} without contents`, offset);
    if (second !== undefined && ((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80))) {
      throw new DerError('not-der', start, `an ${nameOfTag(tag)} that is not in the fewest octets`);
    }
    return contents;
  }

  /** An INTEGER from 0 to 2^31 - 1. */
  readSmallInteger(): number {
    const start = this.#position;
    const contents = this.readInteger();
    if (contents.length > 4 || (contents[0] ?? 0) >= 0x80) {
      throw this.malformed('an INTEGER that is not from 0 to 2147483647', start);
    }
    return contents.reduce((value, octet) => value * 256 + octet, 0);
  }

  readBitString(): BitString {
    const offset = this.#position;
    const start = this.#takeHeader(tags.bitString);
    const unusedBits = this.#bytes[start];
    if (this.#position === start || unusedBits === undefined) {
      throw this.malformed('a BIT STRING without contents', offset);
    }
    const bytes = this.#bytes.subarray(start + 1, this.#position);
    if (unusedBits > 7 || (unusedBits > 0 && bytes.length === 0)) {
      throw this.malformed('a BIT STRING with an impossible number of unused bits', start);
    }
    if (((bytes.at(-1) ?? 0) & ((1 << unusedBits) - 1)) !== 0) {
      throw new DerError('not-der', start, 'a BIT STRING whose unused bits are not zero');
    }
    return { bytes, unusedBits };
  }

  /** A BIT STRING of whole octets, as signatures and public keys are. */
  readOctetAlignedBitString(): Uint8Array {
    const start = this.#position;
    const { bytes, unusedBits } = this.readBitString();
    if (unusedBits !== 0) throw this.malformed('a BIT STRING that is not whole octets', start);
    return bytes;
  }

  readOctetString(): Uint8Array {
    return this.readContents(tags.octetString);
  }

  readNull(): void {
    const start = this.#takeHeader(tags.null);
    if (this.#position !== start) throw this.malformed('a NULL with contents', start);
  }

  /** The dotted form, `1.2.840.113549`; at most 64 octets. */
  readObjectIdentifier(tag: number = tags.objectIdentifier): string {
    const offset = this.#position;
    const start = this.#takeHeader(tag);
    const end = this.#position;
    const bytes = this.#bytes;
    if (start === end) throw this.malformed('an OBJECT IDENTIFIER without contents', offset);
    if (end - start > maximumObjectIdentifierOctets) {
      throw this.malformed(`an OBJECT IDENTIFIER longer than ${maximumObjectIdentifierOctets} octets`, start);
    }
    let dotted = '';
    let from = start;
    for (let index = start; index < end; index++) {
      const octet = bytes[index] ?? 0;
      if (index === from && octet === 0x80) {
        throw new DerError('not-der', index, 'an OBJECT IDENTIFIER with an arc that is not in the fewest octets');
      }
      if (octet >= 0x80) continue;
      const subidentifier = readSubidentifier(bytes, from, index + 1);
      dotted = from === start ? firstArcs(subidentifier) : `${dotted}.${subidentifier}`;
      from = index + 1;
    }
    if (from !== end) throw this.malformed('an OBJECT IDENTIFIER that ends within an arc', start);
    return dotted;
  }

  readUtf8String(tag: number = tags.utf8String): string {
    const start = this.#position;
    const contents = this.readContents(tag);
    try {
      return utf8.decode(contents);
    } catch {
      throw this.malformed('a UTF8String that is not UTF-8', start);
    }
  }

  readPrintableString(): string {
    return this.#readAsciiString(tags.printableString, 'a PrintableString', printableStringForm);
  }

  readNumericString(): string {
    return this.#readAsciiString(tags.numericString, 'a NumericString', numericStringForm);
  }

  readIa5String(tag: number = tags.ia5String): string {
    return this.#readAsciiString(tag, 'an IA5String', ia5StringForm);
  }

  /**
   * One element of any type, whole, after looking at everything inside that can be told to be DER without knowing the
   * type: lengths and universal primitives. A SET is not checked for order: a SET and a SET OF have different ones.
   * @param maximumDepth how many levels may be nested; the only recursion in this reader
   */
  readAny(maximumDepth = 16): Uint8Array {
    const start = this.#position;
    const tag = this.peekTag();
    if (tag === tags.boolean) this.readBoolean();
    else if (tag === tags.integer || tag === tags.enumerated) this.readInteger(tag);
    else if (tag === tags.bitString) this.readBitString();
    else if (tag === tags.null) this.readNull();
    else if (tag === tags.objectIdentifier) this.readObjectIdentifier();
    else if (tag === tags.bmpString) this.#readCharacters(tag, 2);
    else if (tag === tags.universalString) this.#readCharacters(tag, 4);
    else if (tag !== undefined && (tag & constructed) !== 0) {
      if (maximumDepth === 0) throw this.malformed('an element that is nested too deeply');
      const inside = this.readConstructed(tag);
      while (!inside.isAtEnd) inside.readAny(maximumDepth - 1);
    } else this.readElement();
    return this.since(start);
  }

  /** BMPString and UniversalString have 2 and 4 octets a character (X.690 section 8.23). */
  #readCharacters(tag: number, octets: number): void {
    const offset = this.#position;
    const contents = this.readContents(tag);
    if (contents.length % octets !== 0)
      throw this.malformed(`a ${nameOfTag(tag)} of ${contents.length} octets`, offset);
  }

  #readAsciiString(tag: number, what: string, form: RegExp): string {
    const start = this.#position;
    const value = latin1(this.readContents(tag));
    if (!form.test(value)) throw this.malformed(`${what} with a character that the type does not have`, start);
    return value;
  }

  /** Takes identifier and length octets, moves to the end of the element and returns where its contents start. */
  #takeHeader(expected?: number): number {
    const start = this.#position;
    const identifier = this.#headerOctet(start, start, expected);
    this.#checkIdentifier(identifier, start, expected);
    const first = this.#headerOctet(start + 1, start, identifier);
    let contents = start + 2;
    let length = first;
    if (first >= 0x80) {
      const octets = first & 0x7f;
      if (octets === 0) throw new DerError('not-der', start, 'an indefinite length');
      if (octets === 0x7f) throw new DerError('malformed', start, 'a reserved length octet');
      const leading = this.#headerOctet(contents, start, identifier);
      if (leading === 0 || (octets === 1 && leading < 0x80)) {
        throw new DerError('not-der', start, 'a length that is not in the fewest octets');
      }
      if (octets > maximumLengthOctets) throw this.#overrun(start, identifier);
      length = leading;
      for (let index = 1; index < octets; index++) {
        length = length * 256 + this.#headerOctet(contents + index, start, identifier);
      }
      contents += octets;
    }
    if (length > this.#end - contents) throw this.#overrun(start, identifier);
    this.#position = contents + length;
    return contents;
  }

  #headerOctet(index: number, start: number, tag: number | undefined): number {
    const octet = index < this.#end ? this.#bytes[index] : undefined;
    if (octet !== undefined) return octet;
    if (index > start || this.#outermost) throw this.#overrun(start, tag);
    throw this.malformed(tag === undefined ? 'a missing element' : `a missing ${nameOfTag(tag)}`, start);
  }

  #checkIdentifier(identifier: number, start: number, expected: number | undefined): void {
    const number = identifier & 0x1f;
    if (number === 0x1f) throw new DerError('malformed', start, 'a tag number above 30');
    if (identifier < 0x40) {
      if (number === 0) throw new DerError('not-der', start, 'end-of-contents octets');
      const isConstructed = (identifier & constructed) !== 0;
      if (isConstructed !== constructedUniversalTypes.has(number)) {
        const name = nameOfTag(identifier ^ constructed);
        throw new DerError('not-der', start, `a ${isConstructed ? 'constructed' : 'primitive'} ${name}`);
      }
    }
    if (expected !== undefined && identifier !== expected) {
      throw new DerError('malformed', start, `${nameOfTag(identifier)} where ${nameOfTag(expected)} belongs`);
    }
  }

  #overrun(start: number, tag: number | undefined): DerError {
    const what = tag === undefined ? 'an element' : nameOfTag(tag);
    return this.#outermost
      ? new DerError('truncated', start, `${what} that ends after the input does`)
      : new DerError('malformed', start, `${what} that ends after what contains it`);
  }
}

/**
 * DER encoding (X.690 sections 8 and 10) of the types that a TBSCertificate is made of. Every function returns one
 * whole TLV. What they are given is ours or already checked, so there are no errors here but programming ones.
 */

const utf8 = new TextEncoder();

function lengthOctets(length: number): number[] {
  if (length < 0x80) return [length];
  const octets: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) octets.unshift(rest % 256);
  return [0x80 | octets.length, ...octets];
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  let total = 0;
  for (const part of parts) total += part.length;
  const joined = new Uint8Array(total);
  let offset = 0;
  for (const part of parts) {
    joined.set(part, offset);
    offset += part.length;
  }
  return joined;
}

/** Identifier octet `tag`, the length, then the contents one after another. */
export function tlv(tag: number, ...contents: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const content of contents) length += content.length;
  return join([Uint8Array.from([tag, ...lengthOctets(length)]), ...contents]);
}

export const sequence = (...members: readonly Uint8Array[]): Uint8Array => tlv(0x30, ...members);

/** SET OF: members in ascending order of their encodings (X.690 section 11.6). */
export const setOf = (...members: readonly Uint8Array[]): Uint8Array =>
  tlv(0x31, ...[...members].sort((a, b) => Buffer.compare(a, b)));

export const boolean = (value: boolean): Uint8Array => tlv(0x01, Uint8Array.of(value ? 0xff : 0));

/** INTEGER from unsigned big-endian bytes, shortest form, with a leading zero where the top bit is set. */
export function unsignedInteger(bytes: Uint8Array): Uint8Array {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start++;
  const magnitude = bytes.subarray(start);
  return tlv(0x02, (magnitude[0] ?? 0) >= 0x80 ? Uint8Array.of(0, ...magnitude) : magnitude);
}

export const octetString = (bytes: Uint8Array): Uint8Array => tlv(0x04, bytes);

export const bitString = (bytes: Uint8Array, unusedBits = 0): Uint8Array => tlv(0x03, Uint8Array.of(unusedBits), bytes);

/** A BIT STRING of named bits: trailing zero bits are left out (X.690 section 11.2.2). */
export function namedBits(positions: readonly number[]): Uint8Array {
  const last = Math.max(-1, ...positions);
  const bytes = new Uint8Array(Math.ceil((last + 1) / 8));
  for (const position of positions) {
    const index = Math.floor(position / 8);
    bytes[index] = (bytes[index] ?? 0) | (0x80 >> (position % 8));
  }
  return bitString(bytes, last < 0 ? 0 : 7 - (last % 8));
}

export const nullValue = (): Uint8Array => tlv(0x05);

export function objectIdentifier(dotted: string): Uint8Array {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const bytes: number[] = [];
  for (const arc of [first * 40 + second, ...rest]) {
    const septets = [arc % 128];
    for (let high = Math.floor(arc / 128); high > 0; high = Math.floor(high / 128))
      septets.unshift((high % 128) | 0x80);
    bytes.push(...septets);
  }
  return tlv(0x06, Uint8Array.from(bytes));
}

export const utf8String = (text: string): Uint8Array => tlv(0x0c, utf8.encode(text));

export const printableString = (text: string): Uint8Array => tlv(0x13, utf8.encode(text));

/** @param text ASCII */
export const ia5String = (text: string): Uint8Array => tlv(0x16, utf8.encode(text));

/** [n] IMPLICIT over a primitive type's contents. */
export const contextPrimitive = (number: number, contents: Uint8Array): Uint8Array => tlv(0x80 | number, contents);

/** [n] constructed: EXPLICIT, or IMPLICIT over a constructed type. */
export const contextConstructed = (number: number, ...contents: readonly Uint8Array[]): Uint8Array =>
  tlv(0xa0 | number, ...contents);

/**
 * Time as RFC 5280 section 4.1.2.5 wants it: UTCTime through 2049, GeneralizedTime from 2050, whole seconds, Zulu.
 * @param time milliseconds since the epoch; a fraction of a second is cut off
 */
export function time(time: number): Uint8Array {
  const digits = new Date(time).toISOString().replace(/[-:T]/g, '').slice(0, 14);
  return Number(digits.slice(0, 4)) < 2050
    ? tlv(0x17, utf8.encode(`${digits.slice(2)}Z`))
    : tlv(0x18, utf8.encode(`${digits}Z`));
}

import { SocketAddress } from 'node:net';
import { constructedTag, DerReader, nameOfTag, primitiveTag } from '../asn1/index.ts';
import { refusingBadEncoding } from './csr-encoding-error.ts';
import { type DistinguishedName, readDistinguishedName, refuseControlCharacters } from './distinguished-name.ts';

/** RFC 5280 section 4.2.1.6; a text value is as written, with no case folded and no escape resolved. */
export type GeneralName =
  | { readonly kind: 'rfc822Name' | 'dNSName' | 'uniformResourceIdentifier'; readonly value: string }
  /** IPv4 dotted, IPv6 as RFC 5952 writes it. */
  | { readonly kind: 'iPAddress'; readonly value: string }
  | { readonly kind: 'directoryName'; readonly value: DistinguishedName }
  /** The dotted object identifier. */
  | { readonly kind: 'registeredID'; readonly value: string }
  /** `value` is the whole encoding of what `[0] EXPLICIT` holds. */
  | { readonly kind: 'otherName'; readonly typeId: string; readonly value: Uint8Array }
  /** The whole encoding: nobody grants these, so nobody reads them. */
  | { readonly kind: 'x400Address' | 'ediPartyName'; readonly value: Uint8Array };

const otherName = constructedTag(0);
const rfc822Name = primitiveTag(1);
const dNSName = primitiveTag(2);
const x400Address = constructedTag(3);
const directoryName = constructedTag(4);
const ediPartyName = constructedTag(5);
const uniformResourceIdentifier = primitiveTag(6);
const iPAddress = primitiveTag(7);
const registeredID = primitiveTag(8);

function readText(names: DerReader, tag: number): string {
  const offset = names.offset;
  const value = names.readIa5String(tag);
  refuseControlCharacters(names, value, offset);
  return value;
}

/** 4 octets or 16; the 8 and 32 of name constraints do not belong in a subjectAltName. */
function readAddress(names: DerReader): string {
  const offset = names.offset;
  const octets = Buffer.from(names.readContents(iPAddress));
  if (octets.length === 4) return octets.join('.');
  if (octets.length !== 16) throw names.malformed(`an iPAddress of ${octets.length} octets`, offset);
  const groups = Array.from({ length: 8 }, (_, index) => octets.readUInt16BE(index * 2).toString(16));
  return new SocketAddress({ address: groups.join(':'), family: 'ipv6' }).address;
}

function readOtherName(names: DerReader): GeneralName {
  const name = names.readConstructed(otherName);
  const typeId = name.readObjectIdentifier();
  const explicit = name.readConstructed(constructedTag(0));
  const value = explicit.readAny();
  explicit.expectEnd('otherName value');
  name.expectEnd('otherName');
  return { kind: 'otherName', typeId, value };
}

/** `[4]` is EXPLICIT, Name being a CHOICE. */
function readDirectoryName(names: DerReader): GeneralName {
  const explicit = names.readConstructed(directoryName);
  const value = readDistinguishedName(explicit);
  explicit.expectEnd('directoryName');
  return { kind: 'directoryName', value };
}

function readGeneralName(names: DerReader): GeneralName {
  const tag = names.peekTag();
  switch (tag) {
    case otherName:
      return readOtherName(names);
    case rfc822Name:
      return { kind: 'rfc822Name', value: readText(names, tag) };
    case dNSName:
      return { kind: 'dNSName', value: readText(names, tag) };
    case x400Address:
      return { kind: 'x400Address', value: names.readAny() };
    case directoryName:
      return readDirectoryName(names);
    case ediPartyName:
      return { kind: 'ediPartyName', value: names.readAny() };
    case uniformResourceIdentifier:
      return { kind: 'uniformResourceIdentifier', value: readText(names, tag) };
    case iPAddress:
      return { kind: 'iPAddress', value: readAddress(names) };
    case registeredID:
      return { kind: 'registeredID', value: names.readObjectIdentifier(tag) };
    default:
      throw names.malformed(`${nameOfTag(tag ?? 0)}, which is no GeneralName`);
  }
}

/**
 * The names in a subjectAltName's extnValue, at least one.
 * @throws MintmarkError CSR_NOT_DER, CSR_MALFORMED; "at byte n" counts within the extnValue
 */
export function readGeneralNames(extnValue: Uint8Array): readonly GeneralName[] {
  return refusingBadEncoding('The subjectAltName in the CSR', () => {
    const reader = DerReader.ofContents(extnValue);
    const names = reader.readSequence();
    reader.expectEnd('subjectAltName');
    if (names.isAtEnd) throw names.malformed('a subjectAltName without names');
    const read: GeneralName[] = [];
    while (!names.isAtEnd) read.push(readGeneralName(names));
    return read;
  });
}

import { type DerReader, nameOfTag, tags } from '../asn1/index.ts';
import { describeObjectIdentifier } from './object-identifiers.ts';

/** RFC 5280 section 4.1.2.4. */
export interface AttributeTypeAndValue {
  /** Dotted object identifier. */
  readonly type: string;
  /** Identifier octet of the value's string type. */
  readonly tag: number;
  readonly value: string;
  /** The value's whole encoding. */
  readonly valueDer: Uint8Array;
}

export type RelativeDistinguishedName = readonly AttributeTypeAndValue[];

/** RDNSequence, in its own order; the empty name is the empty array. */
export type DistinguishedName = readonly RelativeDistinguishedName[];

/**
 * The four string types that a name written today may be in. TeletexString, BMPString and UniversalString are for
 * names that existed before 2004 (RFC 5280 section 4.1.2.4), and readers disagree on what the first of them means.
 */
function readAttributeValue(reader: DerReader): string {
  const { offset } = reader;
  const tag = reader.peekTag();
  switch (tag) {
    case tags.utf8String:
      return reader.readUtf8String();
    case tags.printableString:
      return reader.readPrintableString();
    case tags.ia5String:
      return reader.readIa5String();
    case tags.numericString:
      return reader.readNumericString();
    case undefined:
      throw reader.malformed('a name attribute without a value');
    default:
      reader.readElement();
      throw reader.malformed(
        `${nameOfTag(tag)} where a name's UTF8String, PrintableString, IA5String or NumericString belongs`,
        offset,
      );
  }
}

function readAttributeTypeAndValue(reader: DerReader): AttributeTypeAndValue {
  const attribute = reader.readSequence();
  const type = attribute.readObjectIdentifier();
  const offset = attribute.offset;
  const tag = attribute.peekTag() ?? 0;
  const value = readAttributeValue(attribute);
  const valueDer = attribute.since(offset);
  attribute.expectEnd('AttributeTypeAndValue');
  if (value === '') throw attribute.malformed('an empty name attribute', offset);
  refuseControlCharacters(attribute, value, offset);
  return { type, tag, value, valueDer };
}

/** A NUL ends a name early for some readers; any control character can forge a line of a log or a table. */
export function refuseControlCharacters(reader: DerReader, value: string, offset: number): void {
  const found = /\p{Cc}/u.exec(value)?.[0];
  if (found === undefined) return;
  const codePoint = found.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0');
  throw reader.malformed(`a name with the control character U+${codePoint}`, offset);
}

/** X.501 section 9.3: an RDN holds each attribute type once. */
function refuseTypeTwice(reader: DerReader, attributes: RelativeDistinguishedName, offset: number): void {
  const types = attributes.map(({ type }) => type);
  const twice = types.find((type, index) => types.indexOf(type) !== index);
  if (twice === undefined) return;
  throw reader.malformed(
    `the attribute ${describeObjectIdentifier(twice)} twice in a RelativeDistinguishedName`,
    offset,
  );
}

/** @throws DerError */
export function readDistinguishedName(reader: DerReader): DistinguishedName {
  const names = reader.readSequence();
  const read: RelativeDistinguishedName[] = [];
  while (!names.isAtEnd) {
    const offset = names.offset;
    const attributes = names.readSetOf(readAttributeTypeAndValue);
    if (attributes.length === 0) throw names.malformed('an empty RelativeDistinguishedName', offset);
    refuseTypeTwice(names, attributes, offset);
    read.push(attributes);
  }
  return read;
}

import { constructedTag, DerReader, tags } from '../asn1/index.ts';

export interface Extension {
  readonly extnID: string;
  readonly critical: boolean;
  readonly extnValue: Uint8Array;
}

/** A TBSCertificate's fields (RFC 5280 section 4.1.2). What is bytes is the whole DER element, but for serialNumber. */
export interface TbsCertificate {
  /** 0 for v1, 1 for v2, 2 for v3. */
  readonly version: number;
  /** The INTEGER's contents. */
  readonly serialNumber: Uint8Array;
  readonly signature: Uint8Array;
  readonly issuer: Uint8Array;
  /** Milliseconds since the epoch, inclusive. */
  readonly notBefore: number;
  readonly notAfter: number;
  readonly subject: Uint8Array;
  readonly subjectPublicKeyInfo: Uint8Array;
  readonly extensions: readonly Extension[];
}

const utcTime = 0x17;
const generalizedTime = 0x18;

/** @throws DerError for anything but the strict DER of a TBSCertificate without unique identifiers */
export function readTbsCertificate(der: Uint8Array): TbsCertificate {
  const outer = DerReader.ofContents(der);
  const fields = outer.readSequence();
  outer.expectEnd('TBSCertificate');
  const version = fields.peekTag() === constructedTag(0) ? readVersion(fields) : 0;
  const serialNumber = fields.readInteger();
  const signature = fields.readElement(tags.sequence);
  const issuer = fields.readElement(tags.sequence);
  const validity = fields.readSequence();
  const notBefore = readTime(validity);
  const notAfter = readTime(validity);
  validity.expectEnd('Validity');
  const subject = fields.readElement(tags.sequence);
  const subjectPublicKeyInfo = fields.readElement(tags.sequence);
  const extensions = fields.peekTag() === constructedTag(3) ? readExtensions(fields) : [];
  fields.expectEnd('TBSCertificate');
  return {
    version,
    serialNumber,
    signature,
    issuer,
    notBefore,
    notAfter,
    subject,
    subjectPublicKeyInfo,
    extensions,
  };
}

function readVersion(fields: DerReader): number {
  const explicit = fields.readConstructed(constructedTag(0));
  const version = explicit.readSmallInteger();
  explicit.expectEnd('version');
  return version;
}

function readExtensions(fields: DerReader): Extension[] {
  const explicit = fields.readConstructed(constructedTag(3));
  const list = explicit.readSequence();
  explicit.expectEnd('extensions');
  const extensions: Extension[] = [];
  while (!list.isAtEnd) {
    const members = list.readSequence();
    const extnID = members.readObjectIdentifier();
    const critical = members.readBooleanDefaultFalse();
    extensions.push({ extnID, critical, extnValue: members.readOctetString() });
    members.expectEnd('Extension');
  }
  return extensions;
}

/** UTCTime for 1950 to 2049, GeneralizedTime otherwise, in whole seconds of UTC (RFC 5280 section 4.1.2.5). */
function readTime(validity: DerReader): number {
  const offset = validity.offset;
  const tag = validity.peekTag();
  const text = Buffer.from(validity.readContents(tag === utcTime ? utcTime : generalizedTime)).toString('latin1');
  if (!(tag === utcTime ? /^\d{12}Z$/ : /^\d{14}Z$/).test(text))
    throw validity.malformed('a time in a wrong form', offset);
  const digits = tag === utcTime ? `${Number(text.slice(0, 2)) < 50 ? '20' : '19'}${text}` : text;
  const [year, month, day, hour, minute, second] = [
    digits.slice(0, 4),
    ...(digits.slice(4, 14).match(/../g) ?? []),
  ].map(Number) as [number, number, number, number, number, number];
  if (tag === generalizedTime && year < 2050) throw validity.malformed('a GeneralizedTime before 2050', offset);
  const time = Date.UTC(year, month - 1, day, hour, minute, second);
  // Date.UTC carries a 31st of February over into March; the same digits back mean that there was such a moment.
  if (new Date(time).toISOString().replace(/[-:T]/g, '').slice(0, 14) !== digits.slice(0, 14)) {
    throw validity.malformed('a time that does not exist', offset);
  }
  return time;
}

import { constructedTag, DerReader, tags } from '../asn1/index.ts';
import { MintmarkError } from '../errors.ts';
import { refusingBadEncoding } from './csr-encoding-error.ts';
import { checkSignatureFitsKey, readSignatureAlgorithm, type SignatureAlgorithm } from './csr-signature-algorithm.ts';
import { type DistinguishedName, readDistinguishedName } from './distinguished-name.ts';
import { describeObjectIdentifier, objectIdentifiers } from './object-identifiers.ts';
import { type PublicKey, readSubjectPublicKeyInfo } from './public-key.ts';

/** The most DER that is read as one CSR: an RSA 4096 one with a page of names takes 3 KiB. */
export const maximumCsrBytes = 16384;

/** The most text that is looked through for a CSR, in characters: as long as a message may be. */
const maximumCsrTextLength = 65536;

const pemLabels: ReadonlySet<string> = new Set(['CERTIFICATE REQUEST', 'NEW CERTIFICATE REQUEST']);
const encapsulationBoundary = /^-----(BEGIN|END) ([^\r\n]*?)-----[\t ]*$/gm;

/** PKCS#9 extensionRequest's one value is an Extensions, of which each is RFC 5280 section 4.1.2.9's Extension. */
export interface RequestedExtension {
  /** Dotted object identifier. */
  readonly extnID: string;
  readonly critical: boolean;
  /** What the OCTET STRING holds; not looked at yet. */
  readonly extnValue: Uint8Array;
}

/** RFC 2986 section 4. Every Uint8Array is a view of `der`. */
export interface CertificationRequest {
  readonly der: Uint8Array;
  /** The whole encoding of CertificationRequestInfo: what is signed. */
  readonly certificationRequestInfo: Uint8Array;
  readonly subject: DistinguishedName;
  /** The whole encoding of the subject Name. */
  readonly subjectDer: Uint8Array;
  /** The whole encoding of SubjectPublicKeyInfo. */
  readonly subjectPublicKeyInfo: Uint8Array;
  readonly publicKey: PublicKey;
  /** In the order of the request, no extnID twice. */
  readonly requestedExtensions: readonly RequestedExtension[];
  /** The types, dotted, of the attributes that request no extensions. */
  readonly otherAttributes: readonly string[];
  readonly signatureAlgorithm: SignatureAlgorithm;
  /** What the BIT STRING holds. */
  readonly signature: Uint8Array;
}

function notDecodable(message: string): MintmarkError {
  return new MintmarkError('CSR_NOT_DECODABLE', message);
}

function tooManyBytes(der: Uint8Array): MintmarkError {
  return tooLarge(`The CSR is ${der.length} bytes of DER; at most ${maximumCsrBytes} are read.`);
}

function tooLarge(message: string): MintmarkError {
  return new MintmarkError('CSR_TOO_LARGE', message);
}

/** The base64 text of the one PEM block (RFC 7468 section 7) in a text that has at least one. */
function pemBody(text: string, boundaries: readonly RegExpExecArray[]): string {
  const [begin, end, ...more] = boundaries;
  if (boundaries.some((boundary) => boundary[2]?.endsWith('PRIVATE KEY') === true)) {
    throw notDecodable('The text holds a private key, which must never be sent; send the certificate request alone.');
  }
  if (begin === undefined || begin[1] !== 'BEGIN')
    throw notDecodable('The PEM text has an END line before a BEGIN line.');
  const label = begin[2] ?? '';
  if (!pemLabels.has(label)) {
    throw notDecodable(`The PEM text begins with a ${JSON.stringify(label.slice(0, 40))}, not a CERTIFICATE REQUEST.`);
  }
  if (end === undefined) throw new MintmarkError('CSR_TRUNCATED', 'The PEM block is cut short: it has no END line.');
  if (end[1] !== 'END' || end[2] !== label)
    throw notDecodable('The PEM block does not end with the label it begins with.');
  if (more.length > 0) throw notDecodable('The text holds more than one PEM block; send one certificate request.');
  return text.slice(begin.index + begin[0].length, end.index);
}

/** Base64 (RFC 4648 section 4) with white space anywhere; padded, canonical, of at most maximumCsrBytes. */
function decodeBase64(text: string): Uint8Array {
  const base64 = text.replace(/[\t\n\r ]+/g, '');
  if (base64 === '') throw notDecodable('The CSR is empty.');
  if (base64.length > Math.ceil(maximumCsrBytes / 3) * 4) {
    throw tooLarge(`The CSR is ${base64.length} characters of base64, more than ${maximumCsrBytes} bytes.`);
  }
  const bytes = Buffer.from(base64, 'base64');
  if (bytes.length === 0 || bytes.toString('base64') !== base64) {
    throw notDecodable('The CSR is neither PEM nor canonical, padded base64.');
  }
  if (bytes.length > maximumCsrBytes) throw tooManyBytes(bytes);
  return bytes;
}

/**
 * The DER in a CSR as it is sent: PEM (RFC 7468; explanatory text around the block, as `openssl req -text` writes it,
 * is skipped) or the base64 of the DER.
 * @throws MintmarkError CSR_TOO_LARGE, CSR_NOT_DECODABLE; CSR_TRUNCATED for PEM without its END line
 */
export function decodeCsr(csr: string): Uint8Array {
  if (csr.length > maximumCsrTextLength) {
    throw tooLarge(`The CSR is ${csr.length} characters of text; at most ${maximumCsrTextLength} are read.`);
  }
  const text = csr.replace(/^\uFEFF/, '');
  const boundaries = [...text.matchAll(encapsulationBoundary)];
  const isPem = boundaries.length > 0;
  const der = decodeBase64(isPem ? pemBody(text, boundaries) : text);
  // Words are base64 too, as long as they are not too many or too few; no DER of a CSR begins as they decode.
  if (!isPem && der[0] !== tags.sequence) throw notDecodable('The CSR is neither PEM nor the base64 of DER.');
  return der;
}

interface Attributes {
  readonly requestedExtensions: RequestedExtension[];
  readonly otherAttributes: string[];
  extensionRequests: number;
}

function readExtension(extensions: DerReader): RequestedExtension {
  const extension = extensions.readSequence();
  const extnID = extension.readObjectIdentifier();
  const critical = extension.readBooleanDefaultFalse();
  const extnValue = extension.readOctetString();
  extension.expectEnd('Extension');
  return { extnID, critical, extnValue };
}

function readExtensions(reader: DerReader): RequestedExtension[] {
  const { offset } = reader;
  const extensions = reader.readSequence();
  if (extensions.isAtEnd) throw extensions.malformed('an extensionRequest without extensions', offset);
  const read: RequestedExtension[] = [];
  while (!extensions.isAtEnd) read.push(readExtension(extensions));
  return read;
}

/** PKCS#9's (RFC 2985 section 5.4.2) and the one that Microsoft had before. */
function isExtensionRequest(type: string): boolean {
  return type === objectIdentifiers.extensionRequest || type === objectIdentifiers.microsoftExtensionRequest;
}

function readAttribute(attributes: DerReader, into: Attributes): void {
  const attribute = attributes.readSequence();
  const type = attribute.readObjectIdentifier();
  const offset = attribute.offset;
  let values: number;
  if (isExtensionRequest(type)) {
    const requests = attribute.readSetOf(readExtensions);
    values = requests.length;
    if (values > 1) throw attribute.malformed('an extensionRequest with more than one value', offset);
    into.extensionRequests += 1;
    into.requestedExtensions.push(...requests.flat());
  } else {
    values = attribute.readSetOf((members) => members.readAny()).length;
    into.otherAttributes.push(type);
  }
  if (values === 0) throw attribute.malformed('an attribute without values', offset);
  attribute.expectEnd('Attribute');
}

/**
 * `attributes [0] IMPLICIT SET OF Attribute`, each type once (X.501 section 8.2), and one request for extensions, of whichever
 * type: other readers take the first, and what is asked for in another would be granted unseen by them.
 */
function readAttributes(info: DerReader): Attributes {
  const into: Attributes = { requestedExtensions: [], otherAttributes: [], extensionRequests: 0 };
  const offset = info.offset;
  info.readSetOf((attributes) => readAttribute(attributes, into), constructedTag(0));
  refuseTwice(info, offset, 'attribute', into.otherAttributes);
  if (into.extensionRequests > 1) throw info.malformed('a second request for extensions', offset);
  refuseTwice(
    info,
    offset,
    'extension',
    into.requestedExtensions.map((extension) => extension.extnID),
  );
  return into;
}

function refuseTwice(reader: DerReader, offset: number, what: string, identifiers: readonly string[]): void {
  const seen = new Set<string>();
  for (const identifier of identifiers) {
    if (seen.has(identifier)) {
      throw reader.malformed(`the ${what} ${describeObjectIdentifier(identifier)} twice in the attributes`, offset);
    }
    seen.add(identifier);
  }
}

type Info = Pick<
  CertificationRequest,
  'subject' | 'subjectDer' | 'subjectPublicKeyInfo' | 'publicKey' | 'requestedExtensions' | 'otherAttributes'
>;

function readCertificationRequestInfo(info: DerReader): Info {
  const versionOffset = info.offset;
  const version = info.readSmallInteger();
  if (version !== 0) throw info.malformed(`version ${version}, where v1 (0) is the only one,`, versionOffset);
  const subjectOffset = info.offset;
  const subject = readDistinguishedName(info);
  const subjectDer = info.since(subjectOffset);
  const subjectPublicKeyInfoOffset = info.offset;
  const publicKey = readSubjectPublicKeyInfo(info);
  const subjectPublicKeyInfo = info.since(subjectPublicKeyInfoOffset);
  const { requestedExtensions, otherAttributes } = readAttributes(info);
  info.expectEnd('CertificationRequestInfo');
  return { subject, subjectDer, subjectPublicKeyInfo, publicKey, requestedExtensions, otherAttributes };
}

/**
 * Reads a PKCS#10 CertificationRequest (RFC 2986 section 4), strictly DER. Structure only: the key is not checked
 * (checkPublicKey) and the signature not verified (verifyProofOfPossession).
 *
 * Stricter than common readers: attributes must be there, if empty, in DER's order and each type once; no value that
 * is a DEFAULT is encoded; names are UTF8String, PrintableString, IA5String or NumericString, not empty and without
 * control characters, each type once in an RDN; EC points are uncompressed; signature parameters are exactly those of the
 * algorithm's RFC. Where others accept what is refused here: docs/csr.md.
 * @throws MintmarkError CSR_TOO_LARGE, CSR_TRUNCATED, CSR_TRAILING_BYTES, CSR_NOT_DER, CSR_MALFORMED,
 *   KEY_ALGORITHM_NOT_ALLOWED, KEY_CURVE_NOT_ALLOWED, KEY_EXPONENT_NOT_ALLOWED, KEY_INVALID,
 *   SIGNATURE_ALGORITHM_NOT_ALLOWED
 */
export function parseCertificationRequest(der: Uint8Array): CertificationRequest {
  if (der.length > maximumCsrBytes) throw tooManyBytes(der);
  return refusingBadEncoding('The CSR', () => {
    const reader = DerReader.ofInput(der);
    const request = reader.readSequence();
    reader.expectEnd('CertificationRequest');
    const infoOffset = request.offset;
    const info = request.readSequence();
    const certificationRequestInfo = request.since(infoOffset);
    const read = readCertificationRequestInfo(info);
    const signatureAlgorithm = readSignatureAlgorithm(request);
    const signature = request.readOctetAlignedBitString();
    request.expectEnd('CertificationRequest');
    checkSignatureFitsKey(signatureAlgorithm, read.publicKey);
    return { der, certificationRequestInfo, ...read, signatureAlgorithm, signature };
  });
}

import { constants, sign } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  bitString,
  boolean,
  contextConstructed,
  contextPrimitive,
  nullValue,
  objectIdentifier,
  octetString,
  printableString,
  sequence,
  setOf,
  tlv,
  unsignedInteger,
  utf8String,
} from '../../shared/asn1/der-writer.ts';
import type { ErrorCode } from '../../shared/errors.ts';
import { maximumCsrBytes, parseCertificationRequest } from '../../shared/issuance/certification-request.ts';
import { readGeneralNames } from '../../shared/issuance/general-names.ts';
import { objectIdentifiers } from '../../shared/issuance/object-identifiers.ts';
import { verifyProofOfPossession } from '../../shared/issuance/proof-of-possession.ts';
import { checkPublicKey, readPublicKey } from '../../shared/issuance/public-key.ts';
import {
  attribute,
  commonName,
  extension,
  generateEcKey,
  generateEd25519Key,
  generateRsaKey,
  handMakeCsr,
  openssl,
  signInfo,
  signInfoEd25519,
  subjectPublicKeyInfoOf,
} from '../fixtures/csr/make.ts';
import { refusalOf } from '../fixtures/csr/refusal.ts';
import { bytesOf, numberOf } from '../fixtures/csr/rsa.ts';

/**
 * The rules of reading a CSR, each with a request that just passes and one that just fails, both signed as they are. Those on
 * the numbers in RSA keys are in key-checks.test.ts.
 */
interface Rule {
  readonly rule: string;
  readonly passes: Uint8Array;
  readonly fails: Uint8Array;
  readonly code: ErrorCode;
  /** Of the refusal's sentence. */
  readonly says: string;
}

function accept(der: Uint8Array): void {
  const request = parseCertificationRequest(der);
  checkPublicKey(request.publicKey, {
    ec: { curves: ['P-256', 'P-384', 'P-521'] },
    rsa: { minimumBits: 2048, maximumBits: 4096 },
    ed25519: true,
  });
  verifyProofOfPossession(request);
  for (const { extnID, extnValue } of request.requestedExtensions) {
    if (extnID === objectIdentifiers.subjectAltName) readGeneralNames(extnValue);
  }
}

const keys = { ec: generateEcKey('P-256'), rsa: generateRsaKey(2048), ed25519: generateEd25519Key() };
const spkis = {
  ec: subjectPublicKeyInfoOf(keys.ec),
  rsa: subjectPublicKeyInfoOf(keys.rsa),
  ed25519: subjectPublicKeyInfoOf(keys.ed25519),
};

const version = (...octets: readonly number[]): Uint8Array => tlv(0x02, Uint8Array.from(octets));
const name = commonName(utf8String('device-1'));
const noAttributes = contextConstructed(0);

/** The members of a CertificationRequestInfo, signed with the Ed25519 key. */
const ofMembers = (...members: readonly Uint8Array[]): Uint8Array =>
  signInfoEd25519(sequence(...members), keys.ed25519);
const ofVersion = (...octets: readonly number[]): Uint8Array =>
  ofMembers(version(...octets), name, spkis.ed25519, noAttributes);
const ofSubject = (subject: Uint8Array): Uint8Array => ofMembers(version(0), subject, spkis.ed25519, noAttributes);
const ofValue = (value: Uint8Array): Uint8Array => ofSubject(commonName(value));
const ofAttributes = (...attributes: readonly Uint8Array[]): Uint8Array =>
  ofMembers(version(0), name, spkis.ed25519, contextConstructed(0, ...attributes));
const request = (...extensions: readonly Uint8Array[]): Uint8Array =>
  attribute(objectIdentifiers.extensionRequest, sequence(...extensions));
const ofExtensions = (...extensions: readonly Uint8Array[]): Uint8Array => ofAttributes(request(...extensions));
const ofNames = (...names: readonly Uint8Array[]): Uint8Array =>
  ofExtensions(extension(objectIdentifiers.subjectAltName, sequence(...names)));
const ofAny = (value: Uint8Array): Uint8Array => ofAttributes(attribute('1.2.3', value));

const text = (value: string): Uint8Array => Buffer.from(value, 'latin1');
const dNSName = (value: string): Uint8Array => contextPrimitive(2, text(value));
const address = (octets: number): Uint8Array => contextPrimitive(7, new Uint8Array(octets).fill(9));
const cn = (value: string): Uint8Array => sequence(objectIdentifier('2.5.4.3'), utf8String(value));
const ou = (value: string): Uint8Array => sequence(objectIdentifier('2.5.4.11'), utf8String(value));
/** A SET as it is, in no order. */
const unordered = (...members: readonly Uint8Array[]): Uint8Array => tlv(0x31, ...members);
const keyUsage = Uint8Array.of(3, 2, 7, 0x80);
const usage = (...critical: readonly Uint8Array[]): Uint8Array =>
  extension(objectIdentifiers.keyUsage, keyUsage, ...critical);

/** A valid one that is so many bytes long. */
function ofLength(length: number): Uint8Array {
  const filled = (filling: number): Uint8Array => ofAny(octetString(new Uint8Array(filling)));
  const der = filled(length - (filled(length).length - length));
  if (der.length !== length) throw new Error(`${der.length} bytes, not ${length}`);
  return der;
}

const nested = (levels: number): Uint8Array =>
  ofAny(Array.from({ length: levels }).reduce<Uint8Array>((inner) => sequence(inner), nullValue()));
/** An OBJECT IDENTIFIER of so many octets, each an arc. */
const ofArcs = (octets: number): Uint8Array => ofAny(tlv(0x06, new Uint8Array(octets).fill(0x2a)));

const good = ofVersion(0);
const pair = (rule: string, passes: Uint8Array, fails: Uint8Array, code: ErrorCode, says: string): Rule => ({
  rule,
  passes,
  fails,
  code,
  says,
});

const encoding: readonly Rule[] = [
  pair(
    '16384 bytes are read',
    ofLength(maximumCsrBytes),
    ofLength(maximumCsrBytes + 1),
    'CSR_TOO_LARGE',
    '16385 bytes',
  ),
  pair('nothing follows', good, Uint8Array.of(...good, 0), 'CSR_TRAILING_BYTES', '1 byte after'),
  pair('nothing is missing', good, good.subarray(0, -1), 'CSR_TRUNCATED', 'SEQUENCE that ends after the input does'),
  pair(
    'a length in the fewest octets',
    ofValue(Uint8Array.of(0x0c, 0x81, 128, ...text('x'.repeat(128)))),
    ofValue(Uint8Array.of(0x0c, 0x81, 127, ...text('x'.repeat(127)))),
    'CSR_NOT_DER',
    'a length that is not in the fewest octets',
  ),
  pair(
    'a definite length',
    ofAny(sequence(nullValue())),
    ofAny(Uint8Array.of(0x30, 0x80, 5, 0, 0, 0)),
    'CSR_NOT_DER',
    'an indefinite length',
  ),
  pair(
    'a string in one piece',
    ofValue(utf8String('device-1')),
    ofValue(tlv(0x2c, utf8String('device'), utf8String('-1'))),
    'CSR_NOT_DER',
    'a constructed UTF8String',
  ),
  pair(
    'an INTEGER in the fewest octets',
    ofAny(tlv(0x02, Uint8Array.of(0, 0x80))),
    ofAny(tlv(0x02, Uint8Array.of(0, 0x7f))),
    'CSR_NOT_DER',
    'an INTEGER that is not in the fewest octets',
  ),
  pair(
    'a BOOLEAN of FF',
    ofExtensions(usage(boolean(true))),
    ofExtensions(usage(tlv(1, Uint8Array.of(1)))),
    'CSR_NOT_DER',
    'a BOOLEAN that is neither 00 nor FF',
  ),
  pair(
    'no DEFAULT',
    ofExtensions(usage()),
    ofExtensions(usage(boolean(false))),
    'CSR_NOT_DER',
    'a DEFAULT value that is encoded',
  ),
  pair(
    'an ENUMERATED in the fewest octets',
    ofAny(tlv(0x0a, Uint8Array.of(0, 0x80))),
    ofAny(tlv(0x0a, Uint8Array.of(0, 0x7f))),
    'CSR_NOT_DER',
    'an ENUMERATED that is not in the fewest octets',
  ),
  pair(
    'a BMPString of whole characters',
    ofAny(tlv(0x1e, Uint8Array.of(0, 0x61))),
    ofAny(tlv(0x1e, Uint8Array.of(0, 0x61, 0))),
    'CSR_MALFORMED',
    'a BMPString of 3 octets',
  ),
  pair(
    'unused bits are zero',
    ofAny(bitString(Uint8Array.of(0x80), 7)),
    ofAny(bitString(Uint8Array.of(0x81), 7)),
    'CSR_NOT_DER',
    'a BIT STRING whose unused bits are not zero',
  ),
  pair(
    'an arc in the fewest octets',
    ofAny(tlv(0x06, Uint8Array.of(0x2a, 0x81, 0x00))),
    ofAny(tlv(0x06, Uint8Array.of(0x2a, 0x80, 0x01))),
    'CSR_NOT_DER',
    'an arc that is not in the fewest octets',
  ),
  pair('an OBJECT IDENTIFIER of at most 64 octets', ofArcs(64), ofArcs(65), 'CSR_MALFORMED', 'longer than 64 octets'),
  pair('at most 16 levels in an attribute value', nested(16), nested(17), 'CSR_MALFORMED', 'nested too deeply'),
  pair(
    'a tag number of at most 30',
    ofAny(tlv(0x9e, Uint8Array.of(1))),
    ofAny(Uint8Array.of(0x9f, 0x1f, 1, 1)),
    'CSR_MALFORMED',
    'a tag number above 30',
  ),
  pair(
    'the members of a SET OF in order',
    ofSubject(sequence(unordered(cn('a'), ou('a')))),
    ofSubject(sequence(unordered(ou('a'), cn('a')))),
    'CSR_NOT_DER',
    'not in ascending order',
  ),
];

const structure: readonly Rule[] = [
  pair('version 0', good, ofVersion(1), 'CSR_MALFORMED', 'version 1'),
  pair('attributes are there', good, ofMembers(version(0), name, spkis.ed25519), 'CSR_MALFORMED', 'a missing [0]'),
  pair(
    'nothing after the attributes',
    good,
    ofMembers(version(0), name, spkis.ed25519, noAttributes, nullValue()),
    'CSR_MALFORMED',
    'an unexpected NULL in the CertificationRequestInfo',
  ),
  pair(
    'attributes in order',
    ofAttributes(attribute('1.2.3', nullValue()), attribute('1.2.4', nullValue())),
    ofAttributes(attribute('1.2.4', nullValue()), attribute('1.2.3', nullValue())),
    'CSR_NOT_DER',
    'not in ascending order',
  ),
  pair(
    'an attribute once',
    ofAttributes(attribute('1.2.3', nullValue()), attribute('1.2.4', nullValue())),
    ofAttributes(attribute('1.2.3', nullValue()), attribute('1.2.3', nullValue())),
    'CSR_MALFORMED',
    'the attribute 1.2.3 twice',
  ),
  pair(
    'an attribute with a value',
    ofAny(nullValue()),
    ofAttributes(attribute('1.2.3')),
    'CSR_MALFORMED',
    'an attribute without values',
  ),
  pair(
    'one request for extensions',
    ofExtensions(usage()),
    ofAttributes(attribute(objectIdentifiers.extensionRequest, sequence(usage()), sequence(usage()))),
    'CSR_MALFORMED',
    'an extensionRequest with more than one value',
  ),
  pair(
    'a request for at least one extension',
    ofExtensions(usage()),
    ofExtensions(),
    'CSR_MALFORMED',
    'an extensionRequest without extensions',
  ),
  pair(
    'an extension once',
    ofExtensions(usage(), extension('1.2.3', keyUsage)),
    ofExtensions(usage(), usage()),
    'CSR_MALFORMED',
    'the extension keyUsage (2.5.29.15) twice',
  ),
  pair(
    'one request for extensions, of whichever kind',
    ofAttributes(attribute(objectIdentifiers.microsoftExtensionRequest, sequence(extension('1.2.3', keyUsage)))),
    ofAttributes(
      request(usage()),
      attribute(objectIdentifiers.microsoftExtensionRequest, sequence(extension('1.2.3', keyUsage))),
    ),
    'CSR_MALFORMED',
    'a second request for extensions',
  ),
  pair(
    'one request for extensions, and not two of a kind for different ones',
    ofAttributes(request(usage(), extension('1.2.3', keyUsage))),
    ofAttributes(request(extension('1.2.3', keyUsage)), request(usage())),
    'CSR_MALFORMED',
    'a second request for extensions',
  ),
];

const names: readonly Rule[] = [
  pair(
    'an RDN of one attribute',
    ofSubject(sequence(setOf(cn('a')))),
    ofSubject(sequence(setOf())),
    'CSR_MALFORMED',
    'an empty RelativeDistinguishedName',
  ),
  pair(
    'a type once in an RDN',
    ofSubject(sequence(setOf(cn('a')), setOf(cn('b')))),
    ofSubject(sequence(setOf(cn('a'), cn('b')))),
    'CSR_MALFORMED',
    'the attribute 2.5.4.3 twice in a RelativeDistinguishedName',
  ),
  pair(
    'a value of one character',
    ofValue(utf8String('a')),
    ofValue(utf8String('')),
    'CSR_MALFORMED',
    'an empty name attribute',
  ),
  pair(
    'no control characters: U+0020',
    ofValue(utf8String(' ')),
    ofValue(utf8String('\u001f')),
    'CSR_MALFORMED',
    'U+001F',
  ),
  pair(
    'no control characters: U+007E',
    ofValue(utf8String('~')),
    ofValue(utf8String('\u007f')),
    'CSR_MALFORMED',
    'U+007F',
  ),
  pair(
    'no control characters: U+00A0',
    ofValue(utf8String('\u00a0')),
    ofValue(utf8String('\u009f')),
    'CSR_MALFORMED',
    'U+009F',
  ),
  pair('no NUL', ofValue(utf8String('device-1')), ofValue(utf8String('device-1\0')), 'CSR_MALFORMED', 'U+0000'),
  pair(
    'a UTF8String of UTF-8: no surrogates',
    ofValue(tlv(0x0c, Uint8Array.of(0xed, 0x9f, 0xbf))),
    ofValue(tlv(0x0c, Uint8Array.of(0xed, 0xa0, 0x80))),
    'CSR_MALFORMED',
    'a UTF8String that is not UTF-8',
  ),
  pair(
    'a UTF8String of UTF-8: in the fewest octets',
    ofValue(tlv(0x0c, Uint8Array.of(0xc2, 0xa0))),
    ofValue(tlv(0x0c, Uint8Array.of(0xc1, 0xa0))),
    'CSR_MALFORMED',
    'a UTF8String that is not UTF-8',
  ),
  pair(
    'a PrintableString of its characters',
    ofValue(printableString("A z9'()+,-./:=?")),
    ofValue(printableString('a_b')),
    'CSR_MALFORMED',
    'a PrintableString with a character that the type does not have',
  ),
  pair(
    'a NumericString of its characters',
    ofValue(tlv(0x12, text('0 9'))),
    ofValue(tlv(0x12, text('0-9'))),
    'CSR_MALFORMED',
    'a NumericString with a character that the type does not have',
  ),
  pair(
    'an IA5String of its characters',
    ofValue(tlv(0x16, Uint8Array.of(0x7e))),
    ofValue(tlv(0x16, Uint8Array.of(0x80))),
    'CSR_MALFORMED',
    'an IA5String with a character that the type does not have',
  ),
  ...(
    [
      [0x14, 'TeletexString'],
      [0x1c, 'UniversalString'],
      [0x1e, 'BMPString'],
      [0x1a, '[UNIVERSAL 26]'],
    ] as const
  ).map(([tag, type]) =>
    pair(
      `a string of a type that names have: no ${type}`,
      ofValue(utf8String('abcd')),
      ofValue(tlv(tag, text('abcd'))),
      'CSR_MALFORMED',
      `${type} where a name's UTF8String`,
    ),
  ),
  pair(
    'a subjectAltName of one name',
    ofNames(dNSName('a')),
    ofNames(),
    'CSR_MALFORMED',
    'a subjectAltName without names',
  ),
  pair(
    'an iPAddress of 4 octets',
    ofNames(address(4)),
    ofNames(address(5)),
    'CSR_MALFORMED',
    'an iPAddress of 5 octets',
  ),
  pair(
    'an iPAddress of 16 octets',
    ofNames(address(16)),
    ofNames(address(32)),
    'CSR_MALFORMED',
    'an iPAddress of 32 octets',
  ),
  pair(
    'a dNSName of ASCII',
    ofNames(dNSName('a~')),
    ofNames(dNSName('a\x80')),
    'CSR_MALFORMED',
    'an IA5String with a character',
  ),
  pair(
    'a dNSName without NUL',
    ofNames(dNSName('a.example')),
    ofNames(dNSName('a\0.example')),
    'CSR_MALFORMED',
    'U+0000',
  ),
  pair(
    'one of the nine kinds of GeneralName',
    ofNames(contextPrimitive(8, Uint8Array.of(0x2a))),
    ofNames(contextPrimitive(9, Uint8Array.of(0x2a))),
    'CSR_MALFORMED',
    '[9], which is no GeneralName',
  ),
  pair(
    'the value of an otherName in DER',
    ofNames(contextConstructed(0, objectIdentifier('1.2.3'), contextConstructed(0, boolean(true)))),
    ofNames(contextConstructed(0, objectIdentifier('1.2.3'), contextConstructed(0, Uint8Array.of(1, 1, 1)))),
    'CSR_NOT_DER',
    'a BOOLEAN that is neither 00 nor FF',
  ),
];

const info = sequence(version(0), name, spkis.rsa, noAttributes);
const rsaIdentifier = (oid: string, ...parameters: readonly Uint8Array[]): Uint8Array =>
  sequence(objectIdentifier(oid), ...parameters);
const signedByRsa = (signatureAlgorithm: Uint8Array, hash = 'sha256'): Uint8Array =>
  signInfo(info, keys.rsa, { signatureAlgorithm, signature: sign(hash, info, keys.rsa) });

const hashIdentifier = (oid: string): Uint8Array => rsaIdentifier(oid, nullValue());
const { idSha224, idSha256, idSha384, idMgf1, idRsassaPss, sha224WithRsaEncryption, sha256WithRsaEncryption } =
  objectIdentifiers;
const pssHash = (oid: string): Uint8Array => contextConstructed(0, hashIdentifier(oid));
const pssMask = (oid: string): Uint8Array => contextConstructed(1, rsaIdentifier(idMgf1, hashIdentifier(oid)));
const tagged = (tag: number, value: number): Uint8Array =>
  contextConstructed(tag, unsignedInteger(Uint8Array.of(value)));

/** Signed with RSA-PSS over a hash with this much salt, whatever the parameters say. */
function signedWithPss(hash: string, saltLength: number, ...parameters: readonly Uint8Array[]): Uint8Array {
  const padding = constants.RSA_PKCS1_PSS_PADDING;
  const signature = sign(hash, info, { key: keys.rsa, padding, saltLength });
  return signInfo(info, keys.rsa, {
    signatureAlgorithm: rsaIdentifier(idRsassaPss, sequence(...parameters)),
    signature,
  });
}
const sha256 = [pssHash(idSha256), pssMask(idSha256)] as const;

const ecInfo = sequence(version(0), name, spkis.ec, noAttributes);
const ed25519Info = sequence(version(0), name, spkis.ed25519, noAttributes);
const signedByEc = (oid: string, hash: string, ...parameters: readonly Uint8Array[]): Uint8Array =>
  signInfo(ecInfo, keys.ec, {
    signatureAlgorithm: sequence(objectIdentifier(oid), ...parameters),
    signature: sign(hash, ecInfo, keys.ec),
  });
const signedByEd25519 = (...parameters: readonly Uint8Array[]): Uint8Array =>
  signInfo(ed25519Info, keys.ed25519, {
    signatureAlgorithm: sequence(objectIdentifier(objectIdentifiers.idEd25519), ...parameters),
    signature: sign(null, ed25519Info, keys.ed25519),
  });
const ecdsa = signedByEc(objectIdentifiers.ecdsaWithSha256, 'sha256');

const signatures: readonly Rule[] = [
  pair(
    'RSA over SHA-256 or more',
    signedByRsa(rsaIdentifier(sha256WithRsaEncryption, nullValue())),
    signedByRsa(rsaIdentifier(sha224WithRsaEncryption, nullValue()), 'sha224'),
    'SIGNATURE_ALGORITHM_NOT_ALLOWED',
    'sha224WithRsaEncryption',
  ),
  pair(
    'NULL parameters of RSA, or none',
    signedByRsa(rsaIdentifier(sha256WithRsaEncryption)),
    signedByRsa(rsaIdentifier(sha256WithRsaEncryption, sequence())),
    'CSR_MALFORMED',
    'SEQUENCE where NULL belongs',
  ),
  pair(
    'ECDSA over SHA-256 or more',
    ecdsa,
    signedByEc(objectIdentifiers.ecdsaWithSha224, 'sha224'),
    'SIGNATURE_ALGORITHM_NOT_ALLOWED',
    'ecdsaWithSha224',
  ),
  pair(
    'no parameters of ECDSA',
    ecdsa,
    signedByEc(objectIdentifiers.ecdsaWithSha256, 'sha256', nullValue()),
    'CSR_MALFORMED',
    'an unexpected NULL in the AlgorithmIdentifier',
  ),
  pair(
    'no parameters of Ed25519',
    signedByEd25519(),
    signedByEd25519(nullValue()),
    'CSR_MALFORMED',
    'an unexpected NULL',
  ),
  pair(
    'RSA-PSS over SHA-256 or more',
    signedWithPss('sha256', 32, ...sha256, tagged(2, 32)),
    signedWithPss('sha224', 32, pssHash(idSha224), pssMask(idSha224), tagged(2, 32)),
    'SIGNATURE_ALGORITHM_NOT_ALLOWED',
    'RSA-PSS over idSha224',
  ),
  pair(
    'RSA-PSS that names its hash',
    signedWithPss('sha256', 20, ...sha256),
    signedWithPss('sha1', 20),
    'SIGNATURE_ALGORITHM_NOT_ALLOWED',
    'RSA-PSS over SHA-1',
  ),
  pair(
    'MGF1 over the same hash',
    signedWithPss('sha384', 32, pssHash(idSha384), pssMask(idSha384), tagged(2, 32)),
    signedWithPss('sha384', 32, pssHash(idSha384), pssMask(idSha256), tagged(2, 32)),
    'SIGNATURE_ALGORITHM_NOT_ALLOWED',
    'with MGF1 over sha256',
  ),
  pair(
    'a salt that fits a modulus of 2048 bits',
    signedWithPss('sha256', 222, ...sha256, tagged(2, 222)),
    signedWithPss('sha256', 222, ...sha256, tagged(2, 223)),
    'SIGNATURE_ALGORITHM_NOT_ALLOWED',
    'salt of 223 octets does not fit',
  ),
  pair(
    'no salt length that is the default',
    signedWithPss('sha256', 21, ...sha256, tagged(2, 21)),
    signedWithPss('sha256', 20, ...sha256, tagged(2, 20)),
    'CSR_NOT_DER',
    'a DEFAULT value that is encoded',
  ),
  pair(
    'no trailer field that is the default',
    signedWithPss('sha256', 32, ...sha256, tagged(2, 32)),
    signedWithPss('sha256', 32, ...sha256, tagged(2, 32), tagged(3, 1)),
    'CSR_NOT_DER',
    'a DEFAULT value that is encoded',
  ),
  pair(
    'a signature of whole octets',
    good,
    sequence(ed25519Info, sequence(objectIdentifier(objectIdentifiers.idEd25519)), bitString(Uint8Array.of(0xfe), 1)),
    'CSR_MALFORMED',
    'a BIT STRING that is not whole octets',
  ),
  pair(
    'a signature algorithm of the key',
    ecdsa,
    signInfo(ecInfo, keys.ec, {
      signatureAlgorithm: rsaIdentifier(sha256WithRsaEncryption, nullValue()),
      signature: sign('sha256', ecInfo, keys.ec),
    }),
    'SIGNATURE_ALGORITHM_NOT_ALLOWED',
    'its key is P-256',
  ),
  pair(
    'the private key of the public key',
    ecdsa,
    signInfo(ecInfo, generateEcKey('P-256')),
    'PROOF_OF_POSSESSION_FAILED',
    'does not verify',
  ),
];

const ofKey = (privateKey: string, subjectPublicKeyInfo: Uint8Array): Uint8Array =>
  handMakeCsr(privateKey, { subjectPublicKeyInfo });
const spki = (algorithm: readonly Uint8Array[], key: Uint8Array): Uint8Array =>
  sequence(sequence(...algorithm), bitString(key));
const algorithms = {
  ec: objectIdentifier(objectIdentifiers.idEcPublicKey),
  rsa: objectIdentifier(objectIdentifiers.rsaEncryption),
  ed25519: objectIdentifier(objectIdentifiers.idEd25519),
  p256: objectIdentifier(objectIdentifiers.secp256r1),
};
const point = spkis.ec.subarray(-65);
const ofPoint = (key: Uint8Array): Uint8Array => ofKey(keys.ec, spki([algorithms.ec, algorithms.p256], key));
const ofCurve = (...parameters: readonly Uint8Array[]): Uint8Array =>
  ofKey(keys.ec, spki([algorithms.ec, ...parameters], point));
const explicit = openssl(['ec', '-pubout', '-param_enc', 'explicit', '-outform', 'DER'], keys.ec);
const off = Uint8Array.from(point);
off[64] = (off[64] ?? 0) ^ 1;

const rsaPublic = readPublicKey(spkis.rsa);
const modulus = rsaPublic.kind === 'rsa' ? rsaPublic.modulus : new Uint8Array();
const integer = (...octets: readonly number[]): Uint8Array => tlv(0x02, Uint8Array.from(octets));
const rsaOf = (algorithm: readonly Uint8Array[], ...members: readonly Uint8Array[]): Uint8Array => {
  const changed = sequence(version(0), name, spki(algorithm, sequence(...members)), noAttributes);
  return signInfo(changed, keys.rsa, {
    signatureAlgorithm: rsaIdentifier(sha256WithRsaEncryption, nullValue()),
    signature: sign('sha256', changed, keys.rsa),
  });
};
const withNull = [algorithms.rsa, nullValue()] as const;
const usual = [unsignedInteger(modulus), integer(1, 0, 1)] as const;
const rsa = rsaOf(withNull, ...usual);

const ed25519 = spkis.ed25519.subarray(-32);
const ofEd25519 = (algorithm: readonly Uint8Array[], key: Uint8Array): Uint8Array =>
  ofMembers(version(0), name, spki(algorithm, key), noAttributes);
const ed25519Passes = ofEd25519([algorithms.ed25519], ed25519);

const publicKeys: readonly Rule[] = [
  pair(
    'a named curve',
    ofCurve(algorithms.p256),
    ofKey(keys.ec, explicit),
    'KEY_CURVE_NOT_ALLOWED',
    'spells its curve out',
  ),
  pair(
    'a curve that is not implicit',
    ofCurve(algorithms.p256),
    ofCurve(nullValue()),
    'KEY_CURVE_NOT_ALLOWED',
    'leaves its curve implicit',
  ),
  pair(
    'P-256, P-384 or P-521',
    ofCurve(algorithms.p256),
    handMakeCsr(generateEcKey('secp256k1')),
    'KEY_CURVE_NOT_ALLOWED',
    'secp256k1',
  ),
  pair(
    'nothing after the curve',
    ofCurve(algorithms.p256),
    ofCurve(algorithms.p256, nullValue()),
    'KEY_INVALID',
    'an unexpected NULL',
  ),
  pair(
    'an uncompressed point: not the compressed one',
    ofPoint(point),
    ofPoint(Uint8Array.of(2 + ((point[64] ?? 0) & 1), ...point.subarray(1, 33))),
    'KEY_INVALID',
    'a compressed point',
  ),
  pair(
    'an uncompressed point: not the hybrid one',
    ofPoint(point),
    ofPoint(Uint8Array.of(6 + ((point[64] ?? 0) & 1), ...point.subarray(1))),
    'KEY_INVALID',
    'not an uncompressed point',
  ),
  pair(
    'a point of its length: not less',
    ofPoint(point),
    ofPoint(point.subarray(0, 64)),
    'KEY_INVALID',
    'has 64 octets',
  ),
  pair(
    'a point of its length: not more',
    ofPoint(point),
    ofPoint(Uint8Array.of(...point, 0)),
    'KEY_INVALID',
    'has 66 octets',
  ),
  pair('a point on the curve', ofPoint(point), ofPoint(off), 'KEY_INVALID', 'not on P-256'),
  pair('a point, not infinity', ofPoint(point), ofPoint(Uint8Array.of(0)), 'KEY_INVALID', 'at infinity'),
  pair('NULL parameters of rsaEncryption', rsa, rsaOf([algorithms.rsa], ...usual), 'KEY_INVALID', 'a missing NULL'),
  pair(
    'rsaEncryption',
    rsa,
    rsaOf([objectIdentifier(idRsassaPss), nullValue()], ...usual),
    'KEY_ALGORITHM_NOT_ALLOWED',
    'idRsassaPss',
  ),
  pair(
    'a modulus that is positive',
    rsa,
    rsaOf(withNull, tlv(0x02, modulus), integer(1, 0, 1)),
    'KEY_INVALID',
    'is negative',
  ),
  pair(
    'a modulus in the fewest octets',
    rsa,
    rsaOf(withNull, tlv(0x02, Uint8Array.of(0, 0), modulus), integer(1, 0, 1)),
    'KEY_INVALID',
    'not in the fewest octets',
  ),
  pair(
    'a modulus that is odd',
    rsa,
    rsaOf(withNull, unsignedInteger(bytesOf(numberOf(modulus) - 1n)), integer(1, 0, 1)),
    'KEY_INVALID',
    'is even',
  ),
  pair(
    'an exponent that is odd',
    rsa,
    rsaOf(withNull, unsignedInteger(modulus), integer(1, 0, 2)),
    'KEY_EXPONENT_NOT_ALLOWED',
    'an even number',
  ),
  pair(
    'an exponent that is positive',
    rsa,
    rsaOf(withNull, unsignedInteger(modulus), integer(0xff)),
    'KEY_EXPONENT_NOT_ALLOWED',
    'is negative',
  ),
  pair(
    'nothing after the exponent',
    rsa,
    rsaOf(withNull, ...usual, nullValue()),
    'KEY_INVALID',
    'an unexpected NULL in the RSAPublicKey',
  ),
  pair(
    '32 octets of Ed25519: not less',
    ed25519Passes,
    ofEd25519([algorithms.ed25519], ed25519.subarray(1)),
    'KEY_INVALID',
    'has 31 octets',
  ),
  pair(
    '32 octets of Ed25519: not more',
    ed25519Passes,
    ofEd25519([algorithms.ed25519], Uint8Array.of(...ed25519, 0)),
    'KEY_INVALID',
    'has 33 octets',
  ),
  pair(
    'no parameters of an Ed25519 key',
    ed25519Passes,
    ofEd25519([algorithms.ed25519, nullValue()], ed25519),
    'KEY_INVALID',
    'an unexpected NULL',
  ),
];

describe.each([
  ['the encoding', encoding],
  ['the structure', structure],
  ['names', names],
  ['signature algorithms', signatures],
  ['public keys', publicKeys],
])('rules on %s', (_, rules) => {
  it.each(rules)('$rule: just passes', ({ passes }) => {
    accept(passes);
  });

  it.each(rules)('$rule: just fails', ({ fails, code, says }) => {
    const refusal = refusalOf(() => accept(fails));
    expect(refusal).toMatchObject({ code, message: expect.stringContaining(says) });
  });
});

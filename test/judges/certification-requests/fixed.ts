import {
  boolean,
  contextConstructed,
  contextPrimitive,
  nullValue,
  objectIdentifier,
  octetString,
  sequence,
  setOf,
  tlv,
  utf8String,
} from '../../../shared/asn1/der-writer.ts';
import { decodeCsr, maximumCsrBytes } from '../../../shared/issuance/certification-request.ts';
import { objectIdentifiers } from '../../../shared/issuance/object-identifiers.ts';
import { attribute, commonName, extension, extensionRequest, signInfoEd25519 } from '../../fixtures/csr/make.ts';
import { csrOfVulnerableChip } from '../../fixtures/csr/roca.ts';
import { csrOfFactors, factorsOfSize, nextPrime, randomPrime } from '../../fixtures/csr/rsa.ts';
import type { Mutant } from './mutants.ts';
import { type Signer, signed } from './originals.ts';

/** What mutations seldom hit, or never: one request at least for each reason of docs/csr.md that needs it. */

const { extensionRequest: requestType, keyUsage, microsoftExtensionRequest, subjectAltName } = objectIdentifiers;

const pkcs8 = (signer: Signer): string => signer.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
const dNSName = (text: string): Uint8Array => contextPrimitive(2, Buffer.from(text, 'latin1'));
const alternative = (...names: readonly Uint8Array[]): Uint8Array => extension(subjectAltName, sequence(...names));
const otherName = (value: Uint8Array): Uint8Array =>
  contextConstructed(0, objectIdentifier('1.3.6.1.4.1.32473.2'), contextConstructed(0, value));
const cn = (value: Uint8Array): Uint8Array => sequence(objectIdentifier('2.5.4.3'), value);
const bmp = (text: string): Uint8Array => tlv(0x1e, Buffer.from(text, 'utf16le').swap16());

/** @param signer Ed25519 */
function byHand(signer: Signer): Record<string, Uint8Array> {
  const key = pkcs8(signer);
  const request = (subject: Uint8Array, ...attributes: readonly Uint8Array[]): Uint8Array =>
    signInfoEd25519(
      sequence(
        tlv(0x02, Uint8Array.of(0)),
        subject,
        signer.subjectPublicKeyInfo,
        contextConstructed(0, ...[...attributes].sort((a, b) => Buffer.compare(a, b))),
      ),
      key,
    );
  const named = commonName(utf8String('device-1'));
  const ofSubject = (...values: readonly Uint8Array[]): Uint8Array =>
    request(sequence(setOf(...values.map((value) => cn(value)))));
  const ofExtensions = (...extensions: readonly Uint8Array[]): Uint8Array =>
    signInfoEd25519(
      sequence(tlv(0x02, Uint8Array.of(0)), named, signer.subjectPublicKeyInfo, ...extensionRequest(...extensions)),
      key,
    );
  const ofAttribute = (...values: readonly Uint8Array[]): Uint8Array =>
    request(named, attribute('1.3.6.1.4.1.32473.4', ...values));
  const ofBoth = (second: Uint8Array): Uint8Array =>
    request(
      named,
      attribute(requestType, sequence(alternative(dNSName('a')))),
      attribute(microsoftExtensionRequest, second),
    );
  return {
    'more than is read': ofExtensions(extension('1.3.6.1.4.1.32473.3', new Uint8Array(maximumCsrBytes))),
    'empty commonName': ofSubject(utf8String('')),
    'control character': ofSubject(utf8String('a\nb')),
    BMPString: ofSubject(bmp('ab')),
    TeletexString: ofSubject(tlv(0x14, Buffer.from('ab'))),
    UniversalString: ofSubject(tlv(0x1c, Uint8Array.of(0, 0, 0, 0x61))),
    'NumericString with letters': ofSubject(tlv(0x12, Buffer.from('ab'))),
    'IA5String with an eighth bit': ofSubject(tlv(0x16, Buffer.from('Gerät', 'utf8'))),
    'two commonNames in an RDN': ofSubject(utf8String('a'), utf8String('b')),
    'no extensions requested': ofExtensions(),
    'attribute without values': ofAttribute(),
    'attribute twice': request(named, attribute('1.2.3', nullValue()), attribute('1.2.3', nullValue())),
    'extension in both kinds of request': ofBoth(sequence(alternative(dNSName('b')))),
    'attribute value not in DER': ofAttribute(boolean(true).fill(1, 2)),
    'attribute value of no type': ofAttribute(sequence(tlv(0x01, Uint8Array.of(0, 0)))),
    'attribute value nested deeply': ofAttribute(
      Array.from({ length: 20 }).reduce<Uint8Array>((inner) => sequence(inner), sequence()),
    ),
    'second request not in DER': ofBoth(sequence(extension(keyUsage, Uint8Array.of(3, 2, 7, 128), boolean(false)))),
    'second request of no Extension': ofBoth(sequence(sequence(nullValue()))),
    'no general names': ofExtensions(alternative()),
    'control character in a dNSName': ofExtensions(alternative(dNSName('a\0b'))),
    'otherName not in DER': ofExtensions(alternative(otherName(boolean(true).fill(1, 2)))),
    'otherName of no type': ofExtensions(alternative(otherName(tlv(0x01, Uint8Array.of(0, 0))))),
    'directoryName without text': ofExtensions(alternative(contextConstructed(4, sequence(setOf(cn(utf8String(''))))))),
    'directoryName in a BMPString': ofExtensions(alternative(contextConstructed(4, sequence(setOf(cn(bmp('a'))))))),
    ediPartyName: ofExtensions(alternative(contextConstructed(5, contextConstructed(1, utf8String('x'))))),
    x400Address: ofExtensions(
      alternative(contextConstructed(3, sequence())),
      extension(keyUsage, Uint8Array.of(3, 2, 7, 128)),
    ),
    'an extension of other contents': ofExtensions(extension(keyUsage, octetString(Uint8Array.of(1)))),
  };
}

function weakKeys(): Record<string, Uint8Array> {
  const prime = randomPrime(1024);
  return {
    'RSA 4097': csrOfFactors(factorsOfSize(4097)),
    'RSA with a small factor': csrOfFactors(factorsOfSize(2048, [3n])),
    'RSA of close primes': csrOfFactors([prime, nextPrime(prime + 2n, 2n)]),
    'RSA of a cube': csrOfFactors(new Array<bigint>(3).fill(randomPrime(700))),
    ROCA: decodeCsr(csrOfVulnerableChip),
  };
}

function nullLess(signer: Signer): Uint8Array {
  const { subjectPublicKeyInfo } = signer;
  const bits = subjectPublicKeyInfo.subarray(subjectPublicKeyInfo.indexOf(Buffer.from('0500', 'hex')) + 2);
  const withoutNull = sequence(sequence(objectIdentifier(objectIdentifiers.rsaEncryption)), bits);
  const info = sequence(tlv(0x02, Uint8Array.of(0)), commonName(utf8String('a')), withoutNull, contextConstructed(0));
  const [scheme] = signer.schemes;
  if (scheme === undefined) throw new Error('no scheme');
  return signed(info, scheme);
}

export function fixedRequests(allowed: readonly Signer[]): Mutant[] {
  const ofType = (type: string): Signer => {
    const found = allowed.find(({ privateKey }) => privateKey.asymmetricKeyType === type);
    if (found === undefined) throw new Error(`no key of type ${type}`);
    return found;
  };
  const made = { ...byHand(ofType('ed25519')), ...weakKeys(), 'RSA without NULL': nullLess(ofType('rsa')) };
  return Object.entries(made).map(([what, der]) => ({ kind: 'by hand', what, der: Buffer.from(der) }));
}

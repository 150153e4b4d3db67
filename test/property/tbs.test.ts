import { createHash, generateKeyPairSync } from 'node:crypto';
import { AsnConvert, AsnObjectIdentifierConverter, OctetString } from '@peculiar/asn1-schema';
import {
  AccessDescription,
  AlgorithmIdentifier,
  AttributeTypeAndValue,
  AttributeValue,
  AuthorityInfoAccessSyntax,
  AuthorityKeyIdentifier,
  BasicConstraints,
  CRLDistributionPoints,
  DistributionPoint,
  DistributionPointName,
  ExtendedKeyUsage,
  Extension,
  Extensions,
  GeneralName,
  KeyIdentifier,
  KeyUsage,
  KeyUsageFlags,
  Name,
  RelativeDistinguishedName,
  SubjectAlternativeName,
  SubjectKeyIdentifier,
  SubjectPublicKeyInfo,
  TBSCertificate,
  Validity,
  Version,
} from '@peculiar/asn1-x509';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PemConverter, X509Certificate } from '../../local/x509.ts';
import { bitString, objectIdentifier, sequence } from '../../shared/asn1/der-writer.ts';
import { lint } from '../../shared/issuance/lint.ts';
import type { GrantedNames } from '../../shared/issuance/names.ts';
import type { Profile } from '../../shared/issuance/profile.ts';
import {
  newSerialNumber,
  subjectKeyIdentifierOf,
  type TbsIssuer,
  type TbsVariables,
  tbsTemplate,
} from '../../shared/issuance/tbs.ts';
import { readTbsCertificate } from '../../shared/issuance/tbs-reader.ts';
import { algorithmIdentifier } from '../../shared/signer/algorithm-identifier.ts';
import type { SignatureScheme } from '../../shared/signer/port.ts';
import { deviceTls } from '../support/profile.ts';

/** Everything below is written from RFC 5280 and the profile's text, and shares nothing with the template but those. */

const buffer = (bytes: Uint8Array): ArrayBuffer => Uint8Array.from(bytes).buffer;
const hex = (bytes: Uint8Array | ArrayBuffer): string => Buffer.from(bytes as Uint8Array).toString('hex');
const spki = { type: 'spki', format: 'der' } as const;
const ec = (namedCurve: string): Uint8Array => generateKeyPairSync('ec', { namedCurve }).publicKey.export(spki);
const rsa = (modulusLength: number): Uint8Array => generateKeyPairSync('rsa', { modulusLength }).publicKey.export(spki);

const keys: Readonly<Record<string, Uint8Array>> = {
  'P-256': ec('P-256'),
  'P-384': ec('P-384'),
  'P-521': ec('P-521'),
  'RSA 2048': rsa(2048),
  'RSA 3072': rsa(3072),
  Ed25519: generateKeyPairSync('ed25519').publicKey.export(spki),
};

/** DER by hand (RFC 5758, RFC 4055), so that the signature field has an oracle too. */
const nullHex = '0500';
const oaepHash = {
  sha256: '0609608648016503040201',
  sha384: '0609608648016503040202',
  sha512: '0609608648016503040203',
};
const pss = (hash: keyof typeof oaepHash, saltHex: string): string => {
  const algorithm = `300d${oaepHash[hash]}${nullHex}`;
  const mgf = `301a06092a864886f70d010108${algorithm}`;
  return `304106092a864886f70d01010a3034a00f${algorithm}a11c${mgf}a2030201${saltHex}`;
};
const schemes: readonly { readonly scheme: SignatureScheme; readonly der: string }[] = [
  { scheme: { algorithm: 'ecdsa', hash: 'sha256' }, der: '300a06082a8648ce3d040302' },
  { scheme: { algorithm: 'ecdsa', hash: 'sha384' }, der: '300a06082a8648ce3d040303' },
  { scheme: { algorithm: 'rsa-pkcs1-v1_5', hash: 'sha256' }, der: '300d06092a864886f70d01010b0500' },
  { scheme: { algorithm: 'rsa-pkcs1-v1_5', hash: 'sha384' }, der: '300d06092a864886f70d01010c0500' },
  { scheme: { algorithm: 'rsa-pkcs1-v1_5', hash: 'sha512' }, der: '300d06092a864886f70d01010d0500' },
  { scheme: { algorithm: 'rsa-pss', hash: 'sha256' }, der: pss('sha256', '20') },
  { scheme: { algorithm: 'rsa-pss', hash: 'sha384' }, der: pss('sha384', '30') },
  { scheme: { algorithm: 'rsa-pss', hash: 'sha512' }, der: pss('sha512', '40') },
];

const attribute = (type: string, value: AttributeValue): RelativeDistinguishedName =>
  new RelativeDistinguishedName([new AttributeTypeAndValue({ type, value })]);
const extension = (extnID: string, critical: boolean, value: unknown): Extension =>
  new Extension({ extnID, critical, extnValue: new OctetString(AsnConvert.serialize(value)) });
const uri = (text: string): GeneralName => new GeneralName({ uniformResourceIdentifier: text });

interface Case {
  readonly serialNumber: Uint8Array;
  readonly notBefore: number;
  readonly notAfter: number;
  readonly deviceId: string;
  readonly withDnsName: boolean;
  readonly key: string;
  readonly scheme: (typeof schemes)[number];
  readonly crlShardCount: number;
  readonly issuerName: string;
  readonly issuerKeyIdentifier: Uint8Array;
}

const second = 1000;
const dateBetween = (from: string, to: string) =>
  fc.integer({ min: Date.parse(from) / second, max: Date.parse(to) / second }).map((seconds) => seconds * second);
const time = fc.oneof(
  dateBetween('2026-01-01T00:00:00Z', '2049-12-31T23:59:59Z'),
  dateBetween('2049-12-31T23:59:50Z', '2050-01-01T00:00:10Z'),
  dateBetween('2050-01-01T00:00:00Z', '9999-12-31T23:59:59Z'),
);
const alphanumeric = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
const charactersOf = (text: string) => fc.constantFrom(...text.split(''));

const cases: fc.Arbitrary<Case> = fc.record({
  serialNumber: fc
    .infiniteStream(fc.uint8Array({ minLength: 16, maxLength: 16 }))
    .map((draws) => newSerialNumber(() => draws.next().value as Uint8Array)),
  notBefore: time,
  notAfter: time,
  deviceId: fc
    .tuple(charactersOf(alphanumeric), fc.array(charactersOf(`${alphanumeric}._:-`), { maxLength: 63 }))
    .map(([first, rest]) => first + rest.join('')),
  withDnsName: fc.boolean(),
  key: fc.constantFrom(...Object.keys(keys)),
  scheme: fc.constantFrom(...schemes),
  crlShardCount: fc.constantFrom(1, 2, 16, 100, 128, 1024),
  issuerName: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 64 }),
  issuerKeyIdentifier: fc.uint8Array({ minLength: 20, maxLength: 20 }),
});

const nameOf = (commonName: string): ArrayBuffer =>
  AsnConvert.serialize(new Name([attribute('2.5.4.3', new AttributeValue({ utf8String: commonName }))]));

const issuerOf = ({ scheme, crlShardCount, issuerName, issuerKeyIdentifier }: Case): TbsIssuer => ({
  issuerId: 'devices',
  certificate: {
    subject: new Uint8Array(nameOf(issuerName)),
    subjectKeyIdentifier: issuerKeyIdentifier,
    notBefore: 0,
    notAfter: Number.MAX_SAFE_INTEGER,
  } as TbsIssuer['certificate'],
  scheme: scheme.scheme,
  baseUrl: 'http://pki.example.com/mintmark',
  crlShardCount,
});

function namesOf({ deviceId, withDnsName }: Case): GrantedNames {
  const always = { kind: 'uniformResourceIdentifier', value: `urn:dev:org:32473-${deviceId}` } as const;
  return {
    subject: [
      { type: 'organizationName', value: 'Mintmark devices' },
      { type: 'commonName', value: deviceId },
    ],
    subjectAltName: withDnsName ? [always, { kind: 'dNSName', value: deviceId }] : [always],
    ignored: [],
  };
}

const variablesOf = (one: Case): TbsVariables => ({
  serialNumber: one.serialNumber,
  notBefore: one.notBefore,
  notAfter: one.notAfter,
  names: namesOf(one),
  subjectPublicKeyInfo: keys[one.key] ?? new Uint8Array(),
});

function expectedTbs(one: Case): ArrayBuffer {
  const { serialNumber, deviceId, withDnsName, crlShardCount, issuerName, issuerKeyIdentifier } = one;
  const subjectPublicKeyInfo = AsnConvert.parse(buffer(keys[one.key] ?? new Uint8Array()), SubjectPublicKeyInfo);
  const keyIdentifier = createHash('sha256').update(new Uint8Array(subjectPublicKeyInfo.subjectPublicKey)).digest();
  const shard = ((serialNumber[14] ?? 0) * 256 + (serialNumber[15] ?? 0)) % crlShardCount;
  const names = [uri(`urn:dev:org:32473-${deviceId}`)];
  if (withDnsName) names.push(new GeneralName({ dNSName: deviceId }));
  const crl = uri(`http://pki.example.com/mintmark/crl/devices/${shard}.crl`);
  const certificateUri = uri('http://pki.example.com/mintmark/ca/devices.cer');
  const tbs = new TBSCertificate({
    version: Version.v3,
    serialNumber: buffer(serialNumber),
    signature: AsnConvert.parse(Buffer.from(one.scheme.der, 'hex'), AlgorithmIdentifier),
    issuer: AsnConvert.parse(nameOf(issuerName), Name),
    validity: new Validity({ notBefore: new Date(one.notBefore), notAfter: new Date(one.notAfter) }),
    subject: new Name([
      attribute('2.5.4.10', new AttributeValue({ utf8String: 'Mintmark devices' })),
      attribute('2.5.4.3', new AttributeValue({ utf8String: deviceId })),
    ]),
    subjectPublicKeyInfo,
    extensions: new Extensions([
      extension('2.5.29.19', true, new BasicConstraints({ cA: false })),
      extension('2.5.29.15', true, new KeyUsage(KeyUsageFlags.digitalSignature)),
      extension('2.5.29.37', false, new ExtendedKeyUsage(['1.3.6.1.5.5.7.3.2'])),
      extension('2.5.29.14', false, new SubjectKeyIdentifier(buffer(keyIdentifier.subarray(0, 20)))),
      extension(
        '2.5.29.35',
        false,
        new AuthorityKeyIdentifier({ keyIdentifier: new KeyIdentifier(buffer(issuerKeyIdentifier)) }),
      ),
      extension('2.5.29.17', false, new SubjectAlternativeName(names)),
      extension(
        '2.5.29.31',
        false,
        new CRLDistributionPoints([
          new DistributionPoint({ distributionPoint: new DistributionPointName({ fullName: [crl] }) }),
        ]),
      ),
      extension(
        '1.3.6.1.5.5.7.1.1',
        false,
        new AuthorityInfoAccessSyntax([
          new AccessDescription({ accessMethod: '1.3.6.1.5.5.7.48.2', accessLocation: certificateUri }),
        ]),
      ),
    ]),
  });
  return AsnConvert.serialize(tbs);
}

describe('tbsTemplate', () => {
  it('encodes byte for byte what @peculiar/asn1-x509 does', () => {
    fc.assert(
      fc.property(cases, (one) => {
        expect(hex(tbsTemplate(issuerOf(one), deviceTls)(variablesOf(one)))).toBe(hex(expectedTbs(one)));
      }),
      { numRuns: 300 },
    );
  });

  it('keeps nothing of one certificate for the next', () => {
    fc.assert(
      fc.property(cases, cases, (one, next) => {
        const template = tbsTemplate(issuerOf(one), deviceTls);
        const first = hex(template(variablesOf(one)));
        template(variablesOf(next));
        expect(hex(template(variablesOf(one)))).toBe(first);
      }),
      { numRuns: 30 },
    );
  });

  it('makes a certificate that @peculiar/x509 reads as it was meant', () => {
    fc.assert(
      fc.property(cases, (one) => {
        const tbs = tbsTemplate(issuerOf(one), deviceTls)(variablesOf(one));
        const certificate = new X509Certificate(
          buffer(sequence(tbs, algorithmIdentifier(one.scheme.scheme), bitString(Uint8Array.of(1)))),
        );
        expect(certificate.serialNumber).toBe(hex(one.serialNumber));
        expect(certificate.notBefore.getTime()).toBe(one.notBefore);
        expect(certificate.notAfter.getTime()).toBe(one.notAfter);
        expect(certificate.subjectName.getField('CN')).toEqual([one.deviceId]);
        expect(hex(PemConverter.decode(certificate.publicKey.toString('pem'))[0] as ArrayBuffer)).toBe(
          hex(keys[one.key] as Uint8Array),
        );
      }),
      { numRuns: 30 },
    );
  });

  it.each(schemes)('names its signature: $scheme.algorithm with $scheme.hash', ({ scheme, der }) => {
    expect(hex(algorithmIdentifier(scheme))).toBe(der);
  });
});

describe('readTbsCertificate', () => {
  it('reads back every field of what the template made', () => {
    fc.assert(
      fc.property(cases, (one) => {
        const issuer = issuerOf(one);
        const tbs = readTbsCertificate(tbsTemplate(issuer, deviceTls)(variablesOf(one)));
        expect(tbs.version).toBe(2);
        expect(hex(tbs.serialNumber)).toBe(hex(one.serialNumber));
        expect(hex(tbs.signature)).toBe(one.scheme.der);
        expect(hex(tbs.issuer)).toBe(hex(issuer.certificate.subject));
        expect([tbs.notBefore, tbs.notAfter]).toEqual([one.notBefore, one.notAfter]);
        expect(hex(tbs.subjectPublicKeyInfo)).toBe(hex(keys[one.key] as Uint8Array));
        const expected = AsnConvert.parse(expectedTbs(one), TBSCertificate);
        expect(hex(tbs.subject)).toBe(hex(AsnConvert.serialize(expected.subject)));
        expect(tbs.extensions.map(({ extnID, critical, extnValue }) => [extnID, critical, hex(extnValue)])).toEqual(
          expected.extensions?.map(({ extnID, critical, extnValue }) => [extnID, critical, hex(extnValue.buffer)]),
        );
      }),
      { numRuns: 50 },
    );
  });
});

describe('lint', () => {
  it('passes what the template makes within the profile, for any device', () => {
    const profile: Profile = { ...deviceTls, validity: { days: 1, backdateMinutes: 0 } };
    const hostName = /^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$/;
    fc.assert(
      fc.property(cases, (drawn) => {
        const notAfter = Math.min(drawn.notBefore, Date.parse('9999-12-30T00:00:00Z')) + 86_400_000 - second;
        const notBefore = notAfter - 86_400_000 + second;
        const one = {
          ...drawn,
          notBefore,
          notAfter,
          withDnsName: drawn.withDnsName && hostName.test(drawn.deviceId) && !/(^|\.)\d+$/.test(drawn.deviceId),
        };
        const variables = variablesOf(one);
        const issuer = issuerOf(one);
        const linted = lint(tbsTemplate(issuer, profile)(variables), issuer, profile, variables);
        expect(linted).toMatchObject({
          serialNumber: hex(one.serialNumber),
          notBefore,
          notAfter,
          profileHash: profile.hash,
        });
      }),
      { numRuns: 100 },
    );
  });
});

describe('subjectKeyIdentifierOf', () => {
  it.each(Object.keys(keys))("is the SHA-256 of the key's bits, cut (%s)", (name) => {
    const der = keys[name] as Uint8Array;
    const { subjectPublicKey } = AsnConvert.parse(buffer(der), SubjectPublicKeyInfo);
    const expected = createHash('sha256').update(new Uint8Array(subjectPublicKey)).digest('hex').slice(0, 40);
    expect(hex(subjectKeyIdentifierOf(der))).toBe(expected);
  });
});

describe('objectIdentifier', () => {
  it('is what @peculiar/asn1-schema makes of it', () => {
    const arc = fc.integer({ min: 0, max: 0x7fff_ffff });
    const root = fc.oneof(
      fc.tuple(fc.constantFrom(0, 1), fc.integer({ min: 0, max: 39 })),
      fc.tuple(fc.constant(2), fc.integer({ min: 0, max: 999_999 })),
    );
    fc.assert(
      fc.property(root, fc.array(arc, { maxLength: 10 }), (first, rest) => {
        const dotted = [...first, ...rest].join('.');
        expect(hex(objectIdentifier(dotted))).toBe(hex(AsnObjectIdentifierConverter.toASN(dotted).toBER()));
      }),
    );
  });
});

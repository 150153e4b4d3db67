import { createHash, type KeyObject } from 'node:crypto';
import { AsnConvert, OctetString } from '@peculiar/asn1-schema';
import {
  AccessDescription,
  AlgorithmIdentifier,
  AttributeTypeAndValue,
  AttributeValue,
  AuthorityInfoAccessSyntax,
  AuthorityKeyIdentifier,
  BasicConstraints,
  Certificate,
  CRLDistributionPoints,
  DistributionPoint,
  DistributionPointName,
  Extension,
  Extensions,
  GeneralName,
  id_ad_caIssuers,
  id_ce_authorityKeyIdentifier,
  id_ce_basicConstraints,
  id_ce_cRLDistributionPoints,
  id_ce_keyUsage,
  id_ce_subjectKeyIdentifier,
  id_pe_authorityInfoAccess,
  KeyIdentifier,
  KeyUsage,
  KeyUsageFlags,
  Name,
  RelativeDistinguishedName,
  SubjectKeyIdentifier,
  SubjectPublicKeyInfo,
  TBSCertificate,
  Validity,
  Version,
} from '@peculiar/asn1-x509';

/** The key that signs: its public half, and ECDSA over the DER of a TBSCertificate with the hash of its curve. */
export interface CaKey {
  readonly publicKey: KeyObject;
  readonly curve: 'P-256' | 'P-384';
  /** @returns DER Ecdsa-Sig-Value */
  sign(tbsCertificate: Uint8Array): Uint8Array;
}

export interface CaCertificateFields {
  /** Positive: top bit clear, not zero. */
  readonly serialNumber: Uint8Array;
  /** Common names. */
  readonly subject: string;
  readonly issuer: string;
  readonly publicKey: KeyObject;
  readonly notBefore: Date;
  /** Included in the validity (RFC 5280 section 4.1.2.5). */
  readonly notAfter: Date;
  readonly pathLenConstraint?: number;
  /** Where the issuer's certificate and CRL are; absent in a self-signed certificate. */
  readonly issuerUrls?: { readonly certificate: string; readonly crl: string };
}

const id_at_commonName = '2.5.4.3';
const ecdsaWith = { 'P-256': '1.2.840.10045.4.3.2', 'P-384': '1.2.840.10045.4.3.3' } as const;

/** A CA certificate, RFC 5280 section 4, signed by `signer` (the subject's own key for a root). @returns DER */
export function signCaCertificate(fields: CaCertificateFields, signer: CaKey): Uint8Array {
  const signature = new AlgorithmIdentifier({ algorithm: ecdsaWith[signer.curve] });
  const subjectPublicKeyInfo = AsnConvert.parse(spki(fields.publicKey), SubjectPublicKeyInfo);
  const tbsCertificate = new TBSCertificate({
    version: Version.v3,
    serialNumber: integer(fields.serialNumber),
    signature,
    issuer: commonName(fields.issuer),
    validity: new Validity({ notBefore: fields.notBefore, notAfter: fields.notAfter }),
    subject: commonName(fields.subject),
    subjectPublicKeyInfo,
    extensions: new Extensions(extensionsOf(fields, signer)),
  });
  const tbs = AsnConvert.serialize(tbsCertificate);
  const certificate = new Certificate({
    tbsCertificate,
    signatureAlgorithm: signature,
    signatureValue: exactBuffer(signer.sign(new Uint8Array(tbs))),
  });
  return new Uint8Array(AsnConvert.serialize(certificate));
}

function extensionsOf(fields: CaCertificateFields, signer: CaKey): Extension[] {
  const { pathLenConstraint, issuerUrls } = fields;
  const basicConstraints = new BasicConstraints({
    cA: true,
    ...(pathLenConstraint === undefined ? {} : { pathLenConstraint }),
  });
  const extensions = [
    extension(id_ce_basicConstraints, true, basicConstraints),
    extension(id_ce_keyUsage, true, new KeyUsage(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign)),
    extension(id_ce_subjectKeyIdentifier, false, new SubjectKeyIdentifier(keyIdentifier(fields.publicKey))),
  ];
  if (issuerUrls === undefined) return extensions;
  const uri = (url: string) => new GeneralName({ uniformResourceIdentifier: url });
  const authorityKeyIdentifier = new AuthorityKeyIdentifier({
    keyIdentifier: new KeyIdentifier(keyIdentifier(signer.publicKey)),
  });
  const crls = new CRLDistributionPoints([
    new DistributionPoint({ distributionPoint: new DistributionPointName({ fullName: [uri(issuerUrls.crl)] }) }),
  ]);
  const access = new AuthorityInfoAccessSyntax([
    new AccessDescription({ accessMethod: id_ad_caIssuers, accessLocation: uri(issuerUrls.certificate) }),
  ]);
  return [
    ...extensions,
    extension(id_ce_authorityKeyIdentifier, false, authorityKeyIdentifier),
    extension(id_ce_cRLDistributionPoints, false, crls),
    extension(id_pe_authorityInfoAccess, false, access),
  ];
}

function extension(extnID: string, critical: boolean, value: unknown): Extension {
  return new Extension({ extnID, critical, extnValue: new OctetString(AsnConvert.serialize(value)) });
}

/** The first 160 bits of the SHA-256 of the public key's BIT STRING (RFC 7093 section 2, method 1). */
function keyIdentifier(publicKey: KeyObject): ArrayBuffer {
  const { subjectPublicKey } = AsnConvert.parse(spki(publicKey), SubjectPublicKeyInfo);
  return exactBuffer(createHash('sha256').update(new Uint8Array(subjectPublicKey)).digest().subarray(0, 20));
}

function commonName(text: string): Name {
  const attribute = new AttributeTypeAndValue({
    type: id_at_commonName,
    value: new AttributeValue({ utf8String: text }),
  });
  return new Name([new RelativeDistinguishedName([attribute])]);
}

function spki(publicKey: KeyObject): ArrayBuffer {
  return exactBuffer(publicKey.export({ type: 'spki', format: 'der' }));
}

/** The content of a DER INTEGER: leading zeros go, as far as they do not keep the number positive (X.690 section 8.3.2). */
function integer(bytes: Uint8Array): ArrayBuffer {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0 && (bytes[start + 1] as number) < 0x80) start += 1;
  return exactBuffer(bytes.subarray(start));
}

/** The bytes in an ArrayBuffer of their own, as the ASN.1 classes want them. */
function exactBuffer(bytes: Uint8Array): ArrayBuffer {
  return Uint8Array.from(bytes).buffer;
}

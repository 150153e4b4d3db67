import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { AsnConvert, OctetString } from '@peculiar/asn1-schema';
import {
  AlgorithmIdentifier,
  AttributeTypeAndValue,
  AttributeValue,
  BasicConstraints,
  Certificate,
  Extension,
  Extensions,
  id_ce_basicConstraints,
  Name,
  RelativeDistinguishedName,
  SubjectPublicKeyInfo,
  TBSCertificate,
  Validity,
  Version,
} from '@peculiar/asn1-x509';
import type { RandomBytes } from '../identifiers.ts';

const ecdsaWithSha256 = '1.2.840.10045.4.3.2';
const commonName = '2.5.4.3';

/** The two certificates of an initialised cluster. PEM. */
export interface ClusterCertificates {
  readonly clusterCertificate: string;
  /** What AWS's guides call customerCA.crt. */
  readonly trustAnchorCertificate: string;
}

/**
 * What initialising a cluster leaves behind: a self-signed trust anchor and the cluster's certificate, signed by it
 * directly (CloudHSM User Guide, "Initialize the cluster"). Valid for ten years from `now`; their keys are dropped.
 * @param now milliseconds since the epoch
 */
export function makeClusterCertificates(now: number, randomBytes: RandomBytes): ClusterCertificates {
  const anchor = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const cluster = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const issue = (subject: string, publicKey: KeyObject, isAuthority: boolean): string => {
    const serialNumber = randomBytes(16);
    return makeCertificate({ now, serialNumber, subject, publicKey, isAuthority, signingKey: anchor.privateKey });
  };
  return {
    trustAnchorCertificate: issue('customerCA', anchor.publicKey, true),
    clusterCertificate: issue('cluster', cluster.publicKey, false),
  };
}

interface CertificateRequest {
  readonly now: number;
  readonly serialNumber: Buffer;
  readonly subject: string;
  readonly publicKey: KeyObject;
  readonly isAuthority: boolean;
  readonly signingKey: KeyObject;
}

/** An X.509 version 3 certificate by `customerCA` (RFC 5280, 4.1). PEM. */
function makeCertificate(request: CertificateRequest): string {
  const signatureAlgorithm = new AlgorithmIdentifier({ algorithm: ecdsaWithSha256 });
  const serialNumber = Buffer.from(request.serialNumber);
  // Positive, and without a leading zero that DER would not have.
  serialNumber.writeUInt8((serialNumber.readUInt8(0) & 0x7f) | 0x40, 0);
  const notAfter = new Date(request.now);
  notAfter.setUTCFullYear(notAfter.getUTCFullYear() + 10);
  const tbsCertificate = new TBSCertificate({
    version: Version.v3,
    serialNumber: toArrayBuffer(serialNumber),
    signature: signatureAlgorithm,
    issuer: nameOf('customerCA'),
    subject: nameOf(request.subject),
    validity: new Validity({ notBefore: new Date(request.now), notAfter }),
    subjectPublicKeyInfo: AsnConvert.parse(
      request.publicKey.export({ type: 'spki', format: 'der' }),
      SubjectPublicKeyInfo,
    ),
  });
  if (request.isAuthority) {
    const basicConstraints = AsnConvert.serialize(new BasicConstraints({ cA: true }));
    tbsCertificate.extensions = new Extensions([
      new Extension({ extnID: id_ce_basicConstraints, critical: true, extnValue: new OctetString(basicConstraints) }),
    ]);
  }
  const signature = sign('sha256', Buffer.from(AsnConvert.serialize(tbsCertificate)), request.signingKey);
  const certificate = new Certificate({ tbsCertificate, signatureAlgorithm, signatureValue: toArrayBuffer(signature) });
  const base64 = Buffer.from(AsnConvert.serialize(certificate)).toString('base64');
  const lines = base64.match(/.{1,64}/g) ?? [];
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n');
}

function nameOf(text: string): Name {
  const value = new AttributeValue({ utf8String: text });
  return new Name([new RelativeDistinguishedName([new AttributeTypeAndValue({ type: commonName, value })])]);
}

function toArrayBuffer(bytes: Buffer): ArrayBuffer {
  return Uint8Array.from(bytes).buffer;
}

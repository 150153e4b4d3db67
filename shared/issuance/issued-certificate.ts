import { readCertificateParts } from './certificate.ts';
import type { RenewableCertificate } from './renewal.ts';
import { readTbsCertificate } from './tbs-reader.ts';

/**
 * What a renewal looks at in a certificate of ours.
 * @param der Certificate (RFC 5280 section 4.1)
 * @throws DerError for what is no certificate
 */
export function readIssuedCertificate(der: Uint8Array): RenewableCertificate {
  const { tbsCertificate } = readCertificateParts(der);
  const { serialNumber, notBefore, notAfter, subjectPublicKeyInfo } = readTbsCertificate(tbsCertificate);
  return { serialNumber: Buffer.from(serialNumber).toString('hex'), notBefore, notAfter, subjectPublicKeyInfo };
}

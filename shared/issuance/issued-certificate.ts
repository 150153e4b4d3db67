import { DerReader } from '../asn1/index.ts';
import type { RenewableCertificate } from './renewal.ts';
import { readTbsCertificate } from './tbs-reader.ts';

/**
 * What a renewal looks at in a certificate of ours.
 * @param der Certificate (RFC 5280 section 4.1)
 * @throws DerError for what is no certificate
 */
export function readIssuedCertificate(der: Uint8Array): RenewableCertificate {
  const outer = DerReader.ofContents(der);
  const tbs = outer.readSequence().readElement();
  outer.expectEnd('Certificate');
  const { serialNumber, notBefore, notAfter, subjectPublicKeyInfo } = readTbsCertificate(tbs);
  return { serialNumber: Buffer.from(serialNumber).toString('hex'), notBefore, notAfter, subjectPublicKeyInfo };
}

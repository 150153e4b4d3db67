import { readCertificateParts } from './certificate.ts';
import type { RenewableCertificate } from './renewal.ts';
import { readTbsCertificate, type TbsCertificate } from './tbs-reader.ts';

/**
 * What a renewal looks at in a certificate of ours.
 * @param der Certificate (RFC 5280 section 4.1)
 * @throws DerError for what is no certificate
 */
export const readIssuedCertificate = (der: Uint8Array): RenewableCertificate =>
  renewableOf(readTbsCertificate(readCertificateParts(der).tbsCertificate));

/** The same of a TBSCertificate. */
export const renewableOf = ({
  serialNumber,
  notBefore,
  notAfter,
  subjectPublicKeyInfo,
}: TbsCertificate): RenewableCertificate => ({
  serialNumber: Buffer.from(serialNumber).toString('hex'),
  notBefore,
  notAfter,
  subjectPublicKeyInfo,
});

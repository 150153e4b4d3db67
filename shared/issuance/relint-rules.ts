import { X509Certificate } from 'node:crypto';
import type { CertificateParts } from './certificate.ts';
import type { IssuerSubject, Rule } from './lint-rules.ts';
import type { TbsIssuer } from './tbs.ts';

/** A certificate that was issued. */
export interface IssuedSubject extends IssuerSubject {
  readonly certificate: CertificateParts;
}

/** What is held to whoever signed it, whom there is none of before a certificate is signed. */
export const issuedRules: readonly Rule<IssuedSubject>[] = [
  {
    name: 'signature-of-the-issuer',
    source: "RFC 5280 section 6.1.3 (a) (1): it verifies with the issuer's public key",
    holds: ({ certificate: { der }, issuer }) => isSignedBy(der, issuer),
  },
  {
    name: 'signature-algorithm-the-same-outside-and-inside',
    source: 'RFC 5280 section 4.1.1.2',
    holds: ({ certificate: { signatureAlgorithm }, tbs }) => Buffer.compare(signatureAlgorithm, tbs.signature) === 0,
  },
];

/** By OpenSSL's own reading of the certificate, and not by ours alone. */
export function isSignedBy(der: Uint8Array, issuer: TbsIssuer): boolean {
  try {
    return new X509Certificate(der).verify(issuer.certificate.publicKey);
  } catch {
    // OpenSSL cannot read it, or not the algorithm that it names: then nobody can verify it.
    return false;
  }
}

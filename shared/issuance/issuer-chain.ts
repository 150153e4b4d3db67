import { X509Certificate } from 'node:crypto';
import { DerReader } from '../asn1/index.ts';
import { MintmarkError } from '../errors.ts';
import { readBasicConstraints } from './basic-constraints.ts';
import { type IssuerCertificate, readIssuerCertificate } from './issuer-certificate.ts';
import { readTbsCertificate } from './tbs-reader.ts';

/**
 * Reads an issuing CA's certificate and looks at its way to a root: each certificate was issued by the next one's name and key,
 * all are CAs' and valid now, no pathLenConstraint is passed, and the last is self-signed (RFC 5280 section 6.1, but for
 * name constraints, policies and revocation, which are for whoever verifies).
 * @param chain DER; from the certificate's issuer up to the root
 * @param now milliseconds since the epoch
 * @throws MintmarkError CONFIGURATION_INVALID that says which certificate is wrong, and how
 */
export function verifyIssuerChain(
  issuerId: string,
  der: Uint8Array,
  chain: readonly Uint8Array[],
  now: number,
): IssuerCertificate {
  const issuer = readIssuerCertificate(issuerId, der);
  const links = [der, ...chain].map((each, index) => readLink(each, index));
  for (const [index, link] of links.entries()) {
    const refusal = refusalOf(link, index, links[index + 1], now);
    if (refusal !== undefined) throw unusable(issuerId, `${nameOf(link.x509, index)} ${refusal}`);
  }
  return issuer;

  function readLink(each: Uint8Array, index: number): Link {
    try {
      const { notBefore, notAfter, extensions } = readTbsCertificate(
        DerReader.ofContents(each).readSequence().readElement(),
      );
      const constraints = extensions.find(({ extnID }) => extnID === '2.5.29.19')?.extnValue;
      const pathLength = constraints === undefined ? undefined : readBasicConstraints(constraints).pathLenConstraint;
      return { x509: new X509Certificate(each), notBefore, notAfter, pathLength };
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw unusable(issuerId, `certificate ${index} of its chain cannot be read: ${reason}`, cause);
    }
  }
}

interface Link {
  readonly x509: X509Certificate;
  /** Milliseconds since the epoch, inclusive. */
  readonly notBefore: number;
  readonly notAfter: number;
  readonly pathLength: number | undefined;
}

/** @param index how many CAs are below it */
function refusalOf(link: Link, index: number, next: Link | undefined, now: number): string | undefined {
  const { x509, notBefore, notAfter, pathLength } = link;
  if (!x509.ca) return "is no CA's";
  if (now < notBefore) return `is not valid before ${new Date(notBefore).toISOString()}`;
  if (now > notAfter) return `ended on ${new Date(notAfter).toISOString()}`;
  if (pathLength !== undefined && pathLength < index) {
    return `has a pathLenConstraint of ${pathLength}, and ${index} CAs are below it`;
  }
  const isSelfSigned = isIssuedBy(x509, x509);
  if (next === undefined) return isSelfSigned ? undefined : 'is the last one, and is not self-signed';
  if (isSelfSigned) return 'is self-signed, and another one follows it';
  return isIssuedBy(x509, next.x509) ? undefined : 'was not issued by the one that follows it';
}

const isIssuedBy = (certificate: X509Certificate, issuer: X509Certificate): boolean =>
  certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);

const nameOf = ({ subject }: X509Certificate, index: number): string =>
  index === 0 ? 'it' : `the certificate of ${(subject ?? '').split('\n').join(', ')} in its chain`;

const unusable = (issuerId: string, reason: string, cause?: unknown): MintmarkError =>
  new MintmarkError('CONFIGURATION_INVALID', `The certificate of the issuer ${issuerId} cannot be used: ${reason}.`, {
    cause,
  });

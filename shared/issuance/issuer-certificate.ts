import { type KeyObject, X509Certificate } from 'node:crypto';
import { DerReader } from '../asn1/index.ts';
import { MintmarkError } from '../errors.ts';
import { readTbsCertificate } from './tbs-reader.ts';

/** What issuing needs of the issuing CA's own certificate. */
export interface IssuerCertificate {
  readonly der: Uint8Array;
  /** DER of its subject: the issuer of what it issues, byte for byte (RFC 5280 section 4.1.2.4). */
  readonly subject: Uint8Array;
  /** The keyIdentifier that its certificates' authorityKeyIdentifier holds. */
  readonly subjectKeyIdentifier: Uint8Array;
  readonly publicKey: KeyObject;
  /** Milliseconds since the epoch, inclusive. */
  readonly notBefore: number;
  readonly notAfter: number;
}

/**
 * Reads an issuing CA's certificate.
 * @throws MintmarkError CONFIGURATION_INVALID unless it is a v3 CA certificate that may sign certificates and has a
 * subjectKeyIdentifier (RFC 5280 sections 4.2.1.2, 4.2.1.3 and 4.2.1.9)
 */
export function readIssuerCertificate(issuerId: string, der: Uint8Array): IssuerCertificate {
  try {
    const certificate = DerReader.ofContents(der).readSequence();
    const tbs = readTbsCertificate(certificate.readElement());
    const extensions = new Map(tbs.extensions.map((extension) => [extension.extnID, extension.extnValue]));
    const x509 = new X509Certificate(der);
    if (!x509.ca) throw new Error('it is not a CA certificate');
    if (!mayCertSign(required(extensions, '2.5.29.15', 'keyUsage'))) throw new Error('its keyUsage lacks keyCertSign');
    return {
      der,
      subject: tbs.subject,
      subjectKeyIdentifier: DerReader.ofContents(
        required(extensions, '2.5.29.14', 'subjectKeyIdentifier'),
      ).readOctetString(),
      publicKey: x509.publicKey,
      notBefore: tbs.notBefore,
      notAfter: tbs.notAfter,
    };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new MintmarkError(
      'CONFIGURATION_INVALID',
      `The certificate of the issuer ${issuerId} cannot be used: ${reason}.`,
      {
        cause: error,
      },
    );
  }
}

function required(extensions: ReadonlyMap<string, Uint8Array>, extnID: string, name: string): Uint8Array {
  const extnValue = extensions.get(extnID);
  if (extnValue === undefined) throw new Error(`it has no ${name}`);
  return extnValue;
}

/** keyCertSign is bit 5 of KeyUsage (RFC 5280 section 4.2.1.3). */
const mayCertSign = (keyUsage: Uint8Array): boolean =>
  ((DerReader.ofContents(keyUsage).readBitString().bytes[0] ?? 0) & 0b0000_0100) !== 0;

import { constants, createHash, type KeyObject, verify } from 'node:crypto';
import { bitString, DerReader, sequence, tags } from '../asn1/index.ts';
import { MintmarkError } from '../errors.ts';
import { algorithmIdentifier, type SignatureScheme } from '../signer/index.ts';

/** What the CA key signs of a TBSCertificate. */
export const digestOf = (tbsCertificate: Uint8Array, scheme: SignatureScheme): Uint8Array =>
  createHash(scheme.hash).update(tbsCertificate).digest();

/**
 * The Certificate (RFC 5280 section 4.1), DER, after its signature was verified with the issuer's public key: an HSM
 * that answers with a wrong signature must not be found out by the devices.
 * @throws MintmarkError SIGNATURE_WRONG
 */
export function assembleCertificate(
  tbsCertificate: Uint8Array,
  signature: Uint8Array,
  scheme: SignatureScheme,
  issuerPublicKey: KeyObject,
): Uint8Array {
  if (
    !isOfWholeLength(signature, issuerPublicKey) ||
    !verify(scheme.hash, tbsCertificate, verificationKey(scheme, issuerPublicKey), signature)
  ) {
    throw new MintmarkError('SIGNATURE_WRONG', "The signer's signature does not verify with the issuer's public key.");
  }
  return sequence(tbsCertificate, algorithmIdentifier(scheme), bitString(signature));
}

/** An RSA signature is as long as the modulus (RFC 8017 section 8.1.2, step 1); OpenSSL lets PSS's leading zeros be missing. */
function isOfWholeLength(signature: Uint8Array, key: KeyObject): boolean {
  const modulusBits = key.asymmetricKeyDetails?.modulusLength;
  return modulusBits === undefined || signature.length === Math.ceil(modulusBits / 8);
}

function verificationKey(scheme: SignatureScheme, key: KeyObject) {
  return scheme.algorithm === 'rsa-pss'
    ? { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
    : key;
}

/** A Certificate (RFC 5280 section 4.1) taken apart; each part is its whole DER element. */
export interface CertificateParts {
  readonly der: Uint8Array;
  readonly tbsCertificate: Uint8Array;
  readonly signatureAlgorithm: Uint8Array;
}

/** @throws DerError for anything but the strict DER of a Certificate */
export function readCertificateParts(der: Uint8Array): CertificateParts {
  const outer = DerReader.ofContents(der);
  const fields = outer.readSequence();
  outer.expectEnd('Certificate');
  const tbsCertificate = fields.readElement(tags.sequence);
  const signatureAlgorithm = fields.readElement(tags.sequence);
  fields.readOctetAlignedBitString();
  fields.expectEnd('Certificate');
  return { der, tbsCertificate, signatureAlgorithm };
}

/** Textual encoding of a certificate (RFC 7468 section 5), ending in a newline. */
export function certificatePem(der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}

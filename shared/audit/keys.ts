import { X509Certificate } from 'node:crypto';

/** What is asked of an issuing CA. */
export interface AuditedIssuer {
  readonly issuerId: string;
  /** Of a key in KMS: its ARN, or its id alone. undefined for one in CloudHSM. */
  readonly keyId: string | undefined;
  /** DER; the issuing CA's own certificate. */
  readonly certificate: Uint8Array | undefined;
}

/** A CA key, and whoever issues with it: several, when a CA's certificate was renewed for the same key. */
export interface AuditedKey<Issuer extends AuditedIssuer> {
  /** One key's, and no other's. */
  readonly name: string;
  readonly isInKms: boolean;
  /** Whether KMS may have it in other Regions, too. */
  readonly isMultiRegion: boolean;
  readonly issuers: readonly [Issuer, ...Issuer[]];
}

/** Issuers by key, as they come. Pure. */
export function keysOf<Issuer extends AuditedIssuer>(issuers: readonly Issuer[]): AuditedKey<Issuer>[] {
  return [...Map.groupBy(issuers, nameOfKey)].map(([name, of]) => {
    const [first, ...others] = of as [Issuer, ...Issuer[]];
    const { keyId } = first;
    return {
      name,
      isInKms: keyId !== undefined,
      isMultiRegion: keyId !== undefined && idOf(keyId).startsWith(multiRegion),
      issuers: [first, ...others],
    };
  });
}

/**
 * In KMS the key's id, which the replicas of a multi-Region key share (AWS KMS developer guide, "Multi-Region keys"): they
 * are one key in several places. In CloudHSM the public key; an issuer without a readable certificate is taken by itself.
 */
function nameOfKey({ issuerId, keyId, certificate }: AuditedIssuer): string {
  if (keyId !== undefined) return `kms ${idOf(keyId)}`;
  const publicKey = readCertificate(certificate)?.publicKey.export({ type: 'spki', format: 'der' });
  return publicKey === undefined ? `issuer ${issuerId}` : `spki ${publicKey.toString('base64')}`;
}

/** "Multi-Region keys have a distinctive key ID that begins with mrk-" (AWS KMS developer guide, "Multi-Region keys"). */
const multiRegion = 'mrk-';

/** Of an ARN, or of the id itself. */
const idOf = (keyId: string): string => keyId.slice(keyId.lastIndexOf('/') + 1);

/** undefined for what is no certificate: to an auditor that is a finding, and no reason to stop. */
export function readCertificate(der: Uint8Array | undefined): X509Certificate | undefined {
  if (der === undefined) return undefined;
  try {
    return new X509Certificate(der);
  } catch {
    return undefined;
  }
}

import { contextConstructed, nullValue, objectIdentifier, sequence, unsignedInteger } from '../asn1/index.ts';
import type { SignatureScheme } from './port.ts';

const ecdsaWith = {
  sha256: '1.2.840.10045.4.3.2',
  sha384: '1.2.840.10045.4.3.3',
  sha512: '1.2.840.10045.4.3.4',
} as const;

const rsaEncryptionWith = {
  sha256: '1.2.840.113549.1.1.11',
  sha384: '1.2.840.113549.1.1.12',
  sha512: '1.2.840.113549.1.1.13',
} as const;

const digestAlgorithm = {
  sha256: { identifier: '2.16.840.1.101.3.4.2.1', bytes: 32 },
  sha384: { identifier: '2.16.840.1.101.3.4.2.2', bytes: 48 },
  sha512: { identifier: '2.16.840.1.101.3.4.2.3', bytes: 64 },
} as const;

/**
 * DER of the AlgorithmIdentifier that a certificate names its signature with: RFC 5758 section 3.2 (ECDSA: parameters
 * absent), RFC 4055 section 5 (PKCS#1 v1.5: NULL) and section 3.1 (PSS: the salt as long as the digest, MGF1 over the
 * same hash).
 */
export function algorithmIdentifier(scheme: SignatureScheme): Uint8Array {
  switch (scheme.algorithm) {
    case 'ecdsa':
      return sequence(objectIdentifier(ecdsaWith[scheme.hash]));
    case 'rsa-pkcs1-v1_5':
      return sequence(objectIdentifier(rsaEncryptionWith[scheme.hash]), nullValue());
    case 'rsa-pss': {
      const { identifier, bytes } = digestAlgorithm[scheme.hash];
      const hash = sequence(objectIdentifier(identifier), nullValue());
      return sequence(
        objectIdentifier('1.2.840.113549.1.1.10'),
        sequence(
          contextConstructed(0, hash),
          contextConstructed(1, sequence(objectIdentifier('1.2.840.113549.1.1.8'), hash)),
          contextConstructed(2, unsignedInteger(Uint8Array.of(bytes))),
        ),
      );
    }
  }
}

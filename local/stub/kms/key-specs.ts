import type { SignatureScheme } from '../../../shared/signer/index.ts';

/**
 * What KMS makes of each kind of key (KMS Developer Guide, "Key spec reference"), as far as the stub has it.
 */

/** KeySpecs of asymmetric signing keys, with the SigningAlgorithms of each in AWS's order. */
const rsaAlgorithms = [
  'RSASSA_PKCS1_V1_5_SHA_256',
  'RSASSA_PKCS1_V1_5_SHA_384',
  'RSASSA_PKCS1_V1_5_SHA_512',
  'RSASSA_PSS_SHA_256',
  'RSASSA_PSS_SHA_384',
  'RSASSA_PSS_SHA_512',
] as const;

export const signingKeySpecs = {
  RSA_2048: rsaAlgorithms,
  RSA_3072: rsaAlgorithms,
  RSA_4096: rsaAlgorithms,
  ECC_NIST_P256: ['ECDSA_SHA_256'],
  ECC_NIST_P384: ['ECDSA_SHA_384'],
  ECC_NIST_P521: ['ECDSA_SHA_512'],
} as const;

export type SigningKeySpec = keyof typeof signingKeySpecs;
export type SigningAlgorithm = (typeof signingKeySpecs)[SigningKeySpec][number];

export function isSigningKeySpec(spec: string): spec is SigningKeySpec {
  return Object.hasOwn(signingKeySpecs, spec);
}

export const signingSchemes: Readonly<Record<SigningAlgorithm, SignatureScheme>> = {
  RSASSA_PKCS1_V1_5_SHA_256: { algorithm: 'rsa-pkcs1-v1_5', hash: 'sha256' },
  RSASSA_PKCS1_V1_5_SHA_384: { algorithm: 'rsa-pkcs1-v1_5', hash: 'sha384' },
  RSASSA_PKCS1_V1_5_SHA_512: { algorithm: 'rsa-pkcs1-v1_5', hash: 'sha512' },
  RSASSA_PSS_SHA_256: { algorithm: 'rsa-pss', hash: 'sha256' },
  RSASSA_PSS_SHA_384: { algorithm: 'rsa-pss', hash: 'sha384' },
  RSASSA_PSS_SHA_512: { algorithm: 'rsa-pss', hash: 'sha512' },
  ECDSA_SHA_256: { algorithm: 'ecdsa', hash: 'sha256' },
  ECDSA_SHA_384: { algorithm: 'ecdsa', hash: 'sha384' },
  ECDSA_SHA_512: { algorithm: 'ecdsa', hash: 'sha512' },
};

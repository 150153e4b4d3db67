import { createRequire } from 'node:module';
import type * as Pkcs11 from 'pkcs11js';
import { mechanismOf, type SignatureScheme, signInput } from '../../shared/signer/index.ts';
import { generateKeyPair, type KeyAlgorithm, type TokenKeyPair } from '../softhsm/key-pair.ts';
import type { TokenSession } from '../softhsm/token.ts';
import type { SigningKeySpec } from './kms/key-specs.ts';

const pkcs11 = createRequire(import.meta.url)('pkcs11js') as typeof Pkcs11;

const algorithms: Readonly<Record<SigningKeySpec, KeyAlgorithm>> = {
  RSA_2048: 'RSA-2048',
  RSA_3072: 'RSA-3072',
  RSA_4096: 'RSA-4096',
  ECC_NIST_P256: 'P-256',
  ECC_NIST_P384: 'P-384',
  ECC_NIST_P521: 'P-521',
};

/** A signing key pair on the token, named by its key id. */
export function generateSigningKeyPair(session: TokenSession, keyId: string, spec: SigningKeySpec): TokenKeyPair {
  return generateKeyPair(session, { label: keyId, id: Buffer.from(keyId), algorithm: algorithms[spec] });
}

/** @returns the signature as PKCS#11 has it: for ECDSA r and s, each as long as the curve's order */
export function signDigest(session: TokenSession, privateKey: Buffer, scheme: SignatureScheme, digest: Buffer): Buffer {
  session.pkcs11.C_SignInit(session.handle, mechanism(scheme), privateKey);
  return session.pkcs11.C_Sign(session.handle, Buffer.from(signInput(scheme, digest)), Buffer.alloc(longestSignature));
}

/** @param signature as PKCS#11 has it */
export function verifyDigest(
  session: TokenSession,
  publicKey: Buffer,
  scheme: SignatureScheme,
  digest: Buffer,
  signature: Buffer,
): boolean {
  session.pkcs11.C_VerifyInit(session.handle, mechanism(scheme), publicKey);
  try {
    return session.pkcs11.C_Verify(session.handle, Buffer.from(signInput(scheme, digest)), signature);
  } catch (error) {
    if (isSignatureFailure(error)) return false;
    throw error;
  }
}

/** RSA with 4096 bits. */
const longestSignature = 512;

function mechanism(scheme: SignatureScheme): Pkcs11.Mechanism {
  const { mechanism: type, pss } = mechanismOf(scheme);
  return pss === undefined
    ? { mechanism: type }
    : { mechanism: type, parameter: { type: pkcs11.CK_PARAMS_RSA_PSS, ...pss } };
}

function isSignatureFailure(error: unknown): boolean {
  if (!(error instanceof pkcs11.Pkcs11Error)) return false;
  return error.code === pkcs11.CKR_SIGNATURE_INVALID || error.code === pkcs11.CKR_SIGNATURE_LEN_RANGE;
}

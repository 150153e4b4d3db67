import { constants, createPublicKey, type KeyObject, verify } from 'node:crypto';
import { MintmarkError } from '../errors.ts';
import type { CertificationRequest } from './certification-request.ts';
import type { SignatureAlgorithm } from './csr-signature-algorithm.ts';

function importKey(subjectPublicKeyInfo: Uint8Array): KeyObject {
  try {
    return createPublicKey({ key: Buffer.from(subjectPublicKeyInfo), format: 'der', type: 'spki' });
  } catch (cause) {
    throw new MintmarkError('KEY_INVALID', 'The public key in the CSR is not a valid one for its algorithm.', {
      cause,
    });
  }
}

function isSignedBy(key: KeyObject, algorithm: SignatureAlgorithm, signed: Uint8Array, signature: Uint8Array): boolean {
  switch (algorithm.algorithm) {
    case 'ed25519':
      return verify(null, signed, key, signature);
    case 'ecdsa':
      return verify(algorithm.hash, signed, { key, dsaEncoding: 'der' }, signature);
    case 'rsa-pkcs1-v1_5':
      return verify(algorithm.hash, signed, { key, padding: constants.RSA_PKCS1_PADDING }, signature);
    case 'rsa-pss': {
      const { hash, saltLength } = algorithm;
      return verify(hash, signed, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength }, signature);
    }
  }
}

/**
 * Whether the CSR is signed with the private key of the public key in it (RFC 2986 section 3, note 2). This is the
 * expensive check: it comes after checkPublicKey, which bounds what it costs.
 * @throws MintmarkError PROOF_OF_POSSESSION_FAILED; KEY_INVALID where OpenSSL does not take the key
 */
export function verifyProofOfPossession(csr: CertificationRequest): void {
  const key = importKey(csr.subjectPublicKeyInfo);
  let cause: unknown;
  let verified = false;
  try {
    verified = isSignedBy(key, csr.signatureAlgorithm, csr.certificationRequestInfo, csr.signature);
  } catch (error) {
    // OpenSSL throws where the signature, or an Ed25519 point, cannot even be read.
    cause = error;
  }
  if (verified) return;
  throw new MintmarkError(
    'PROOF_OF_POSSESSION_FAILED',
    "The CSR's signature does not verify with the public key in it.",
    { cause },
  );
}

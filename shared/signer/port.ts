import type { KeyObject } from 'node:crypto';

/**
 * How a CA key signs. `hash` is what the caller digests the to-be-signed bytes with; the signer is handed digests
 * only, so the HSM's work and the worker's traffic do not grow with the certificate.
 */
export type SignatureScheme =
  | { readonly algorithm: 'ecdsa'; readonly hash: 'sha256' | 'sha384' | 'sha512' }
  | { readonly algorithm: 'rsa-pkcs1-v1_5'; readonly hash: 'sha256' | 'sha384' | 'sha512' }
  | { readonly algorithm: 'rsa-pss'; readonly hash: 'sha256' | 'sha384' | 'sha512' };

/** One digest's answer: a signature as it goes into an X.509 signatureValue (ECDSA: DER Ecdsa-Sig-Value, RFC 3279). */
export type SignResult = { readonly signature: Uint8Array } | { readonly error: Error };

/**
 * The CA key's one door. Obligations of every adapter, checked by test/contract/signer.ts:
 *
 * - `sign` answers each digest in its place, never fewer; one digest's failure is its own and no other's.
 * - `sign` has answered, whatever the HSM does, by `deadline`: what has no signature then is `SIGNER_DEADLINE`.
 * - errors are MintmarkErrors whose code says signer trouble (retry) or misconfiguration; none holds a secret.
 * - a signature may be wrong (an HSM can be): the caller verifies before it lets one out.
 * - after `close` every `sign` answers `SIGNER_UNAVAILABLE`; `close` is safe to repeat.
 */
export interface Signer {
  /** The key's URI as the issuers table has it (RFC 7512 `pkcs11:`, or `awskms:`); never holds a PIN. */
  readonly uri: string;
  readonly scheme: SignatureScheme;
  readonly publicKey: KeyObject;
  /** @param deadline milliseconds since the epoch */
  sign(digests: readonly Uint8Array[], deadline: number): Promise<SignResult[]>;
  close(): Promise<void>;
}

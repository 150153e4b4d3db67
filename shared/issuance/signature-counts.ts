/** What one call to a signer came to, as far as this process knows: what the HSM signed and never said is not in it. */
export interface SignatureCounts {
  readonly issuerId: string;
  /** Signatures that the signer gave. */
  readonly made: number;
  /** Those of them that were stored in a certificate. */
  readonly stored: number;
  /** Those of them over the TBS of an earlier delivery's intent: at most so many were made before. */
  readonly repeated: number;
  /** Those of them that the issuer's public key does not verify. */
  readonly wrong: number;
}

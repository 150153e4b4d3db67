/**
 * What a process tells of one call to a signer: three parts, each before the step that it must outlive. Whatever a process
 * was given and did not live to tell is at most what it had told that it asks for.
 */
export type SignatureCounts = { readonly issuerId: string } & (
  | SignaturesRequested
  | SignaturesMade
  | CertificatesStored
);

/** Told before the signer is asked: no signature comes of a call that was not told of. */
interface SignaturesRequested {
  /**
   * Signatures that the signer is asked for; with what it refuses, or does not answer, more than it makes. Where a key in KMS
   * is asked again for one, that is one more, told in a line of its own before it is.
   */
  readonly requested: number;
}

/** Told as the signer answers, before [2]: no certificate is stored whose signature was not told of. */
export interface SignaturesMade {
  /** Signatures that the signer gave. */
  readonly made: number;
  /** Those of them over the TBS of an earlier delivery's intent, which may have been signed before. */
  readonly repeated: number;
  /** Those of them that the issuer's public key does not verify. */
  readonly wrong: number;
}

/** Told after [2]. */
interface CertificatesStored {
  /** Signatures that were stored in a certificate. */
  readonly stored: number;
}

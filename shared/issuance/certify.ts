import type { KeyObject } from 'node:crypto';
import { MintmarkError } from '../errors.ts';
import type { Signer } from '../signer/index.ts';
import { assembleCertificate, digestOf } from './certificate.ts';

/**
 * One TBSCertificate's answer: the Certificate (RFC 5280 section 4.1), DER, whose signature the issuer's public key
 * verifies; or why there is none. SIGNATURE_WRONG is the only error after which a signature was made.
 */
export type Certified = { readonly certificate: Uint8Array } | { readonly error: Error };

/**
 * Signs in one call and verifies each signature. Nobody else is handed an issuer's signer, so what is told of it (its
 * breaker, its counters) is told of certificates and not of bytes that an HSM answered with.
 * @param deadline milliseconds since the epoch
 * @returns an answer for each TBSCertificate, in its place
 */
export async function certify(
  signer: Signer,
  issuerPublicKey: KeyObject,
  tbsCertificates: readonly Uint8Array[],
  deadline: number,
): Promise<Certified[]> {
  const { scheme } = signer;
  const results = await signer.sign(
    tbsCertificates.map((tbsCertificate) => digestOf(tbsCertificate, scheme)),
    deadline,
  );
  return tbsCertificates.map((tbsCertificate, index) => {
    const result = results[index];
    if (result === undefined) {
      return { error: new MintmarkError('INTERNAL', 'The signer answered with too few signatures.') };
    }
    if ('error' in result) return result;
    try {
      return { certificate: assembleCertificate(tbsCertificate, result.signature, scheme, issuerPublicKey) };
    } catch (error) {
      return { error: error instanceof Error ? error : new Error(String(error)) };
    }
  });
}

import { createHash } from 'node:crypto';
import type { CertificationRequest } from './certification-request.ts';

/**
 * What makes two messages the same request, in hex: the profile and what the CSR's signature is over. The signature
 * itself is left out, for ECDSA gives another one each time: a CSR that was signed anew is the same request.
 */
export function requestHashOf(request: CertificationRequest, profile: string): string {
  return framed('certification-request-info', request.certificationRequestInfo, profile);
}

/** As `requestHashOf`, for a CSR that cannot be read: the field as it came. */
export const unreadableRequestHashOf = (csr: string, profile: string): string =>
  framed('unreadable', Buffer.from(csr, 'utf8'), profile);

/** Two inner hashes of fixed length, so no two inputs share a frame. */
function framed(kind: string, content: Uint8Array, profile: string): string {
  const inner = (data: Uint8Array | string) => createHash('sha256').update(data).digest();
  return createHash('sha256').update(inner(kind)).update(inner(content)).update(inner(profile)).digest('hex');
}

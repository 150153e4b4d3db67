import { ecdsaSignatureToDer } from '../../../shared/signer/index.ts';

/**
 * An ECDSA signature in KMS's form, DER `Ecdsa-Sig-Value ::= SEQUENCE { r INTEGER, s INTEGER }` (RFC 3279, 2.2.3), in
 * PKCS#11's: r and s one after the other, each as long as the curve's order (v2.40 Current Mechanisms, 2.3.1).
 * @param orderLength bytes of the curve's order
 * @returns undefined for what is not the DER of two such integers
 */
export function ecdsaFromDer(der: Buffer, orderLength: number): Buffer | undefined {
  // The content of the SEQUENCE never starts with 0x81: it starts with the tag of an INTEGER.
  const header = der[1] === 0x81 ? 3 : 2;
  const r = readInteger(der, header);
  const s = r && readInteger(der, r.end);
  if (r === undefined || s === undefined || s.end !== der.length) return undefined;
  if (r.digits.length > orderLength || s.digits.length > orderLength) return undefined;
  const raw = Buffer.alloc(2 * orderLength);
  r.digits.copy(raw, orderLength - r.digits.length);
  s.digits.copy(raw, 2 * orderLength - s.digits.length);
  // Whatever is not DER does not come back as it was: wrong tags, lengths, superfluous zeros.
  return der.equals(ecdsaSignatureToDer(raw)) ? raw : undefined;
}

/** Looks at the length only: the caller's comparison sees the rest. */
function readInteger(der: Buffer, start: number): { readonly digits: Buffer; readonly end: number } | undefined {
  const length = der[start + 1];
  if (length === undefined || length === 0) return undefined;
  const end = start + 2 + length;
  const digits = der.subarray(start + 2, end);
  if (digits.length !== length) return undefined;
  return { digits: digits[0] === 0 && length > 1 ? digits.subarray(1) : digits, end };
}

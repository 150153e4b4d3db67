import { DerReader } from '../asn1/index.ts';
import { refusingBadEncoding } from './csr-encoding-error.ts';

/** keyCertSign (5) and cRLSign (6) of KeyUsage, in its first octet (RFC 5280 section 4.2.1.3). */
const bitsOfCas = 0b0000_0110;

/**
 * Whether a keyUsage extension's extnValue asks for what only a CA does.
 * @throws MintmarkError CSR_NOT_DER, CSR_MALFORMED; "at byte n" counts within the extnValue
 */
export function asksToSignForOthers(extnValue: Uint8Array): boolean {
  return refusingBadEncoding('The keyUsage in the CSR', () => {
    const reader = DerReader.ofContents(extnValue);
    const { bytes } = reader.readBitString();
    reader.expectEnd('keyUsage');
    return ((bytes[0] ?? 0) & bitsOfCas) !== 0;
  });
}

import { DerReader } from '../asn1/index.ts';
import { refusingBadEncoding } from './csr-encoding-error.ts';

/** RFC 5280 section 4.2.1.9. */
export interface BasicConstraints {
  readonly cA: boolean;
  readonly pathLenConstraint?: number;
}

/**
 * A basicConstraints extension's extnValue. DER leaves cA out where it is FALSE, its DEFAULT (X.690 section 11.5).
 * @throws MintmarkError CSR_NOT_DER, CSR_MALFORMED; "at byte n" counts within the extnValue
 */
export function readBasicConstraints(extnValue: Uint8Array): BasicConstraints {
  return refusingBadEncoding('The basicConstraints in the CSR', () => {
    const reader = DerReader.ofContents(extnValue);
    const constraints = reader.readSequence();
    reader.expectEnd('basicConstraints');
    const cA = constraints.readBooleanDefaultFalse();
    if (constraints.isAtEnd) return { cA };
    if (!cA) throw constraints.malformed('a pathLenConstraint without cA');
    const pathLenConstraint = constraints.readSmallInteger();
    constraints.expectEnd('BasicConstraints');
    return { cA, pathLenConstraint };
  });
}

import { DerError, type DerErrorReason } from '../asn1/index.ts';
import { type ErrorCode, MintmarkError } from '../errors.ts';

const refusals: Record<DerErrorReason, readonly [code: ErrorCode, verdict: string]> = {
  truncated: ['CSR_TRUNCATED', 'is cut short'],
  trailing: ['CSR_TRAILING_BYTES', 'is followed by more'],
  'not-der': ['CSR_NOT_DER', 'is not DER'],
  malformed: ['CSR_MALFORMED', 'is malformed'],
};

/**
 * Runs `read` and turns a DerError into the refusal of the CSR that it means.
 * @param subject what was being read, as a sentence starts with it: `The CSR`
 */
export function refusingBadEncoding<T>(subject: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof DerError)) throw error;
    const [code, verdict] = refusals[error.reason];
    throw new MintmarkError(code, `${subject} ${verdict}: ${error.message}.`, { cause: error });
  }
}

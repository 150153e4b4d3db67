import { type ErrorCode, MintmarkError } from '../errors.ts';

/**
 * KMS's errors that stay until somebody changes something (KMS API reference: DescribeKey, GetPublicKey, Sign, and
 * "Common error types"). Every other one, and no answer at all, may pass.
 */
const misconfigurations: ReadonlySet<string> = new Set([
  'AccessDeniedException',
  'DisabledException',
  'IncompleteSignature',
  'InvalidArnException',
  'InvalidClientTokenId',
  'InvalidGrantTokenException',
  'InvalidKeyUsageException',
  'NotFoundException',
  'OptInRequired',
  'UnrecognizedClientException',
  'UnsupportedOperationException',
  'ValidationException',
]);

/**
 * What a failed call of KMS means for the request that waits.
 * @param what the operation and what for, as a sentence's subject
 */
export function awsKmsError(error: unknown, what: string): MintmarkError {
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  const code: ErrorCode = misconfigurations.has(name) ? 'SIGNER_MISCONFIGURED' : 'SIGNER_UNAVAILABLE';
  return new MintmarkError(code, `${what} failed: ${name}: ${message}`, { cause: error });
}

import { AwsError } from '../aws-error.ts';
import type { Key, KeyMaterial } from '../state.ts';

export const validation = 'ValidationException';

export function validationError(message: string): AwsError {
  return new AwsError(validation, message);
}

export function unsupported(message: string): AwsError {
  return new AwsError('UnsupportedOperationException', message);
}

/** Refuses a cryptographic operation with a key that is for another (KMS API reference, InvalidKeyUsageException). */
export function requireUsage(key: Key, usage: KeyMaterial['keyUsage'], operationName: string): void {
  const { keyUsage } = key.material;
  if (keyUsage === usage) return;
  throw new AwsError(
    'InvalidKeyUsageException',
    `${key.arn} key usage is ${keyUsage} which is not valid for ${operationName}.`,
  );
}

/** The answer to a request with DryRun that would have succeeded. */
export function refuseDryRun(dryRun: boolean | undefined): void {
  if (dryRun !== true) return;
  throw new AwsError('DryRunOperationException', 'The request would have succeeded, but the DryRun option is set.');
}

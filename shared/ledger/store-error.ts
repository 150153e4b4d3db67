import { MintmarkError } from '../errors.ts';

/** Answers that stay the same however often one asks: permissions, missing tables, requests that AWS finds wrong. */
const refusals = new Set([
  'AccessDeniedException',
  'AuthorizationErrorException',
  'ResourceNotFoundException',
  'NotFoundException',
  'UnrecognizedClientException',
  'ValidationException',
  'InvalidParameterException',
]);

/** Whatever an AWS client threw, as one of ours: `STORE_REFUSED` when trying again cannot help by itself. */
export function storeError(error: unknown, doing: string): MintmarkError {
  const name = error instanceof Error ? error.name : 'unknown error';
  const message = error instanceof Error ? error.message : String(error);
  const code = refusals.has(name) ? 'STORE_REFUSED' : 'STORE_UNAVAILABLE';
  return new MintmarkError(code, `${doing}: ${name}: ${message}`, { cause: error });
}

import type { ErrorCode } from '../errors.ts';

/** What says that the signer is away, whoever asks it. */
export const awayCodes = ['SIGNER_UNAVAILABLE', 'SIGNER_DEADLINE'] as const satisfies readonly ErrorCode[];

/**
 * The key store that unseals PINs is away. Its key is in the cluster that the CA keys are in, so the cluster may be away
 * with it; but an environment that has its PIN signs on where it is not.
 */
export const unsealFailed: ErrorCode = 'PIN_UNSEAL_FAILED';

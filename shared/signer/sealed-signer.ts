import type { KMSClient } from '@aws-sdk/client-kms';
import { type PinPurpose, unsealPin } from './pin.ts';
import { openPkcs11Signer, type Pkcs11Signer, type Pkcs11SignerOptions } from './pkcs11.ts';

export interface SealedSignerOptions extends Omit<Pkcs11SignerOptions, 'pin'> {
  readonly kms: KMSClient;
  /** The crypto user's PIN as `sealPin` made it, and what for. */
  readonly sealedPin: Uint8Array;
  readonly purpose: PinPurpose;
}

/**
 * Opens a `pkcs11:` signer whose PIN is sealed: the PIN goes from KMS to the HSM's worker and is overwritten here.
 * @throws MintmarkError PIN_UNSEAL_REFUSED, PIN_UNSEAL_FAILED, and what `openPkcs11Signer` throws
 */
export async function openSealedSigner({
  kms,
  sealedPin,
  purpose,
  ...options
}: SealedSignerOptions): Promise<Pkcs11Signer> {
  const pin = await unsealPin(kms, sealedPin, purpose);
  try {
    return await openPkcs11Signer({ ...options, pin });
  } finally {
    pin.fill(0);
  }
}

import { createPublicKey } from 'node:crypto';
import type { KMSClient } from '@aws-sdk/client-kms';
import { openSealedSigner, type SealedSignerOptions, type Signer, unsealPin } from '../signer/index.ts';
import { type CanaryRecord, canaryPinPurpose } from './canary-record.ts';

/**
 * How a process opens the signer of the canary's key, when it first needs it and when the canary's row has changed.
 * @throws MintmarkError as openSealedSigner
 */
export function canarySignerOpener(
  options: Pick<SealedSignerOptions, 'kms' | 'library' | 'workerUrl' | 'now' | 'random'> & { readonly stage: string },
): (record: CanaryRecord, deadline: number) => Promise<Signer> {
  const { stage, ...common } = options;
  return (record, deadline) =>
    openSealedSigner({
      ...common,
      sealedPin: record.sealedPin,
      purpose: canaryPinPurpose(record.clusterId, stage),
      uri: record.signerUri,
      certificatePublicKey: createPublicKey({ key: Buffer.from(record.publicKey), format: 'der', type: 'spki' }),
      deadline,
    });
}

/**
 * Whether a PIN can be unsealed now: the canary's own is, and overwritten.
 * @throws MintmarkError PIN_UNSEAL_REFUSED, PIN_UNSEAL_FAILED
 */
export async function unsealCanaryPin(kms: KMSClient, record: CanaryRecord, stage: string): Promise<void> {
  const pin = await unsealPin(kms, record.sealedPin, canaryPinPurpose(record.clusterId, stage));
  pin.fill(0);
}

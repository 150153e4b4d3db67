import { DecryptCommand, EncryptCommand, type KMSClient } from '@aws-sdk/client-kms';
import { MintmarkError } from '../errors.ts';

/** What a sealed PIN is for. It is bound to the ciphertext: an envelope of another stage or cluster does not open. */
export interface PinPurpose {
  readonly clusterId: string;
  readonly issuerId: string;
  readonly stage: string;
}

/** KMS encryption context: authenticated, not secret, and written to CloudTrail with every use. */
const encryptionContext = ({ clusterId, issuerId, stage }: PinPurpose): Record<string, string> => ({
  'mintmark:purpose': 'crypto-user-pin',
  'mintmark:cluster': clusterId,
  'mintmark:issuer': issuerId,
  'mintmark:stage': stage,
});

/**
 * Encrypts `user:password` under a symmetric key of the custom key store.
 * @param pin as text, or as its UTF-8 bytes, which the caller can overwrite
 */
export async function sealPin(
  client: KMSClient,
  keyId: string,
  pin: string | Uint8Array,
  purpose: PinPurpose,
): Promise<Uint8Array> {
  const command = new EncryptCommand({
    KeyId: keyId,
    Plaintext: typeof pin === 'string' ? Buffer.from(pin, 'utf8') : pin,
    EncryptionContext: encryptionContext(purpose),
  });
  const { CiphertextBlob: sealed } = await client.send(command);
  if (sealed === undefined) throw new MintmarkError('INTERNAL', 'kms:Encrypt answered without a CiphertextBlob.');
  return sealed;
}

/**
 * KMS's errors that say something of the envelope or of who asks, and nothing of the key store: others may unseal theirs
 * (KMS API reference: Decrypt, and "Common error types").
 */
const refusals: ReadonlySet<string> = new Set([
  'AccessDeniedException',
  'IncorrectKeyException',
  'InvalidCiphertextException',
  'InvalidGrantTokenException',
  'InvalidKeyUsageException',
  'NotFoundException',
  'UnrecognizedClientException',
  'ValidationException',
]);

/**
 * Decrypts a sealed PIN to its UTF-8 bytes, for the caller to overwrite; every cold start does it, so who may sign is
 * decided by kms:Decrypt.
 * @throws MintmarkError PIN_UNSEAL_REFUSED for this envelope or caller, PIN_UNSEAL_FAILED for any other trouble of KMS's
 */
export async function unsealPin(client: KMSClient, sealed: Uint8Array, purpose: PinPurpose): Promise<Uint8Array> {
  const command = new DecryptCommand({ CiphertextBlob: sealed, EncryptionContext: encryptionContext(purpose) });
  const answer = await client.send(command).catch((error: unknown) => {
    const { name, message } = error instanceof Error ? error : new Error(String(error));
    throw new MintmarkError(
      refusals.has(name) ? 'PIN_UNSEAL_REFUSED' : 'PIN_UNSEAL_FAILED',
      `The PIN of the issuer ${purpose.issuerId} cannot be unsealed: ${name}: ${message}`,
      { cause: error },
    );
  });
  if (answer.Plaintext === undefined) throw new MintmarkError('INTERNAL', 'kms:Decrypt answered without a Plaintext.');
  return answer.Plaintext;
}

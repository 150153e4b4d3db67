import { CreateKeyCommand, GetPublicKeyCommand, type KMSClient } from '@aws-sdk/client-kms';
import { formatAwsKmsUri } from '../../shared/signer/index.ts';
import type { GivenIssuingKey } from './local-ca.ts';

/**
 * An issuing CA's key in KMS (P-256): one that KMS holds itself, or, with `customKeyStoreId`, one in a custom key store.
 *
 * @throws Error in one sentence, with what to do, where KMS refuses a key in the key store, as AWS does (KMS API reference,
 *   CreateKey, KeySpec)
 */
export async function createKmsSigningKey(kms: KMSClient, customKeyStoreId?: string): Promise<GivenIssuingKey> {
  const command = new CreateKeyCommand({
    KeyUsage: 'SIGN_VERIFY',
    KeySpec: 'ECC_NIST_P256',
    Description: 'Mintmark issuing CA',
    ...(customKeyStoreId === undefined ? {} : { Origin: 'AWS_CLOUDHSM', CustomKeyStoreId: customKeyStoreId }),
  });
  const { KeyMetadata: created } = await kms.send(command).catch((error: unknown) => {
    if (!(error instanceof Error) || error.name !== 'UnsupportedOperationException') throw error;
    throw new Error(
      `KMS refuses a signing key in the custom key store (${error.name}: ${error.message}), as custom key stores hold symmetric keys only: use --signer pkcs11 (the key in CloudHSM, signed with through PKCS#11) or --signer awskms (a key that KMS holds), or add --allow-asymmetric to let the stub take what AWS refuses.`,
      { cause: error },
    );
  });
  const keyId = created?.Arn;
  const { PublicKey: publicKey } = await kms.send(new GetPublicKeyCommand({ KeyId: keyId }));
  if (keyId === undefined || publicKey === undefined) throw new Error('KMS answered without a key.');
  return { signerUri: formatAwsKmsUri({ keyId }), publicKey };
}

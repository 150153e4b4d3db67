import { DescribeKeyCommand, type KeyMetadata, type KMSClient } from '@aws-sdk/client-kms';
import { parseAwsKmsUri, regionOf } from '../signer/index.ts';
import { observed, PartError } from './failure.ts';
import type { IssuerInKms } from './issuers-table.ts';
import type { IssuerKey, KmsKey } from './observation.ts';

export interface KmsSources {
  readonly kms: KMSClient;
  readonly region: string;
  /** The longest that describing one key may take, retries of the client included. */
  readonly partMilliseconds: number;
}

/** All keys at the same time. Never throws for what it finds: a key that cannot be described says why in its own place. */
export function describeIssuerKeys(
  { kms, region, partMilliseconds }: KmsSources,
  issuers: readonly IssuerInKms[],
): Promise<IssuerKey[]> {
  return Promise.all(
    issuers.map(async ({ issuerId, signerUri }) => ({
      issuerId,
      key: await observed(partMilliseconds, async (signal) => describeKey(kms, keyIdOf(signerUri, region), signal)),
    })),
  );
}

/** @throws PartError malformed, for what the signer could not sign with */
function keyIdOf(signerUri: string, region: string): string {
  const { keyId } = parsed(signerUri);
  // kms:Sign goes to the stage's own Region, which knows nothing of another's keys.
  const named = regionOf(keyId) ?? region;
  if (named !== region) throw new PartError('malformed', `The key ${keyId} is in ${named}, the stage in ${region}.`);
  return keyId;
}

function parsed(signerUri: string): ReturnType<typeof parseAwsKmsUri> {
  try {
    return parseAwsKmsUri(signerUri);
  } catch (error) {
    throw new PartError('malformed', error instanceof Error ? error.message : String(error));
  }
}

async function describeKey(client: KMSClient, keyId: string, abortSignal: AbortSignal): Promise<KmsKey> {
  const { KeyMetadata: metadata } = await client.send(new DescribeKeyCommand({ KeyId: keyId }), { abortSignal });
  if (metadata === undefined) throw new PartError('malformed', 'kms:DescribeKey answered without a KeyMetadata.');
  return keyOf(keyId, metadata);
}

// What AWS leaves out stays absent: exactOptionalPropertyTypes knows no property that is undefined.
function keyOf(keyId: string, { KeyState, KeyUsage, CustomKeyStoreId, DeletionDate }: KeyMetadata): KmsKey {
  return {
    keyId,
    ...(KeyState === undefined ? {} : { state: KeyState }),
    ...(KeyUsage === undefined ? {} : { usage: KeyUsage }),
    ...(CustomKeyStoreId === undefined ? {} : { customKeyStoreId: CustomKeyStoreId }),
    ...(DeletionDate === undefined ? {} : { deletionDate: DeletionDate.getTime() }),
  };
}

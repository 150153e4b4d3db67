import { createPublicKey, type KeyObject, X509Certificate } from 'node:crypto';
import { DescribeKeyCommand, GetPublicKeyCommand, type KeyMetadata, type KMSClient } from '@aws-sdk/client-kms';
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
    issuers.map(async ({ issuerId, signerUri, certificate }) => ({
      issuerId,
      key: await observed(partMilliseconds, async (signal) => {
        const key = await describeKey(kms, keyIdOf(signerUri, region), signal);
        return { ...key, ...(await compare(kms, key, certificate, signal)) };
      }),
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

/** In other usages and states there is no public key to be had, which the rule on those tells of. */
async function compare(
  client: KMSClient,
  { keyId, usage, state }: KmsKey,
  certificate: Uint8Array | undefined,
  abortSignal: AbortSignal,
): Promise<Pick<KmsKey, 'isOfCertificate'>> {
  const wanted = certificate === undefined ? undefined : publicKeyOf(certificate);
  if (wanted === undefined || usage !== 'SIGN_VERIFY' || state !== 'Enabled') return {};
  const { PublicKey: found } = await client.send(new GetPublicKeyCommand({ KeyId: keyId }), { abortSignal });
  if (found === undefined) throw new PartError('malformed', 'kms:GetPublicKey answered without a PublicKey.');
  return {
    isOfCertificate: createPublicKey({ key: Buffer.from(found), format: 'der', type: 'spki' }).equals(wanted),
  };
}

/** Undefined of what is no certificate, which is a finding of its own. */
function publicKeyOf(certificate: Uint8Array): KeyObject | undefined {
  try {
    return new X509Certificate(certificate).publicKey;
  } catch (error) {
    if (error instanceof Error) return undefined;
    throw error;
  }
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

import { DescribeKeyCommand, type KMSClient } from '@aws-sdk/client-kms';
import { MintmarkError } from '../errors.ts';
import { regionOf } from './awskms-uri.ts';

/** A KMS key that PINs may be sealed with. */
export interface SealingKey {
  readonly arn: string;
  readonly region: string;
  /** The CloudHSM cluster that holds it. */
  readonly clusterId: string;
}

/** An alias can be moved to another key; no key of a custom key store is a multi-Region one (KMS developer guide, "Key stores"). */
const keyArn = /^arn:aws[a-z0-9-]*:kms:[a-z0-9-]+:[0-9]{12}:key\/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** @returns undefined for what is no ARN of a key that a custom key store could have */
export const regionOfSealingKey = (arn: string): string | undefined => (keyArn.test(arn) ? regionOf(arn) : undefined);

/**
 * A key is one to seal with when its own cluster must take part in each use of it: a symmetric one with the Origin
 * AWS_CLOUDHSM (KMS API reference, KeyMetadata), which can be used now.
 * @param client of the key's Region
 * @throws MintmarkError CONFIGURATION_INVALID for another key; the KMS client's errors
 */
export async function describeSealingKey(client: KMSClient, arn: string): Promise<SealingKey> {
  const { KeyMetadata: key } = await client.send(new DescribeKeyCommand({ KeyId: arn }));
  const region = regionOfSealingKey(arn);
  if (key?.Arn !== arn || region === undefined) throw unfit(arn, 'is another key in what KMS answers');
  if (key.Origin !== 'AWS_CLOUDHSM' || key.CloudHsmClusterId === undefined) {
    throw unfit(arn, `is in no custom key store of a CloudHSM cluster (its Origin is ${key.Origin})`);
  }
  if (key.KeySpec !== 'SYMMETRIC_DEFAULT' || key.KeyUsage !== 'ENCRYPT_DECRYPT') {
    throw unfit(arn, `is not a symmetric one to encrypt with (${key.KeySpec}, ${key.KeyUsage})`);
  }
  if (key.KeyState !== 'Enabled') {
    const why = key.KeyState === 'Unavailable' ? ': its custom key store is not CONNECTED' : '';
    throw unfit(arn, `is ${key.KeyState}${why}`);
  }
  return { arn, region, clusterId: key.CloudHsmClusterId };
}

const unfit = (arn: string, why: string): MintmarkError =>
  new MintmarkError('CONFIGURATION_INVALID', `The key ${arn} ${why}.`);

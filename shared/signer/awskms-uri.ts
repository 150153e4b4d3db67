import { MintmarkError } from '../errors.ts';

/**
 * A key in KMS as the issuers table names it: `awskms:key-id=<key ARN or key id>`, the form that smallstep's tools use
 * (smallstep/crypto, kms/awskms). An alias is refused: it can be moved to another key, and which key signs is a fact of
 * the issuer. A key id alone is one of the function's own account and Region, which is how a multi-Region key's replica
 * is named.
 */
export interface AwsKmsUri {
  /** KeyId as KMS's operations take it (KMS developer guide, "Key identifiers (KeyId)"). */
  readonly keyId: string;
}

const scheme = 'awskms:';

const keyArn = /^arn:aws[a-z0-9-]*:kms:[a-z0-9-]+:[0-9]{12}:key\/[A-Za-z0-9-]+$/;
const keyId = /^(mrk-[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;

export const isAwsKmsUri = (uri: string): boolean => uri.startsWith(scheme);

/** @throws MintmarkError SIGNER_MISCONFIGURED */
export function parseAwsKmsUri(uri: string): AwsKmsUri {
  const found = /^awskms:key-id=([^;?]*)$/.exec(uri)?.[1];
  if (found === undefined) throw misconfigured('must be awskms:key-id=, followed by the ARN or the id of a KMS key');
  if (/(^|:)alias\//.test(found)) {
    throw misconfigured('must name a key by its ARN or id: an alias can be moved to another key');
  }
  if (!keyArn.test(found) && !keyId.test(found))
    throw misconfigured('has a key-id that is neither a key ARN nor a key id');
  return { keyId: found };
}

/** Of a key ARN; undefined for a key id, which is one of the caller's own Region. */
export const regionOf = (keyIdOrArn: string): string | undefined =>
  keyIdOrArn.startsWith('arn:') ? keyIdOrArn.split(':')[3] : undefined;

export const formatAwsKmsUri = ({ keyId: id }: AwsKmsUri): string => `${scheme}key-id=${id}`;

function misconfigured(what: string): MintmarkError {
  return new MintmarkError('SIGNER_MISCONFIGURED', `The signer URI ${what}.`);
}

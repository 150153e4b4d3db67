import { describe, expect, it } from 'vitest';
import { formatAwsKmsUri, isAwsKmsUri, parseAwsKmsUri } from '../../shared/signer/awskms-uri.ts';

const id = '1234abcd-12ab-34cd-56ef-1234567890ab';

describe('an awskms: URI', () => {
  it.each([
    `arn:aws:kms:eu-central-1:111122223333:key/${id}`,
    `arn:aws-cn:kms:cn-north-1:111122223333:key/${id}`,
    'arn:aws-us-gov:kms:us-gov-west-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab',
    id,
    'mrk-1234abcd12ab34cd56ef1234567890ab',
  ])('names the key %s', (keyId) => {
    const uri = `awskms:key-id=${keyId}`;
    expect(parseAwsKmsUri(uri)).toEqual({ keyId });
    expect(formatAwsKmsUri({ keyId })).toBe(uri);
  });

  it.each([
    ['awskms:key-id=alias/issuing-ca', /an alias can be moved/],
    ['awskms:key-id=arn:aws:kms:eu-central-1:111122223333:alias/issuing-ca', /an alias can be moved/],
    ['awskms:key-id=', /neither a key ARN nor a key id/],
    ['awskms:key-id=arn:aws:s3:::bucket', /neither a key ARN nor a key id/],
    [`awskms:key-id=${id};region=eu-central-1`, /must be awskms:key-id=/],
    [`awskms:${id}`, /must be awskms:key-id=/],
    [`awskms:key-id=${id}?pin-value=1`, /must be awskms:key-id=/],
    [`pkcs11:object=${id}`, /must be awskms:key-id=/],
  ])('is not %s', (uri, message) => {
    expect(() => parseAwsKmsUri(uri)).toThrow(
      expect.objectContaining({ code: 'SIGNER_MISCONFIGURED', message: expect.stringMatching(message) }),
    );
  });

  it('is told from others by its scheme', () => {
    expect(isAwsKmsUri(`awskms:key-id=${id}`)).toBe(true);
    expect(isAwsKmsUri(`pkcs11:object=awskms:`)).toBe(false);
  });
});

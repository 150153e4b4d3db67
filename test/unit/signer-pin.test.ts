import { KMSServiceException } from '@aws-sdk/client-kms';
import { describe, expect, it } from 'vitest';
import { unsealPin } from '../../shared/signer/pin.ts';

const purpose = { clusterId: 'cluster-a', issuerId: 'devices', stage: 'prod' };

const unsealWith = (send: () => Promise<unknown>) =>
  unsealPin({ send } as unknown as Parameters<typeof unsealPin>[0], Uint8Array.of(1), purpose);

describe('a PIN that cannot be unsealed', () => {
  // KMS API reference, Decrypt and "Common error types".
  it.each([
    ['AccessDeniedException', 'PIN_UNSEAL_REFUSED'],
    ['IncorrectKeyException', 'PIN_UNSEAL_REFUSED'],
    ['InvalidCiphertextException', 'PIN_UNSEAL_REFUSED'],
    ['InvalidGrantTokenException', 'PIN_UNSEAL_REFUSED'],
    ['InvalidKeyUsageException', 'PIN_UNSEAL_REFUSED'],
    ['NotFoundException', 'PIN_UNSEAL_REFUSED'],
    ['UnrecognizedClientException', 'PIN_UNSEAL_REFUSED'],
    ['ValidationException', 'PIN_UNSEAL_REFUSED'],
    ['DependencyTimeoutException', 'PIN_UNSEAL_FAILED'],
    ['DisabledException', 'PIN_UNSEAL_FAILED'],
    ['KMSInternalException', 'PIN_UNSEAL_FAILED'],
    ['KMSInvalidStateException', 'PIN_UNSEAL_FAILED'],
    ['KeyUnavailableException', 'PIN_UNSEAL_FAILED'],
    ['ThrottlingException', 'PIN_UNSEAL_FAILED'],
  ])('for %s: %s', async (name, code) => {
    const cause = new KMSServiceException({ name, message: 'Why.', $fault: 'client', $metadata: {} });
    await expect(unsealWith(() => Promise.reject(cause))).rejects.toMatchObject({
      code,
      message: `The PIN of the issuer devices cannot be unsealed: ${name}: Why.`,
      cause,
    });
  });

  it('for want of an answer', async () => {
    const cause = Object.assign(new Error('socket hang up'), { name: 'TimeoutError' });
    await expect(unsealWith(() => Promise.reject(cause))).rejects.toMatchObject({ code: 'PIN_UNSEAL_FAILED' });
  });
});

it('an unsealed PIN is the bytes that the caller overwrites', async () => {
  const plaintext = Buffer.from('user:password');
  expect(await unsealWith(async () => ({ Plaintext: plaintext }))).toBe(plaintext);
});

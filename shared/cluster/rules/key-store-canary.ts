import type { Rule } from '../rule.ts';

/**
 * A key store may be CONNECTED and not work: its cluster must be active and have an active HSM (KMS API reference,
 * CustomKeyStoresListEntry, ConnectionState), its key enabled. So a fixed ciphertext is decrypted, which is what every
 * cold start does with its PIN. Where the key store says itself that it is not CONNECTED, key-store-state has said so.
 */
export const rule: Rule<'keyStoreCanary'> = {
  name: 'key-store-canary',
  needs: ['keyStoreCanary'],
  check({ keyStoreCanary, keyStore, canary }) {
    if (keyStoreCanary.outcome === 'decrypted') return [];
    if (keyStore !== undefined && keyStore.connectionState !== 'CONNECTED') return [];
    const wrong = keyStoreCanary.outcome === 'wrong';
    return [
      {
        severity: 'critical',
        subject: keyStore?.customKeyStoreId ?? canary?.customKeyStoreId ?? 'the key store',
        observed: wrong ? 'another plaintext' : keyStoreCanary.detail,
        threshold: 'decrypts to what was encrypted',
        sentence: wrong
          ? 'kms:Decrypt answers the canary ciphertext with another plaintext than was encrypted: the row was replaced, or the key store is not to be trusted.'
          : `The key store is said to be connected and does not decrypt: no new execution environment can unseal its PIN; those that run sign on until they end. KMS says: ${keyStoreCanary.detail}`,
      },
    ];
  },
};

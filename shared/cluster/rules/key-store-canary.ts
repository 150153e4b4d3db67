import type { KeyStore } from '../observation.ts';
import type { Rule } from '../rule.ts';

/**
 * A key store may be CONNECTED and not work: its cluster must be active and have an active HSM (KMS API reference,
 * CustomKeyStoresListEntry, ConnectionState), its key enabled. So a fixed ciphertext is decrypted, which is what every
 * cold start does with its PIN. In a state that key-store-state calls critical, it fails for that reason.
 */
export const rule: Rule<'keyStoreCanary'> = {
  name: 'key-store-canary',
  needs: ['keyStoreCanary'],
  severities: ['critical'],
  check({ keyStoreCanary, keyStore, canary }) {
    const subject = keyStore?.customKeyStoreId ?? canary?.customKeyStoreId ?? 'the key store';
    const threshold = 'decrypts to what was encrypted';
    switch (keyStoreCanary.outcome) {
      case 'decrypted':
        return [];
      case 'wrong':
        return [
          {
            severity: 'critical',
            subject,
            observed: 'another plaintext',
            threshold,
            sentence:
              'kms:Decrypt answers the canary ciphertext with another plaintext than was encrypted: the row was replaced, or the key store is not to be trusted.',
          },
        ];
      case 'failed':
        return [
          {
            severity: 'critical',
            subject,
            observed: keyStoreCanary.detail,
            threshold,
            sentence: `The key store${described(keyStore)} does not decrypt: no new execution environment can unseal its PIN; those that run sign on until they end. KMS says: ${keyStoreCanary.detail}`,
            duplicateOf: ['key-store-state'],
          },
        ];
    }
  },
};

function described(keyStore: KeyStore | undefined): string {
  return keyStore === undefined ? '' : `, whose state is ${keyStore.connectionState ?? 'not given'},`;
}

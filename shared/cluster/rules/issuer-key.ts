import type { Failure, KeyStore, KmsKey } from '../observation.ts';
import type { Rule, RuleFinding } from '../rule.ts';
import { iso, isTime } from '../time.ts';

/** In Updating, a multi-Region key signs on (KMS developer guide, "Key states of AWS KMS keys"). */
const working: ReadonlySet<string> = new Set(['Enabled', 'Updating']);

/**
 * The key of each active issuer whose key is in KMS (`awskms:`), as the signer asks of it at every cold start
 * (shared/signer/awskms.ts): there, the one in the issuer's certificate, and able to sign. What each state means: KMS developer guide, "Key states of AWS KMS
 * keys". Issuers whose key is in CloudHSM are the cluster's rules'.
 */
export const rule: Rule<'issuerKeys'> = {
  name: 'issuer-key',
  needs: ['issuerKeys'],
  severities: ['critical'],
  check({ issuerKeys, keyStore }) {
    return issuerKeys.flatMap(({ issuerId, key }) =>
      'failure' in key
        ? [notDescribed(issuerId, key.failure)]
        : [...usage(issuerId, key.value), ...state(issuerId, key.value, keyStore), ...identity(issuerId, key.value)],
    );
  },
};

function notDescribed(issuerId: string, { reason, detail }: Failure): RuleFinding {
  return {
    severity: 'critical',
    subject: issuerId,
    observed: `${reason}: ${detail}`,
    threshold: 'a key that KMS describes',
    sentence: `The KMS key of the issuer ${issuerId} cannot be looked at, so whether it signs is not known: ${detail}`,
  };
}

function usage(issuerId: string, { keyId, usage: found = 'no KeyUsage', customKeyStoreId }: KmsKey): RuleFinding[] {
  if (found === 'SIGN_VERIFY') return [];
  const why =
    customKeyStoreId === undefined
      ? 'name the key that its certificate was made for'
      : `it is symmetric, as AWS wants every key of a custom key store (${customKeyStoreId}) to be`;
  return [
    {
      severity: 'critical',
      subject: issuerId,
      observed: found,
      threshold: 'SIGN_VERIFY',
      sentence: `The issuer ${issuerId} cannot sign: its KMS key ${keyId} has the KeyUsage ${found}; ${why}.`,
    },
  ];
}

function state(issuerId: string, key: KmsKey, watched: KeyStore | undefined): RuleFinding[] {
  const { keyId, state: found = 'no KeyState', customKeyStoreId } = key;
  if (working.has(found)) return [];
  const keyStore = watched?.customKeyStoreId === customKeyStoreId ? watched : undefined;
  return [
    {
      severity: 'critical',
      subject: issuerId,
      observed: found === 'PendingDeletion' ? `${found}, ${deletionOf(key)}` : found,
      threshold: 'Enabled',
      sentence: `The issuer ${issuerId} cannot sign: its KMS key ${keyId} is ${found}. ${cureOf(found, key, keyStore)}`,
      ...(found === 'Unavailable' && keyStore !== undefined ? { duplicateOf: ['key-store-state'] } : {}),
    },
  ];
}

function identity(issuerId: string, { keyId, isOfCertificate }: KmsKey): RuleFinding[] {
  if (isOfCertificate !== false) return [];
  return [
    {
      severity: 'critical',
      subject: issuerId,
      observed: 'another public key',
      threshold: "the public key of the issuer's certificate",
      sentence: `The issuer ${issuerId} cannot sign: its KMS key ${keyId} is not the one in its certificate. Let its names lead to another issuer (mintmark issuers activate), and add the CA anew with the key that its certificate was made for.`,
    },
  ];
}

function cureOf(found: string, key: KmsKey, keyStore: KeyStore | undefined): string {
  switch (found) {
    case 'Disabled':
      return 'Somebody disabled it: find out why (CloudTrail, DisableKey), then EnableKey.';
    case 'PendingDeletion':
      return `KMS deletes it ${deletionOf(key)}, and the CA with it, for good: CancelKeyDeletion, then EnableKey.`;
    case 'PendingReplicaDeletion':
      return 'KMS deletes it once its replicas are gone, and the CA with it, for good: CancelKeyDeletion, then EnableKey.';
    case 'PendingImport':
      return 'Its imported key material has expired or was deleted: import the same key material again (ImportKeyMaterial).';
    case 'Unavailable':
      return `Its key store ${key.customKeyStoreId ?? 'has no id and'} is ${stateOf(keyStore)}: connect it.`;
    case 'Creating':
      return 'It is a replica that is still being made, which passes.';
    default:
      return 'This version of Mintmark does not know that state.';
  }
}

function deletionOf({ deletionDate }: KmsKey): string {
  return isTime(deletionDate) ? `on ${iso(deletionDate)}` : 'on a day that KMS does not say';
}

function stateOf(keyStore: KeyStore | undefined): string {
  return keyStore?.connectionState ?? 'in a state that the watch does not see';
}

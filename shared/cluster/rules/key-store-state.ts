import type { KeyStore } from '../observation.ts';
import type { Rule, RuleFinding, Severity } from '../rule.ts';
import { cureOf } from './connection-error-codes.ts';

const consequence = 'no new execution environment can unseal its PIN; those that run sign on until they end';

/**
 * The key store must be CONNECTED (KMS API reference, CustomKeyStoresListEntry, ConnectionState), and on the cluster
 * that is watched: after a restore it may still be on the lost one.
 */
export const rule: Rule<'keyStore'> = {
  name: 'key-store-state',
  needs: ['keyStore'],
  severities: ['critical', 'warning'],
  check({ keyStore, canary }) {
    return [...connection(keyStore), ...association(keyStore, canary?.clusterId)];
  },
};

function connection(keyStore: KeyStore): RuleFinding[] {
  const { customKeyStoreId: subject, connectionState: state = 'no state' } = keyStore;
  if (state === 'CONNECTED') return [];
  const finding = (severity: Severity, observed: string, explanation: string): RuleFinding[] => [
    {
      severity,
      subject,
      observed,
      threshold: 'CONNECTED',
      sentence: `The custom key store is ${observed}: ${consequence}. ${explanation}`,
    },
  ];
  switch (state) {
    case 'FAILED': {
      const code = keyStore.connectionErrorCode ?? 'no ConnectionErrorCode';
      const cure =
        cureOf(code) ?? `This version of Mintmark does not know ${code}: look it up in the KMS API reference.`;
      return finding(
        'critical',
        `FAILED, ${code}`,
        `${cure} A FAILED key store is disconnected before it is connected again.`,
      );
    }
    case 'DISCONNECTED':
      return finding(
        'critical',
        state,
        'Somebody disconnected it, for it never does so by itself: find out why, then connect it.',
      );
    case 'DISCONNECTING':
      return finding('critical', state, 'Somebody is disconnecting it: find out why, then connect it.');
    case 'CONNECTING':
      return finding('warning', state, 'Connecting takes up to 20 minutes.');
    default:
      return finding('warning', state, 'This version of Mintmark does not know that state.');
  }
}

function association({ customKeyStoreId, clusterId }: KeyStore, watched: string | undefined): RuleFinding[] {
  if (watched === undefined || clusterId === watched) return [];
  return [
    {
      severity: 'warning',
      subject: customKeyStoreId,
      observed: clusterId ?? 'no cluster',
      threshold: watched,
      sentence: `The custom key store is on ${clusterId === undefined ? 'no cluster' : `the cluster ${clusterId}`}, and the canary row names ${watched}: PINs are sealed by a cluster that nobody watches.`,
    },
  ];
}

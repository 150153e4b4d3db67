import type { Rule, Severity } from '../rule.ts';

/**
 * What each state but ACTIVE means for issuing (CloudHSM v2 API reference, Cluster). A cluster that AWS changes works
 * on, with fewer HSMs for a while; one that has not been activated, or goes away, does not sign.
 */
const meanings: Readonly<Record<string, { readonly severity: Severity; readonly meaning: string }>> = {
  UPDATE_IN_PROGRESS: { severity: 'warning', meaning: 'AWS or an operator is adding or removing an HSM' },
  MODIFY_IN_PROGRESS: { severity: 'warning', meaning: 'it is being changed to another HSM type' },
  ROLLBACK_IN_PROGRESS: { severity: 'warning', meaning: 'a change of its HSM type is being taken back' },
  DEGRADED: { severity: 'critical', meaning: 'AWS found that it does not work as it should' },
  CREATE_IN_PROGRESS: { severity: 'critical', meaning: 'it is not ready and cannot sign' },
  UNINITIALIZED: { severity: 'critical', meaning: 'it is not initialised and cannot sign' },
  INITIALIZE_IN_PROGRESS: { severity: 'critical', meaning: 'it is not ready and cannot sign' },
  INITIALIZED: { severity: 'critical', meaning: 'it is not activated and cannot sign' },
  DELETE_IN_PROGRESS: { severity: 'critical', meaning: 'it is being deleted, and the CA key with it' },
  DELETED: { severity: 'critical', meaning: 'it is deleted: the CA key is in its backups only' },
};

const neverSeen = { severity: 'warning', meaning: 'this version of Mintmark does not know that state' } as const;

export const rule: Rule<'cluster'> = {
  name: 'cluster-state',
  needs: ['cluster'],
  severities: ['critical', 'warning'],
  check({ cluster }) {
    const state = cluster.state ?? 'no state';
    if (state === 'ACTIVE') return [];
    const { severity, meaning } = (Object.hasOwn(meanings, state) ? meanings[state] : undefined) ?? neverSeen;
    const said = cluster.stateMessage === undefined ? '' : ` AWS says: ${cluster.stateMessage}`;
    return [
      {
        severity,
        subject: cluster.clusterId,
        observed: state,
        threshold: 'ACTIVE',
        sentence: `The CloudHSM cluster is in the state ${state}: ${meaning}.${said}`,
      },
    ];
  },
};

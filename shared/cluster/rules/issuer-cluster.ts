import type { Rule } from '../rule.ts';

/** A key in KMS itself (shared/signer): it is on no cluster of ours. */
const inKms = 'awskms';

/**
 * Every other rule looks at the cluster that the canary row names: the cluster that holds the CA keys must be that one.
 * After a restore, the issuer's row and the canary's are written one after the other. A retired issuer signs nothing. A
 * stage without CloudHSM has no cluster for any issuer's key to be in.
 */
export const rule: Rule<'issuers' | 'canary'> = {
  name: 'issuer-cluster',
  needs: ['issuers', 'canary'],
  severities: ['critical'],
  check({ issuers, canary }) {
    return issuers
      .filter(({ state, signerScheme }) => state === 'active' && signerScheme !== inKms)
      .filter(({ clusterId }) => canary.clusterId === undefined || clusterId !== canary.clusterId)
      .map(({ issuerId, clusterId }) => ({
        severity: 'critical',
        subject: issuerId,
        observed: clusterId ?? 'no cluster',
        threshold: canary.clusterId ?? 'a key in KMS',
        sentence: `The issuer ${issuerId} has its key in ${clusterId === undefined ? 'a cluster that its row does not name' : `the cluster ${clusterId}`}, and ${consequenceOf(canary.clusterId)}`,
      }));
  },
};

function consequenceOf(watched: string | undefined): string {
  return watched === undefined
    ? 'the stage is deployed without CloudHSM: it can neither sign with that key nor watch it.'
    : `the watch looks at ${watched}: nobody watches the cluster that signs, or its backups.`;
}

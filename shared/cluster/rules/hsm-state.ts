import type { Rule } from '../rule.ts';

/** Coming and going is counted by hsm-count; these are no fault of the HSM. */
const usual = new Set(['ACTIVE', 'CREATE_IN_PROGRESS', 'DELETE_IN_PROGRESS', 'DELETED']);

/** Each HSM by itself (CloudHSM v2 API reference, Hsm). Whether enough are left is hsm-count's and az-spread's. */
export const rule: Rule<'cluster'> = {
  name: 'hsm-state',
  needs: ['cluster'],
  severities: ['warning'],
  check({ cluster }) {
    return cluster.hsms
      .filter(({ state }) => state === undefined || !usual.has(state))
      .map(({ hsmId, state = 'no state', stateMessage, availabilityZone = 'an unnamed zone' }) => ({
        severity: 'warning',
        subject: hsmId,
        observed: state,
        threshold: 'ACTIVE',
        sentence:
          state === 'DEGRADED'
            ? `The HSM ${hsmId} in ${availabilityZone} is DEGRADED: it may not answer, and signing leans on the others.${saying(stateMessage)}`
            : `The HSM ${hsmId} in ${availabilityZone} is in a state that this version of Mintmark does not know: ${state}.${saying(stateMessage)}`,
      }));
  },
};

function saying(stateMessage: string | undefined): string {
  return stateMessage === undefined ? '' : ` AWS says: ${stateMessage}`;
}

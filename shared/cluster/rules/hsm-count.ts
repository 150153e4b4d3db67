import type { Hsm } from '../observation.ts';
import type { Rule } from '../rule.ts';

const isActive = ({ state }: Hsm): boolean => state === 'ACTIVE';

/** On their way out, or out already and still listed. */
const isLeaving = ({ state }: Hsm): boolean => state === 'DELETE_IN_PROGRESS' || state === 'DELETED';

/**
 * Two HSMs at least, so that one may fail, and one more than are needed, since AWS replaces HSMs for maintenance
 * (CloudHSM User Guide, "AWS CloudHSM cluster management best practices": "Architect your cluster for high
 * availability", "Have at least three HSMs to ensure durability for newly generated keys"). The minimum counts those
 * that are ACTIVE; the number wanted counts what has been paid for, so one that is merely not ACTIVE is hsm-state's.
 */
export const rule: Rule<'cluster'> = {
  name: 'hsm-count',
  needs: ['cluster'],
  severities: ['critical', 'warning'],
  metric: { name: 'HsmCount', unit: 'Count', value: ({ cluster }) => cluster.hsms.filter(isActive).length },
  check({ cluster }, { hsmCountMinimum, hsmCountWanted }) {
    const active = cluster.hsms.filter(isActive).length;
    if (active < hsmCountMinimum) {
      return [
        {
          severity: 'critical',
          subject: cluster.clusterId,
          observed: `${active} ACTIVE`,
          threshold: `at least ${hsmCountMinimum} ACTIVE`,
          sentence:
            active === 0
              ? 'The cluster has no working HSM: nothing can be signed and the key store cannot decrypt.'
              : `The cluster has ${active} working HSM${active === 1 ? '' : 's'}: the next failure may stop all issuing, and keys made since the newest backup would be lost.`,
        },
      ];
    }
    const present = cluster.hsms.filter((hsm) => !isLeaving(hsm)).length;
    if (present >= hsmCountWanted) return [];
    return [
      {
        severity: 'warning',
        subject: cluster.clusterId,
        observed: `${present}`,
        threshold: `${hsmCountWanted} wanted`,
        sentence: `The cluster has ${present} HSMs of the ${hsmCountWanted} wanted: signing works, with one less to lose while AWS replaces another.`,
      },
    ];
  },
};

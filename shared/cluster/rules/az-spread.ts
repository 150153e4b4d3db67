import type { Cluster } from '../observation.ts';
import type { Rule } from '../rule.ts';

/** With an ACTIVE HSM; one that says no zone counts for none. */
function activeZones({ hsms }: Cluster): string[] {
  const zones = hsms.filter(({ state }) => state === 'ACTIVE').map(({ availabilityZone }) => availabilityZone);
  return [...new Set(zones)].filter((zone) => zone !== undefined).sort();
}

/**
 * Production clusters have HSMs in at least two Availability Zones; AWS's service level agreement asks for it
 * (CloudHSM User Guide, "Best practices for AWS CloudHSM", "Cluster Configuration"), and a key store creates no key
 * with fewer (KMS API reference, CreateKey). Of a single ACTIVE HSM hsm-count speaks, where that is critical.
 */
export const rule: Rule<'cluster'> = {
  name: 'az-spread',
  needs: ['cluster'],
  severities: ['critical'],
  metric: { name: 'AvailabilityZoneCount', unit: 'Count', value: ({ cluster }) => activeZones(cluster).length },
  check({ cluster }, { availabilityZonesMinimum }) {
    const zones = activeZones(cluster);
    const active = cluster.hsms.filter(({ state }) => state === 'ACTIVE').length;
    if (zones.length >= availabilityZonesMinimum) return [];
    return [
      {
        severity: 'critical',
        subject: cluster.clusterId,
        observed: zones.length === 0 ? 'no zone named' : zones.join(', '),
        threshold: `at least ${availabilityZonesMinimum} zones`,
        sentence: sentenceOf(active, zones.length),
        ...(active < 2 ? { duplicateOf: ['hsm-count'] } : {}),
      },
    ];
  },
};

function sentenceOf(active: number, zones: number): string {
  if (active === 0) return 'No Availability Zone has a working HSM: nothing can be signed.';
  const hsms = active === 1 ? "The cluster's one working HSM is" : `The cluster's ${active} working HSMs are`;
  return `${hsms} in ${zones} Availability Zone${zones === 1 ? '' : 's'}: losing ${zones === 1 ? 'it' : 'one'} may stop all issuing.`;
}

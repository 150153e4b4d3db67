import type { Backup } from '../observation.ts';
import type { Rule } from '../rule.ts';

const hour = 3_600_000;

/** Only a READY backup can be restored from (CloudHSM v2 API reference, Backup, BackupState). */
function readyTimes(backups: readonly Backup[]): number[] {
  return backups
    .filter(({ state }) => state === 'READY')
    .map(({ createdAt }) => createdAt)
    .filter((createdAt) => createdAt !== undefined);
}

/** Math.max would take all of them as arguments. */
function newestOf(times: readonly number[]): number | undefined {
  return times.reduce<number | undefined>(
    (newest, time) => (newest === undefined || time > newest ? time : newest),
    undefined,
  );
}

/**
 * CloudHSM makes a backup at least once every 24 hours, when the cluster is activated and when HSMs come and go, and
 * never on request (CloudHSM User Guide, "Cluster backups in AWS CloudHSM"); it never deletes a cluster's last one
 * ("Configure AWS CloudHSM backup retention policy"), so there being backups says nothing: their age does.
 */
export const rule: Rule<'backups'> = {
  name: 'backup-age',
  needs: ['backups'],
  metric: {
    name: 'BackupAgeHours',
    unit: 'None',
    value({ backups }, now) {
      const newest = newestOf(readyTimes(backups));
      return newest === undefined ? undefined : (now - newest) / hour;
    },
  },
  check({ backups, cluster, canary }, { backupMaximumAgeHours, backupSlackHours }, now) {
    const subject = cluster?.clusterId ?? canary?.clusterId ?? 'the cluster';
    const limit = backupMaximumAgeHours + backupSlackHours;
    const threshold = `at most ${limit} h (${backupMaximumAgeHours} h and ${backupSlackHours} h of slack)`;
    const newest = newestOf(readyTimes(backups));
    if (newest === undefined) {
      // A cluster made from a backup has none of its own yet: that backup is the other cluster's.
      const since = cluster?.createdAt === undefined ? '' : ` since the cluster was made, ${iso(cluster.createdAt)}`;
      const states = [...new Set(backups.map(({ state = 'no state' }) => state))].sort();
      return [
        {
          severity: 'critical',
          subject,
          observed:
            backups.length === 0 ? `no backup${since}` : `${backups.length} backups, none READY: ${states.join(', ')}`,
          threshold: 'a READY backup',
          sentence:
            'The cluster has no backup that could be restored: were it lost now, the CA key would be gone for good.',
        },
      ];
    }
    const age = (now - newest) / hour;
    if (age <= limit) return [];
    return [
      {
        severity: 'critical',
        subject,
        observed: `${age.toFixed(1)} h, from ${iso(newest)}`,
        threshold,
        sentence: `The newest READY backup is ${age.toFixed(1)} hours old, and AWS makes one at least every 24: keys and users made since ${iso(newest)} would be lost with the cluster.`,
      },
    ];
  },
};

function iso(time: number): string {
  return new Date(time).toISOString();
}

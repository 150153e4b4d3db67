import type { Backup } from '../observation.ts';
import type { Rule, RuleFinding } from '../rule.ts';
import { iso, isTime } from '../time.ts';

const hour = 3_600_000;

/** What our clock and AWS's may differ by: the AWS clients' signatures are refused beyond five minutes. */
const clockSlack = 5 * 60_000;

/** Only a READY backup can be restored from (CloudHSM v2 API reference, Backup, BackupState). */
const readyOf = (backups: readonly Backup[]): Backup[] => backups.filter(({ state }) => state === 'READY');

/** Whether it was made at a time that can be: one that is dated in the future would hide every gap until then. */
function isDated({ createdAt }: Backup, now: number): boolean {
  return isTime(createdAt) && createdAt <= now + clockSlack;
}

/** The newest READY backup's time, of those whose time can be. Math.max would take all of them as arguments. */
function newestOf(backups: readonly Backup[], now: number): number | undefined {
  return readyOf(backups)
    .filter((backup) => isDated(backup, now))
    .map(({ createdAt }) => createdAt)
    .filter((createdAt) => createdAt !== undefined)
    .reduce<number | undefined>((newest, time) => (newest === undefined || time > newest ? time : newest), undefined);
}

/** Never below zero, which the clocks' difference could make it. */
const hoursSince = (time: number, now: number): number => Math.max(0, now - time) / hour;

/**
 * CloudHSM makes a backup at least once every 24 hours, when the cluster is activated and when HSMs come and go, and
 * never on request (CloudHSM User Guide, "Cluster backups in AWS CloudHSM"); it never deletes a cluster's last one
 * ("Configure AWS CloudHSM backup retention policy"), so there being backups says nothing: their age does.
 */
export const rule: Rule<'backups'> = {
  name: 'backup-age',
  needs: ['backups'],
  severities: ['critical', 'warning'],
  metric: {
    name: 'BackupAgeHours',
    unit: 'None',
    value({ backups }, now) {
      const newest = newestOf(backups, now);
      return newest === undefined ? undefined : hoursSince(newest, now);
    },
  },
  check({ backups, cluster, canary }, { backupMaximumAgeHours, backupSlackHours }, now) {
    const subject = cluster?.clusterId ?? canary?.clusterId ?? 'the cluster';
    const limit = backupMaximumAgeHours + backupSlackHours;
    const threshold = `at most ${limit} h (${backupMaximumAgeHours} h and ${backupSlackHours} h of slack)`;
    const newest = newestOf(backups, now);
    const undated = datesThatCannotBe(backups, subject, now);
    if (newest === undefined) return [nothingToRestore(backups, subject, cluster?.createdAt), ...undated];
    const age = hoursSince(newest, now);
    if (age <= limit) return undated;
    return [
      {
        severity: 'critical',
        subject,
        observed: `${age.toFixed(1)} h, from ${iso(newest)}`,
        threshold,
        sentence: `The newest READY backup is ${age.toFixed(1)} hours old, and AWS makes one at least every 24: keys and users made since ${iso(newest)} would be lost with the cluster.`,
      },
      ...undated,
    ];
  },
};

/** A cluster made from a backup has none of its own yet: that backup is the other cluster's. */
function nothingToRestore(
  backups: readonly Backup[],
  subject: string,
  clusterCreatedAt: number | undefined,
): RuleFinding {
  return {
    severity: 'critical',
    subject,
    observed: whatThereIs(backups, clusterCreatedAt),
    threshold: 'a READY backup',
    sentence:
      'The cluster has no backup that is known to be restorable: were it lost now, the CA key would be gone for good.',
  };
}

function whatThereIs(backups: readonly Backup[], clusterCreatedAt: number | undefined): string {
  if (backups.length === 0) {
    return `no backup${isTime(clusterCreatedAt) ? ` since the cluster was made, ${iso(clusterCreatedAt)}` : ''}`;
  }
  const ready = readyOf(backups).length;
  if (ready > 0) return `${backups.length} backups, ${ready} READY, none made at a time that can be`;
  const states = [...new Set(backups.map(({ state = 'no state' }) => state))].sort();
  return `${backups.length} backups, none READY: ${states.join(', ')}`;
}

/** Named one by one up to here: a finding is read on a phone. */
const mostNamed = 3;

function datesThatCannotBe(backups: readonly Backup[], subject: string, now: number): RuleFinding[] {
  const odd = readyOf(backups).filter((backup) => !isDated(backup, now));
  if (odd.length === 0) return [];
  const named = odd
    .slice(0, mostNamed)
    .map(
      ({ backupId, createdAt }) => `${backupId}: ${isTime(createdAt) ? iso(createdAt) : 'no time that can be read'}`,
    );
  const others = odd.length > mostNamed ? [`and ${odd.length - mostNamed} more`] : [];
  return [
    {
      severity: 'warning',
      subject,
      observed: [...named, ...others].join(', '),
      threshold: `a CreateTimestamp, at most ${clockSlack / 60_000} minutes after ${iso(now)}`,
      sentence: `${odd.length === 1 ? 'A READY backup has a time' : `${odd.length} READY backups have times`} that cannot be, unreadable or in the future, and ${odd.length === 1 ? 'does' : 'do'} not count: what AWS answers is wrong, or the watch's clock.`,
    },
  ];
}

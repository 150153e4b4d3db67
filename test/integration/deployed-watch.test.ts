import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Finding } from '../../shared/cluster/index.ts';
import { DeployedCloud } from './deployed-fixture.ts';
import { orWhyNot, region, unavailable } from './localstack-fixture.ts';
import { alarmLimit, noData, Watched, watchFunction, watchParameters } from './watched-fixture.ts';

const zone = (letter: string) => `${region}${letter}`;
const healthyHsms = ['a', 'b', 'c'].map((letter) => ({ availabilityZone: zone(letter) }));
const hour = 3600;

interface Trouble {
  readonly what: string;
  readonly finding: Pick<Finding, 'rule' | 'severity'>;
  readonly alarm: string;
  readonly topic: string;
  readonly metric: string;
  /** The gauge's value that raises it. */
  readonly gauge: number;
}

const oneHsm: Trouble = {
  what: 'an HSM is degraded',
  finding: { rule: 'hsm-state', severity: 'warning' },
  alarm: 'hsm-state-warning',
  topic: 'AlarmsWarningTopic',
  metric: 'HsmStateFinding',
  gauge: 1,
};
const oneZone: Trouble = {
  what: 'all HSMs are in one Availability Zone',
  finding: { rule: 'az-spread', severity: 'critical' },
  alarm: 'az-spread-critical',
  topic: 'AlarmsCriticalTopic',
  metric: 'AzSpreadFinding',
  gauge: 2,
};
const keyStore: Trouble = {
  what: 'the key store is disconnected',
  finding: { rule: 'key-store-state', severity: 'critical' },
  alarm: 'key-store-state-critical',
  topic: 'AlarmsCriticalTopic',
  metric: 'KeyStoreStateFinding',
  gauge: 2,
};
const staleBackup: Trouble = {
  what: 'the newest backup is stale',
  finding: { rule: 'backup-age', severity: 'critical' },
  alarm: 'backup-age-critical',
  topic: 'AlarmsCriticalTopic',
  metric: 'BackupAgeFinding',
  gauge: 2,
};
const backupsUnseen: Trouble = {
  what: 'the backups cannot be looked at',
  finding: { rule: 'described', severity: 'critical' },
  alarm: 'described-critical',
  topic: 'AlarmsCriticalTopic',
  metric: 'DescribedFinding',
  gauge: 2,
};

/** They can be had at once. */
const troubles = [oneHsm, oneZone, keyStore, backupsUnseen];

describe.skipIf(unavailable !== undefined)(`the watch, deployed to LocalStack${orWhyNot}`, () => {
  let cloud: DeployedCloud;
  let watched: Watched;
  beforeAll(async () => {
    cloud = await DeployedCloud.start(watchParameters);
    watched = await Watched.start(cloud);
  });
  afterAll(async () => {
    watched?.destroy();
    await cloud?.stop();
  });

  const reported = (findings: readonly Finding[]) => findings.map(({ rule, severity }) => ({ rule, severity }));

  async function expectRaised({ alarm, topic, metric, gauge }: Trouble, since: number): Promise<void> {
    const message = await watched.told(alarm, 'ALARM', since);
    expect(message).toMatchObject({ topic, Trigger: { MetricName: metric, Namespace: 'Mintmark/local' } });
    // An alarm that missing data raised says the same, but for this.
    expect(message.NewStateReason).not.toMatch(noData);
    expect(await watched.standing(alarm)).toEqual({ state: 'ALARM', highest: gauge });
  }

  async function expectRecovered({ alarm, topic }: Trouble, since: number): Promise<void> {
    expect((await watched.told(alarm, 'OK', since)).topic).toBe(topic);
    // By values of the gauge, not by their absence.
    expect(await watched.standing(alarm)).toEqual({ state: 'OK', highest: 0 });
  }

  it('a cluster that is well: no finding, and every alarm of the watch is OK', async () => {
    expect(await watched.look()).toEqual([]);
    await watched.everyAlarmIsOk();
  });

  // All at once: the alarms are raised, and recover, while one waits for one of them.
  describe('several troubles', () => {
    let since: number;
    let findings: readonly Finding[];
    beforeAll(async () => {
      since = Date.now();
      const inOneZone = healthyHsms.map(() => ({ availabilityZone: zone('a') }));
      await cloud.drill('hsms', { hsms: [{ ...inOneZone[0], state: 'DEGRADED' }, ...inOneZone.slice(1)] });
      await cloud.drill('custom-key-store', { connectionState: 'DISCONNECTED' });
      const operation = 'BaldrApiService.DescribeBackups';
      await cloud.drill('faults', { faults: [{ operation, code: 'CloudHsmAccessDeniedException', count: 1_000_000 }] });
      findings = await watched.look();
    });

    it('each is a finding, and there is no other', () => {
      const expected = troubles.map(({ finding }) => finding);
      expect(reported(findings)).toHaveLength(expected.length);
      expect(reported(findings)).toEqual(expect.arrayContaining(expected));
    });

    it.each(troubles)('$what: $alarm and its message', (trouble) => expectRaised(trouble, since));

    it('a rule whose finding would be the same and is left out: its alarm, by its own gauge', async () => {
      const alarm = 'key-store-canary-critical';
      expect((await watched.told(alarm, 'ALARM', since)).NewStateReason).not.toMatch(noData);
      expect(await watched.standing(alarm)).toEqual({ state: 'ALARM', highest: 2 });
    });

    it('a rule that cannot look: its alarm, by missing data, and its message', async () => {
      const { alarm, topic } = staleBackup;
      const message = await watched.told(alarm, 'ALARM', since);
      expect(message.topic).toBe(topic);
      expect(message.NewStateReason).toMatch(noData);
      expect(await watched.standing(alarm)).toEqual({ state: 'ALARM', highest: undefined });
    });
  });

  describe('their end', () => {
    const repaired = new Map<Trouble, number>();
    beforeAll(async () => {
      for (const trouble of [...troubles, staleBackup]) repaired.set(trouble, Date.now());
      await cloud.drill('hsms', { hsms: healthyHsms });
      await cloud.drill('custom-key-store', { connectionState: 'CONNECTED' });
      await cloud.drill('faults', { faults: [] });
    });
    const expectOver = (trouble: Trouble) => expectRecovered(trouble, repaired.get(trouble) ?? Number.NaN);

    it('no finding is left', async () => {
      expect(await watched.look()).toEqual([]);
    });

    it('the rule that can look again: its alarm is OK, and its message', () => expectOver(staleBackup));

    // Now, because the others take as long to recover as this takes to be raised and to recover.
    it(`${staleBackup.what}: the finding, ${staleBackup.alarm} and its message`, async () => {
      const since = Date.now();
      await cloud.drill('backups', { backups: [{ ageSeconds: 31 * hour }] });
      expect(reported(await watched.look())).toEqual([staleBackup.finding]);
      await expectRaised(staleBackup, since);
      repaired.set(staleBackup, Date.now());
      await cloud.drill('backups', { backups: [{ ageSeconds: hour }, { ageSeconds: 31 * hour }] });
      expect(await watched.look()).toEqual([]);
    });

    it.each([...troubles, staleBackup])('no more that $what: $alarm is OK, and its message', expectOver);

    it('every alarm is OK again', async () => {
      await watched.everyAlarmIsOk();
    });
  });

  it.each([watchFunction, 'CheckSignerLambdaFunction', 'ReconcileLambdaFunction'])(
    'the schedule fires: %s has run without having been asked',
    async (name) => {
      const scheduled = async () => {
        const started = (await cloud.logLines(name)).flatMap((line) => /^START RequestId: (\S+)/.exec(line)?.[1] ?? []);
        return started.find((requestId) => !watched.wasAskedFor(requestId));
      };
      const requestId = await cloud.until(scheduled, `run of ${name} by the schedule`, alarmLimit);
      const ended = async () => (await cloud.logLines(name)).includes(`END RequestId: ${requestId}`);
      await cloud.until(ended, 'end of it');
    },
  );
});

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { assess, gaugeName } from '../../shared/cluster/assess.ts';
import { failureOf, PartError, within } from '../../shared/cluster/failure.ts';
import type { Failure, Observation, PartName } from '../../shared/cluster/observation.ts';
import type { Rule } from '../../shared/cluster/rule.ts';
import { rules } from '../../shared/cluster/rules/index.ts';
import { readThresholds } from '../../shared/cluster/thresholds.ts';
import {
  briefly,
  clusterId,
  customKeyStoreId,
  day,
  gaugesOf,
  healthy,
  issuer,
  now,
  observationOf,
  withFailure,
} from './cluster-fixture.ts';

const thresholds = readThresholds({});
const assessed = (observation: Observation) => assess(observation, rules, thresholds, now);
const valuesOf = (observation: Observation): Record<string, number> => {
  return Object.fromEntries(assessed(observation).measurements.map(({ name, value }) => [name, value]));
};

describe('the rules', () => {
  it('have names of their own, and a section each in the runbook', () => {
    expect(new Set(rules.map(({ name }) => name)).size).toBe(rules.length);
    const runbook = readFileSync(new URL('../../docs/runbook.md', import.meta.url), 'utf8');
    const sections = [...runbook.matchAll(/^## (.+)$/gm)].map(([, title]) => title);
    for (const { name } of rules) expect(sections).toContain(name);
  });

  it('point to their section', () => {
    const { findings } = assessed(observationOf({ ...healthy, backups: [] }));
    expect(findings.map(({ runbook }) => runbook)).toEqual(['docs/runbook.md#backup-age']);
  });
});

describe('what is measured', () => {
  it('is a gauge for every rule, and the values worth plotting', () => {
    expect(valuesOf(observationOf(healthy))).toEqual({
      ...Object.fromEntries(rules.map(({ name }) => [gaugeName(name), 0])),
      HsmCount: 3,
      AvailabilityZoneCount: 3,
      BackupAgeHours: 12,
      CanarySignMilliseconds: 12,
      IssuerDaysLeft: 1_000,
    });
  });

  it('is 1 for a warning and 2 for critical, the worst of a rule', () => {
    const soon = { ...issuer, issuerId: 'soon', notAfter: now + 60 * day };
    const sooner = { ...issuer, issuerId: 'sooner', notAfter: now + 10 * day };
    expect(valuesOf(observationOf({ ...healthy, issuers: [soon] }))).toMatchObject({ IssuerExpiryFinding: 1 });
    const both = valuesOf(observationOf({ ...healthy, issuers: [sooner, soon] }));
    expect(both).toMatchObject({ IssuerExpiryFinding: 2, IssuerDaysLeft: 10, BackupAgeFinding: 0 });
  });

  it('leaves out what there is no value for', () => {
    const values = valuesOf(observationOf({ ...healthy, backups: [], signingCanary: { outcome: 'wrong' } }));
    expect(values).not.toHaveProperty('BackupAgeHours');
    expect(values).not.toHaveProperty('CanarySignMilliseconds');
    expect(values).toMatchObject({ BackupAgeFinding: 2, SigningCanaryFinding: 2 });
  });
});

describe('a rule that fails', () => {
  const failing: Rule<'cluster'> = {
    name: 'backup-age',
    needs: ['cluster'],
    severities: ['critical'],
    metric: { name: 'BackupAgeHours', unit: 'None', value: () => 1 },
    check: () => {
      throw new RangeError('Invalid time value');
    },
  };
  const valueless = (value: () => number): Rule<'cluster'> => ({
    ...failing,
    metric: { name: 'BackupAgeHours', unit: 'None', value },
    check: () => [{ severity: 'critical', subject: clusterId, observed: 'x', threshold: 'y', sentence: 'Z.' }],
  });
  const unplottable = [
    valueless(() => Number.POSITIVE_INFINITY),
    valueless(() => Number.NaN),
    valueless(() => {
      throw new RangeError('No value.');
    }),
  ] as const;
  const spoilt = (rule: Rule) => rules.map((one) => (one.name === rule.name ? rule : one));

  it('is critical itself, without a gauge but that of what was not seen, and the others go on', () => {
    const observed = 'RangeError: Invalid time value';
    const observation = observationOf({ ...healthy, issuers: [] });
    const assessment = assess(observation, spoilt(failing), thresholds, now);
    expect(assessment.findings).toMatchObject([
      {
        rule: 'backup-age',
        severity: 'critical',
        subject: 'the rule backup-age',
        observed,
        sentence: expect.stringContaining(observed) as string,
        runbook: 'docs/runbook.md#described',
      },
      { rule: 'issuer-expiry', severity: 'critical' },
    ]);
    expect(gaugesOf(assessment)).toEqual({ described: 2, 'backup-age': undefined, 'issuer-expiry': 2 });
    expect(assessment.measurements.map(({ name }) => name)).not.toContain('BackupAgeHours');
  });

  it('only in its value goes on looking: that is a warning, and its finding and its gauge are there', () => {
    const observation = observationOf({ ...healthy, backups: [] });
    for (const rule of unplottable) {
      const assessment = assess(observation, spoilt(rule), thresholds, now);
      expect(briefly(assessment.findings)).toEqual([
        `backup-age critical ${clusterId}`,
        'backup-age warning the rule backup-age',
      ]);
      expect(assessment.findings[1]).toMatchObject({
        observed: expect.stringMatching(
          /^(Error: BackupAgeHours is (Infinity|NaN)\.|RangeError: No value\.)$/,
        ) as string,
        runbook: 'docs/runbook.md#described',
      });
      expect(gaugesOf(assessment)).toEqual({ described: 1, 'backup-age': 2 });
      expect(assessment.measurements.map(({ name }) => name)).not.toContain('BackupAgeHours');
    }
  });

  it('does not lower the gauge of what was not seen', () => {
    const observation = withFailure('keyStore', { failure: { reason: 'denied', detail: 'No.' } });
    const { measurements } = assess(observation, spoilt(unplottable[0]), thresholds, now);
    expect(measurements.filter(({ name }) => name === gaugeName('described'))).toMatchObject([{ value: 2 }]);
  });

  it('has a gauge even where it is the one of what was not seen', () => {
    const assessment = assess(observationOf(healthy), spoilt({ ...failing, name: 'described' }), thresholds, now);
    expect(gaugesOf(assessment)).toEqual({ described: 2 });
  });

  it('lets nobody be quiet for it', () => {
    const observation = observationOf({ ...healthy, keyStoreCanary: { outcome: 'failed', detail: 'No.' } });
    const assessment = assess(observation, spoilt({ ...failing, name: 'key-store-state' }), thresholds, now);
    expect(briefly(assessment.findings)).toEqual([
      'key-store-state critical the rule key-store-state',
      `key-store-canary critical ${customKeyStoreId}`,
    ]);
  });
});

describe('a part that could not be seen', () => {
  const failing = (part: PartName, reason: Failure['reason']): Observation => {
    return withFailure(part, { failure: { reason, detail: 'What AWS said.' } });
  };

  it.each([
    ['denied', 'critical'],
    ['absent', 'critical'],
    ['malformed', 'critical'],
    ['unexpected', 'critical'],
    ['throttled', 'warning'],
    ['unreachable', 'warning'],
    ['deadline', 'warning'],
    ['refused', 'warning'],
  ] as const)('is a finding of its own: %s is %s', (reason, severity) => {
    for (const part of Object.keys(healthy) as PartName[]) {
      expect(assessed(failing(part, reason)).findings).toMatchObject([
        { rule: 'described', severity, observed: `${reason}: What AWS said.` },
      ]);
    }
  });

  it('leaves the gauges without data that needed it, and the others as they are', () => {
    const values = valuesOf(failing('cluster', 'throttled'));
    for (const name of ['ClusterState', 'HsmCount', 'HsmState', 'AzSpread']) {
      expect(values).not.toHaveProperty(`${name}Finding`);
    }
    expect(values).toMatchObject({
      DescribedFinding: 1,
      BackupAgeFinding: 0,
      BackupAgeHours: 12,
      KeyStoreStateFinding: 0,
    });
    expect(values).not.toHaveProperty('HsmCount');
  });

  it('hides nothing that another part shows', () => {
    const observation = {
      ...observationOf({ ...healthy, backups: [] }),
      cluster: failing('cluster', 'denied').cluster,
    };
    expect(briefly(assessed(observation).findings)).toEqual([
      'described critical cloudhsm:DescribeClusters',
      `backup-age critical ${clusterId}`,
    ]);
  });

  it('is not counted again where it was not asked because of another', () => {
    const nothing = { failure: { reason: 'not-asked', detail: 'Not looked at.' } } as const;
    const observation = { ...failing('canary', 'absent'), cluster: nothing, backups: nothing, keyStore: nothing };
    expect(assessed(observation).findings).toHaveLength(1);
  });

  it('lets the canary speak for a key store that could not be described', () => {
    const observation = {
      ...failing('keyStore', 'throttled'),
      keyStoreCanary: { value: { outcome: 'failed', detail: 'KMSInvalidStateException' } },
    } as const;
    expect(briefly(assessed(observation).findings)).toEqual([
      'described warning kms:DescribeCustomKeyStores',
      `key-store-canary critical ${customKeyStoreId}`,
    ]);
  });
});

describe('why a part could not be seen', () => {
  const answer = (name: string, httpStatusCode = 400) =>
    Object.assign(new Error('The message.'), { name, $metadata: { httpStatusCode } });

  it.each([
    [answer('AccessDeniedException'), 'denied'],
    [answer('CloudHsmAccessDeniedException'), 'denied'],
    [answer('ThrottlingException'), 'throttled'],
    [answer('CustomKeyStoreNotFoundException'), 'absent'],
    [answer('CloudHsmInternalFailureException', 500), 'refused'],
    [answer('SomethingNewException'), 'refused'],
    [answer('constructor'), 'refused'],
    [Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' }), 'unreachable'],
    [Object.assign(new Error('too slow'), { name: 'TimeoutError' }), 'unreachable'],
    [new PartError('malformed', 'A row lacks something.'), 'malformed'],
    [new TypeError('undefined is not a function'), 'unexpected'],
    ['a string', 'unexpected'],
  ] as const)('%s is %s', (error, reason) => {
    expect(failureOf(error)).toMatchObject({ reason });
  });

  it('is told in AWS’s words, not without end', () => {
    expect(failureOf(answer('ThrottlingException')).detail).toBe('ThrottlingException: The message.');
    expect(failureOf(new Error('x'.repeat(10_000))).detail.length).toBeLessThan(500);
  });

  it('is the deadline for what never answers, which is told to stop', async () => {
    let told: AbortSignal | undefined;
    const never = within(5, (signal) => {
      told = signal;
      return new Promise<never>(() => undefined);
    });
    expect(failureOf(await never.catch((error: unknown) => error))).toMatchObject({ reason: 'deadline' });
    expect(told?.aborted).toBe(true);
    await expect(within(10_000, () => Promise.resolve('in time'))).resolves.toBe('in time');
  });
});

describe('thresholds', () => {
  it('have defaults, also for empty variables', () => {
    expect(readThresholds({ HSM_COUNT_MINIMUM: '', BACKUP_SLACK_HOURS: '' })).toEqual(thresholds);
    expect(thresholds).toEqual({
      hsmCountMinimum: 2,
      hsmCountWanted: 3,
      availabilityZonesMinimum: 2,
      backupMaximumAgeHours: 24,
      backupSlackHours: 6,
      canarySignWarningMilliseconds: 1_000,
      issuerExpiryWarningDays: 90,
      issuerExpiryCriticalDays: 30,
    });
  });

  it('come from the environment', () => {
    expect(readThresholds({ HSM_COUNT_MINIMUM: '3', BACKUP_SLACK_HOURS: '0.5' })).toMatchObject({
      hsmCountMinimum: 3,
      backupSlackHours: 0.5,
    });
  });

  it('are refused all at once', () => {
    const environment = {
      HSM_COUNT_MINIMUM: '4',
      HSM_COUNT_WANTED: '3',
      AVAILABILITY_ZONES_MINIMUM: 'two',
      BACKUP_SLACK_HOURS: '-1',
      ISSUER_EXPIRY_CRITICAL_DAYS: '100',
    };
    let message = '';
    try {
      readThresholds(environment);
    } catch (error) {
      message = error instanceof Error ? error.message : '';
    }
    for (const name of [
      'HSM_COUNT_WANTED',
      'AVAILABILITY_ZONES_MINIMUM',
      'BACKUP_SLACK_HOURS',
      'ISSUER_EXPIRY_WARNING_DAYS',
    ]) {
      expect(message).toContain(name);
    }
  });
});

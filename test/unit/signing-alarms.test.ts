import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Script } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { project } from '../../local/setup/machine.mjs';
import { reconcileMetrics } from '../../shared/issuance/reconcile-metrics.ts';
import { signatureMetrics } from '../../shared/issuance/signature-metrics.ts';

interface MetricStat {
  readonly Stat: string;
  readonly Period: number;
  readonly Metric: { readonly Namespace: string; readonly MetricName: string; readonly Dimensions: unknown };
}
interface Alarm {
  readonly AlarmName: string;
  readonly Namespace?: string;
  readonly MetricName?: string;
  readonly Statistic?: string;
  readonly Dimensions?: unknown;
  readonly Threshold: number;
  readonly ComparisonOperator: string;
  readonly TreatMissingData: string;
  readonly AlarmActions: readonly { readonly Ref: string }[];
  readonly Metrics?: readonly {
    readonly Id: string;
    readonly Expression?: string;
    readonly ReturnData: boolean;
    readonly MetricStat?: MetricStat;
  }[];
}

const read = (file: string) => parse(readFileSync(join(project, 'deploy', file), 'utf8')) as Record<string, unknown>;
const { Resources: resources } = read('signing-alarms.yml') as { Resources: Record<string, { Properties: Alarm }> };
const alarms = Object.values(resources).map(({ Properties }) => Properties);
const named = (name: string): Alarm => {
  const found = alarms.find(({ AlarmName }) => AlarmName === `\${param:prefix}-${name}`);
  if (found === undefined) throw new Error(`There is no alarm ${name}.`);
  return found;
};
const ours = { Namespace: 'Mintmark/${sls:stage}', Dimensions: [{ Name: 'Stage', Value: '${sls:stage}' }] };

describe('signatures-unusual', () => {
  const { Metrics: metrics = [], Threshold: threshold, ComparisonOperator: operator } = named('signatures-unusual');

  /** The expression on the sums of one hour; undefined is a metric without data in it. */
  function percentOf(sums: { made: number; stored: number | undefined; repeated: number | undefined }): number {
    const expression = metrics.find(({ ReturnData }) => ReturnData)?.Expression ?? '';
    return Number(
      new Script(expression).runInNewContext({
        ...sums,
        FILL: (value: number | undefined, by: number) => value ?? by,
        IF: (condition: boolean, yes: number, no: number) => (condition ? yes : no),
      }),
    );
  }

  it('is on the three counts that the functions write into their logs, summed over the same hour', () => {
    const stats = metrics.flatMap(({ Id, MetricStat: stat }) => (stat === undefined ? [] : [[Id, stat] as const]));
    const shape = (name: string) => ({ Stat: 'Sum', Period: 3600, Metric: { ...ours, MetricName: name } });
    expect(Object.fromEntries(stats)).toEqual({
      made: shape(signatureMetrics.made),
      stored: shape(signatureMetrics.stored),
      repeated: shape(signatureMetrics.repeated),
    });
    expect(operator).toBe('GreaterThanThreshold');
  });

  it.each([
    ['every signature in a certificate', { made: 5000, stored: 5000, repeated: 0 }, 0],
    ['one in a hundred over an earlier intent, stored', { made: 1000, stored: 1000, repeated: 10 }, 1],
    ['a tenth that came to nothing', { made: 200, stored: 180, repeated: 0 }, 10],
    ['a fifth that lost a race: counted once', { made: 100, stored: 80, repeated: 20 }, 20],
    ['a fifth that came to nothing, and other ones repeated', { made: 100, stored: 80, repeated: 15 }, 20],
    ['functions that die while they sign', { made: 100, stored: 100, repeated: 60 }, 60],
    ['a table that takes no certificate', { made: 50, stored: 0, repeated: 40 }, 100],
    ['a count that is missing is none', { made: 50, stored: undefined, repeated: undefined }, 100],
    ['too few to say', { made: 19, stored: 0, repeated: 19 }, 0],
    ['just enough to say', { made: 20, stored: 17, repeated: 0 }, 15],
    ['more stored than made: a line that CloudWatch read late', { made: 20, stored: 25, repeated: 0 }, 0],
  ])('%s', (_, sums, percent) => {
    expect(percentOf(sums)).toBe(percent);
    expect(percentOf(sums) > threshold).toBe(percent > 10);
  });
});

describe('the other alarms on signing', () => {
  it('are on what the functions tell, and call somebody for what cannot wait', () => {
    expect(named('signatures-wrong')).toMatchObject({
      ...ours,
      MetricName: signatureMetrics.wrong,
      Statistic: 'Sum',
      Threshold: 0,
      TreatMissingData: 'notBreaching',
      AlarmActions: [{ Ref: 'AlarmsCriticalTopic' }],
    });
    expect(named('open-intents-overdue')).toMatchObject({
      ...ours,
      MetricName: reconcileMetrics.overdue,
      Statistic: 'Minimum',
      Threshold: 0,
      TreatMissingData: 'breaching',
      AlarmActions: [{ Ref: 'AlarmsCriticalTopic' }],
    });
  });

  it('are on the page for whoever is on call, every one', () => {
    const operating = readFileSync(join(project, 'docs', 'operating.md'), 'utf8');
    for (const { AlarmName: name } of alarms) {
      expect(operating).toContain(`\`${name.replace('${param:prefix}-', '')}\``);
    }
  });
});

describe('reconcile', () => {
  const { reconcile } = read('functions.yml') as { reconcile: Record<string, unknown> };

  it('runs in one environment at a time', () => {
    expect(reconcile).toMatchObject({ reservedConcurrency: 1 });
  });

  it('has no right to the failures table, nor to the queues', () => {
    const role = JSON.stringify(read('roles-reconcile.yml'));
    expect(role).not.toMatch(/FailuresTable|sqs:|Delete(?!NetworkInterface)/);
  });
});

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DynamoDBClient, type ScanCommand } from '@aws-sdk/client-dynamodb';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { project } from '../../local/setup/machine.mjs';
import { relintMetrics } from '../../shared/issuance/relint-tally.ts';
import { readIssuerCertificates } from '../../shared/ledger/issuer-certificates.ts';

interface Alarm {
  readonly AlarmName: string;
  readonly MetricName?: string;
  readonly Period?: number;
  readonly EvaluationPeriods: number;
  readonly DatapointsToAlarm: number;
  readonly Threshold: number;
  readonly TreatMissingData: string;
  readonly AlarmActions: readonly { readonly Ref: string }[];
  readonly Metrics?: readonly {
    readonly Id: string;
    readonly Expression?: string;
    readonly MetricStat?: {
      readonly Stat: string;
      readonly Period: number;
      readonly Metric: { readonly Namespace: string; readonly MetricName: string; readonly Dimensions: unknown };
    };
  }[];
}

const read = (file: string) => parse(readFileSync(join(project, file), 'utf8')) as Record<string, unknown>;
const { Resources: resources } = read('deploy/relint-alarms.yml') as {
  Resources: Record<string, { Properties: Alarm }>;
};
const alarms = Object.values(resources).map(({ Properties }) => Properties);
const [broken, silent] = alarms;
const ofStage = [{ Name: 'Stage', Value: '${sls:stage}' }];
const day = 86_400;
/** How far an alarm may look back (CloudWatch API reference, PutMetricAlarm, Period). */
const week = 7 * day;

describe('deploy/relint-alarms.yml', () => {
  it('tells of what is broken for a week, since the next night has another sample', () => {
    expect(broken).toMatchObject({
      Namespace: 'Mintmark/${sls:stage}',
      MetricName: relintMetrics.broken,
      Dimensions: ofStage,
      Statistic: 'Maximum',
      Threshold: 0,
      ComparisonOperator: 'GreaterThanThreshold',
      DatapointsToAlarm: 1,
      TreatMissingData: 'notBreaching',
    });
    expect((broken?.Period ?? 0) * (broken?.EvaluationPeriods ?? 0)).toBe(week);
  });

  it('takes silence of more than two days for trouble, where values of before would hide it, too', () => {
    const [expression, metric] = silent?.Metrics ?? [];
    expect(expression?.Expression).toBe(`FILL(${metric?.Id}, 0)`);
    expect(metric?.MetricStat).toMatchObject({
      Stat: 'SampleCount',
      Period: day,
      Metric: { Namespace: 'Mintmark/${sls:stage}', MetricName: relintMetrics.relinted, Dimensions: ofStage },
    });
    expect(silent).toMatchObject({
      Threshold: 1,
      ComparisonOperator: 'LessThanThreshold',
      EvaluationPeriods: 3,
      DatapointsToAlarm: 3,
      TreatMissingData: 'breaching',
    });
    const { relint } = read('deploy/functions.yml') as { relint: { events: readonly object[] } };
    expect(relint.events).toEqual([{ schedule: 'rate(1 day)' }]);
  });

  it('is on the page for whoever is on call, and is for the next working day', () => {
    const operating = readFileSync(join(project, 'docs/operating.md'), 'utf8');
    for (const { AlarmName: name, AlarmActions } of alarms) {
      expect(operating).toContain(`\`${name.replace('${param:prefix}-', '')}\``);
      expect(AlarmActions).toEqual([{ Ref: 'AlarmsWarningTopic' }]);
    }
    expect(readFileSync(join(project, 'docs/runbook.md'), 'utf8')).toContain('\n## relint\n');
  });
});

describe('the RelintRole', () => {
  interface Statement {
    readonly Sid: string;
    readonly Condition?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  }
  const { Resources: roles } = read('deploy/roles-relint.yml') as {
    Resources: Record<string, { Properties: { Policies: { PolicyDocument: { Statement: Statement[] } }[] } }>;
  };
  const statements = roles['RelintRole']?.Properties.Policies.flatMap((one) => one.PolicyDocument.Statement) ?? [];

  it('sees of the issuers what the code asks for, and nothing that opens a key', async () => {
    const client = new DynamoDBClient({ region: 'eu-west-1', credentials: { accessKeyId: 'a', secretAccessKey: 'b' } });
    const asked: ScanCommand['input'][] = [];
    client.send = (async (command: ScanCommand) => {
      asked.push(command.input);
      return {};
    }) as typeof client.send;
    await readIssuerCertificates(client, 'issuers');
    const condition = statements.find(({ Sid }) => Sid === 'ReadIssuersCertificates')?.Condition;
    const allowed = condition?.['ForAllValues:StringEquals']?.['dynamodb:Attributes'] as string[];
    expect(asked.map(({ ExpressionAttributeNames: names = {} }) => Object.values(names).toSorted())).toEqual([
      allowed.toSorted(),
    ]);
    expect(condition?.['StringEquals']).toEqual({ 'dynamodb:Select': asked[0]?.Select });
    expect(allowed).not.toContain('sealedPins');
  });
});

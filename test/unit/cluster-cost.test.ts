import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { parse } from 'yaml';
import { project } from '../../local/setup/machine.mjs';
import { gaugeName } from '../../shared/cluster/assess.ts';
import { rules } from '../../shared/cluster/rules/index.ts';

/** What docs/deploying.md says of CloudWatch's cost, against the definitions and the code that it is about. */

interface Alarm {
  readonly Condition?: string;
  readonly Properties: {
    readonly Namespace?: string;
    readonly MetricName?: string;
    readonly Metrics?: readonly {
      readonly MetricStat?: { readonly Metric: { readonly Namespace: string; readonly MetricName: string } };
    }[];
  };
}

const deploy = join(project, 'deploy');
const alarms = readdirSync(deploy)
  .filter((file) => file.endsWith('.yml'))
  .flatMap((file) => {
    const { Resources: resources = {} } = parse(readFileSync(join(deploy, file), 'utf8')) as {
      Resources?: Record<string, Alarm & { readonly Type?: string }>;
    };
    return Object.values(resources).filter(({ Type: type }) => type === 'AWS::CloudWatch::Alarm');
  });

/** What an alarm looks at: one metric, or several that it computes with. */
const metricsOf = ({ Properties: { Namespace, MetricName, Metrics = [] } }: Alarm) => [
  ...(MetricName === undefined ? [] : [{ Namespace, MetricName }]),
  ...Metrics.flatMap(({ MetricStat }) => MetricStat?.Metric ?? []),
];

const isOfCloudHsm = ({ Condition: condition }: Alarm): boolean => condition === 'HasSealingKey';

/** The names of what the other functions tell CloudWatch: in shared, each `export const ...Metrics` is an object of them. */
async function namesOfFunctions(): Promise<string[]> {
  const files = readdirSync(join(project, 'shared'), { recursive: true, encoding: 'utf8' });
  const names = files
    .filter((file) => file.endsWith('.ts'))
    .map(async (file) => {
      const path = join(project, 'shared', file);
      const exported = [...readFileSync(path, 'utf8').matchAll(/^export const (\w+Metrics) = \{$/gm)];
      if (exported.length === 0) return [];
      const module = (await import(path)) as Readonly<Record<string, Readonly<Record<string, string>>>>;
      return exported.flatMap(([, name = '']) => Object.values(module[name] ?? {}));
    });
  return (await Promise.all(names)).flat();
}

/** Of the watch, and of the functions; each with the one dimension Stage. */
const ownMetrics = new Set([
  ...rules.flatMap(({ name, metric }) => [gaugeName(name), ...(metric === undefined ? [] : [metric.name])]),
  ...(await namesOfFunctions()),
]);
const alarmedOfCloudHsm = new Set(
  alarms
    .filter(isOfCloudHsm)
    .flatMap(metricsOf)
    .map(({ MetricName }) => MetricName),
);
const metricsOfCloudHsm = rules
  .filter(({ name }) => alarmedOfCloudHsm.has(gaugeName(name)))
  .flatMap(({ name, metric }) => [gaugeName(name), ...(metric === undefined ? [] : [metric.name])]);

/** US dollars a month (CloudWatch pricing, us-east-1): a metric of one's own, a metric that an alarm looks at, a request. */
const price = { metric: 0.3, alarmMetric: 0.1, request: 0.01 / 1_000 };

/** Runs of all functions that have a schedule, in 30 days; each is one PutMetricData. */
function scheduledRuns(): number {
  const { default: parameters = {} } = parse(readFileSync(join(deploy, 'parameters.yml'), 'utf8')) as {
    default?: Record<string, unknown>;
  };
  const functions = readFileSync(join(deploy, 'functions.yml'), 'utf8');
  const rates = [...functions.matchAll(/^ *- schedule: (.+)$/gm)].map(([, schedule = '']) =>
    schedule.replace(/^\$\{param:(\w+)\}$/, (_, name: string) => String(parameters[name])),
  );
  const unit: Readonly<Record<string, number>> = { minute: 1, hour: 60, day: 24 * 60 };
  const minutes = rates.map((rate) => {
    const [, count, name = ''] = /^rate\((\d+) (minute|hour|day)s?\)$/.exec(rate) ?? [];
    return Number(count) * (unit[name] ?? Number.NaN);
  });
  return minutes.reduce((runs, interval) => runs + (30 * 24 * 60) / interval, 0);
}

function costOf(some: readonly Alarm[], metrics: number): string {
  const dollars =
    metrics * price.metric + some.flatMap(metricsOf).length * price.alarmMetric + scheduledRuns() * price.request;
  return `$${Math.round(dollars)}`;
}

it('counts every metric of our own that an alarm looks at', () => {
  const alarmed = alarms.flatMap(metricsOf).filter(({ Namespace = '' }) => Namespace.startsWith('Mintmark'));
  expect(alarmed.length).toBeGreaterThan(10);
  expect(alarmed.filter(({ MetricName: name }) => name === undefined || !ownMetrics.has(name))).toEqual([]);
});

it('is in docs/deploying.md, with CloudHSM and without', () => {
  const others = alarms.filter((alarm) => !isOfCloudHsm(alarm));
  expect(others.length).toBeLessThan(alarms.length);
  const remaining = ownMetrics.size - metricsOfCloudHsm.length;
  const written = /^\| \d+ alarms, .*$/m.exec(readFileSync(join(project, 'docs', 'deploying.md'), 'utf8'))?.[0];
  expect(written).toBe(
    `| ${alarms.length} alarms, ${ownMetrics.size} metrics (without CloudHSM ${others.length} and ${remaining}) | ${costOf(alarms, ownMetrics.size)} (${costOf(others, remaining)}) |`,
  );
});

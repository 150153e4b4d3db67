import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { Script } from 'node:vm';

import { build as bundle } from 'esbuild';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { parse } from 'yaml';
import { project } from '../../local/setup/machine.mjs';
import { gaugeName } from '../../shared/cluster/assess.ts';
import { rules } from '../../shared/cluster/rules/index.ts';
import { retryDelaySeconds } from '../../shared/queue/retry-delay.ts';
import { requestMetrics } from '../../shared/request-metrics.ts';

const deploy = join(project, 'deploy');
const read = (file: string): unknown => parse(readFileSync(join(deploy, file), 'utf8'));
const parameters = read('parameters.yml') as Record<string, Record<string, string | number>>;
const declared = parameters.default ?? {};

interface FunctionDefinition {
  readonly handler: string;
  readonly role: string;
  readonly environment: Readonly<Record<string, string | number | { readonly Ref: string }>>;
  readonly events: readonly { readonly sqs?: { readonly arn: { readonly 'Fn::GetAtt': readonly [string, 'Arn'] } } }[];
}
const functions = read('functions.yml') as Record<string, FunctionDefinition>;

describe('deploy/parameters.yml', () => {
  const definitions = [join(project, 'serverless.yml'), ...readdirSync(deploy).map((file) => join(deploy, file))];
  const used = new Set(
    definitions.flatMap((path) =>
      [...readFileSync(path, 'utf8').matchAll(/\$\{(?:[^}]*, )?param:(\w+)/g)].map(([, name]) => name),
    ),
  );

  it('declares every parameter that is used, and no other', () => {
    const forPreconditions = ['requiredParameters', 'requiredEnvironment', 'requiredMargins'];
    expect([...used].sort()).toEqual(
      Object.keys(declared)
        .filter((name) => !forPreconditions.includes(name))
        .sort(),
    );
  });

  it('has nothing for a stage that is not declared for all', () => {
    const { default: _, ...stages } = parameters;
    expect(Object.keys(stages)).toEqual(['local']);
    for (const stage of Object.values(stages))
      expect(Object.keys(declared)).toEqual(expect.arrayContaining(Object.keys(stage)));
  });

  it('requires only what it declares, and what it requires has no default', () => {
    const required = String(declared['requiredParameters']).split(',');
    expect(required.map((name) => [name, declared[name]])).toEqual(required.map((name) => [name, '']));
  });
});

const escaped = (literal: string): string => literal.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);

describe('deploy/preconditions.cjs', () => {
  type Resolution = { options: { region?: string }; resolveVariable: (variable: string) => Promise<unknown> };
  const require = createRequire(import.meta.url);
  const preconditions = require(join(deploy, 'preconditions.cjs')) as (resolution: Resolution) => Promise<string>;
  const given = {
    region: 'eu-central-1',
    layerArn: 'arn:aws:lambda:eu-central-1:111122223333:layer:cloudhsm:3',
    subnetIds: 'subnet-0a1b,subnet-0c2d',
    securityGroupIds: 'sg-0e3f',
    sealingKeyArn: 'arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab',
    publicBucket: 'example-mintmark-public',
  };
  const check = (stage: string, over: Record<string, string>, options: { region?: string } = {}) => {
    const values: Record<string, unknown> = { ...declared, ...parameters[stage], ...over };
    // Any file that is there stands for a bundle that is.
    const handler = over['handler'] ?? 'local/setup/machine.handler';
    const [first = '', ...others] = Object.keys(functions);
    const built = Object.fromEntries(
      [first, ...others].map((name) => [
        name,
        { ...functions[name], handler: name === first ? handler : 'local/setup/machine.handler' },
      ]),
    );
    const resolveVariable = async (variable: string): Promise<unknown> => {
      const [source, name = ''] = variable.split(':');
      if (source === 'param') return values[name];
      if (source === 'sls') return stage;
      // As osls does it: what is in the file is resolved, too.
      const resolved = JSON.stringify(built).replaceAll(/\$\{param:(\w+)\}/g, (_, each: string) =>
        String(values[each]),
      );
      return JSON.parse(resolved) as unknown;
    };
    return preconditions({ options, resolveVariable });
  };

  beforeEach(() => void vi.stubEnv('AWS_ENDPOINT_URL', undefined));
  afterEach(() => void vi.unstubAllEnvs());

  it('are met by a stage that has everything', async () => {
    await expect(check('prod', given)).resolves.toBe('met');
  });

  it('name every parameter that is missing in one sentence', async () => {
    await expect(check('prod', {})).rejects.toThrow(
      'The stage prod needs --param region=... --param layerArn=... --param subnetIds=... --param securityGroupIds=... ' +
        '--param sealingKeyArn=... --param publicBucket=... (docs/deploying.md says what each is).',
    );
    const { layerArn: _, ...rest } = given;
    await expect(check('staging', rest)).rejects.toThrow(/^The stage staging needs --param layerArn=\.\.\. \(/);
  });

  it('take the Region from --region too', async () => {
    await expect(check('prod', { ...given, region: '' }, { region: 'eu-central-1' })).resolves.toBe('met');
    await expect(check('prod', given, { region: 'eu-west-1' })).rejects.toThrow(
      'layerArn is in eu-central-1, the stage in eu-west-1. sealingKeyArn is in eu-central-1, the stage in eu-west-1.',
    );
  });

  it.each([
    ['region', 'Frankfurt'],
    ['layerArn', 'arn:aws:lambda:eu-central-1:111122223333:layer:cloudhsm'],
    ['subnetIds', 'subnet-0a1b, subnet-0c2d'],
    ['securityGroupIds', 'default'],
    ['sealingKeyArn', 'arn:aws:kms:eu-central-1:111122223333:alias/mintmark'],
    ['publicBucket', 'Example_Bucket'],
    ['cloudFrontDistributionArn', 'E1EXAMPLE'],
    ['issuerKeyArns', `${given.sealingKeyArn}, ${given.sealingKeyArn}`],
    ['architecture', 'amd64'],
    ['visibilityTimeout', '3m'],
    ['visibilityTimeout', ''],
    ['maxReceiveCount', '0'],
    ['signBeforeSeconds', '-1'],
    ['giveUpAfterSeconds', '4h'],
    ['retryBaseSeconds', '0.5'],
    ['issueConcurrency', 'many'],
    ['issueReservedConcurrency', ''],
    ['logRetentionDays', '366'],
    ['requestAgeAlarmSeconds', 'five'],
    ['requestAlarmPeriodSeconds', '1000'],
    ['watchPeriodSeconds', '90'],
    ['watchSchedule', '5 minutes'],
    ['hsmCountMinimum', 'two'],
    ['backupSlackHours', '6h'],
    ['issuerExpiryWarningDays', '90d'],
  ])('refuse %s=%s', async (name, value) => {
    await expect(check('prod', { ...given, [name]: value })).rejects.toThrow(`${name} must be `);
  });

  it('look at the form of every number, and of every parameter that the watch takes', async () => {
    const numbers = Object.entries(declared).flatMap(([name, value]) => (typeof value === 'number' ? [name] : []));
    const watched = JSON.stringify(functions['checkCluster']?.environment).matchAll(/\$\{param:(\w+)\}/g);
    const thresholds = [...watched].flatMap(([, name = '']) => (name === 'pkcs11Library' ? [] : [name]));
    expect(thresholds.length).toBeGreaterThan(5);
    for (const name of [...numbers, ...thresholds]) {
      await expect(check('prod', { ...given, [name]: 'x' }), name).rejects.toThrow(`${name} must be `);
    }
  });

  it.each([
    [
      'giveUpAfterSeconds',
      '18000',
      '17999',
      'giveUpAfterSeconds must be less than maxReceiveCount x visibilityTimeout.',
    ],
    ['requestAgeAlarmSeconds', '14400', '14399', 'requestAgeAlarmSeconds must be less than giveUpAfterSeconds.'],
    ['visibilityTimeout', '179', '180', "visibilityTimeout must be at least 180, 6 times the functions' timeout."],
    [
      'requestAlarmPeriodSeconds',
      '900',
      '960',
      'requestAlarmPeriodSeconds must be at least 960, the longest wait between two tries and a minute.',
    ],
    ['watchPeriodSeconds', '540', '600', 'watchPeriodSeconds must be at least 600, twice what lies between two looks.'],
    [
      'watchSchedule',
      'rate(1 hour)',
      'cron(0/5 * * * ? *)',
      'watchPeriodSeconds must be at least 7200, twice what lies between two looks.',
    ],
  ])('refuse %s=%s, and take %s', async (name, bad, good, sentence) => {
    await expect(check('prod', { ...given, [name]: bad })).rejects.toThrow(new RegExp(`^${escaped(sentence)}$`));
    await expect(check('prod', { ...given, [name]: good })).resolves.toBe('met');
  });

  it('leave the margins to a stage that asks for none', async () => {
    vi.stubEnv('AWS_ENDPOINT_URL', 'http://127.0.0.1:4566');
    const short = { visibilityTimeout: '10', requestAlarmPeriodSeconds: '10', watchPeriodSeconds: '10' };
    await expect(check('local', short)).resolves.toBe('met');
  });

  it('refuse more pollers than reserved concurrency', async () => {
    const over = { ...given, issueConcurrency: '20', issueReservedConcurrency: '21' };
    await expect(check('prod', over)).rejects.toThrow(
      'issueReservedConcurrency must be at least 22, which is what polls the queues of issue.',
    );
    await expect(check('prod', { ...over, issueReservedConcurrency: '22' })).resolves.toBe('met');
    await expect(check('prod', { ...over, issueReservedConcurrency: 'many' })).rejects.toThrow('must be at least');
  });

  it('keep the stage local away from AWS', async () => {
    await expect(check('local', {})).rejects.toThrow(
      'The stage local needs the environment variable AWS_ENDPOINT_URL.',
    );
    vi.stubEnv('AWS_ENDPOINT_URL', 'http://127.0.0.1:4566');
    await expect(check('local', {})).resolves.toBe('met');
  });

  it('ask for the bundles', async () => {
    await expect(check('prod', { ...given, handler: 'dist/two/index.handler' })).rejects.toThrow(
      'Run npm run build first: dist/two/index.mjs missing.',
    );
  });

  it('throw what osls prints without a stack', async () => {
    const thrown: unknown = await check('prod', {}).catch((error: unknown) => error);
    expect(thrown).toHaveProperty('stack', '');
  });
});

interface Statement {
  readonly Action: string | readonly string[];
  readonly Resource: unknown;
}

/** IAM's prefix for what each SDK client calls. */
const prefixes: Readonly<Record<string, string>> = {
  cloudwatch: 'cloudwatch',
  'cloudhsm-v2': 'cloudhsm',
  dynamodb: 'dynamodb',
  kms: 'kms',
  lambda: 'lambda',
  s3: 's3',
  sns: 'sns',
  sqs: 'sqs',
};

/** Every AWS action that the bundle of a module, which holds only what it can reach, has a command for. */
async function actionsOf(path: string): Promise<Set<string>> {
  const { outputFiles } = await bundle({
    entryPoints: [join(project, path)],
    absWorkingDir: project,
    bundle: true,
    format: 'esm',
    platform: 'node',
    packages: 'external',
    write: false,
  });
  const actions = new Set<string>();
  for (const { text } of outputFiles) {
    for (const [, names = '', client = ''] of text.matchAll(/import \{([^}]*)\} from "@aws-sdk\/client-([\w-]+)"/g)) {
      for (const [, name = '', alias = name] of names.matchAll(/(\w+)(?: as (\w+))?/g)) {
        if (!text.includes(`${alias}(`)) continue;
        const command = /^(?:paginate(?<paginated>\w+)|(?<one>\w+)Command)$/.exec(name)?.groups;
        if (command === undefined) continue;
        // IAM knows PublishBatch and ChangeMessageVisibilityBatch by the action for one; DynamoDB's begin with Batch.
        actions.add(
          `${prefixes[client] ?? client}:${(command['paginated'] ?? command['one'] ?? '').replace(/Batch$/, '')}`,
        );
      }
    }
  }
  return actions;
}

/**
 * LocalStack does not enforce IAM and the embedded cloud has none: this is what keeps roles and code together until the
 * first deployment to AWS.
 */
describe('the roles', () => {
  const { Resources: roles } = read('roles.yml') as {
    Resources: Record<string, { Properties: { Policies?: { PolicyDocument: { Statement: object[] } }[] } }>;
  };
  /** What the modules of a function can do besides what the function does with them. */
  const calledByOthers: readonly string[] = [
    // Devices.register, Issuers.add, writeCanary, sealPin and encryptCanary are for operators and the local cloud.
    'dynamodb:PutItem',
    'kms:Encrypt',
    // Failures.list too.
    'dynamodb:Query',
  ];
  /** Not called by the code: logging and the event source mapping's. */
  const logging = ['logs:CreateLogStream', 'logs:PutLogEvents'];
  const polling = ['sqs:DeleteMessage', 'sqs:GetQueueAttributes', 'sqs:ReceiveMessage'];

  const sourceOf = ({ handler }: FunctionDefinition) => join('functions', `${handler.split('/')[1]}.ts`);

  async function calledBy(path: string): Promise<string[]> {
    return [...(await actionsOf(path))].filter((action) => !calledByOthers.includes(action)).sort();
  }

  /** What a role allows, without what is for Lambda's network interfaces (test/integration/package.test.ts). */
  const grantsOf = (role: string) =>
    (roles[role]?.Properties.Policies ?? [])
      .flatMap(({ PolicyDocument: { Statement } }) => Statement)
      .map((statement) => ('Fn::If' in statement ? (statement['Fn::If'] as object[])[1] : statement) as Statement)
      .flatMap(({ Action, Resource }) => [Action].flat().map((action) => ({ action, resources: [Resource].flat() })))
      .filter(({ action }) => !action.startsWith('ec2:'));

  /** The logical id behind a Ref or an ARN. */
  function logicalId(resource: unknown): string {
    const { Ref: ref, 'Fn::GetAtt': attribute } = resource as { Ref?: string; 'Fn::GetAtt'?: [string, string] };
    return ref ?? attribute?.[0] ?? JSON.stringify(resource);
  }

  /** The ledger's module that has this class. */
  function moduleOf(className: string): string {
    const folder = join('shared', 'ledger');
    const files = readdirSync(join(project, folder));
    const file = files.find((each) =>
      new RegExp(`class ${className}\\b`).test(readFileSync(join(project, folder, each), 'utf8')),
    );
    if (file === undefined) throw new Error(`shared/ledger has no class ${className}.`);
    return join(folder, file);
  }

  /** `action resource`, of what the code calls on the tables that its function is given, one class or all on the only one. */
  async function tableCalls(definition: FunctionDefinition): Promise<string[]> {
    const given = Object.entries(definition.environment).flatMap(([name, value]) =>
      name.endsWith('_TABLE') ? [[name, logicalId(value)] as const] : [],
    );
    const source = readFileSync(join(project, sourceOf(definition)), 'utf8');
    const users = new Map(
      [...source.matchAll(/new (\w+)\(\w+(?:\(\))?, configuration\.(\w+_TABLE)\)/g)].map(([, className = '', name]) => [
        name,
        className,
      ]),
    );
    if (users.size === 0) expect(given).toHaveLength(1);
    const calls = await Promise.all(
      given.map(async ([name, table]) => {
        const className = users.get(name);
        if (users.size > 0) expect(className, `who uses ${name}`).toBeDefined();
        const actions = await calledBy(className === undefined ? sourceOf(definition) : moduleOf(className));
        return actions.filter((action) => action.startsWith('dynamodb:')).map((action) => `${action} ${table}`);
      }),
    );
    return calls.flat();
  }

  it.each(Object.entries(functions))('allows %s what its code calls, and nothing else', async (_, definition) => {
    const called = await calledBy(sourceOf(definition));
    expect(called.length).toBeGreaterThan(0);
    const allowed = new Set(grantsOf(definition.role).map(({ action }) => action));
    const byLambda = [...logging, ...polling];
    expect([...allowed].filter((action) => !byLambda.includes(action)).sort()).toEqual(called);
  });

  it.each(Object.entries(functions))(
    'allows %s that on the tables, queues, topics and logs that it is given, and on no other',
    async (name, definition) => {
      const called = await calledBy(sourceOf(definition));
      const queues = definition.events.flatMap(({ sqs }) => (sqs === undefined ? [] : [sqs.arn['Fn::GetAtt'][0]]));
      const topics = Object.entries(definition.environment).flatMap(([variable, value]) =>
        variable.endsWith('_TOPIC_ARN') ? [logicalId(value)] : [],
      );
      const on = (service: string, resources: readonly string[], byLambda: readonly string[] = []) =>
        [...called.filter((action) => action.startsWith(`${service}:`)), ...byLambda].flatMap((action) =>
          resources.map((resource) => `${action} ${resource}`),
        );
      const logGroup = `${name.charAt(0).toUpperCase()}${name.slice(1)}LogGroup`;
      const expected = [
        ...(await tableCalls(definition)),
        ...on('sns', topics),
        ...on('sqs', queues, queues.length > 0 ? polling : []),
        ...on('logs', [logGroup], logging),
      ];
      const allowed = grantsOf(definition.role)
        .filter(({ action }) => /^(dynamodb|sns|sqs|logs):/.test(action))
        .flatMap(({ action, resources }) => resources.map((resource) => `${action} ${logicalId(resource)}`));
      expect(allowed.sort()).toEqual(expected.sort());
    },
  );
});

interface AlarmProperties {
  readonly AlarmName: string;
  readonly AlarmDescription: string;
  readonly Namespace?: string;
  readonly MetricName?: string;
  readonly Dimensions?: readonly { readonly Name: string; readonly Value: unknown }[];
  readonly Metrics?: readonly {
    readonly Id: string;
    readonly Expression?: string;
    readonly ReturnData: boolean;
    readonly MetricStat?: { readonly Metric: Required<Pick<AlarmProperties, 'MetricName' | 'Dimensions'>> };
  }[];
  readonly AlarmActions: readonly { readonly Ref: string }[];
}

describe('deploy/alarms.yml', () => {
  const { Resources: resources } = read('alarms.yml') as {
    Resources: Record<string, { readonly Type: string; readonly Properties: AlarmProperties }>;
  };
  const alarms = Object.values(resources).flatMap(({ Type: type, Properties }) =>
    type === 'AWS::CloudWatch::Alarm' ? [Properties] : [],
  );
  const named = (name: string) => alarms.find(({ AlarmName }) => AlarmName === `\${param:prefix}-${name}`);
  const queueOf = (dimensions: AlarmProperties['Dimensions']) =>
    (dimensions?.[0]?.Value as { 'Fn::GetAtt': [string, string] } | undefined)?.['Fn::GetAtt'][0];

  /** A metric math expression of CloudWatch's, as far as it is used here, on one value of each metric. */
  function evaluate(alarm: AlarmProperties | undefined, values: Readonly<Record<string, number | undefined>>): number {
    const expression = alarm?.Metrics?.find(({ ReturnData }) => ReturnData)?.Expression ?? '';
    const ids = alarm?.Metrics?.flatMap(({ Id, MetricStat }) => (MetricStat === undefined ? [] : [Id])) ?? [];
    expect(Object.keys(values).sort()).toEqual(ids.sort());
    const script = new Script(expression.replaceAll(' AND ', ' && '));
    return Number(
      script.runInNewContext({
        ...values,
        FILL: (value: number | undefined, by: number) => value ?? by,
        IF: (condition: boolean, yes: number, no: number) => (condition ? yes : no),
      }),
    );
  }

  it('watches of our own metrics those that the functions tell, in the severities that they mean', () => {
    const own = alarms.filter(({ Namespace }) => Namespace === 'Mintmark');
    expect(
      own.map(({ MetricName, Dimensions, AlarmActions }) => [MetricName, Dimensions, AlarmActions[0]?.Ref]),
    ).toEqual(
      [
        [requestMetrics.oldestRetriedAge, 'AlarmsCriticalTopic'],
        [requestMetrics.givenUp, 'AlarmsCriticalTopic'],
        [requestMetrics.failed, 'AlarmsWarningTopic'],
      ].map(([metric, topic]) => [metric, [{ Name: 'Stage', Value: '${sls:stage}' }], topic]),
    );
  });

  it.each([
    ['requests', 'RequestsQueue'],
    ['redrive', 'RedriveQueue'],
  ])('calls somebody when messages wait in the %s queue, and when none of them is answered', (prefix, queue) => {
    expect(functions['issue']?.events.map(({ sqs }) => sqs?.arn['Fn::GetAtt'][0])).toContain(queue);
    const [wait, stalled] = [named(`${prefix}-wait`), named(`${prefix}-stalled`)];
    expect(queueOf(wait?.Dimensions)).toBe(queue);
    const metrics = stalled?.Metrics?.flatMap(({ MetricStat }) => MetricStat?.Metric ?? []) ?? [];
    expect(metrics.map(({ Dimensions }) => queueOf(Dimensions))).toEqual([queue, queue, queue]);
    for (const alarm of [wait, stalled]) expect(alarm?.AlarmActions).toEqual([{ Ref: 'AlarmsCriticalTopic' }]);

    const nothing = undefined;
    expect(evaluate(stalled, { visible: 0, inFlight: nothing, deleted: nothing })).toBe(0);
    expect(evaluate(stalled, { visible: 3, inFlight: nothing, deleted: nothing })).toBe(1);
    expect(evaluate(stalled, { visible: 0, inFlight: 2, deleted: 0 })).toBe(1);
    expect(evaluate(stalled, { visible: 5, inFlight: 2, deleted: 1 })).toBe(0);
  });

  it('watches every queue that feeds the issue function', () => {
    const watched = alarms.filter(({ MetricName }) => MetricName === 'ApproximateAgeOfOldestMessage');
    expect(watched.map(({ Dimensions }) => queueOf(Dimensions))).toEqual(
      functions['issue']?.events.map(({ sqs }) => sqs?.arn['Fn::GetAtt'][0]),
    );
  });

  it('looks back over more than the longest wait between two tries', () => {
    const longest = retryDelaySeconds(1000, 1_000, 1 - Number.EPSILON);
    expect(Number(declared['requestAlarmPeriodSeconds'])).toBeGreaterThanOrEqual(longest + 60);
    const preconditions = readFileSync(join(deploy, 'preconditions.cjs'), 'utf8');
    expect(preconditions).toContain(`const longestRetryDelay = ${longest};`);
  });

  it('sees dead letters that are in flight, too', () => {
    const alarm = named('dead-letters-not-recorded');
    expect(evaluate(alarm, { visible: 0, inFlight: undefined })).toBe(0);
    expect(evaluate(alarm, { visible: 0, inFlight: 4 })).toBe(4);
    expect(evaluate(alarm, { visible: 3, inFlight: 1 })).toBe(4);
  });

  it('is on the page for whoever is on call, every one', () => {
    const operating = readFileSync(join(project, 'docs', 'operating.md'), 'utf8');
    for (const { AlarmName: name } of alarms)
      expect(operating).toContain(`\`${name.replace('${param:prefix}-', '')}\``);
  });
});

describe('docs/deploying.md', () => {
  const rows = readFileSync(join(project, 'docs', 'deploying.md'), 'utf8')
    .split('\n## ')
    .find((section) => section.startsWith('Parameters\n'))
    ?.split('\n')
    .filter((line) => line.startsWith('| `'));
  const documented = new Map(
    rows?.flatMap((row) => {
      const [names = '', needed = '', what = ''] = row.split(' | ').map((cell) => cell.replace(/^\| | \|$/g, ''));
      return [...names.matchAll(/`(\w+)`/g)].map(([, name = ''], index) => [name, { index, needed, what }] as const);
    }),
  );

  it('names every parameter, and says which must be given', () => {
    const internal = ['requiredParameters', 'requiredEnvironment', 'requiredMargins'];
    expect([...documented.keys()].sort()).toEqual(
      Object.keys(declared)
        .filter((name) => !internal.includes(name))
        .sort(),
    );
    const required = String(declared['requiredParameters']).split(',');
    for (const [name, { needed }] of documented) {
      expect(needed.startsWith('yes'), name).toBe(required.includes(name));
    }
  });

  it('has the defaults of deploy/parameters.yml', () => {
    const withDefault = Object.entries(declared).filter(
      ([name, value]) => documented.has(name) && value !== '' && name !== 'prefix',
    );
    expect(withDefault.length).toBeGreaterThan(10);
    for (const [name, value] of withDefault) {
      const { index = 0, what = '' } = documented.get(name) ?? {};
      // Those of a row stand in front, in its order, as numbers or as code.
      const defaults = what.split(/[:;,.] /)[0]?.split(' and ') ?? [];
      expect(defaults[index]?.replaceAll('`', ''), name).toBe(String(value));
    }
  });
});

describe('deploy/watch-alarms.yml', () => {
  interface Alarm {
    readonly Properties: {
      readonly AlarmDescription: string;
      readonly MetricName: string;
      readonly Threshold: number;
      readonly TreatMissingData: string;
      readonly AlarmActions: readonly { readonly Ref: string }[];
    };
  }
  const { Resources: resources } = read('watch-alarms.yml') as { Resources: Record<string, Alarm> };
  const alarms = Object.values(resources).map(({ Properties }) => Properties);
  const on = (gauge: string) => alarms.filter(({ MetricName }) => MetricName === gauge);

  it.each(rules.map(({ name, severities }) => [name, severities] as const))(
    'tells of %s in the severities that it has, and once when it is silent',
    (name, severities) => {
      const expected = [
        ...(severities.includes('critical') ? [{ Threshold: 2, AlarmActions: [{ Ref: 'AlarmsCriticalTopic' }] }] : []),
        ...(severities.includes('warning') ? [{ Threshold: 1, AlarmActions: [{ Ref: 'AlarmsWarningTopic' }] }] : []),
      ];
      expect(on(gaugeName(name))).toMatchObject(expected);
      expect(on(gaugeName(name)).map(({ TreatMissingData }) => TreatMissingData)).toEqual(
        expected.map((_, index) => (index === 0 ? 'breaching' : 'notBreaching')),
      );
      const runbook = readFileSync(join(project, 'docs', 'runbook.md'), 'utf8');
      for (const { AlarmDescription: description } of on(gaugeName(name))) {
        expect(description).toBe(`docs/runbook.md#${name}`);
        expect(runbook).toContain(`\n## ${name}\n`);
      }
    },
  );

  it('has no alarm on a gauge that does not exist', () => {
    expect([...new Set(alarms.map(({ MetricName }) => MetricName))].sort()).toEqual(
      rules.map(({ name }) => gaugeName(name)).sort(),
    );
  });
});

import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { Script } from 'node:vm';

import { build as bundle } from 'esbuild';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { parse } from 'yaml';
import { project } from '../../local/setup/machine.mjs';
import { breakerMetrics } from '../../shared/breaker/tell.ts';
import { breakerTimes } from '../../shared/breaker/times.ts';
import { assess, gaugeName } from '../../shared/cluster/assess.ts';
import type { Observation } from '../../shared/cluster/observation.ts';
import { rules } from '../../shared/cluster/rules/index.ts';
import { readThresholds } from '../../shared/cluster/thresholds.ts';
import { requestMetrics } from '../../shared/issuance/request-metrics.ts';
import { metricsNamespace } from '../../shared/metrics.ts';
import { retryDelaySeconds } from '../../shared/queue/retry-delay.ts';

const deploy = join(project, 'deploy');
/** What CloudFormation is made of; the layer's folder is a program of its own. */
const isDefinition = (file: string): boolean => /\.(yml|cjs)$/.test(file);
/** With merge keys (`<<`), as osls reads YAML. */
const read = (file: string): unknown => parse(readFileSync(join(deploy, file), 'utf8'), { merge: true });
const parameters = read('parameters.yml') as Record<string, Record<string, string | number>>;
const declared = parameters.default ?? {};

/** Stages as docs/deploying.md shows them. */
function documentedStages(): typeof parameters {
  const text = readFileSync(join(project, 'docs', 'deploying.md'), 'utf8');
  const blocks = [...text.matchAll(/```yaml\n([^]*?)```/g)].map(([, block = '']) => parse(block) as typeof parameters);
  return Object.assign({}, ...blocks) as typeof parameters;
}

interface FunctionDefinition {
  readonly handler: string;
  readonly role: string;
  readonly environment: Readonly<Record<string, string | number | { readonly Ref: string }>>;
  readonly events: readonly { readonly sqs?: { readonly arn: { readonly 'Fn::GetAtt': readonly [string, 'Arn'] } } }[];
}
const functions = read('functions.yml') as Record<string, FunctionDefinition>;

describe('deploy/parameters.yml', () => {
  const definitions = [
    join(project, 'serverless.yml'),
    ...readdirSync(deploy)
      .filter(isDefinition)
      .map((file) => join(deploy, file)),
  ];
  const used = new Set(
    definitions.flatMap((path) =>
      [...readFileSync(path, 'utf8').matchAll(/\$\{(?:[^}]*, )?param:(\w+)/g)].map(([, name]) => name),
    ),
  );

  it('declares every parameter that is used, and no other', () => {
    const forPreconditions = ['requiredParameters', 'requiredForCloudHSM', 'requiredEnvironment', 'requiredMargins'];
    expect([...used].sort()).toEqual(
      Object.keys(declared)
        .filter((name) => !forPreconditions.includes(name))
        .sort(),
    );
  });

  it('has nothing for a stage that is not declared for all', () => {
    const { default: _, ...stages } = parameters;
    expect(Object.keys(stages)).toContain('local');
    for (const [name, stage] of Object.entries({ ...stages, ...documentedStages() })) {
      expect(Object.keys(declared), name).toEqual(expect.arrayContaining(Object.keys(stage)));
    }
    expect(Object.keys(documentedStages())).toEqual(['prod']);
  });

  it('requires only what it declares, and what it requires has no default', () => {
    const required = [declared['requiredParameters'], declared['requiredForCloudHSM']].join(',').split(',');
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
    const prefix = `mintmark-${stage}`;
    const values: Record<string, unknown> = { ...declared, prefix, ...parameters[stage], ...over };
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
      'The stage prod needs --param region=... --param publicBucket=...; and either --param layerArn=... ' +
        '--param subnetIds=... --param securityGroupIds=... --param sealingKeyArn=... for CA keys in CloudHSM, or ' +
        '--param issuerKeyArns=... for CA keys in KMS alone (docs/deploying.md says what each is).',
    );
    const { layerArn: _, ...rest } = given;
    await expect(check('staging', rest)).rejects.toThrow(/^The stage staging needs --param layerArn=\.\.\. \(/);
  });

  describe('where the CA keys are', () => {
    const { region, publicBucket, ...cloudHSM } = given;
    const common = { region, publicBucket };
    const issuerKeyArns =
      'arn:aws:kms:eu-central-1:111122223333:key/1111,arn:aws:kms:eu-central-1:111122223333:key/2222';

    it('are met by a stage with keys in CloudHSM, in KMS alone, and in both', async () => {
      for (const keys of [cloudHSM, { issuerKeyArns }, { ...cloudHSM, issuerKeyArns }]) {
        await expect(check('prod', { ...common, ...keys })).resolves.toBe('met');
      }
    });

    it('name both ways where neither is taken, in one sentence', async () => {
      await expect(check('prod', common)).rejects.toThrow(
        /^The stage prod needs either --param layerArn=\.\.\. .* for CA keys in CloudHSM, or --param issuerKeyArns=\.\.\. for CA keys in KMS alone \([^.]*\.md says what each is\)\.$/,
      );
    });

    it.each(Object.keys(cloudHSM))('want all that CloudHSM takes or none of it: %s', async (name) => {
      const sentence = new RegExp(`^The stage prod needs --param ${name}=\\.\\.\\. \\(`);
      await expect(check('prod', { ...given, issuerKeyArns, [name]: '' })).rejects.toThrow(sentence);
      await expect(check('prod', { ...given, [name]: '' })).rejects.toThrow(sentence);
    });

    it('want the keys in KMS in the stage’s own Region, each of them', async () => {
      const other = `${issuerKeyArns},arn:aws:kms:eu-west-1:111122223333:key/3333`;
      await expect(check('prod', { ...common, issuerKeyArns: other })).rejects.toThrow(
        /^issuerKeyArns is in eu-west-1, the stage in eu-central-1\.$/,
      );
    });
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
    ['redriveRoleArns', 'arn:aws:iam::111122223333:user/someone'],
    ['deployRoleArns', 'arn:aws:sts::111122223333:assumed-role/deploy/pipeline'],
    ['architecture', 'amd64'],
    ['prefix', ''],
    ['prefix', 'mint mark'],
    ['prefix', '-mintmark'],
    ['prefix', 'm'.repeat(65)],
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
    ['requestAlarmPeriods', '1.5'],
    ['watchPeriodSeconds', '90'],
    ['watchSchedule', '5 minutes'],
    ['watchSchedule', ''],
    ['watchSchedule', 'rate(5 minute)'],
    ['watchSchedule', 'rate(1 minutes)'],
    ['watchSchedule', 'rate(0 minutes)'],
    ['watchSchedule', 'rate(30 seconds)'],
    ['watchSchedule', 'cron(0/5 * * * ? *)'],
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
    [
      'checkSignerSeconds',
      '241',
      '240',
      '60 x checkSignerSeconds must be at most giveUpAfterSeconds: a batch tries the signer by itself after 15 x ' +
        'checkSignerSeconds (shared/breaker/times.ts), and is to do so 4 times before a request is given up.',
    ],
    [
      'giveUpAfterSeconds',
      '3599',
      '3600',
      '60 x checkSignerSeconds must be at most giveUpAfterSeconds: a batch tries the signer by itself after 15 x ' +
        'checkSignerSeconds (shared/breaker/times.ts), and is to do so 4 times before a request is given up.',
    ],
    ['visibilityTimeout', '179', '180', "visibilityTimeout must be at least 180, 6 times the functions' timeout."],
    [
      'requestAlarmPeriods',
      '15',
      '16',
      'requestAlarmPeriods must be at least 16, the longest wait between two tries and a minute.',
    ],
    [
      'requestAlarmPeriods',
      '1441',
      '1440',
      'requestAlarmPeriodSeconds must be at most 59: CloudWatch looks back over 86400 s at most, in 1441 periods.',
    ],
    ...['120', '30'].map((period) => [
      'requestAlarmPeriodSeconds',
      period,
      '60',
      'requestAlarmPeriodSeconds must be 60: a value of a longer period is looked at for longer, and of a shorter one there is none.',
    ]),
    ['watchPeriodSeconds', '240', '300', 'watchPeriodSeconds must be at least 300, what lies between two looks.'],
    ['watchPeriodSeconds', '30', '360', 'watchPeriodSeconds must be at least 300, what lies between two looks.'],
    [
      'watchPeriodSeconds',
      '302460',
      '302400',
      'watchPeriodSeconds must be at most 302400: CloudWatch looks back over 604800 s at most, in 2 periods.',
    ],
    [
      'watchSchedule',
      'rate(1 hour)',
      'rate(1 minute)',
      'watchPeriodSeconds must be at least 3600, what lies between two looks.',
    ],
    [
      'watchSchedule',
      'rate(1 day)',
      'rate(4 minutes)',
      'watchPeriodSeconds must be at least 86400, what lies between two looks.',
    ],
  ])('refuse %s=%s, and take %s', async (name = '', bad = '', good = '', sentence = '') => {
    await expect(check('prod', { ...given, [name]: bad })).rejects.toThrow(new RegExp(`^${escaped(sentence)}$`));
    await expect(check('prod', { ...given, [name]: good })).resolves.toBe('met');
  });

  it('leave the margins to a stage that asks for none', async () => {
    vi.stubEnv('AWS_ENDPOINT_URL', 'http://127.0.0.1:4566');
    const short = { visibilityTimeout: '10', requestAlarmPeriodSeconds: '10', watchPeriodSeconds: '10' };
    expect(parameters['local']).toMatchObject({ requestAlarmPeriods: 1 });
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

/** What a bundle takes from AWS clients, at its start or when it is used: names as they are imported, and the client's. */
function importsOf(text: string): [names: string, client: string][] {
  const atStart = [...text.matchAll(/import \{([^}]*)\} from "@aws-sdk\/client-([\w-]+)"/g)];
  const loaders = [...text.matchAll(/(\w+) = \(\) => import\("@aws-sdk\/client-([\w-]+)"\)/g)];
  const whenUsed = loaders.flatMap(([, loader = '', client = '']) =>
    [...text.matchAll(new RegExp(`\\{([^{}]*)\\} = await ${loader}\\(\\)`, 'g'))].map(([, names = '']) => [
      '',
      names,
      client,
    ]),
  );
  expect(loaders).toHaveLength(text.split(' import("@aws-sdk/').length - 1);
  return [...atStart, ...whenUsed].map(([, names = '', client = '']) => [names, client]);
}

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
    for (const [names, client] of importsOf(text)) {
      for (const [, name = '', alias = name] of names.matchAll(/(\w+)(?:(?: as |: )(\w+))?/g)) {
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
  const rolesFiles = readdirSync(deploy).filter((file) => /^roles(-[\w-]+)?\.yml$/.test(file));
  type Roles = Record<string, { Properties: { Policies?: { PolicyDocument: { Statement: object[] } }[] } }>;
  const roles: Roles = Object.assign({}, ...rolesFiles.map((file) => (read(file) as { Resources: Roles }).Resources));
  /** What the modules of a function can do besides what the function does with them. */
  const calledByOthers: readonly string[] = [
    // Devices.register, Issuers.add, writeCanary, sealPin and encryptCanary are for operators and the local cloud.
    'dynamodb:PutItem',
    'kms:Encrypt',
  ];
  /** Failures.list is for operators too. */
  const calledByOthersOn = (failuresTable: boolean): readonly string[] =>
    failuresTable ? [...calledByOthers, 'dynamodb:Query'] : calledByOthers;
  /** Not called by the code: logging and the event source mapping's. */
  const logging = ['logs:CreateLogStream', 'logs:PutLogEvents'];
  const polling = ['sqs:DeleteMessage', 'sqs:GetQueueAttributes', 'sqs:ReceiveMessage'];

  const sourceOf = ({ handler }: FunctionDefinition) => join('functions', `${handler.split('/')[1]}.ts`);

  async function calledBy(path: string, failuresTable: boolean): Promise<string[]> {
    const others = calledByOthersOn(failuresTable);
    return [...(await actionsOf(path))].filter((action) => !others.includes(action)).sort();
  }

  async function calledByFunction(definition: FunctionDefinition): Promise<string[]> {
    const called = await calledBy(sourceOf(definition), 'FAILURES_TABLE' in definition.environment);
    // Beside Failures.list, another table's module may query.
    const isQuerying = (await tableCalls(definition)).some((call) => call.startsWith('dynamodb:Query '));
    return [...new Set([...called, ...(isQuerying ? ['dynamodb:Query'] : [])])].sort();
  }

  /** What a role allows, without what is for Lambda's network interfaces (test/integration/package.test.ts). */
  const grantsOf = (role: string) =>
    (roles[role]?.Properties.Policies ?? [])
      .flatMap(({ PolicyDocument: { Statement } }) => Statement)
      .map((statement) => ('Fn::If' in statement ? (statement['Fn::If'] as object[])[1] : statement) as Statement)
      .flatMap(({ Action, Resource }) => [Action].flat().map((action) => ({ action, resources: [Resource].flat() })))
      .filter(({ action }) => !action.startsWith('ec2:'));

  /** The logical id behind a Ref or an ARN, and what is joined to it: an index's path. */
  function logicalId(resource: unknown): string {
    const {
      Ref: ref,
      'Fn::GetAtt': attribute,
      'Fn::Join': joined,
    } = resource as { Ref?: string; 'Fn::GetAtt'?: [string, string]; 'Fn::Join'?: [string, [unknown, string]] };
    if (joined !== undefined) return `${logicalId(joined[1][0])}${joined[1][1]}`;
    return ref ?? attribute?.[0] ?? JSON.stringify(resource);
  }

  /** The module of the ledger, or of the breakers, that has this class or function. */
  function moduleOf(name: string): string {
    const paths = ['ledger', 'breaker'].flatMap((room) =>
      readdirSync(join(project, 'shared', room)).map((file) => join('shared', room, file)),
    );
    const path = paths.find((each) =>
      new RegExp(`(?:class|function) ${name}\\b`).test(readFileSync(join(project, each), 'utf8')),
    );
    if (path === undefined) throw new Error(`shared/ledger and shared/breaker have no ${name}.`);
    return path;
  }

  /** `action resource`, of what the code calls on its function's tables: by class or function, or all of it on the only one. */
  async function tableCalls(definition: FunctionDefinition): Promise<string[]> {
    const given = Object.entries(definition.environment).flatMap(([name, value]) =>
      name.endsWith('_TABLE') ? [[name, logicalId(value)] as const] : [],
    );
    const source = readFileSync(join(project, sourceOf(definition)), 'utf8');
    const users = [...source.matchAll(/(?:new|await) (\w+)\(\w+(?:\(\))?, configuration\.(\w+_TABLE)[,)]/g)];
    // All that is done to an only table is done by whatever the function loads.
    const isOnly = given.length === 1;
    if (users.length === 0) expect(isOnly).toBe(true);
    const calls = await Promise.all(
      given.map(async ([name, table]) => {
        const classes = users.flatMap(([, className = '', used]) => (used === name ? [className] : []));
        if (!isOnly) expect(classes, `who uses ${name}`).not.toEqual([]);
        const paths = isOnly ? [sourceOf(definition)] : classes.map(moduleOf);
        const called = await Promise.all(
          paths.map(async (path) => {
            const index = /IndexName: '(\w+)'/.exec(readFileSync(join(project, path), 'utf8'))?.[1];
            const queried = index === undefined ? table : `${table}/index/${index}`;
            return (await calledBy(path, name === 'FAILURES_TABLE'))
              .filter((action) => action.startsWith('dynamodb:'))
              .map((action) => `${action} ${action === 'dynamodb:Query' ? queried : table}`);
          }),
        );
        return [...new Set(called.flat())];
      }),
    );
    return calls.flat();
  }

  it.each(Object.entries(functions))('allows %s what its code calls, and nothing else', async (_, definition) => {
    const called = await calledByFunction(definition);
    expect(called.length).toBeGreaterThan(0);
    const allowed = new Set(grantsOf(definition.role).map(({ action }) => action));
    const isPolled = definition.events.some(({ sqs }) => sqs !== undefined);
    const byLambda = isPolled ? [...logging, ...polling] : logging;
    expect([...allowed].filter((action) => !byLambda.includes(action)).sort()).toEqual(called);
  });

  it.each(Object.entries(functions))(
    'allows %s that on the tables, queues, topics and logs that it is given, and on no other',
    async (name, definition) => {
      const called = await calledByFunction(definition);
      const polled = definition.events.flatMap(({ sqs }) => (sqs === undefined ? [] : [sqs.arn['Fn::GetAtt'][0]]));
      const asked = Object.entries(definition.environment).flatMap(([variable, value]) =>
        variable.endsWith('_QUEUE_URL') ? [logicalId(value)] : [],
      );
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
        ...on('sqs', [...polled, ...asked], polled.length > 0 ? polling : []),
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
  readonly Period?: number | string;
  readonly EvaluationPeriods: number | string;
  readonly DatapointsToAlarm?: number;
  readonly Threshold: number;
  readonly TreatMissingData: string;
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

  type Values = Readonly<Record<string, number | undefined>>;

  /**
   * A metric math expression of CloudWatch's, as far as it is used here, on one value of each metric. What is missing is 0
   * in arithmetic, but for FILL (CloudWatch user guide, "Using metric math").
   */
  function evaluate(alarm: AlarmProperties | undefined, values: Values): number {
    const expression = alarm?.Metrics?.find(({ ReturnData }) => ReturnData)?.Expression ?? '';
    const ids = alarm?.Metrics?.flatMap(({ Id, MetricStat }) => (MetricStat === undefined ? [] : [Id])) ?? [];
    expect(Object.keys(values).sort()).toEqual(ids.sort());
    const filled = expression.replaceAll(/FILL\((\w+), (\d+)\)/g, (_, id: string, by: string) =>
      String(values[id] ?? by),
    );
    const known = Object.fromEntries(Object.entries(values).map(([id, value]) => [id, value ?? 0]));
    const script = new Script(filled.replaceAll(' AND ', ' && '));
    return Number(
      script.runInNewContext({
        ...known,
        IF: (condition: boolean, yes: number, no: number) => (condition ? yes : no),
      }),
    );
  }

  /** Whether M of the newest N values are above the threshold. @param minutes oldest first */
  function isInAlarm(alarm: AlarmProperties | undefined, minutes: readonly Values[]): boolean {
    const { EvaluationPeriods: periods = 1, DatapointsToAlarm: datapoints = 1, Threshold: threshold = 0 } = alarm ?? {};
    expect(minutes.length).toBeGreaterThanOrEqual(Number(periods));
    const newest = minutes.slice(-Number(periods)).map((values) => evaluate(alarm, values));
    return newest.filter((value) => value > threshold).length >= datapoints;
  }

  it('watches of our own metrics those that the functions tell, in the severities that they mean', () => {
    const own = alarms.filter(({ Namespace }) => Namespace?.startsWith('Mintmark'));
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

    // The newest minutes have no values yet, and FILL makes some up: they say nothing of being stalled.
    const late = Array<Values>(4).fill({ visible: nothing, inFlight: nothing, deleted: nothing });
    const held = Array<Values>(20).fill({ visible: 3, inFlight: 1, deleted: nothing });
    const idle = Array<Values>(20).fill({ visible: 0, inFlight: nothing, deleted: nothing });
    const busy = Array<Values>(20).fill({ visible: 3, inFlight: 1, deleted: 2 });
    for (const newest of [[], late.slice(0, 1), late]) {
      expect(isInAlarm(stalled, [...idle, ...held, ...newest]), `${newest.length} late`).toBe(true);
      expect(isInAlarm(stalled, [...held, ...idle, ...newest])).toBe(false);
      expect(isInAlarm(stalled, [...held, ...busy, ...newest])).toBe(false);
    }
    // Nine minutes are none too long for one batch that is slow.
    expect(isInAlarm(stalled, [...busy, ...held.slice(0, 9), ...late])).toBe(false);
  });

  it('watches every queue that feeds the issue function', () => {
    const watched = alarms.filter(({ MetricName }) => MetricName === 'ApproximateAgeOfOldestMessage');
    expect(watched.map(({ Dimensions }) => queueOf(Dimensions))).toEqual(
      functions['issue']?.events.map(({ sqs }) => sqs?.arn['Fn::GetAtt'][0]),
    );
  });

  it('looks at each minute of more than the longest wait between two tries, so that one value in it is enough', () => {
    const own = alarms.filter(({ Namespace }) => Namespace?.startsWith('Mintmark'));
    for (const alarm of own) {
      expect(alarm).toMatchObject({
        Period: '${param:requestAlarmPeriodSeconds}',
        EvaluationPeriods: '${param:requestAlarmPeriods}',
        DatapointsToAlarm: 1,
        TreatMissingData: 'notBreaching',
      });
    }
    const longest = retryDelaySeconds({ receiveCount: 1000, seconds: 100_000 }, 1_000, 1 - Number.EPSILON);
    const { requestAlarmPeriodSeconds: period, requestAlarmPeriods: periods } = declared;
    expect(period).toBe(60);
    expect(Number(period) * Number(periods)).toBeGreaterThanOrEqual(longest + 60);
    const preconditions = readFileSync(join(deploy, 'preconditions.cjs'), 'utf8');
    expect(preconditions).toContain(`const longestRetryDelay = ${longest};`);
    expect(preconditions).toContain(`const unlookedAfter = ${breakerTimes(1).unlookedAfter / 1000};`);
  });

  it('does not ring where an operator and the schedule meet once: the watch is turned away again and again', () => {
    expect(named('check-cluster-throttles')).toMatchObject({ EvaluationPeriods: 3, DatapointsToAlarm: 3 });
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

describe('the metrics that alarms are on', () => {
  interface Metric {
    readonly Namespace?: string;
  }
  type Properties = Metric & { readonly Metrics?: readonly { readonly MetricStat?: { readonly Metric: Metric } }[] };
  const files = readdirSync(deploy).filter((file) => file.endsWith('alarms.yml'));

  it.each(files)("are AWS's, or those of the stage itself: %s", (file) => {
    const { Resources: resources } = read(file) as {
      Resources: Record<string, { Type: string; Properties: Properties }>;
    };
    const namespaces = Object.values(resources).flatMap(({ Type: type, Properties }) => {
      if (type !== 'AWS::CloudWatch::Alarm') return [];
      const { Namespace: own, Metrics: metrics = [] } = Properties;
      return own === undefined ? metrics.flatMap(({ MetricStat }) => MetricStat?.Metric.Namespace ?? []) : [own];
    });
    expect(namespaces.length).toBeGreaterThan(0);
    const allowed = ['AWS/Lambda', 'AWS/SQS', metricsNamespace('${sls:stage}')];
    expect(namespaces.filter((namespace) => !allowed.includes(namespace))).toEqual([]);
  });
});

describe('deploy/breaker-alarms.yml', () => {
  const { Resources: resources } = read('breaker-alarms.yml') as {
    Resources: Record<string, { readonly Properties: AlarmProperties }>;
  };
  const alarms = Object.values(resources).map(({ Properties }) => Properties);

  it('watches the gauges that check-signer tells, and takes its silence for trouble once', () => {
    const own = alarms.filter(({ Namespace }) => Namespace === metricsNamespace('${sls:stage}'));
    expect(
      own.map(({ MetricName, TreatMissingData, AlarmActions }) => [MetricName, TreatMissingData, AlarmActions[0]?.Ref]),
    ).toEqual([
      [breakerMetrics.open, 'breaching', 'AlarmsCriticalTopic'],
      [breakerMetrics.held, 'notBreaching', 'AlarmsCriticalTopic'],
    ]);
    for (const { Dimensions } of own) expect(Dimensions).toEqual([{ Name: 'Stage', Value: '${sls:stage}' }]);
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
    const internal = ['requiredParameters', 'requiredForCloudHSM', 'requiredEnvironment', 'requiredMargins'];
    expect([...documented.keys()].sort()).toEqual(
      Object.keys(declared)
        .filter((name) => !internal.includes(name))
        .sort(),
    );
    const required = String(declared['requiredParameters']).split(',');
    const forCloudHSM = String(declared['requiredForCloudHSM']).split(',');
    for (const [name, { needed }] of documented) {
      const may = forCloudHSM.includes(name) ? 'for CloudHSM' : name === 'issuerKeyArns' ? 'for KMS' : 'no';
      expect(needed.startsWith(required.includes(name) ? 'yes' : may), name).toBe(true);
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
    readonly Condition?: string;
    readonly Properties: {
      readonly AlarmName: string;
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

  it('watches in a stage without CloudHSM what such a stage has, and nothing else', () => {
    const notAsked = { failure: { reason: 'not-asked', detail: 'There is none.' } } as const;
    const cluster = { cluster: notAsked, backups: notAsked, keyStore: notAsked, keyStoreCanary: notAsked };
    const without: Observation = {
      issuers: { value: [] },
      issuerKeys: { value: [] },
      canary: { value: {} },
      signingCanary: notAsked,
      ...cluster,
    };
    const { measurements } = assess(without, rules, readThresholds({}), 0);
    const gauges = measurements.map(({ name }) => name).filter((name) => name.endsWith('Finding'));
    expect(gauges.length).toBeGreaterThan(2);
    const conditions = Object.values(resources).map(({ Condition, Properties: { MetricName } }) => [
      MetricName,
      Condition,
    ]);
    expect(conditions).toEqual(
      alarms.map(({ MetricName }) => [MetricName, gauges.includes(MetricName) ? undefined : 'HasSealingKey']),
    );
    expect((read('roles.yml') as { Conditions: object }).Conditions).toHaveProperty('HasSealingKey');
  });

  it('looks at the worst of each look of this stage, and for the canaries at two looks in a row', () => {
    const ofCanaries = ['key-store-canary', 'signing-canary'].map(gaugeName);
    for (const alarm of alarms) {
      const looks = ofCanaries.includes(alarm.MetricName) && alarm.Threshold === 2 ? 2 : 1;
      expect(alarm).toMatchObject({
        Namespace: metricsNamespace('${sls:stage}'),
        Dimensions: [{ Name: 'Stage', Value: '${sls:stage}' }],
        Statistic: 'Maximum',
        Period: '${param:watchPeriodSeconds}',
        EvaluationPeriods: looks,
        DatapointsToAlarm: looks,
        ComparisonOperator: 'GreaterThanOrEqualToThreshold',
      });
    }
    const names = alarms.map(({ AlarmName }) => AlarmName);
    expect(new Set(names).size).toBe(names.length);
  });

  it('has no alarm on a gauge that does not exist', () => {
    expect([...new Set(alarms.map(({ MetricName }) => MetricName))].sort()).toEqual(
      rules.map(({ name }) => gaugeName(name)).sort(),
    );
  });
});

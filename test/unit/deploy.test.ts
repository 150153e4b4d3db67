import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

import { build as bundle } from 'esbuild';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { parse } from 'yaml';
import { project } from '../../local/setup/machine.mjs';
import { gaugeName } from '../../shared/cluster/assess.ts';
import { rules } from '../../shared/cluster/rules/index.ts';

const deploy = join(project, 'deploy');
const read = (file: string): unknown => parse(readFileSync(join(deploy, file), 'utf8'));
const parameters = read('parameters.yml') as Record<string, Record<string, string | number>>;
const declared = parameters.default ?? {};

describe('deploy/parameters.yml', () => {
  const definitions = [join(project, 'serverless.yml'), ...readdirSync(deploy).map((file) => join(deploy, file))];
  const used = new Set(
    definitions.flatMap((path) =>
      [...readFileSync(path, 'utf8').matchAll(/\$\{(?:[^}]*, )?param:(\w+)/g)].map(([, name]) => name),
    ),
  );

  it('declares every parameter that is used, and no other', () => {
    const forPreconditions = ['requiredParameters', 'requiredEnvironment'];
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
    const functions = { one: { handler: 'local/setup/machine.handler' }, two: { handler } };
    const resolveVariable = async (variable: string): Promise<unknown> => {
      const [source, name = ''] = variable.split(':');
      if (source === 'param') return values[name];
      return source === 'sls' ? stage : functions;
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
  ])('refuse %s=%s', async (name, value) => {
    await expect(check('prod', { ...given, [name]: value })).rejects.toThrow(`${name} must be `);
  });

  it('refuse more pollers than reserved concurrency', async () => {
    const over = { ...given, issueConcurrency: '20', issueReservedConcurrency: '21' };
    await expect(check('prod', over)).rejects.toThrow(
      'issueReservedConcurrency must be at least issueConcurrency + 2.',
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

/** Every AWS action that the bundle of a function, which holds only what it can reach, has a command for. */
async function actionsOf(entry: string): Promise<Set<string>> {
  const { outputFiles } = await bundle({
    entryPoints: [join(project, 'functions', entry)],
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
  const functions = read('functions.yml') as Record<string, { handler: string; role: string; events?: object[] }>;
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
  /** Not called by the code: the event source mapping's, logging, network interfaces. */
  const calledByLambda = /^(sqs:(ReceiveMessage|DeleteMessage|GetQueueAttributes)|logs:\w+|ec2:\w+)$/;

  it.each(Object.entries(functions))(
    'allows %s what its code calls, and nothing else',
    async (_, { handler, role }) => {
      const statements = (roles[role]?.Properties.Policies ?? []).flatMap(
        ({ PolicyDocument: { Statement } }) => Statement,
      );
      const allowed = statements
        .flatMap((statement) => ('Fn::If' in statement ? (statement['Fn::If'] as object[]).slice(1, 2) : [statement]))
        .flatMap((statement) => (statement as Statement).Action);
      const called = await actionsOf(`${handler.split('/')[1]}.ts`);
      const expected = [...called].filter((action) => !calledByOthers.includes(action)).sort();
      expect(expected.length).toBeGreaterThan(0);
      expect([...new Set(allowed)].filter((action) => !calledByLambda.test(action)).sort()).toEqual(expected);
    },
  );
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

  it.each(rules.map(({ name }) => name))(
    'tells of %s in the severities that it has, and once when it is silent',
    (name) => {
      const source = readFileSync(join(project, 'shared', 'cluster', 'rules', `${name}.ts`), 'utf8');
      const expected = [
        ...(source.includes(`'critical'`) ? [{ Threshold: 2, AlarmActions: [{ Ref: 'AlarmsCriticalTopic' }] }] : []),
        ...(source.includes(`'warning'`) ? [{ Threshold: 1, AlarmActions: [{ Ref: 'AlarmsWarningTopic' }] }] : []),
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

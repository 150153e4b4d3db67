import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { build } from '../../local/build.ts';
import { project } from '../../local/setup/machine.mjs';

/** `serverless package` as an operator runs it, and what CloudFormation would get. */

interface Resource {
  readonly Type: string;
  readonly Condition?: string;
  readonly Properties: Record<string, unknown>;
  readonly DeletionPolicy?: string;
  readonly UpdateReplacePolicy?: string;
}

interface Template {
  readonly Resources: Readonly<Record<string, Resource>>;
  readonly Outputs: Readonly<Record<string, unknown>>;
}

interface Statement {
  readonly Sid?: string;
  readonly Effect: 'Allow' | 'Deny';
  readonly Action: string | readonly string[];
  readonly Resource: unknown;
  readonly Condition?: Record<string, Record<string, unknown>>;
}

const common = ['--region=eu-central-1', '--param=publicBucket=example-mintmark-public'];

/** CA keys in CloudHSM. */
const production = [
  ...common,
  '--param=layerArn=arn:aws:lambda:eu-central-1:111122223333:layer:cloudhsm:3',
  '--param=subnetIds=subnet-0a1b,subnet-0c2d',
  '--param=securityGroupIds=sg-0e3f,sg-0a5b',
  '--param=sealingKeyArn=arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab',
];

const issuerKeys = ['1111', '2222'].map((id) => `arn:aws:kms:eu-central-1:111122223333:key/${id}`).join(',');
const distribution = 'arn:aws:cloudfront::111122223333:distribution/E1EXAMPLE';

/** CA keys in KMS, and no CloudHSM. */
const keysInKms = [
  ...common,
  `--param=issuerKeyArns=${issuerKeys}`,
  `--param=cloudFrontDistributionArn=${distribution}`,
];

let folder = '';
let outside: Server;
let connections = 0;

/** Runs osls in a copy of what it reads, with no credentials, and with every way out ending at a server that counts. */
async function serverless(...args: string[]): Promise<{ status: number; output: string }> {
  const address = `http://127.0.0.1:${(outside.address() as AddressInfo).port}`;
  const env = {
    PATH: process.env['PATH'],
    HOME: folder,
    AWS_ENDPOINT_URL: address,
    HTTP_PROXY: address,
    HTTPS_PROXY: address,
  };
  const osls = join(project, 'node_modules', 'serverless', 'bin', 'serverless.js');
  return new Promise((resolve) => {
    execFile(process.execPath, [osls, ...args], { cwd: folder, env }, (error, stdout, stderr) => {
      resolve({ status: error === null ? 0 : Number(error.code ?? 1), output: stdout + stderr });
    });
  });
}

async function packaged(stage: string, ...args: string[]): Promise<Template> {
  const { status, output } = await serverless('package', '--stage', stage, '--package', join(folder, stage), ...args);
  expect(status, output).toBe(0);
  const written = readFileSync(join(folder, stage, 'cloudformation-template-update-stack.json'), 'utf8');
  const template = JSON.parse(written) as Template & { readonly Conditions: Record<string, unknown> };
  const { Resources: resources, ...others } = decided(template, template.Conditions) as Template;
  const made = Object.entries(resources).filter(
    ([, { Condition: condition }]) => condition === undefined || holds(template.Conditions[condition]),
  );
  return { ...others, Resources: Object.fromEntries(made) };
}

const removed = Symbol('AWS::NoValue');

/** The template with Fn::If decided, as CloudFormation does it first of all; conditions here are Not and Equals. */
function decided(value: unknown, conditions: Record<string, unknown>): unknown {
  if (Array.isArray(value)) return value.map((each) => decided(each, conditions)).filter((each) => each !== removed);
  if (typeof value !== 'object' || value === null) return value;
  if ('Fn::If' in value) {
    const [name, yes, no] = value['Fn::If'] as [string, unknown, unknown];
    return decided(holds(conditions[name]) ? yes : no, conditions);
  }
  if ('Ref' in value && value.Ref === 'AWS::NoValue') return removed;
  const entries = Object.entries(value).map(([key, each]) => [key, decided(each, conditions)] as const);
  return Object.fromEntries(entries.filter(([, each]) => each !== removed));
}

function holds(condition: unknown): boolean {
  const { 'Fn::Not': not, 'Fn::Equals': equals } = condition as {
    'Fn::Not'?: [unknown];
    'Fn::Equals'?: [string, string];
  };
  if (not !== undefined) return !holds(not[0]);
  if (equals !== undefined) return equals[0] === equals[1];
  throw new Error(`A condition that this test cannot decide: ${JSON.stringify(condition)}`);
}

const ofType = (template: Template, type: string): [string, Resource][] =>
  Object.entries(template.Resources).filter(([, resource]) => resource.Type === type);

const statementsOf = (document: unknown): Statement[] => (document as { Statement: Statement[] }).Statement;

/** Every statement of every role and managed policy, with where it stands. */
const grants = (template: Template) =>
  [...ofType(template, 'AWS::IAM::Role'), ...ofType(template, 'AWS::IAM::ManagedPolicy')].flatMap(
    ([owner, resource]) => {
      const policies = (resource.Properties['Policies'] ?? [resource.Properties]) as { PolicyDocument: unknown }[];
      return policies.flatMap(({ PolicyDocument: document }) =>
        statementsOf(document).map((statement) => ({ owner, statement, actions: [statement.Action].flat() })),
      );
    },
  );

/** The names in a zip file's central directory (PKWARE APPNOTE, section 4.3.12). */
function namesIn(zip: Buffer): string[] {
  const names: string[] = [];
  const signature = Buffer.from('PK\x01\x02', 'latin1');
  for (let at = zip.indexOf(signature); at !== -1; at = zip.indexOf(signature, at + 46)) {
    names.push(zip.toString('utf8', at + 46, at + 46 + zip.readUInt16LE(at + 28)));
  }
  return names.sort();
}

let prod: Template;
let inKms: Template;
let local: Template;

beforeAll(async () => {
  await build();
  folder = mkdtempSync(join(tmpdir(), 'mintmark-package-'));
  for (const path of ['serverless.yml', 'deploy', 'dist'])
    cpSync(join(project, path), join(folder, path), { recursive: true });
  outside = createServer((socket) => {
    connections += 1;
    socket.destroy();
  });
  await new Promise<void>((resolve) => void outside.listen(0, '127.0.0.1', resolve));
  prod = await packaged('prod', ...production);
  inKms = await packaged('kms', ...keysInKms);
  local = await packaged('local');
}, 240_000);

afterAll(async () => {
  await new Promise((resolve) => void outside.close(resolve));
  rmSync(folder, { recursive: true, force: true });
});

describe('serverless package', () => {
  it('asks AWS nothing', () => {
    expect(connections).toBe(0);
  });

  it('names the parameters that a stage lacks', async () => {
    const { status, output } = await serverless('package', '--stage', 'prod', '--region', 'eu-central-1');
    expect(status).not.toBe(0);
    expect(output).toContain('The stage prod needs --param publicBucket=...; and either --param layerArn=...');
    expect(output).toContain('or --param issuerKeyArns=...');
    expect(output).not.toContain('    at ');
  });

  it('puts into a function all that its bundle loads from beside it', () => {
    for (const { name, entry } of [
      { name: 'issue', entry: 'dist/issue' },
      { name: 'checkCluster', entry: 'dist/check-cluster' },
    ]) {
      const source = readFileSync(join(folder, entry, 'index.mjs'), 'utf8');
      const beside = [...source.matchAll(/new URL\(["']\.\/([\w.-]+)["'], import\.meta\.url\)/g)].map(
        ([, file]) => file,
      );
      expect(beside, name).toContain('pkcs11-worker.mjs');
      const names = namesIn(readFileSync(join(folder, 'prod', `${name}.zip`)));
      expect(names).toEqual(expect.arrayContaining(beside.map((file) => `${entry}/${file}`)));
    }
  });

  it('puts nothing but its own bundle into a function', () => {
    expect(namesIn(readFileSync(join(folder, 'prod', 'issue.zip')))).toEqual([
      'dist/issue/index.mjs',
      'dist/issue/pkcs11-worker.mjs',
      'dist/issue/profiles/code-signing.yaml',
      'dist/issue/profiles/device-tls-server.yaml',
      'dist/issue/profiles/device-tls.yaml',
      'dist/issue/profiles/workload.yaml',
    ]);
    expect(namesIn(readFileSync(join(folder, 'prod', 'recordFailure.zip')))).toEqual(['dist/record-failure/index.mjs']);
  });

  it('gives every stage the same resources, but for alarms on CloudHSM where there is none', () => {
    const shape = (template: Template) =>
      Object.entries(template.Resources).map(([id, { Type: type }]) => `${id} ${type}`);
    expect(shape(local).sort()).toEqual(shape(prod).sort());
    const missing = shape(prod).filter((each) => !shape(inKms).includes(each));
    expect(
      shape(prod)
        .filter((each) => !missing.includes(each))
        .sort(),
    ).toEqual(shape(inKms).sort());
    for (const each of missing) {
      expect(each).toMatch(/^(Cluster|Hsm|Az|Backup|KeyStore|SigningCanary)\w+Alarm AWS::CloudWatch::Alarm$/);
    }
    expect(missing).toContain('BackupAgeCriticalAlarm AWS::CloudWatch::Alarm');
  });
});

describe('the functions', () => {
  const functions = (template: Template) => ofType(template, 'AWS::Lambda::Function');

  it('have a role each, and none is shared', () => {
    const roles = functions(prod).map(
      ([, { Properties }]) => (Properties['Role'] as { 'Fn::GetAtt': [string, 'Arn'] })['Fn::GetAtt'][0],
    );
    expect(new Set(roles).size).toBe(functions(prod).length);
    expect(
      ofType(prod, 'AWS::IAM::Role')
        .map(([id]) => id)
        .sort(),
    ).toEqual(roles.sort());
  });

  it('run on Node 24, and only those that sign have the CloudHSM client and a way to the HSMs', () => {
    for (const [id, { Properties }] of functions(prod)) {
      expect(Properties, id).toMatchObject({ Runtime: 'nodejs24.x', Architectures: ['arm64'] });
    }
    const cloudHsm = {
      Layers: ['arn:aws:lambda:eu-central-1:111122223333:layer:cloudhsm:3'],
      VpcConfig: {
        SubnetIds: { 'Fn::Split': [',', 'subnet-0a1b,subnet-0c2d'] },
        SecurityGroupIds: { 'Fn::Split': [',', 'sg-0e3f,sg-0a5b'] },
      },
      Environment: { Variables: { PKCS11_LIBRARY: '/opt/cloudhsm/lib/libcloudhsm_pkcs11.so', STAGE: 'prod' } },
    };
    const without = (template: Template, id: string) => {
      for (const name of ['Layers', 'VpcConfig'])
        expect(template.Resources[id]?.Properties, id).not.toHaveProperty(name);
    };
    for (const id of ['IssueLambdaFunction', 'CheckClusterLambdaFunction', 'CheckSignerLambdaFunction']) {
      expect(prod.Resources[id]?.Properties, id).toMatchObject(cloudHsm);
      without(local, id);
      without(inKms, id);
    }
    without(prod, 'RecordFailureLambdaFunction');
  });

  it('tell the watch whether the stage has CloudHSM', () => {
    const said = [prod, inKms, local].map((template) => {
      const { Environment: environment } = template.Resources['CheckClusterLambdaFunction']?.Properties ?? {};
      return (environment as { Variables: Record<string, string> }).Variables['SEALING_KEY_ARN'];
    });
    expect(said).toEqual([expect.stringContaining(':key/1234abcd'), '', expect.stringContaining(':key/local')]);
  });

  it('keep their logs for a time that is said', () => {
    const groups = ofType(prod, 'AWS::Logs::LogGroup');
    expect(groups).toHaveLength(functions(prod).length);
    for (const [id, group] of groups) {
      expect(group, id).toMatchObject({
        DeletionPolicy: 'Retain',
        UpdateReplacePolicy: 'Retain',
        Properties: { RetentionInDays: 400 },
      });
    }
  });
});

describe('the roles', () => {
  it('have no wildcard among the actions that they allow', () => {
    const wild = grants(prod).filter(
      ({ statement, actions }) => statement.Effect === 'Allow' && actions.some((action) => action.includes('*')),
    );
    expect(wild).toEqual([]);
    expect(grants(prod).length).toBeGreaterThan(8);
  });

  it('have a wildcard for resource only where AWS has no resource level, or where nobody knows which there will be', () => {
    const withoutResourceLevel =
      /^(ec2:\w*(NetworkInterface|Subnet|PrivateIpAddress)\w*|cloudhsm:Describe\w+|kms:DescribeCustomKeyStores|lambda:ListEventSourceMappings|cloudtrail:LookupEvents|cloudwatch:(Get|Put)MetricData|iam:Get(Role|User))$/;
    const wild = grants(prod).filter(
      ({ statement: { Effect, Resource: resource } }) => Effect === 'Allow' && JSON.stringify(resource).includes('*'),
    );
    expect(wild.map(({ statement }) => statement.Sid)).toContain('NetworkInterfaces');
    for (const { owner, actions } of wild) {
      for (const action of actions) expect(action, owner).toMatch(withoutResourceLevel);
    }
  });

  it('take what Lambda needs for the network from the code', () => {
    const of = (effect: string) =>
      grants(prod).filter(
        ({ statement, actions }) => statement.Effect === effect && actions.some((action) => action.startsWith('ec2:')),
      );
    const denied = of('Deny');
    const inVpc = ofType(prod, 'AWS::Lambda::Function').filter(([, { Properties }]) => 'VpcConfig' in Properties);
    expect(inVpc.length).toBeGreaterThan(1);
    expect(denied).toHaveLength(inVpc.length);
    expect(denied.map(({ owner, actions }) => [owner, actions])).toEqual(
      of('Allow').map(({ owner, actions }) => [owner, actions]),
    );
    for (const { owner, statement } of denied) {
      const usesRole = ([, { Properties }]: [string, Resource]) =>
        JSON.stringify(Properties['Role']).includes(`"${owner}"`);
      const name = String(ofType(prod, 'AWS::Lambda::Function').find(usesRole)?.[1].Properties['FunctionName']);
      const functionArn = JSON.stringify(statement.Condition?.['ArnEquals']?.['lambda:SourceFunctionArn']);
      expect(functionArn, owner).toContain(`:function:${name}"`);
    }
    expect(JSON.stringify(grants(local))).not.toContain('ec2:');
  });

  it('have nothing of CloudHSM where there is none, and no statement about nothing', () => {
    const ofCloudHsm = /"(ec2:|cloudhsm:|kms:Decrypt|kms:DescribeCustomKeyStores)/;
    expect(JSON.stringify(grants(prod))).toMatch(ofCloudHsm);
    expect(JSON.stringify(grants(inKms))).not.toMatch(ofCloudHsm);
    for (const template of [prod, inKms, local]) {
      const empty = grants(template).filter(({ statement: { Resource: resource } }) =>
        [resource].flat().some((each) => each === undefined || /^(""|.*\[",",""\].*)$/.test(JSON.stringify(each))),
      );
      expect(empty).toEqual([]);
    }
  });

  it("allow those that sign to unseal issuers' PINs, and those that try the signer the canary's own", () => {
    const stage = { 'kms:EncryptionContext:mintmark:stage': 'prod' };
    const pin = { ...stage, 'kms:EncryptionContext:mintmark:purpose': 'crypto-user-pin' };
    const canary = { 'kms:EncryptionContext:mintmark:issuer': '#canary' };
    const issuersPin = { StringEquals: pin, StringNotEquals: canary };
    const canarysPin = { StringEquals: { ...pin, ...canary } };
    const ciphertext = { StringEquals: { ...stage, 'kms:EncryptionContext:mintmark:purpose': 'key-store-canary' } };
    const decrypting = grants(prod).filter(({ actions }) => actions.some((action) => action.startsWith('kms:Decrypt')));
    for (const { owner, statement } of decrypting) expect(statement.Resource, owner).toContain(':key/1234abcd');
    const byOwner = decrypting.map(({ owner, statement: { Condition: condition } }) => [owner, condition]);
    const expected = [
      ['IssueRole', issuersPin],
      ['ReconcileRole', issuersPin],
      ['CheckSignerRole', canarysPin],
      ['CheckClusterRole', canarysPin],
      ['CheckClusterRole', ciphertext],
    ];
    expect(byOwner).toEqual(expect.arrayContaining(expected));
    expect(byOwner).toHaveLength(expected.length);
  });

  it('allow to sign with the keys in KMS that the stage is given, and with none where there are none', () => {
    const on = (template: Template, action: string) =>
      grants(template).filter(({ actions }) => actions.some((each) => each.startsWith(action)));
    expect(on(prod, 'kms:Sign')).toEqual([]);
    // Whoever seals PINs looks at the sealing key.
    expect(on(prod, 'kms:DescribeKey').map(({ owner }) => owner)).toEqual(['PinsPolicy']);
    const owners = (action: string) => on(inKms, action).map(({ owner }) => owner);
    expect(owners('kms:Sign')).toContain('IssueRole');
    expect(owners('kms:Sign')).not.toContain('CheckClusterRole');
    expect(owners('kms:DescribeKey')).toEqual(expect.arrayContaining(['IssueRole', 'CheckClusterRole']));
    for (const { owner, statement } of [...on(inKms, 'kms:Sign'), ...on(inKms, 'kms:DescribeKey')]) {
      expect(statement.Resource, owner).toEqual({ 'Fn::Split': [',', issuerKeys] });
    }
  });

  it("put metrics into their stage's namespace alone", () => {
    const putting = grants(prod).filter(({ actions }) => actions.includes('cloudwatch:PutMetricData'));
    const roles = ofType(prod, 'AWS::IAM::Role').map(([id]) => id);
    expect(putting.map(({ owner }) => owner).sort()).toEqual(roles.sort());
    for (const { owner, statement } of putting) {
      expect(statement.Condition, owner).toEqual({ StringEquals: { 'cloudwatch:namespace': 'Mintmark/prod' } });
    }
  });

  it('let nobody delete from the ledger', () => {
    const deleting = grants(prod).filter(({ actions }) =>
      actions.some((action) => /^dynamodb:(Delete|BatchWrite|Partiql)/i.test(action)),
    );
    // Who may enrol is not the ledger's: a sender's registration ends by being deleted. Nor is the name that an issuer has.
    expect(deleting.map(({ owner, statement }) => [owner, statement.Resource])).toEqual([
      ['RegistrationPolicy', { 'Fn::GetAtt': ['SendersTable', 'Arn'] }],
      ['IssuersPolicy', { 'Fn::GetAtt': ['IssuersTable', 'Arn'] }],
    ]);
    expect(deleting.at(-1)?.statement.Condition).toEqual({
      'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': ['#issuing#*'] },
      Null: { 'dynamodb:LeadingKeys': 'false' },
    });
  });

  it('let a fleet send requests, and nothing else', () => {
    const fleet = grants(prod).filter(({ owner }) => owner === 'FleetProducerPolicy');
    expect(fleet.map(({ statement: { Action: action, Resource: resource } }) => [action, resource])).toEqual([
      ['sqs:SendMessage', { 'Fn::GetAtt': ['RequestsQueue', 'Arn'] }],
    ]);
  });
});

describe('what is kept', () => {
  it('is protected from deletion and can be restored', () => {
    // Counters of this hour and the last are made anew.
    const tables = ofType(prod, 'AWS::DynamoDB::Table').filter(([id]) => id !== 'QuotasTable');
    expect(tables.length).toBeGreaterThanOrEqual(7);
    for (const [id, table] of tables) {
      expect(table, id).toMatchObject({
        DeletionPolicy: 'Retain',
        UpdateReplacePolicy: 'Retain',
        Properties: {
          DeletionProtectionEnabled: true,
          PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true },
          SSESpecification: { SSEEnabled: true },
        },
      });
    }
    const queues = ofType(prod, 'AWS::SQS::Queue');
    expect(queues.length).toBeGreaterThanOrEqual(3);
    for (const [id, queue] of queues) {
      expect(queue, id).toMatchObject({ DeletionPolicy: 'Retain', UpdateReplacePolicy: 'Retain' });
    }
    expect(prod.Resources['PublicBucket']).toMatchObject({
      DeletionPolicy: 'Retain',
      Properties: { BucketName: 'example-mintmark-public', VersioningConfiguration: { Status: 'Enabled' } },
    });
  });

  it('is reached over TLS only', () => {
    const policies = ['AWS::SQS::QueuePolicy', 'AWS::SNS::TopicPolicy', 'AWS::S3::BucketPolicy'].flatMap((type) =>
      ofType(prod, type),
    );
    const guarded = policies.flatMap(([, { Properties }]) => {
      const denies = statementsOf(Properties['PolicyDocument']).some(
        ({ Effect, Condition }) =>
          Effect === 'Deny' && String(Condition?.['Bool']?.['aws:SecureTransport']) === 'false',
      );
      const [target] = [Properties['Queues'], Properties['Topics'], Properties['Bucket']]
        .flat()
        .filter((each) => each !== undefined);
      return denies ? [(target as { Ref: string }).Ref] : [];
    });
    const toGuard = ['AWS::SQS::Queue', 'AWS::SNS::Topic', 'AWS::S3::Bucket'].flatMap((type) =>
      ofType(prod, type).map(([id]) => id),
    );
    expect(guarded.sort()).toEqual(toGuard.sort());
  });

  it('is read from the bucket by CloudFront, once there is a distribution', () => {
    const readers = (template: Template) =>
      statementsOf(template.Resources['PublicBucketPolicy']?.Properties['PolicyDocument']).filter(
        ({ Effect }) => Effect === 'Allow',
      );
    expect(readers(prod)).toEqual([]);
    const [reader, ...others] = readers(inKms);
    expect(others).toEqual([]);
    expect(reader).toMatchObject({
      Action: 's3:GetObject',
      Principal: { Service: 'cloudfront.amazonaws.com' },
      Condition: { StringEquals: { 'aws:SourceArn': distribution } },
    });
  });
});

describe('the event source mappings', () => {
  const mappings = () =>
    ofType(prod, 'AWS::Lambda::EventSourceMapping').map(([id, { Properties }]) => ({
      id,
      properties: Properties as {
        FunctionName: { 'Fn::GetAtt': [string, string] };
        EventSourceArn: { 'Fn::GetAtt': [string, string] };
        FunctionResponseTypes: string[];
        MaximumBatchingWindowInSeconds?: number;
        ScalingConfig: { MaximumConcurrency: number };
      },
    }));

  it('take partial answers, and leave the queue alone long enough', () => {
    expect(mappings()).toHaveLength(3);
    for (const { id, properties } of mappings()) {
      expect(properties.FunctionResponseTypes, id).toEqual(['ReportBatchItemFailures']);
      const { Timeout: timeout } = prod.Resources[properties.FunctionName['Fn::GetAtt'][0]]?.Properties ?? {};
      const { VisibilityTimeout: visibility } =
        prod.Resources[properties.EventSourceArn['Fn::GetAtt'][0]]?.Properties ?? {};
      expect(Number(visibility), id).toBeGreaterThanOrEqual(
        6 * Number(timeout) + (properties.MaximumBatchingWindowInSeconds ?? 0),
      );
    }
  });

  it('have pollers for no more than the reserved concurrency', () => {
    for (const [id, { Properties }] of ofType(prod, 'AWS::Lambda::Function')) {
      const own = mappings().filter(({ properties }) => properties.FunctionName['Fn::GetAtt'][0] === id);
      const pollers = own.reduce((sum, { properties }) => sum + properties.ScalingConfig.MaximumConcurrency, 0);
      const reserved = Properties['ReservedConcurrentExecutions'];
      if (reserved !== undefined) expect(reserved, id).toBeGreaterThanOrEqual(pollers);
    }
    expect(prod.Resources['IssueLambdaFunction']?.Properties).toHaveProperty('ReservedConcurrentExecutions');
  });

  it('of the issue function are not resumed by a deployment', () => {
    for (const { id, properties } of mappings().filter(({ id: name }) => name.startsWith('Issue'))) {
      expect(properties, id).not.toHaveProperty('Enabled');
    }
  });
});

describe('the alarms', () => {
  const alarms = () => ofType(prod, 'AWS::CloudWatch::Alarm');

  it('each say what missing data means, and tell one severity of alarm and of recovery', () => {
    expect(alarms().length).toBeGreaterThanOrEqual(7);
    for (const [id, { Properties }] of alarms()) {
      expect(['breaching', 'notBreaching'], id).toContain(Properties['TreatMissingData']);
      expect([[{ Ref: 'AlarmsCriticalTopic' }], [{ Ref: 'AlarmsWarningTopic' }]], id).toContainEqual(
        Properties['AlarmActions'],
      );
      expect(Properties['OKActions'], id).toEqual(Properties['AlarmActions']);
    }
  });

  it('on metric math name what they calculate with, and watch one result', () => {
    const calculated = alarms().filter(([, { Properties }]) => Properties['Metrics'] !== undefined);
    expect(calculated.length).toBeGreaterThanOrEqual(3);
    for (const [id, { Properties }] of calculated) {
      // AWS refuses a Period beside Metrics (CloudWatch API reference, PutMetricAlarm).
      for (const name of ['MetricName', 'Namespace', 'Period', 'Statistic'])
        expect(Properties, id).not.toHaveProperty(name);
      const metrics = Properties['Metrics'] as { Id: string; Expression?: string; ReturnData: boolean }[];
      const [result, ...others] = metrics.filter(({ ReturnData }) => ReturnData);
      expect(others, id).toEqual([]);
      const used = [...(result?.Expression ?? '').matchAll(/[a-z]\w*/g)].map(([name]) => name);
      const given = metrics.flatMap(({ Id, Expression }) => (Expression === undefined ? [Id] : []));
      expect([...new Set(used)].sort(), id).toEqual(given.sort());
    }
  });

  it('watch errors and throttles of every function', () => {
    const watched = alarms().map(
      ([, { Properties }]) => `${String(Properties['MetricName'])} ${JSON.stringify(Properties['Dimensions'])}`,
    );
    for (const [id] of ofType(prod, 'AWS::Lambda::Function')) {
      for (const metric of ['Errors', 'Throttles']) {
        expect(watched).toContain(`${metric} [{"Name":"FunctionName","Value":{"Ref":"${id}"}}]`);
      }
    }
  });

  it('may be published by CloudWatch for this account alone', () => {
    for (const id of ['AlarmsCriticalTopicPolicy', 'AlarmsWarningTopicPolicy']) {
      const allowed = statementsOf(prod.Resources[id]?.Properties['PolicyDocument']).filter(
        ({ Effect }) => Effect === 'Allow',
      );
      expect(allowed).toHaveLength(1);
      expect(allowed[0]).toMatchObject({
        Principal: { Service: 'cloudwatch.amazonaws.com' },
        Action: 'sns:Publish',
        Condition: { StringEquals: { 'aws:SourceAccount': { Ref: 'AWS::AccountId' } } },
      });
    }
  });
});

describe('the outputs', () => {
  it('are there, of resources that are there', () => {
    const names = [
      'RequestsQueueUrl',
      'CertificatesTopicArn',
      'AlarmsCriticalTopicArn',
      'IssuersTableName',
      'PublicBucketName',
    ];
    expect(Object.keys(prod.Outputs)).toEqual(expect.arrayContaining(names));
    const referred = [...JSON.stringify(prod.Outputs).matchAll(/"(?:Ref|Fn::GetAtt)":\[?"(\w+)"/g)].map(
      ([, id]) => id ?? '',
    );
    expect(Object.keys(prod.Resources)).toEqual(expect.arrayContaining(referred));
  });
});

import { X509Certificate } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { CloudTrailClient } from '@aws-sdk/client-cloudtrail';
import { CloudWatchClient } from '@aws-sdk/client-cloudwatch';
import { type AttributeValue, ConditionalCheckFailedException, DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { IAMClient } from '@aws-sdk/client-iam';
import { KMSClient } from '@aws-sdk/client-kms';
import { LambdaClient } from '@aws-sdk/client-lambda';
import { SQSClient } from '@aws-sdk/client-sqs';
import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import type { CommandModule } from '../../cli/command.ts';
import { commands } from '../../cli/commands/index.ts';
import type { Session } from '../../cli/session.ts';
import { targetOf } from '../../cli/target.ts';
import { certificatePem } from '../../shared/issuance/certificate.ts';
import { writePinSeal } from '../../shared/ledger/pin-seals.ts';
import { generateEcKey } from '../fixtures/csr/make.ts';
import { makePemCsr } from '../support/embedded-openssl.ts';
import { makeIssuingCa } from '../support/issuing-ca.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

/** The managed policies of who uses the command, against what the command calls: all of it, and no more. */

const now = Date.parse('2026-11-22T12:00:00Z');
const folder = temporaryFolder('cli-policies');
const csr = join(folder, 'door-7.csr');
writeFileSync(csr, makePemCsr(generateEcKey('P-256'), 'door-7'));

/** One device that is registered as it stands, one otherwise, and one that is not. */
const registrations = join(folder, 'devices.csv');
writeFileSync(registrations, 'deviceId,fleet\ndoor-7,\ndoor-8,doors\n');

/** A CA that is not there yet. */
const newCa = makeIssuingCa({ issuerId: 'new', notBefore: new Date(now - 1), notAfter: new Date(now + 1_000_000) });
const caFile = join(folder, 'ca.pem');
writeFileSync(caFile, [newCa.issuer.certificate, newCa.root].map(certificatePem).join(''));
const newKeyId = '12345678-1234-1234-1234-123456789013';
const newIssuer = ['--signer-uri', `awskms:key-id=${newKeyId}`, '--base-url', 'http://ca.test'];

const gateway = 'arn:aws:iam::000000000000:role/gateway';
const fleetUser = 'arn:aws:iam::000000000000:user/fleet';

/** Every command, with arguments that take it every way it has; and the policy that it is to get along with. */
const uses: Readonly<Record<string, { readonly policy: string; readonly args: readonly (readonly string[])[] }>> = {
  request: { policy: 'OperatorPolicy', args: [[csr], [csr, '--out', folder, '--timeout', '3']] },
  'certificates list': {
    policy: 'OperatorPolicy',
    args: [[], ['--device', 'door-7'], ['--serial', 'ff'], ['--expires', '2026-11-22'], ['--status', 'intent']],
  },
  'certificates show': {
    policy: 'OperatorPolicy',
    args: [
      ['--device', 'door-7'],
      ['--serial', 'ff', '--abandoned'],
    ],
  },
  'certificates export': { policy: 'OperatorPolicy', args: [['--expires', '2026-11-22']] },
  'failures list': { policy: 'OperatorPolicy', args: [[]] },
  'failures show': { policy: 'OperatorPolicy', args: [['message']] },
  'failures redrive': { policy: 'RedrivePolicy', args: [['message'], ['--since', '2026-11-22']] },
  'failures dismiss': {
    policy: 'RedrivePolicy',
    args: [
      ['message', '--reason', 'test'],
      ['--class', 'bug', '--reason', 'test'],
    ],
  },
  'devices import': { policy: 'RegistrationPolicy', args: [[registrations], [registrations, '--dry-run']] },
  'devices list': { policy: 'OperatorPolicy', args: [[], ['--fleet', 'doors', '--state', 'blocked']] },
  'devices show': { policy: 'OperatorPolicy', args: [['door-7']] },
  'devices block': { policy: 'RegistrationPolicy', args: [['door-7', '--reason', 'test']] },
  'devices unblock': { policy: 'RegistrationPolicy', args: [['door-7']] },
  'senders add': {
    policy: 'RegistrationPolicy',
    args: [
      [gateway, '--all-fleets', '--all-profiles'],
      [fleetUser, '--fleet', 'doors', '--profile', 'device-tls', '--note', 'x'],
    ],
  },
  'senders list': { policy: 'OperatorPolicy', args: [[], ['--fleet', 'doors']] },
  'senders show': { policy: 'OperatorPolicy', args: [[gateway], ['AROAEXAMPLE'], ['AIDAEXAMPLE']] },
  'senders remove': { policy: 'RegistrationPolicy', args: [[gateway]] },
  'keys block': { policy: 'RegistrationPolicy', args: [[csr, '--reason', 'test']] },
  'keys show': { policy: 'OperatorPolicy', args: [[csr]] },
  'keys unblock': { policy: 'RegistrationPolicy', args: [[csr]] },
  'issuers list': { policy: 'OperatorPolicy', args: [[]] },
  'issuers show': { policy: 'OperatorPolicy', args: [['devices']] },
  'issuers add': { policy: 'IssuersPolicy', args: [[caFile, '--id', 'new', ...newIssuer, '--crl-shards', '4']] },
  'issuers activate': { policy: 'IssuersPolicy', args: [['devices', '--name', 'fleet', '--new-name']] },
  'issuers deactivate': { policy: 'IssuersPolicy', args: [['other']] },
  'issuers retire': { policy: 'IssuersPolicy', args: [['devices'], ['devices', '--force'], ['devices', '--undo']] },
  'pin seal': {
    policy: 'PinsPolicy',
    args: [
      ['--issuer', 'in-hsm', '--yes'],
      ['--canary', '--yes'],
    ],
  },
  'pin status': { policy: 'PinsPolicy', args: [[]] },
  'pin rotate': {
    policy: 'PinsPolicy',
    args: [
      ['--issuer', 'in-hsm', '--yes'],
      ['--issuer', 'rotating'],
      ['--issuer', 'rotating', '--back'],
    ],
  },
  'queue status': { policy: 'OperatorPolicy', args: [[]] },
  'queue pause': { policy: 'OperatorPolicy', args: [[]] },
  'queue resume': { policy: 'OperatorPolicy', args: [[]] },
  relint: { policy: 'OperatorPolicy', args: [[], ['--expires', '2026-11-22', '--issuer', 'devices']] },
  health: { policy: 'OperatorPolicy', args: [[]] },
  'audit signatures': { policy: 'OperatorPolicy', args: [[], ['--issuer', 'devices', '--until', '2026-11-22T12:00Z']] },
};

const { tables, ...others } = targetOf({ stage: 'test' }, {});

/** Logical ids (deploy/*.yml) by the names that a call has. */
const resources: Readonly<Record<string, string>> = {
  [tables.issuance]: 'IssuanceTable',
  [tables.revocations]: 'RevocationsTable',
  [tables.devices]: 'DevicesTable',
  [tables.senders]: 'SendersTable',
  [tables.keys]: 'KeysTable',
  [tables.issuers]: 'IssuersTable',
  [tables.failures]: 'FailuresTable',
  [others.requestsQueue]: 'RequestsQueue',
  [others.redriveQueue]: 'RedriveQueue',
  [others.checkClusterFunction]: 'CheckClusterLambdaFunction',
  [others.checkSignerFunction]: 'CheckSignerLambdaFunction',
  [others.issueFunction]: 'IssueLambdaFunction',
  [others.reconcileFunction]: 'ReconcileLambdaFunction',
};

interface Input {
  readonly TableName?: string;
  readonly Key?: Item;
  readonly IndexName?: string;
  readonly RequestItems?: Readonly<Record<string, { readonly Keys: readonly Item[] }>>;
  readonly UpdateExpression?: string;
  readonly QueueName?: string;
  readonly QueueUrl?: string;
  readonly Entries?: readonly { readonly Id: string }[];
  readonly FunctionName?: string;
  readonly KeyId?: string;
  readonly RoleName?: string;
  readonly UserName?: string;
}

type Item = Record<string, AttributeValue>;

const ca = makeIssuingCa({ notBefore: new Date(now - 1), notAfter: new Date(now + 1_000_000) });

const issuanceKey: Item = { deviceId: { S: 'door-7' }, requestId: { S: 'r' } };
const issuance: Item = {
  ...issuanceKey,
  state: { S: 'issued' },
  issuerId: { S: 'devices' },
  serialNumber: { S: 'ff'.padStart(32, '0') },
  crlShard: { N: '0' },
  certificate: { B: ca.issuer.certificate },
  notAfter: { S: '2026-11-22T12:00:00.000Z' },
};
const failure: Item = {
  classDay: { S: 'bug#2026-11-22' },
  messageId: { S: 'message' },
  code: { S: 'INTERNAL' },
  detail: { S: 'x' },
  failedAt: { S: '2026-11-22T00:00:00.000Z' },
  sender: { S: 'AROA' },
  body: { S: '{}' },
  bodyBytes: { N: '2' },
};
const device: Item = { deviceId: { S: 'door-7' }, state: { S: 'active' } };
const sender: Item = {
  principalId: { S: 'AROAEXAMPLE' },
  arn: { S: gateway },
  fleets: { S: '*' },
  profiles: { S: '*' },
};
const keyOfDoor: Item = {
  state: { S: 'compromised' },
  deviceId: { S: 'door-7' },
  requestId: { S: 'r' },
  notAfter: { S: '2026-11-22T12:00:00.000Z' },
};
const breaker: Item = { state: { S: 'open' }, revision: { N: '1' } };
const issuer: Item = {
  issuerId: { S: 'devices' },
  state: { S: 'active' },
  certificate: { B: ca.issuer.certificate },
  chain: { L: [{ B: ca.root }] },
  signerUri: { S: 'awskms:key-id=12345678-1234-1234-1234-123456789012' },
  signatureAlgorithm: { S: 'rsa-pss-sha256' },
  clusterId: { S: 'cluster-abcdefghijk' },
  baseUrl: { S: 'http://ca.example.com' },
  crlShardCount: { N: '4' },
  retiredAt: { S: '2026-11-22T12:00:00.000Z' },
};
const sealingKeyArn = 'arn:aws:kms:eu-west-1:000000000000:key/00000000-0000-0000-0000-000000000000';
const envelope = Uint8Array.of(1);
const pinSeal: Item = writePinSeal(
  { userName: 'user_1', keyArn: sealingKeyArn, clusterId: 'cluster-abcdefghijk', sealedAt: now - 86_400_000 },
  envelope,
);
const pinsInHsm: Item = {
  ...issuer,
  issuerId: { S: 'in-hsm' },
  signerUri: { S: 'pkcs11:object=devices' },
  sealedPins: { M: { 'eu-west-1': { B: envelope } } },
  pinSeals: { M: { 'eu-west-1': { M: pinSeal } } },
};
const pinsRotating: Item = {
  ...pinsInHsm,
  issuerId: { S: 'rotating' },
  pinRotation: {
    M: { fromUser: { S: 'user_0' }, toUser: { S: 'user_1' }, startedAt: { S: '2026-11-01T12:00:00.000Z' } },
  },
};
const canary: Item = {
  ...pinsInHsm,
  issuerId: { S: '#canary#eu-west-1' },
  sealedPin: { B: envelope },
  pinSeal: { M: pinSeal },
};

const name: Item = {
  issuerId: { S: '#issuing#other' },
  target: { S: 'devices' },
  previousTarget: { S: 'other' },
  activatedAt: { S: '2026-11-22T12:00:00.000Z' },
  recentTargets: { L: [] },
};

const rowsIn: Readonly<Record<string, Item>> = {
  [tables.issuance]: issuance,
  [tables.failures]: failure,
  [tables.devices]: device,
  [tables.senders]: sender,
  [tables.keys]: keyOfDoor,
  [tables.issuers]: issuer,
};

/** An AWS in which there is one of each. */
const answers: Readonly<Record<string, (input: Input) => object>> = {
  QueryCommand: ({ TableName = '' }) => ({ Items: [rowsIn[TableName]] }),
  ScanCommand: ({ TableName = '' }) => ({
    Items: TableName === tables.issuers ? [issuer, name] : [rowsIn[TableName]],
  }),
  // A request that is asked for has its answer in `failures`: the CSR's id is not known here.
  BatchGetItemCommand: ({ RequestItems = {} }) => ({
    Responses: Object.fromEntries(
      Object.entries(RequestItems).map(([table, { Keys: keys }]) => [
        table,
        keys
          .filter((key) => table !== tables.failures || key['classDay']?.S === failure['classDay']?.S)
          .filter((key) => table !== tables.issuance || key['requestId']?.S === 'r')
          .map((key) => ({ ...rowsIn[table], ...key })),
      ]),
    ),
  }),
  GetItemCommand: ({ TableName = '', Key: key }) => {
    if (TableName === tables.failures) return { Item: failure };
    const pins = [pinsInHsm, pinsRotating, canary].find((row) => row['issuerId']?.S === key?.['issuerId']?.S);
    if (TableName === tables.issuers && pins !== undefined) return { Item: pins };
    const isBreaker = key?.['issuerId']?.S?.startsWith('#breaker#') === true;
    if (TableName === tables.issuers) return { Item: isBreaker ? breaker : issuer };
    if (TableName !== tables.senders) return {};
    return { Item: key?.['principalId']?.S === 'AIDAEXAMPLE' ? { ...sender, arn: { S: fleetUser } } : sender };
  },
  PutItemCommand: () => ({}),
  DeleteItemCommand: () => ({ Attributes: sender }),
  GetRoleCommand: () => ({ Role: { Arn: gateway, RoleId: 'AROAEXAMPLE' } }),
  GetUserCommand: () => ({ User: { Arn: fleetUser, UserId: 'AIDAEXAMPLE' } }),
  // Somebody was faster with a failure, and in blocking a key; a breaker changes, and so do devices.
  UpdateItemCommand: ({ TableName = '', UpdateExpression: expression = '' }) => {
    // It can be claimed, and then somebody was faster.
    if (expression.includes('claimedBy = ')) return {};
    if (TableName === tables.devices) return { Attributes: device };
    if (TableName === tables.keys && expression.includes(':cleared')) return { Attributes: keyOfDoor };
    if (TableName === tables.senders) return { Attributes: sender };
    if (TableName === tables.issuers) return { Attributes: { ...breaker, state: { S: 'half-open' } } };
    throw new ConditionalCheckFailedException({ message: 'The conditional request failed', $metadata: {} });
  },
  DescribeTableCommand: () => ({ Table: { ItemCount: 1 } }),
  GetQueueUrlCommand: ({ QueueName }) => ({ QueueUrl: `http://sqs/000000000000/${QueueName}` }),
  GetQueueAttributesCommand: () => ({ Attributes: {} }),
  SendMessageBatchCommand: ({ Entries: entries = [] }) => ({
    Successful: entries.map(({ Id }) => ({ Id, MessageId: 'message' })),
  }),
  InvokeCommand: () => ({ Payload: Buffer.from('{"findings":[]}') }),
  ListEventSourceMappingsCommand: () => ({ EventSourceMappings: [] }),
  GetMetricDataCommand: () => ({ MetricDataResults: [] }),
  GetFunctionConfigurationCommand: ({ FunctionName }) => ({
    FunctionArn: `arn:aws:lambda:eu-west-1:000000000000:function:${FunctionName}`,
    Role: `arn:aws:iam::000000000000:role/${FunctionName}`,
    LastModified: '2026-11-02T12:00:00.000+0000',
    LastUpdateStatus: 'Successful',
  }),
  DescribeKeyCommand: ({ KeyId }) => ({
    KeyMetadata:
      KeyId === sealingKeyArn
        ? {
            Arn: KeyId,
            Origin: 'AWS_CLOUDHSM',
            CloudHsmClusterId: 'cluster-abcdefghijk',
            KeySpec: 'SYMMETRIC_DEFAULT',
            KeyUsage: 'ENCRYPT_DECRYPT',
            KeyState: 'Enabled',
          }
        : {
            KeyId,
            KeyUsage: 'SIGN_VERIFY',
            KeyState: 'Enabled',
            SigningAlgorithms: ['RSASSA_PKCS1_V1_5_SHA_256', 'RSASSA_PSS_SHA_256'],
          },
  }),
  EncryptCommand: () => ({ CiphertextBlob: Uint8Array.of(2) }),
  LookupEventsCommand: () => ({ Events: [] }),
  GetPublicKeyCommand: ({ KeyId }) => {
    const { certificate } = (KeyId === newKeyId ? newCa : ca).issuer;
    return { PublicKey: new X509Certificate(certificate).publicKey.export({ type: 'spki', format: 'der' }) };
  },
};

/** The IAM action that authorises a call, where it is not the call's own name (Service Authorization Reference). */
const authorisedBy: Readonly<Record<string, string>> = {
  SendMessageBatch: 'SendMessage',
  Invoke: 'InvokeFunction',
};

/** `dynamodb:Query IssuanceTable/index/bySerial`; the whole account's, where AWS has no resource level. */
function permissionsOf(service: string, name: string, input: Input): string[] {
  const own = name.replace(/Command$/, '');
  const action = `${service}:${authorisedBy[own] ?? own}`;
  const queue = input.QueueName ?? input.QueueUrl?.split('/').at(-1);
  const index = input.IndexName === undefined ? '' : `/index/${input.IndexName}`;
  const names = [input.TableName, queue, input.FunctionName, ...Object.keys(input.RequestItems ?? {})];
  const known = names.filter((one) => one !== undefined && service !== 'cloudwatch').map((one = '') => resources[one]);
  if (service === 'kms')
    return [`${action} \${param:${input.KeyId === sealingKeyArn ? 'sealingKeyArn' : 'issuerKeyArns'}}`];
  // By name, of which the policies name none.
  if (input.RoleName !== undefined) return [`${action} role/*`];
  if (input.UserName !== undefined) return [`${action} user/*`];
  const isUnlevelled = own === 'ListEventSourceMappings' || known.length === 0;
  return isUnlevelled ? [`${action} *`] : known.map((resource) => `${action} ${resource}${index}`);
}

/** Runs a command in that AWS. @returns what it needed to be allowed */
async function permissions(module: CommandModule, args: readonly string[]): Promise<string[]> {
  const needed: string[] = [];
  // AWS's own paginators take AWS's own clients.
  const client = <Client extends { send: unknown }>(service: string, made: Client) => {
    made.send = (command: { readonly input: Input }) => {
      const { name } = command.constructor;
      needed.push(...permissionsOf(service, name, command.input));
      const answer = answers[name];
      if (answer === undefined) throw new Error(`What AWS answers to ${name} is not written down here.`);
      return Promise.resolve().then(() => answer(command.input));
    };
    return () => Promise.resolve(made);
  };
  const where = { region: 'eu-west-1', credentials: { accessKeyId: 'test', secretAccessKey: 'test' } };
  const stream = () => Object.assign(new PassThrough(), { isTTY: false });
  const [stdout, stderr] = [stream(), stream()];
  let time = now;
  const session = {
    target: () => targetOf({ stage: 'test' }, {}),
    clients: {
      dynamoDB: client('dynamodb', new DynamoDBClient(where)),
      sqs: client('sqs', new SQSClient(where)),
      lambda: client('lambda', new LambdaClient(where)),
      cloudWatch: client('cloudwatch', new CloudWatchClient(where)),
      cloudTrail: client('cloudtrail', new CloudTrailClient(where)),
      iam: client('iam', new IAMClient(where)),
      kms: client('kms', new KMSClient(where)),
    },
    isJson: true,
    stdin: Object.assign(Readable.from([Buffer.from('user_2:password')]), { isTTY: false }),
    stdout: stdout.resume(),
    stderr: stderr.resume(),
    note: () => undefined,
    explain: (error: unknown) => ({ message: String(error), cure: '' }),
    interrupted: new AbortController().signal,
    // So that a request without a row is looked for in `failures` at once.
    now: () => (time += 5_000),
  } as unknown as Session;
  const command = module.declare(new Command().exitOverride());
  command.parse(args, { from: 'user' });
  await module.run(session, command.opts(), command.args);
  return needed;
}

interface Statement {
  readonly Action: string | readonly string[];
  readonly Resource: unknown;
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

/** There where a stage has what it is about. */
interface Conditional {
  readonly 'Fn::If': readonly [string, Statement, unknown];
}

function statementsOf(policy: string): Statement[] {
  for (const file of ['roles.yml', 'redrive.yml', 'registration.yml', 'issuers.yml']) {
    const text = readFileSync(new URL(`../../deploy/${file}`, import.meta.url), 'utf8');
    const { Resources: found } = parse(text, { merge: true }) as {
      Resources: Record<string, { Properties: { PolicyDocument: { Statement: (Statement | Conditional)[] } } }>;
    };
    const statements = found[policy]?.Properties.PolicyDocument.Statement;
    if (statements !== undefined) return statements.map((each) => ('Fn::If' in each ? each['Fn::If'][1] : each));
  }
  throw new Error(`There is no ${policy}.`);
}

function resourceOf(resource: unknown): string {
  if (typeof resource === 'string') return resource;
  const {
    'Fn::GetAtt': [logicalId] = [],
    'Fn::Join': [, parts] = [],
    'Fn::Sub': arn,
    'Fn::Split': [, list] = [],
  } = resource as {
    'Fn::Split'?: [string, string];
    'Fn::Sub'?: string;
    'Fn::GetAtt'?: [string, string];
    'Fn::Join'?: [string, readonly unknown[]];
  };
  if (list !== undefined) return list;
  if (arn !== undefined) return arn.split(':').at(-1) ?? '';
  return logicalId ?? (parts ?? []).map(resourceOf).join('');
}

const allowedBy = (policy: string): string[] =>
  statementsOf(policy).flatMap(({ Action: action, Resource: resource }) =>
    [action].flat().flatMap((one) => [resource].flat().map((on) => `${one} ${resourceOf(on)}`)),
  );

const sorted = (permitted: readonly string[]): string[] => [...new Set(permitted)].sort();

/** What asks AWS nothing needs no policy. */
const offline: readonly string[] = ['pin recover', 'profiles check'];

/** What is done before there is a stage, by whoever deploys: no policy of the stage is for it. */
const deploying: readonly string[] = ['layer publish'];

it('every command is here', () => {
  const known = [...Object.keys(uses), ...offline, ...deploying];
  expect(known.sort()).toEqual(commands.map(({ name }) => name.join(' ')).sort());
});

it.each(offline)('%s says that it asks AWS nothing', async (command) => {
  const entry = commands.find(({ name }) => name.join(' ') === command);
  expect(await entry?.load()).toMatchObject({ isOffline: true });
});

describe.each(sorted(Object.values(uses).map(({ policy }) => policy)))('%s', (policy) => {
  it('allows what its commands call, and nothing else', async () => {
    const needed: string[] = [];
    for (const { name, load } of commands) {
      const use = uses[name.join(' ')];
      if (use?.policy !== policy) continue;
      for (const args of use.args) needed.push(...(await permissions(await load(), args)));
    }
    expect(sorted(needed)).toEqual(sorted(allowedBy(policy)));
  });
});

it.each([
  ['OperatorPolicy', [issuer, name]],
  ['RedrivePolicy', [issuer]],
])('the %s: of the issuers, what everybody may know, and asks for no more', (policy, rows) => {
  const statement = statementsOf(policy).find(
    ({ Action: action, Resource: resource }) =>
      [action].flat().includes('dynamodb:Scan') && resourceOf(resource) === 'IssuersTable',
  );
  const attributes = statement?.Condition?.['ForAllValues:StringEquals']?.['dynamodb:Attributes'];
  expect(sorted(attributes as string[])).toEqual(sorted(rows.flatMap(Object.keys)));
});

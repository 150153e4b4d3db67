import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  BatchGetItemCommand,
  type DynamoDBClient,
  GetItemCommand,
  type GetItemCommandInput,
  UpdateItemCommand,
  type UpdateItemCommandInput,
} from '@aws-sdk/client-dynamodb';
import type { EncryptCommand, KMSClient } from '@aws-sdk/client-kms';
import { type LambdaClient, UpdateEventSourceMappingCommand } from '@aws-sdk/client-lambda';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { project } from '../../local/setup/machine.mjs';
import { changeMapping } from '../../shared/breaker/mappings.ts';
import { canaryPinPurpose, readCanaryPin, sealCanaryPin } from '../../shared/cluster/canary-record.ts';
import { type ErrorCode, errorKinds, failureClassOf } from '../../shared/errors.ts';
import { CompromisedKeys, Failures, KeyClaims, KeyRecords, SealedPins } from '../../shared/ledger/index.ts';
import { sealPin } from '../../shared/signer/pin.ts';
import { holds, type RequestContext, type Statement, statementsIn } from '../support/iam-policy.ts';

/** What the functions' roles allow within a table or a mapping, beyond which one: the conditions of their statements. */

type Resources = Record<string, { readonly Type: string }>;
const deploy = join(project, 'deploy');
const files = readdirSync(deploy).filter((file) => file.endsWith('.yml'));
const resources: Resources = Object.assign(
  {},
  ...files.map((file) => {
    const read = parse(readFileSync(join(deploy, file), 'utf8'), { merge: true }) as { Resources?: Resources };
    return read.Resources ?? {};
  }),
);

/** `Fn::GetAtt` as CloudFormation writes it in short: IssueLambdaFunction.Arn. */
const resolve = (value: object): string[] => {
  const attribute = (value as { 'Fn::GetAtt'?: readonly [string, string] })['Fn::GetAtt'];
  if (attribute === undefined) throw new Error(`Not known here: ${JSON.stringify(value)}`);
  return [attribute.join('.')];
};

const concerns = ({ Resource: resource }: Statement, id: string) => JSON.stringify(resource ?? '').includes(`"${id}`);

function isAllowed(role: string, action: string, resource: string, context: RequestContext): boolean {
  const statements = statementsIn(resources[role]).filter(
    (statement) => [statement.Action].flat().includes(action) && concerns(statement, resource),
  );
  expect(statements.map(({ Effect }) => Effect)).toEqual(['Allow']);
  return statements.some(({ Condition }) => holds(Condition, context, resolve));
}

describe('who writes what into the failures table, whose rows a redrive believes', () => {
  const codes = Object.keys(errorKinds) as ErrorCode[];

  /** The partition keys that are written and read when a failure, or a first error, is recorded. */
  async function keysOf(use: (failures: Failures) => Promise<void>) {
    const [written, read]: [string[], string[]] = [[], []];
    const send = async (command: object) => {
      const isWrite = command instanceof UpdateItemCommand;
      if (!isWrite && !(command instanceof GetItemCommand)) throw new Error('Neither a write nor a read of one item');
      (isWrite ? written : read).push(command.input.Key?.['classDay']?.S ?? '');
      return {};
    };
    await use(new Failures({ send } as unknown as DynamoDBClient, 'failures'));
    return { written, read };
  }

  const recording = (code: ErrorCode) =>
    keysOf((failures) =>
      failures.record({ code, detail: '', messageId: 'm', sender: 's', body: '', tries: 1, sentAt: 0, failedAt: 0 }),
    );

  const mayWrite = (role: string, key: string) =>
    isAllowed(role, 'dynamodb:UpdateItem', 'FailuresTable', { 'dynamodb:LeadingKeys': [key] });
  const mayRead = (role: string, key: string) =>
    isAllowed(role, 'dynamodb:GetItem', 'FailuresTable', { 'dynamodb:LeadingKeys': [key] });

  it.each([
    ['RecordFailureRole', (code: ErrorCode) => failureClassOf(code) === 'crashed'],
    ['IssueRole', (code: ErrorCode) => failureClassOf(code) !== 'crashed'],
  ] as const)('lets the %s record the classes that its function records, and no other', async (role, isOwn) => {
    expect(codes.filter(isOwn)).not.toEqual([]);
    for (const code of codes) {
      const { written, read } = await recording(code);
      expect(
        written.map((key) => mayWrite(role, key)),
        code,
      ).toEqual([isOwn(code)]);
      expect(
        read.map((key) => mayRead(role, key)),
        code,
      ).toEqual([true]);
    }
  });

  it('lets first errors be kept by the issue function alone, and failures be read by neither', async () => {
    const { written } = await keysOf((failures) => failures.keepFirstError('m', { code: '', detail: '', at: 0 }));
    expect(written.map((key) => [mayWrite('IssueRole', key), mayWrite('RecordFailureRole', key)])).toEqual([
      [true, false],
    ]);
    for (const role of ['IssueRole', 'RecordFailureRole']) expect(mayRead(role, 'crashed#1970-01-01')).toBe(false);
  });

  it('lets nobody else write there but whoever redrives, who marks rows', () => {
    const writing = Object.entries(resources).flatMap(([id, resource]) =>
      resource.Type.startsWith('AWS::IAM::') &&
      statementsIn(resource).some(
        (each) => concerns(each, 'FailuresTable') && /Update|Put|Write|Delete|Partiql/i.test(String(each.Action)),
      )
        ? [id]
        : [],
    );
    expect(writing.toSorted()).toEqual(['IssueRole', 'RecordFailureRole', 'RedrivePolicy']);
  });
});

describe('who says of a key what, in the keys table', () => {
  const spkiSha256 = 'ab'.repeat(32);

  /** What of the keys table is needed for a use of it: actions, and the partition keys of each. */
  async function needs(use: (client: DynamoDBClient) => Promise<unknown>) {
    const needed: (readonly [action: string, keys: readonly string[]])[] = [];
    const send = async (command: object) => {
      if (command instanceof UpdateItemCommand) {
        needed.push(['dynamodb:UpdateItem', [command.input.Key?.['factSpkiSha256']?.S ?? '']]);
        return {};
      }
      if (!(command instanceof BatchGetItemCommand)) throw new Error('Neither a write nor a read of a batch');
      const keys = command.input.RequestItems?.['keys']?.Keys ?? [];
      needed.push(['dynamodb:BatchGetItem', keys.map((key) => key['factSpkiSha256']?.S ?? '')]);
      return {};
    };
    await use({ send } as unknown as DynamoDBClient);
    return needed;
  }

  const uses = {
    look: (client: DynamoDBClient) => new CompromisedKeys(client, 'keys').among([spkiSha256]),
    claim: (client: DynamoDBClient) =>
      new KeyClaims(client, 'keys').claim(spkiSha256, { deviceId: 'd', requestId: 'r', notAfter: 0 }, 0),
    block: (client: DynamoDBClient) => new KeyRecords(client, 'keys').block(spkiSha256, 'test', 0),
    unblock: (client: DynamoDBClient) => new KeyRecords(client, 'keys').unblock(spkiSha256, 0),
  };

  it.each([
    ['IssueRole', { look: true, claim: true, block: false, unblock: false }],
    ['ReconcileRole', { look: true, claim: false, block: false, unblock: false }],
    ['RegistrationPolicy', { look: true, claim: false, block: true, unblock: true }],
  ] as const)('the %s may do what is its own, and nothing else', async (role, expected) => {
    const statements = statementsIn(resources[role]).filter((each) => concerns(each, 'KeysTable'));
    const isAllowedKeys = (action: string, keys: readonly string[]) =>
      statements.some(
        (each) =>
          [each.Action].flat().includes(action) && holds(each.Condition, { 'dynamodb:LeadingKeys': keys }, resolve),
      );
    const may = async (use: (client: DynamoDBClient) => Promise<unknown>) => {
      const needed = await needs(use);
      expect(needed).not.toEqual([]);
      return needed.every(([action, keys]) => isAllowedKeys(action, keys));
    };
    const found = Object.entries(uses).map(async ([name, use]) => [name, await may(use)] as const);
    expect(Object.fromEntries(await Promise.all(found))).toEqual(expected);
    expect(statements.map(({ Effect }) => Effect)).not.toContain('Deny');
  });

  it('nobody else writes there, and nobody deletes', () => {
    const writing = Object.entries(resources).flatMap(([id, resource]) =>
      resource.Type.startsWith('AWS::IAM::') &&
      statementsIn(resource).some(
        (each) => concerns(each, 'KeysTable') && /Update|Put|Write|Delete|Partiql/i.test(String(each.Action)),
      )
        ? [id]
        : [],
    );
    expect(writing.toSorted()).toEqual(['IssueRole', 'RegistrationPolicy']);
    const actions = Object.values(resources)
      .flatMap(statementsIn)
      .filter((each) => concerns(each, 'KeysTable'));
    expect(actions.flatMap(({ Action }) => Action).toSorted()).not.toContain('dynamodb:DeleteItem');
  });
});

describe('which CA issues', () => {
  const writes = /Update|Put|Write|Delete|Partiql|\*/i;
  const keys = ['devices', '#issuing#devices', '#breaker#devices', '#canary#eu-west-1', '#mappings'] as const;
  const mayWrite = (id: string, key: string) =>
    statementsIn(resources[id])
      .filter((each) => concerns(each, 'IssuersTable') && writes.test(String(each.Action)))
      .some(({ Condition }) => holds(Condition, { 'dynamodb:LeadingKeys': [key] }, resolve));

  it.each([
    ['IssuersPolicy', ['devices', '#issuing#devices']],
    ['OperatorPolicy', ['#breaker#devices']],
    ['IssueRole', ['#breaker#devices']],
    ['ReconcileRole', ['#breaker#devices']],
    ['CheckSignerRole', ['#breaker#devices', '#mappings']],
  ])('the %s writes what is its own, and nothing else', (id, own) => {
    expect(keys.filter((key) => mayWrite(id, key))).toEqual(own);
  });

  it('nobody else says, and nobody deletes but names', () => {
    const identities = Object.entries(resources).filter(([, { Type }]) => Type.startsWith('AWS::IAM::'));
    const saying = identities.filter(([id]) => mayWrite(id, '#issuing#devices') || mayWrite(id, 'devices'));
    expect(saying.map(([id]) => id)).toEqual(['IssuersPolicy']);
    const deleting = identities.flatMap(([id, resource]) =>
      statementsIn(resource)
        .filter((each) => concerns(each, 'IssuersTable') && [each.Action].flat().includes('dynamodb:DeleteItem'))
        .map(({ Condition }) => [
          id,
          keys.filter((key) => holds(Condition, { 'dynamodb:LeadingKeys': [key] }, resolve)),
        ]),
    );
    expect(deleting).toEqual([['IssuersPolicy', ['#issuing#devices']]]);
  });
});

describe('who seals a PIN', () => {
  /** The key and the top-level attributes of each call of that kind that is made. */
  async function asked(
    kind: typeof GetItemCommand | typeof UpdateItemCommand,
    use: (client: DynamoDBClient) => Promise<unknown>,
  ): Promise<RequestContext[]> {
    const contexts: RequestContext[] = [];
    const send = async (command: object) => {
      if (!(command instanceof kind)) throw new Error('Another call');
      const input: Partial<UpdateItemCommandInput & GetItemCommandInput> = command.input;
      const { Key: key = {}, ExpressionAttributeNames: names = {} } = input;
      const expressions = [input.ConditionExpression, input.UpdateExpression, input.ProjectionExpression];
      const paths = expressions.join(' ').match(/(?<![:.\w#])#?[a-zA-Z]\w*/g) ?? [];
      const attributes = paths.map((path) => (path.startsWith('#') ? (names[path] ?? '') : path));
      const words = new Set(['SET', 'REMOVE', 'AND', 'size', 'attribute_not_exists']);
      contexts.push({
        'dynamodb:LeadingKeys': [key['issuerId']?.S ?? ''],
        'dynamodb:Attributes': ['issuerId', ...attributes.filter((each) => !words.has(each))],
      });
      return {};
    };
    await use({ send } as unknown as DynamoDBClient);
    return contexts;
  }

  const envelope = Uint8Array.of(1);
  const seal = { userName: 'u', keyArn: 'k', clusterId: 'c', sealedAt: 0 };
  const pins = { 'eu-west-1': { envelope, seal } };
  const row = { issuerId: 'devices', state: 'active', signerUri: 'pkcs11:', clusterId: 'c', pins, revision: 1 };
  const rotation = { fromUser: 'u', toUser: 'v', startedAt: 0, previous: pins };
  const canary = { region: 'eu-west-1', clusterId: 'c', signerUri: 'pkcs11:', envelope };

  const may = (id: string, action: string, context: RequestContext) =>
    statementsIn(resources[id])
      .filter((each) => concerns(each, 'IssuersTable') && [each.Action].flat().includes(action))
      .some(({ Condition }) => holds(Condition, context, resolve));

  it('may do what it takes', async () => {
    const updates = await asked(UpdateItemCommand, async (client) => {
      await new SealedPins(client, 'issuers').replace(row, { pins, rotation, clusterId: 'd' });
      await new SealedPins(client, 'issuers').replace({ ...row, rotation }, { pins });
      await sealCanaryPin(client, 'issuers', canary, envelope, seal);
    });
    expect(updates.map((context) => [...(context['dynamodb:Attributes'] ?? [])].toSorted())).toMatchObject([
      expect.arrayContaining(['clusterId', 'pinRotation', 'pinRevision', 'pinSeals', 'sealedPins']),
      expect.arrayContaining(['pinRotation']),
      expect.arrayContaining(['clusterId', 'pinSeal', 'sealedPin']),
    ]);
    for (const context of updates) expect(may('PinsPolicy', 'dynamodb:UpdateItem', context)).toBe(true);

    const reads = await asked(GetItemCommand, async (client) => {
      await new SealedPins(client, 'issuers').read('devices');
      await readCanaryPin(client, 'issuers', 'eu-west-1');
    });
    expect(reads).toHaveLength(2);
    for (const context of reads) expect(may('PinsPolicy', 'dynamodb:GetItem', context)).toBe(true);
  });

  it.each([
    ['devices', 'state'],
    ['devices', 'certificate'],
    ['devices', 'signerUri'],
    ['devices', 'baseUrl'],
    ['#issuing#devices', 'sealedPins'],
    ['#issuing#devices', 'target'],
    ['#breaker#devices', 'sealedPins'],
    ['#mappings', 'sealedPins'],
    ['#canary#eu-west-1', 'publicKey'],
  ])('may not change, of the row %s, %s', (leadingKey, attribute) => {
    const context = { 'dynamodb:LeadingKeys': [leadingKey], 'dynamodb:Attributes': ['issuerId', attribute] };
    expect(may('PinsPolicy', 'dynamodb:UpdateItem', context)).toBe(false);
  });

  it('sees no row whole, and unseals nothing', () => {
    const statements = statementsIn(resources['PinsPolicy']);
    expect(may('PinsPolicy', 'dynamodb:GetItem', { 'dynamodb:LeadingKeys': ['devices'] })).toBe(false);
    const actions = statements.flatMap(({ Action }) => Action);
    expect(actions.filter((action) => action.startsWith('kms:'))).toEqual(['kms:Encrypt', 'kms:DescribeKey']);
  });

  it('encrypts with the encryption context of a PIN of this stage alone', async () => {
    const [statement] = statementsIn(resources['PinsPolicy']).filter(({ Action }) => Action === 'kms:Encrypt');
    const contexts: Record<string, string>[] = [];
    const kms = {
      send: async ({ input }: EncryptCommand) => {
        contexts.push(input.EncryptionContext ?? {});
        return { CiphertextBlob: envelope };
      },
    } as unknown as KMSClient;
    // As deploy/ has it before serverless puts the stage in.
    await sealPin(kms, 'k', 'u:password', { clusterId: 'c', issuerId: 'devices', stage: '${sls:stage}' });
    await sealPin(kms, 'k', 'u:password', canaryPinPurpose('c', '${sls:stage}'));
    const { StringEquals: equals } = (statement as { Condition: { StringEquals: Record<string, string> } }).Condition;
    for (const context of contexts) {
      const asKeys = Object.entries(context).map(([key, value]) => [`kms:EncryptionContext:${key}`, value]);
      expect(Object.fromEntries(asKeys)).toMatchObject(equals);
    }
    expect(contexts).toHaveLength(2);
  });
});

describe('functions that believe the event on who sent a message', () => {
  it('are called by nobody whom a policy lets, but by Lambda', () => {
    const callable = Object.values(resources)
      .flatMap(statementsIn)
      .filter((each) => /lambda:(\*|Invoke)/.test(String(each.Action)))
      .map(({ Resource }) => [Resource].flat().flatMap((each) => resolve(each as object)));
    expect(callable).toEqual([['CheckClusterLambdaFunction.Arn', 'CheckSignerLambdaFunction.Arn']]);
    expect(Object.values(resources).filter(({ Type }) => Type === 'AWS::Lambda::Permission')).toEqual([]);
  });
});

describe('a condition on partition keys', () => {
  const conditions = Object.entries(resources).flatMap(([id, resource]) =>
    statementsIn(resource)
      .filter(({ Condition }) => JSON.stringify(Condition ?? {}).includes('dynamodb:LeadingKeys'))
      .map(({ Sid, Condition }) => [`${id} ${Sid}`, Condition] as const),
  );

  // ForAllValues is true of no values at all (IAM user guide, "Multivalued context keys").
  it.each(conditions)('allows nothing where the request names none: %s', (_, condition) => {
    expect(holds(condition, {}, resolve)).toBe(false);
  });

  it('is there', () => expect(conditions.length).toBeGreaterThan(5));
});

describe('the CheckSignerRole', () => {
  const mayUpdate = (context: RequestContext) =>
    isAllowed('CheckSignerRole', 'lambda:UpdateEventSourceMapping', 'Fn::Sub', context);

  it('leaves the mappings at the function that they feed', () => {
    expect(mayUpdate({ 'lambda:FunctionArn': ['IssueLambdaFunction.Arn'] })).toBe(true);
    expect(mayUpdate({ 'lambda:FunctionArn': ['AnotherLambdaFunction.Arn'] })).toBe(false);
  });

  it('may pause and resume them, which names no function', async () => {
    const sent: object[] = [];
    const client = { send: async (command: object) => void sent.push(command) };
    const options = {
      lambda: client as unknown as LambdaClient,
      dynamoDB: client as unknown as DynamoDBClient,
      issuersTable: 'issuers',
    };
    const mapping = { uuid: 'uuid', eventSourceArn: '', state: 'Enabled' };
    await changeMapping(options, { mapping, to: 'paused' });
    await changeMapping(options, { mapping: { ...mapping, state: 'Disabled' }, to: 'resumed' });
    const updates = sent.filter((command) => command instanceof UpdateEventSourceMappingCommand);
    expect(updates.map(({ input }) => Object.keys(input))).toEqual([
      ['UUID', 'Enabled'],
      ['UUID', 'Enabled'],
    ]);
    expect(mayUpdate({})).toBe(true);
  });
});

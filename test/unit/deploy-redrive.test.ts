import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  ConditionalCheckFailedException,
  type DynamoDBClient,
  GetItemCommand,
  UpdateItemCommand,
} from '@aws-sdk/client-dynamodb';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { project } from '../../local/setup/machine.mjs';
import { FailureStates } from '../../shared/ledger/failure-states.ts';

const deploy = join(project, 'deploy');
const read = (file: string): unknown => parse(readFileSync(join(deploy, file), 'utf8'));

interface Statement {
  readonly Sid: string;
  readonly Effect: 'Allow' | 'Deny';
  readonly Action: string | readonly string[];
  readonly Resource: unknown;
  readonly Condition?: unknown;
}

/** Every statement of every policy in a file. */
function statementsIn(value: unknown): Statement[] {
  if (typeof value !== 'object' || value === null) return [];
  const own = 'Effect' in value && 'Action' in value ? [value as Statement] : [];
  return [...own, ...Object.values(value).flatMap(statementsIn)];
}

const policy = statementsIn(read('redrive.yml'));
const granted = (service: string) =>
  policy.flatMap(({ Action }) => [Action].flat().filter((action) => action.startsWith(`${service}:`))).toSorted();

describe('the RedrivePolicy', () => {
  /** What marking a row sends, the answer to a lost race among it. */
  async function marking(): Promise<object[]> {
    const commands: object[] = [];
    const send = async (command: object) => {
      commands.push(command);
      if (command instanceof GetItemCommand) return {};
      throw new ConditionalCheckFailedException({ message: 'The conditional request failed', $metadata: {} });
    };
    const states = new FailureStates({ send } as unknown as DynamoDBClient, 'failures');
    const key = { classDay: 'bug#2026-11-22', messageId: 'message' };
    await states.markRedriven(key, 'another', 0);
    await states.dismiss(key, 'reason', 0);
    return commands;
  }

  it('lets what became of a failure be written, and nothing else of it', async () => {
    const updates = (await marking()).filter((command) => command instanceof UpdateItemCommand);
    expect(updates).toHaveLength(2);
    const written = updates.flatMap(({ input }) => {
      const { Key, UpdateExpression = '', ExpressionAttributeNames: names = {} } = input;
      const targets = [...UpdateExpression.matchAll(/([#\w]+) = /g)].map(([, name = '']) => names[name] ?? name);
      return [...Object.keys(Key ?? {}), ...targets];
    });
    const { Condition: condition } = policy.find(({ Sid }) => Sid === 'MarkFailures') ?? {};
    const { 'ForAllValues:StringEquals': allowed } = condition as Record<string, { 'dynamodb:Attributes': string[] }>;
    expect(allowed?.['dynamodb:Attributes'].toSorted()).toEqual([...new Set(written)].toSorted());
  });

  it('lets it read, mark and send, and no more', () => {
    expect(granted('dynamodb')).toEqual([
      'dynamodb:BatchGetItem',
      'dynamodb:GetItem',
      'dynamodb:Query',
      'dynamodb:UpdateItem',
    ]);
    expect(granted('sqs')).toEqual(['sqs:GetQueueUrl', 'sqs:SendMessage']);
    expect(policy.flatMap(({ Action }) => Action)).toHaveLength(6);
  });
});

describe('the redrive queue', () => {
  const all = readdirSync(deploy)
    .filter((file) => file.endsWith('.yml'))
    .flatMap((file) => statementsIn(read(file)).map((statement) => ({ file, ...statement })));
  const concerning = all.filter(
    ({ Action, Resource }) =>
      [Action].flat().some((action) => action === 'sqs:SendMessage' || action === 'sqs:*') &&
      /"RedriveQueue"|^"\*"$/.test(JSON.stringify(Resource)),
  );

  it('is sent to by nobody but whoever has the RedrivePolicy', () => {
    const allowing = concerning.filter(({ Effect }) => Effect === 'Allow');
    expect(allowing.map(({ file, Sid }) => [file, Sid])).toEqual([['redrive.yml', 'SendAgain']]);
  });

  it("is no queue's dead-letter queue, and the dead-letter queue is these two queues'", () => {
    const { Resources: resources } = read('messaging.yml') as {
      Resources: Record<string, { Properties: { RedriveAllowPolicy?: unknown } }>;
    };
    const allowed = (queue: string) => resources[queue]?.Properties.RedriveAllowPolicy;
    expect(allowed('RedriveQueue')).toEqual({ redrivePermission: 'denyAll' });
    expect(allowed('RequestsQueue')).toEqual({ redrivePermission: 'denyAll' });
    expect(allowed('DeadLetterQueue')).toMatchObject({ redrivePermission: 'byQueue' });
    const named = JSON.stringify(allowed('DeadLetterQueue')).match(/\$\{param:prefix\}-[a-z-]+/g);
    expect(named).toEqual(['${param:prefix}-requests', '${param:prefix}-redrive']);
  });

  it('refuses every sender that is not named, and all of them where none is', () => {
    const denying = concerning.find(({ Sid }) => Sid === 'OnlyWhoMayRedrive');
    expect(denying).toMatchObject({ file: 'policies.yml', Effect: 'Deny', Principal: '*' });
    expect(denying?.Condition).toEqual({
      'Fn::If': [
        'HasRedriveRoles',
        { ArnNotLike: { 'aws:PrincipalArn': { 'Fn::Split': [',', '${param:redriveRoleArns}'] } } },
        { Ref: 'AWS::NoValue' },
      ],
    });
  });
});

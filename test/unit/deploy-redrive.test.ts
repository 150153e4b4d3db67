import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  ConditionalCheckFailedException,
  DynamoDBClient,
  GetItemCommand,
  type ScanCommand,
  UpdateItemCommand,
} from '@aws-sdk/client-dynamodb';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { project } from '../../local/setup/machine.mjs';
import { breakerKey } from '../../shared/breaker/record.ts';
import { FailureStates } from '../../shared/ledger/failure-states.ts';
import { readIssuerCertificates } from '../../shared/ledger/issuer-certificates.ts';
import { holds, statementsIn } from '../support/iam-policy.ts';

const deploy = join(project, 'deploy');
const read = (file: string): unknown => parse(readFileSync(join(deploy, file), 'utf8'));

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
    await states.claim(key, { by: 'run', until: 1 }, 0);
    await states.release(key, 'run');
    await states.markRedriven(key, 'run', 'another', 0);
    await states.dismiss(key, 'reason', 0);
    return commands;
  }

  it('lets what became of a failure be written, and nothing else of it', async () => {
    const updates = (await marking()).filter((command) => command instanceof UpdateItemCommand);
    expect(updates).toHaveLength(4);
    const written = updates.flatMap(({ input }) => {
      const { Key, UpdateExpression = '', ExpressionAttributeNames: names = {} } = input;
      const targets = [...UpdateExpression.matchAll(/([#\w]+) = /g)].map(([, name = '']) => names[name] ?? name);
      return [...Object.keys(Key ?? {}), ...targets];
    });
    const { Condition: condition } = policy.find(({ Sid }) => Sid === 'MarkFailures') ?? {};
    const { 'ForAllValues:StringEquals': allowed } = condition as Record<string, { 'dynamodb:Attributes': string[] }>;
    expect(allowed?.['dynamodb:Attributes'].toSorted()).toEqual([...new Set(written)].toSorted());
  });

  it('lets it read, mark and send, see whether a signer is paused, and no more', () => {
    expect(granted('dynamodb')).toEqual([
      'dynamodb:BatchGetItem',
      'dynamodb:GetItem',
      'dynamodb:GetItem',
      'dynamodb:Query',
      'dynamodb:Scan',
      'dynamodb:UpdateItem',
    ]);
    expect(granted('sqs')).toEqual(['sqs:GetQueueUrl', 'sqs:SendMessage']);
    expect(policy.flatMap(({ Action }) => Action)).toHaveLength(8);
  });

  it('shows of the issuers what is asked for, and of other rows the breakers alone', async () => {
    const asked: string[] = [];
    const client = Object.assign(new DynamoDBClient({ region: 'eu-west-1' }), {
      send: async ({ input }: ScanCommand) => {
        asked.push(...Object.values(input.ExpressionAttributeNames ?? {}));
        return { Items: [] };
      },
    });
    await readIssuerCertificates(client, 'issuers');
    const conditionOf = (statements: typeof policy, sid: string) =>
      statements.find(({ Sid }) => Sid === sid)?.Condition;
    expect(conditionOf(policy, 'SeeWhichIssuers')).toEqual({
      'ForAllValues:StringEquals': { 'dynamodb:Attributes': asked },
      StringEquals: { 'dynamodb:Select': 'SPECIFIC_ATTRIBUTES' },
    });
    expect(conditionOf(policy, 'SeeBreakers')).toEqual({
      'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': [`${breakerKey('')}*`] },
      Null: { 'dynamodb:LeadingKeys': 'false' },
    });
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

  describe('where deployRoleArns names who deploys', () => {
    const { Resources: policies } = read('policies.yml') as {
      Resources: { RedriveQueuePolicy: { Properties: { PolicyDocument: { Statement: Record<string, unknown>[] } } } };
    };
    const { Statement: statements } = policies.RedriveQueuePolicy.Properties.PolicyDocument;
    const [[name, yes, no] = []] = statements.flatMap((each) =>
      'Fn::If' in each ? [each['Fn::If'] as [string, object, object]] : [],
    );
    const deployer = 'arn:aws:iam::111122223333:role/deploy';
    const resolve = (value: object) => {
      expect(value).toEqual({ 'Fn::Split': [',', '${param:deployRoleArns}'] });
      return [deployer, 'arn:aws:iam::111122223333:role/pipelines/deploy-too'];
    };
    const [denial] = statementsIn(yes);
    const isDenied = (action: string, ...principal: string[]) =>
      [denial?.Action].flat().includes(action) &&
      holds(denial?.Condition, principal.length === 0 ? {} : { 'aws:PrincipalArn': principal }, resolve);

    // Each of them ends what keeps others from sending, or what the queue is fed from; a queue that is made again under
    // its name has no policy.
    const changes = ['SetQueueAttributes', 'AddPermission', 'RemovePermission', 'DeleteQueue'].map(
      (each) => `sqs:${each}`,
    );

    it.each(changes)('refuses %s to everybody else', (action) => {
      expect(denial).toMatchObject({
        Effect: 'Deny',
        Principal: '*',
        Resource: { 'Fn::GetAtt': ['RedriveQueue', 'Arn'] },
      });
      expect(isDenied(action, 'arn:aws:iam::111122223333:role/administrator')).toBe(true);
      expect(isDenied(action, 'arn:aws:iam::111122223333:user/somebody')).toBe(true);
      expect(isDenied(action)).toBe(true);
    });

    it('leaves a deployment what CloudFormation does for it', () => {
      expect(changes.map((action) => [isDenied(action, deployer), isDenied(action, `${deployer}er`)])).toEqual(
        changes.map(() => [false, true]),
      );
    });

    it('refuses no change where none is named, or no deployment could ever change the queue again', () => {
      expect(name).toBe('HasDeployRoles');
      expect(no).toEqual({ Ref: 'AWS::NoValue' });
      const { Conditions: conditions } = read('policies.yml') as { Conditions: Record<string, unknown> };
      expect(conditions['HasDeployRoles']).toEqual({
        'Fn::Not': [{ 'Fn::Equals': ['${param:deployRoleArns}', ''] }],
      });
    });
  });
});

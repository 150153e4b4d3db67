import { describe, expect, it } from 'vitest';
import type { Documents } from '../../local/embedded/definitions.ts';
import { readDocuments, resolveDefinitions } from '../../local/embedded/definitions.ts';
import { MintmarkError } from '../../shared/errors.ts';

const surroundings = {
  endpoint: 'http://127.0.0.1:4566',
  region: 'eu-central-1',
  accountId: '000000000000',
  stage: 'local',
  parameters: {
    prefix: 'mintmark-local',
    publicBucket: 'mintmark-local-public',
    pkcs11Library: '/lib/pkcs11.so',
    visibilityTimeout: '180',
    maxReceiveCount: '100',
    signBeforeSeconds: '900',
    giveUpAfterSeconds: '3600',
    retryBaseSeconds: '5',
    issueConcurrency: '4',
  },
};

const problemsOf = (documents: Documents): string[] => {
  try {
    resolveDefinitions(documents, surroundings);
  } catch (error) {
    expect(error).toBeInstanceOf(MintmarkError);
    expect(error).toHaveProperty('code', 'CONFIGURATION_INVALID');
    return (error as MintmarkError).message.split('\n').slice(1);
  }
  return [];
};

describe('the deployed definitions', () => {
  it('resolve, with nothing left that is not text', async () => {
    const documents = await readDocuments(new URL('../../deploy/', import.meta.url));
    const definitions = resolveDefinitions(documents, surroundings);

    expect(definitions.references['RequestsQueue']).toEqual({
      type: 'AWS::SQS::Queue',
      ref: 'http://127.0.0.1:4566/000000000000/mintmark-local-requests',
      url: 'http://127.0.0.1:4566/000000000000/mintmark-local-requests',
      arn: 'arn:aws:sqs:eu-central-1:000000000000:mintmark-local-requests',
    });
    expect(definitions.queues.find(({ QueueName }) => QueueName === 'mintmark-local-requests')).toEqual({
      QueueName: 'mintmark-local-requests',
      VisibilityTimeout: 180,
      MessageRetentionPeriod: 1209600,
      RedrivePolicy: {
        deadLetterTargetArn: 'arn:aws:sqs:eu-central-1:000000000000:mintmark-local-dead-letters',
        maxReceiveCount: 100,
      },
    });
    const issue = definitions.functions.find(({ logicalId }) => logicalId === 'issue');
    expect(issue?.environment).toMatchObject({
      ISSUANCE_TABLE: 'mintmark-local-issuance',
      CERTIFICATES_TOPIC_ARN: 'arn:aws:sns:eu-central-1:000000000000:mintmark-local-certificates',
      STAGE: 'local',
    });
    expect(issue?.queues[0]).toMatchObject({ batchSize: 10, maximumConcurrency: 4, enabled: true });
    expect(JSON.stringify(definitions)).not.toContain('${');
  });
});

describe('parameters', () => {
  const resources = (name: string) => ({ Work: { Type: 'AWS::SQS::Queue', Properties: { QueueName: name } } });
  const queueName = (parameters: Documents['parameters'], given: Record<string, string> = {}) =>
    resolveDefinitions(
      { resources: resources('${param:name}'), functions: {}, ...(parameters === undefined ? {} : { parameters }) },
      { ...surroundings, parameters: given },
    ).queues[0]?.QueueName;

  it('are what is given, else what the stage has, else the default', () => {
    const all = { default: { name: 'default' }, local: { name: 'of-the-stage' }, prod: { name: 'of-another' } };
    expect(queueName(all, { name: 'given' })).toBe('given');
    expect(queueName(all)).toBe('of-the-stage');
    expect(queueName({ default: { name: 'default' }, prod: { name: 'of-another' } })).toBe('default');
  });

  it('may hold the stage, and no other parameter', () => {
    expect(queueName({ default: { name: 'work-${sls:stage}' } })).toBe('work-local');
    expect(() => queueName({ default: { name: '${param:other}', other: 'x' } })).toThrow(
      'parameters.name: ${param:other} has no value',
    );
  });

  it('of the deployed definitions are enough for the stage local, but for the PKCS#11 library of this machine', async () => {
    const documents = await readDocuments(new URL('../../deploy/', import.meta.url));
    const given = { pkcs11Library: '/lib/pkcs11.so' };
    const { queues, functions } = resolveDefinitions(documents, { ...surroundings, parameters: given });
    expect(queues.map(({ QueueName }) => QueueName)).toContain('mintmark-local-requests');
    expect(functions.find(({ logicalId }) => logicalId === 'issue')?.environment).toMatchObject({
      PKCS11_LIBRARY: '/lib/pkcs11.so',
      GIVE_UP_AFTER_SECONDS: '300',
    });
  });
});

describe('events', () => {
  const sqs = { arn: { 'Fn::GetAtt': ['Work', 'Arn'] } };
  const resources = { Work: { Type: 'AWS::SQS::Queue', Properties: { QueueName: 'work' } } };
  const functionWith = (...events: unknown[]) => ({ watch: { handler: 'dist/watch/index.handler', events } });

  it('are queues, and rates in milliseconds', () => {
    const schedules = ['rate(1 minute)', 'rate(5 minutes)', 'rate(2 hours)', 'rate(1 day)'];
    const functions = functionWith(...schedules.map((schedule) => ({ schedule })), { sqs });
    expect(resolveDefinitions({ resources, functions }, surroundings).functions).toMatchObject([
      {
        queues: [{ arn: expect.stringMatching(/:work$/) as string }],
        schedules: [60_000, 300_000, 7_200_000, 86_400_000],
      },
    ]);
  });

  it.each(['cron(0 * * * ? *)', 'rate(0 minutes)', 'rate(5 seconds)', '5 minutes'])('but not %s', (schedule) => {
    const problems = problemsOf({ resources, functions: functionWith({ schedule }) }).join('\n');
    expect(problems).toContain('functions.watch.events.0.schedule: must be a rate, such as rate(5 minutes)');
  });
});

describe('definitions that cannot be used', () => {
  it('are told all at once', () => {
    const problems = problemsOf({
      resources: {
        Rows: { Type: 'AWS::DynamoDB::Table', Properties: { TableName: '${param:prefx}-rows', Streams: true } },
        Work: { Type: 'AWS::SQS::Queue', Properties: { QueueName: 'work', FifoQueue: true } },
        Nameless: { Type: 'AWS::SNS::Topic', Properties: {} },
        Pipe: { Type: 'AWS::Pipes::Pipe', Properties: {} },
      },
      functions: {
        one: {
          handler: 'dist/one/index.handler',
          environment: { A: { Ref: 'Nowhere' }, B: { 'Fn::ImportValue': 'x' }, C: '${ssm:/secret}' },
          events: [{ sns: 'topic' }],
        },
        two: {
          handler: 'dist/two/index',
          events: [{ sqs: { arn: 'arn:aws:sqs:eu-central-1:1:other', batchSize: 11 } }],
        },
        three: {
          handler: 'dist/three/index.handler',
          events: [{ sqs: { arn: 'arn:aws:sqs:eu-central-1:1:other' } }],
        },
      },
    }).join('\n');
    for (const part of [
      'Rows.TableName: ${param:prefx} has no value',
      'Rows.BillingMode',
      'Streams',
      'FifoQueue',
      'Nameless: TopicName must be given',
      'Pipe: the embedded cloud has no AWS::Pipes::Pipe',
      'functions.one.environment.A: cannot resolve {"Ref":"Nowhere"}',
      'functions.one.environment.B: cannot resolve {"Fn::ImportValue":"x"}',
      'functions.one.environment.C: ${ssm:/secret} has no value',
      'functions.one.events.0',
      'sns',
      'functions.two.handler',
      'functions.two.events.0.sqs.batchSize',
      'functions.three.events: arn:aws:sqs:eu-central-1:1:other is not a queue defined here',
    ]) {
      expect(problems).toContain(part);
    }
  });

  it('leave out only what the local cloud documents that it lacks', () => {
    const resources = {
      Rows: {
        Type: 'AWS::DynamoDB::Table',
        Properties: {
          TableName: 'rows',
          BillingMode: 'PAY_PER_REQUEST',
          AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
          KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
          PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true },
          TimeToLiveSpecification: { AttributeName: 'expiresAt', Enabled: true },
        },
      },
    };
    const { tables } = resolveDefinitions({ resources, functions: {} }, surroundings);
    expect(Object.keys(tables[0] ?? {})).toEqual(['TableName', 'BillingMode', 'AttributeDefinitions', 'KeySchema']);
    const stream = { StreamSpecification: { StreamViewType: 'KEYS_ONLY' } };
    const withStream = { ...resources.Rows, Properties: { ...resources.Rows.Properties, ...stream } };
    expect(problemsOf({ resources: { Rows: withStream }, functions: {} }).join()).toContain('StreamSpecification');
  });
});

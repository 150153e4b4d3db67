import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import type { Server } from 'node:http';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import {
  BatchGetItemCommand,
  ConditionalCheckFailedException,
  DescribeTableCommand,
  DynamoDBClient,
  PutItemCommand,
  TransactWriteItemsCommand,
} from '@aws-sdk/client-dynamodb';
import { GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { PublishBatchCommand, SNSClient, SubscribeCommand } from '@aws-sdk/client-sns';
import {
  DeleteMessageCommand,
  GetQueueAttributesCommand,
  GetQueueUrlCommand,
  ListQueuesCommand,
  ReceiveMessageCommand,
  SendMessageBatchCommand,
  SendMessageCommand,
  SQSClient,
} from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { EmbeddedCloud, EmbeddedCloudOptions } from '../../local/embedded/cloud.ts';
import { startEmbeddedCloud } from '../../local/embedded/cloud.ts';

const queue = (name: string, more: Record<string, unknown> = {}) => ({
  Type: 'AWS::SQS::Queue',
  Properties: { QueueName: `\${param:prefix}-${name}`, VisibilityTimeout: 2, ...more },
});
const arnOf = (logicalId: string) => ({ 'Fn::GetAtt': [logicalId, 'Arn'] });
const worker = (queueId: string, more: Record<string, unknown> = {}) => ({
  handler: 'dist/worker/index.handler',
  timeout: 1,
  memorySize: 256,
  environment: { QUEUE: { Ref: queueId } },
  events: [{ sqs: { arn: arnOf(queueId), functionResponseType: 'ReportBatchItemFailures', ...more } }],
});

const files: Readonly<Record<string, unknown>> = {
  'deploy/tables.yml': {
    Resources: {
      Rows: {
        Type: 'AWS::DynamoDB::Table',
        DeletionPolicy: 'Retain',
        Properties: {
          TableName: '${param:prefix}-rows',
          BillingMode: 'PAY_PER_REQUEST',
          DeletionProtectionEnabled: true,
          AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
          KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
        },
      },
    },
  },
  'deploy/messaging.yml': {
    Resources: {
      Work: queue('work', { RedrivePolicy: { deadLetterTargetArn: arnOf('Dead'), maxReceiveCount: 2 } }),
      Dead: queue('dead'),
      Slow: queue('slow'),
      Pausable: queue('pausable'),
      Clients: queue('clients', { VisibilityTimeout: 60 }),
      Plain: queue('plain'),
      Subscribed: queue('subscribed'),
      Topic: { Type: 'AWS::SNS::Topic', Properties: { TopicName: '${param:prefix}-topic' } },
    },
  },
  'deploy/storage.yml': {
    Resources: { Bucket: { Type: 'AWS::S3::Bucket', Properties: { BucketName: '${param:prefix}-public' } } },
  },
  'deploy/functions.yml': {
    worker: worker('Work', { maximumConcurrency: 2 }),
    slow: worker('Slow', { batchSize: 1, maximumConcurrency: 2 }),
    pausable: worker('Pausable'),
    clients: {
      ...worker('Clients'),
      handler: 'dist/clients/index.handler',
      timeout: 20,
      environment: {
        QUEUE_URL: { Ref: 'Plain' },
        TOPIC_ARN: { Ref: 'Topic' },
        TABLE: { Ref: 'Rows' },
        BUCKET: { Ref: 'Bucket' },
      },
    },
  },
};

// Bodies are instructions: {id, do?, times?}; `do` applies to the first `times` deliveries, to all when not given.
const workerBundle = `
let together = 0;
export const handler = async ({ Records }, context) => {
  const batchItemFailures = [];
  for (const record of Records) {
    const { id, do: what, times = Infinity } = JSON.parse(record.body);
    const receives = Number(record.attributes.ApproximateReceiveCount);
    console.log(JSON.stringify({ id, receives, senderId: record.attributes.SenderId, messageAttributes: record.messageAttributes, pid: process.pid, batch: Records.length }));
    if (receives > times) continue;
    if (what === 'report') batchItemFailures.push({ itemIdentifier: record.messageId });
    if (what === 'throw') throw new Error('told to');
    if (what === 'exit') process.exit(3);
    if (what === 'hang') await new Promise(() => {});
    if (what === 'wait') await new Promise((resolve) => setTimeout(resolve, 300));
    if (what === 'wait') console.log(JSON.stringify({ id, waited: true }));
  }
  return { batchItemFailures };
};`;

const clientsBundle = `
import { PutItemCommand } from '@aws-sdk/client-dynamodb';
import { DescribeKeyCommand } from '@aws-sdk/client-kms';
import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { PublishCommand } from '@aws-sdk/client-sns';
import { SendMessageCommand } from '@aws-sdk/client-sqs';
import { DescribeClustersCommand } from '@aws-sdk/client-cloudhsm-v2';
import * as aws from ${JSON.stringify(new URL('../../shared/aws.ts', import.meta.url).href)};
import { makeCloudHSMV2Client } from ${JSON.stringify(new URL('../../shared/aws-cloudhsm.ts', import.meta.url).href)};
const { QUEUE_URL: QueueUrl, TOPIC_ARN: TopicArn, TABLE: TableName, BUCKET: Bucket } = process.env;
export const handler = async () => {
  await aws.makeSQSClient().send(new SendMessageCommand({ QueueUrl, MessageBody: 'from a function' }));
  await aws.makeSNSClient().send(new PublishCommand({ TopicArn, Message: 'from a function' }));
  await aws.makeDynamoDBClient().send(new PutItemCommand({ TableName, Item: { id: { S: 'from a function' } } }));
  await new S3Client({ forcePathStyle: true }).send(new PutObjectCommand({ Bucket, Key: 'from/a-function', Body: 'object' }));
  const { KeyMetadata } = await aws.makeKMSClient().send(new DescribeKeyCommand({ KeyId: 'alias/seal' }));
  const { Clusters } = await makeCloudHSMV2Client().send(new DescribeClustersCommand({}));
  console.log(JSON.stringify({ id: 'clients', keyId: KeyMetadata.KeyId, clusters: Clusters.length }));
};`;

interface Line {
  readonly function: string;
  readonly pid: number;
  readonly text: string;
}

let folder: string;
let stub: Server;
const stubCalls: string[] = [];
let cloud: EmbeddedCloud;
const lines: Line[] = [];
const options = (): EmbeddedCloudOptions => ({
  definitions: pathToFileURL(`${folder}/deploy/`),
  distribution: pathToFileURL(`${folder}/dist/`),
  region: 'eu-central-1',
  accountId: '000000000000',
  stage: 'local',
  parameters: { prefix: 'test' },
  stubEndpoint: `http://127.0.0.1:${(stub.address() as AddressInfo).port}`,
  functionEnvironment: { EXTRA: 'yes' },
  onFunctionLog: (line) => lines.push(line),
  now: Date.now,
});

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'embedded-cloud-'));
  for (const name of ['deploy', 'dist/worker', 'dist/clients']) await mkdir(join(folder, name), { recursive: true });
  // JSON is YAML.
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), JSON.stringify(content));
  await writeFile(join(folder, 'dist/worker/index.mjs'), workerBundle);
  const resolve = (specifier: string) => JSON.stringify(import.meta.resolve(specifier));
  const resolved = clientsBundle.replaceAll(/'(@aws-sdk\/[a-z0-9-]+)'/g, (_, specifier: string) => resolve(specifier));
  await writeFile(join(folder, 'dist/clients/index.mjs'), resolved);
  stub = createServer((incoming, response) => {
    const target = String(incoming.headers['x-amz-target']);
    stubCalls.push(target);
    incoming.resume();
    response.setHeader('content-type', 'application/x-amz-json-1.1');
    response.end(target.endsWith('DescribeKey') ? '{"KeyMetadata":{"KeyId":"stub-key"}}' : '{"Clusters":[{}]}');
  }).listen(0, '127.0.0.1');
  await once(stub, 'listening');
  cloud = await startEmbeddedCloud(options());
});

afterAll(async () => {
  await cloud.stop();
  stub.close();
  await rm(folder, { recursive: true });
});

const common = (accessKeyId = 'LOCALTEST') => ({
  endpoint: cloud.endpoint,
  region: 'eu-central-1',
  credentials: { accessKeyId, secretAccessKey: 'local' },
});
const sqs = (accessKeyId?: string) => new SQSClient({ ...common(accessKeyId), useQueueUrlAsEndpoint: false });
const urlOf = (logicalId: string): string => cloud.resources[logicalId]?.url ?? '';
const send = (logicalId: string, body: unknown, accessKeyId?: string) =>
  sqs(accessKeyId).send(new SendMessageCommand({ QueueUrl: urlOf(logicalId), MessageBody: JSON.stringify(body) }));

interface Delivery {
  readonly id: string;
  readonly receives: number;
  readonly senderId: string;
  readonly pid: number;
  readonly batch: number;
  readonly messageAttributes: unknown;
  readonly waited?: boolean;
}
const said = (id: string): Delivery[] =>
  lines.flatMap(({ text }) => {
    const parsed = text.startsWith('{') ? (JSON.parse(text) as Delivery) : undefined;
    return parsed?.id === id ? [parsed] : [];
  });
const receivesOf = (id: string) => said(id).map(({ receives }) => receives);
const eventually = { timeout: 15_000, interval: 20 };

async function left(logicalId: string): Promise<number> {
  const { Attributes: attributes = {} } = await sqs().send(
    new GetQueueAttributesCommand({ QueueUrl: urlOf(logicalId), AttributeNames: ['All'] }),
  );
  return (
    Number(attributes['ApproximateNumberOfMessages']) + Number(attributes['ApproximateNumberOfMessagesNotVisible'])
  );
}

async function receiveOne(logicalId: string) {
  const { Messages: messages = [] } = await sqs().send(
    new ReceiveMessageCommand({
      QueueUrl: urlOf(logicalId),
      WaitTimeSeconds: 10,
      AttributeNames: ['All'],
      MessageAttributeNames: ['All'],
    }),
  );
  return messages[0];
}

describe('an event source mapping', () => {
  it('delivers with the sender, deletes what succeeded and redelivers what was reported as failed', async () => {
    await sqs('LOCALGATEWAY').send(
      new SendMessageBatchCommand({
        QueueUrl: urlOf('Work'),
        Entries: [
          { Id: '1', MessageBody: '{"id":"good"}' },
          {
            Id: '2',
            MessageBody: '{"id":"reported","do":"report","times":1}',
            MessageAttributes: { fleet: { DataType: 'String', StringValue: 'one' } },
          },
        ],
      }),
    );
    await expect.poll(() => receivesOf('reported'), eventually).toEqual([1, 2]);
    await expect.poll(() => left('Work'), eventually).toBe(0);
    expect(receivesOf('good')).toEqual([1]);
    expect(said('reported').map(({ senderId }) => senderId)).toEqual(['LOCALGATEWAY', 'LOCALGATEWAY']);
    expect(said('reported')[0]?.messageAttributes).toMatchObject({ fleet: { stringValue: 'one', dataType: 'String' } });
  });

  it.each([
    ['throw', 'told to'],
    ['exit', 'exit status 3'],
    ['hang', 'Task timed out after 1.00 seconds'],
  ])('%s: the batch is delivered again, to a process that works', async (what, message) => {
    await send('Work', { id: what, do: what, times: 1 });
    await expect.poll(() => receivesOf(what), eventually).toEqual([1, 2]);
    await expect.poll(() => left('Work'), eventually).toBe(0);
    const wasLogged = () => lines.some(({ text, function: name }) => name === 'worker' && text.includes(message));
    await expect.poll(wasLogged, eventually).toBe(true);
  });

  it('leaves a message that keeps failing to the dead-letter queue, its sender and content as they were', async () => {
    await send('Work', { id: 'poison', do: 'throw' }, 'LOCALPOISONER');
    const dead = await receiveOne('Dead');
    expect(dead?.Body).toBe('{"id":"poison","do":"throw"}');
    expect(dead?.Attributes?.['SenderId']).toBe('LOCALPOISONER');
    expect(receivesOf('poison')).toEqual([1, 2]);
    await sqs().send(new DeleteMessageCommand({ QueueUrl: urlOf('Dead'), ReceiptHandle: dead?.ReceiptHandle }));
  });

  it('has as many execution environments at work as its maximum concurrency', async () => {
    await Promise.all(['w1', 'w2', 'w3', 'w4'].map((id) => send('Slow', { id, do: 'wait' })));
    await expect.poll(() => left('Slow'), eventually).toBe(0);
    const ids = ['w1', 'w2', 'w3', 'w4'];
    expect(new Set(ids.map((id) => said(id)[0]?.pid)).size).toBe(2);
    expect(cloud.functions['slow']?.pids()).toHaveLength(2);
    // At most two between their first line and their last at any time.
    let atWork = 0;
    for (const { text } of lines.filter(({ function: name }) => name === 'slow')) {
      atWork += (JSON.parse(text) as Delivery).waited === true ? -1 : 1;
      expect(atWork).toBeLessThanOrEqual(2);
    }
  });

  it('is paused and resumed by UpdateEventSourceMapping', async () => {
    const eventSource = encodeURIComponent(cloud.resources['Pausable']?.arn ?? '');
    const listed = await lambda('GET', `?EventSourceArn=${eventSource}`);
    expect(listed.content).toMatchObject({ EventSourceMappings: [{ State: 'Enabled', BatchSize: 10 }] });
    const [{ UUID: uuid } = { UUID: '' }] = listed.content['EventSourceMappings'] as { UUID: string }[];

    expect((await lambda('PUT', uuid, { Enabled: false })).content).toMatchObject({ State: 'Disabling' });
    expect(await lambda('PUT', uuid, { Enabled: true })).toMatchObject({ status: 400, type: 'ResourceInUseException' });
    await expect.poll(async () => (await lambda('GET', uuid)).content['State'], eventually).toBe('Disabled');

    await send('Pausable', { id: 'paused' });
    // Nobody polls: the message is there, received by none.
    expect(await left('Pausable')).toBe(1);
    expect(said('paused')).toEqual([]);

    expect((await lambda('PUT', uuid, { Enabled: true })).content).toMatchObject({ State: 'Enabled' });
    await expect.poll(() => receivesOf('paused'), eventually).toEqual([1]);

    expect(await lambda('GET', 'no-such-uuid')).toMatchObject({ status: 404, type: 'ResourceNotFoundException' });
    expect(await lambda('PUT', uuid, { BatchSize: 5 })).toMatchObject({ status: 400 });
    expect(await lambda('DELETE', uuid)).toMatchObject({ status: 501, type: 'NotImplemented' });
  });
});

async function lambda(method: string, path: string, body?: unknown) {
  const response = await fetch(`${cloud.endpoint}/2015-03-31/event-source-mappings/${path}`, {
    method,
    headers: { authorization: signedFor('lambda') },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return {
    status: response.status,
    type: response.headers.get('x-amzn-errortype'),
    content: (await response.json()) as Record<string, unknown>,
  };
}

const signedFor = (service: string) =>
  `AWS4-HMAC-SHA256 Credential=LOCALTEST/20261122/eu-central-1/${service}/aws4_request, SignedHeaders=host, Signature=0`;

describe('the gateway', () => {
  it('serves SQS, SNS, DynamoDB, S3, KMS and CloudHSM to a function with nothing but its environment', async () => {
    await sqs().send(new SendMessageCommand({ QueueUrl: urlOf('Clients'), MessageBody: '{}' }));
    await expect.poll(() => said('clients'), eventually).toMatchObject([{ keyId: 'stub-key', clusters: 1 }]);
    const message = await receiveOne('Plain');
    expect(message?.Body).toBe('from a function');
    expect(message?.Attributes?.['SenderId']).toBe(cloud.functions['clients']?.accessKeyId);
    await sqs().send(new DeleteMessageCommand({ QueueUrl: urlOf('Plain'), ReceiptHandle: message?.ReceiptHandle }));
    expect(await (await fetch(`${cloud.endpoint}/test-public/from/a-function`)).text()).toBe('object');
    expect(stubCalls).toContain('TrentService.DescribeKey');
  });

  it('attests the sender of every message, however soon it is received', async () => {
    const QueueUrl = urlOf('Subscribed');
    for (let round = 0; round < 30; round += 1) {
      // The poll is open before the message is there, so both answers are on their way at once.
      const received = receiveOne('Subscribed');
      await sqs(`LOCALSENDER${round}`).send(new SendMessageCommand({ QueueUrl, MessageBody: 'now' }));
      const message = await received;
      expect(message?.Attributes?.['SenderId']).toBe(`LOCALSENDER${round}`);
      await sqs().send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle: message?.ReceiptHandle }));
    }
  });

  it('has queue URLs of its own address, which can be called too', async () => {
    const { QueueUrl } = await sqs().send(new GetQueueUrlCommand({ QueueName: 'test-plain' }));
    expect(QueueUrl).toBe(`${cloud.endpoint}/000000000000/test-plain`);
    expect(QueueUrl).toBe(urlOf('Plain'));
    expect((await sqs().send(new ListQueuesCommand({}))).QueueUrls).toContain(QueueUrl);
    const byQueueUrl = new SQSClient(common());
    const { MessageId } = await byQueueUrl.send(new SendMessageCommand({ QueueUrl, MessageBody: 'to the URL' }));
    const message = await receiveOne('Plain');
    expect(message?.MessageId).toBe(MessageId);
  });

  it('hands on errors as the SDK knows them', async () => {
    const QueueUrl = `${cloud.endpoint}/000000000000/none`;
    await expect(sqs().send(new SendMessageCommand({ QueueUrl, MessageBody: 'x' }))).rejects.toMatchObject({
      name: 'QueueDoesNotExist',
    });
  });

  it('does conditional writes, and refuses transactions', async () => {
    const client = new DynamoDBClient(common());
    const put = { TableName: 'test-rows', ConditionExpression: 'attribute_not_exists(id)' };
    const results = await Promise.allSettled(
      [1, 2, 3, 4].map((n) =>
        client.send(new PutItemCommand({ ...put, Item: { id: { S: 'one' }, n: { N: `${n}` } } })),
      ),
    );
    const losers = results.flatMap((result) => (result.status === 'rejected' ? [result.reason as unknown] : []));
    expect(losers).toHaveLength(3);
    for (const reason of losers) expect(reason).toBeInstanceOf(ConditionalCheckFailedException);
    const keys = { 'test-rows': { Keys: [{ id: { S: 'one' } }], ConsistentRead: true } };
    const { Responses: responses } = await client.send(new BatchGetItemCommand({ RequestItems: keys }));
    expect(responses?.['test-rows']).toHaveLength(1);
    const { Table: table } = await client.send(new DescribeTableCommand({ TableName: 'test-rows' }));
    expect(table?.TableStatus).toBe('ACTIVE');
    const transaction = new TransactWriteItemsCommand({ TransactItems: [{ Put: { ...put, Item: {} } }] });
    await expect(client.send(transaction)).rejects.toMatchObject({ name: 'UnknownOperationException' });
  });

  it('serves objects to anyone by GET, and nothing else without a signature', async () => {
    const s3 = new S3Client(common());
    const Body = Buffer.from([0x30, 0x82, 0, 255]);
    await s3.send(
      new PutObjectCommand({ Bucket: 'test-public', Key: 'ca/root.cer', Body, ContentType: 'application/pkix-cert' }),
    );
    const { Body: got } = await s3.send(new GetObjectCommand({ Bucket: 'test-public', Key: 'ca/root.cer' }));
    expect(Buffer.from((await got?.transformToByteArray()) ?? [])).toEqual(Body);

    const anonymous = (path: string, init?: RequestInit) => fetch(cloud.endpoint + path, init);
    const response = await anonymous('/test-public/ca/root.cer');
    expect(response.headers.get('content-type')).toBe('application/pkix-cert');
    expect(Buffer.from(await response.arrayBuffer())).toEqual(Body);
    const head = await anonymous('/test-public/ca/root.cer', { method: 'HEAD' });
    expect(head.headers.get('content-length')).toBe('4');
    expect((await anonymous('/test-public/none')).status).toBe(404);
    for (const [path, method] of [
      ['/test-public/ca/root.cer', 'PUT'],
      ['/test-public', 'GET'],
      ['/_fauxqs/queues/test-plain', 'GET'],
      ['/', 'POST'],
    ] as const) {
      expect([method, path, (await anonymous(path, { method })).status]).toEqual([method, path, 403]);
    }
  });

  it('fans a topic out to a subscribed queue', async () => {
    const sns = new SNSClient(common());
    const TopicArn = cloud.resources['Topic']?.ref ?? '';
    const Attributes = { RawMessageDelivery: 'true' };
    const Endpoint = cloud.resources['Subscribed']?.arn ?? '';
    await sns.send(new SubscribeCommand({ TopicArn, Protocol: 'sqs', Endpoint, Attributes }));
    const entries = [{ Id: '1', Message: 'issued' }];
    const { Successful } = await sns.send(new PublishBatchCommand({ TopicArn, PublishBatchRequestEntries: entries }));
    expect(Successful).toHaveLength(1);
    expect((await receiveOne('Subscribed'))?.Body).toBe('issued');
  });

  it('refuses a host name that is not this machine', async () => {
    const port = new URL(cloud.endpoint).port;
    for (const [host, status] of [
      ['rebound.example', 403],
      [`rebound.example:${port}`, 403],
      [`localhost:${port}`, 404],
    ] as const) {
      const outgoing = request({ host: '127.0.0.1', port, path: '/test-public/none', headers: { host } }).end();
      const [response] = (await once(outgoing, 'response')) as [{ statusCode: number; resume(): void }];
      response.resume();
      expect([host, response.statusCode]).toEqual([host, status]);
    }
  });

  it('says which service it does not have, in the protocol it was asked in', async () => {
    const ask = (headers: Record<string, string>) =>
      fetch(cloud.endpoint, { method: 'POST', headers: { authorization: signedFor('email'), ...headers } });
    const query = await ask({ 'content-type': 'application/x-www-form-urlencoded' });
    expect(query.status).toBe(501);
    expect(await query.text()).toContain('The embedded cloud has no service "email".');
    const cbor = Buffer.from(await (await ask({ 'smithy-protocol': 'rpc-v2-cbor' })).arrayBuffer());
    // RFC 8949: map(2), text(2-byte length 6) "__type", text(2-byte length 14) "NotImplemented"
    expect(cbor.subarray(0, 27).toString('latin1')).toBe('\xa2\x79\x00\x06__type\x79\x00\x0eNotImplemented');
  });

  it('outlives a client that goes away halfway through a request', async () => {
    const outgoing = request(cloud.endpoint, {
      method: 'POST',
      headers: {
        authorization: signedFor('dynamodb'),
        'content-length': 1000,
        'x-amz-target': 'DynamoDB_20120810.PutItem',
      },
    });
    const closed = new Promise((resolve) => outgoing.on('error', resolve).on('close', resolve));
    await new Promise((resolve) => outgoing.write('{"half":', resolve));
    outgoing.destroy();
    await closed;
    const { Table: table } = await new DynamoDBClient(common()).send(
      new DescribeTableCommand({ TableName: 'test-rows' }),
    );
    expect(table?.TableStatus).toBe('ACTIVE');
  });
});

/** `R`, `S`, ...: undefined when there is no such process. A zombie is as good as gone; who reaps it is not ours. */
async function isAlive(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return stat !== '' && stat.split(') ').at(-1)?.[0] !== 'Z';
}

describe('the end', () => {
  it('refuses an account id that fauxqs does not have', async () => {
    await expect(startEmbeddedCloud({ ...options(), accountId: '123456789012' })).rejects.toMatchObject({
      code: 'CONFIGURATION_INVALID',
    });
  });

  it('lets a running invocation end, then leaves no process and no open port', async () => {
    const own = await startEmbeddedCloud(options());
    const client = new SQSClient({ ...common(), endpoint: own.endpoint, useQueueUrlAsEndpoint: false });
    const QueueUrl = own.resources['Slow']?.url;
    await client.send(new SendMessageCommand({ QueueUrl, MessageBody: '{"id":"last","do":"wait"}' }));
    await expect.poll(() => said('last'), eventually).toHaveLength(1);
    const pids = own.functions['slow']?.pids() ?? [];
    expect(pids).toHaveLength(1);
    await own.stop();
    expect(said('last').at(-1)).toMatchObject({ waited: true });
    for (const pid of pids) expect(await isAlive(pid)).toBe(false);
    await expect(fetch(own.endpoint)).rejects.toThrow('fetch failed');
  });

  it.each(['hang', 'none'])('leaves no process when the parent is killed (function at work: %s)', async (what) => {
    const script = join(folder, 'parent.ts');
    await writeFile(
      script,
      `import { startEmbeddedCloud } from ${JSON.stringify(new URL('../../local/embedded/cloud.ts', import.meta.url).href)};
      import { SendMessageCommand, SQSClient } from ${JSON.stringify(import.meta.resolve('@aws-sdk/client-sqs'))};
      const given = JSON.parse(process.argv[2]);
      const cloud = await startEmbeddedCloud({
        ...given, definitions: new URL(given.definitions), distribution: new URL(given.distribution), now: Date.now,
        onFunctionLog: ({ pid, text }) => { if (text.startsWith('{')) console.log(JSON.stringify([pid])); },
      });
      Object.assign(process.env, cloud.environment);
      const client = new SQSClient({ useQueueUrlAsEndpoint: false });
      await client.send(new SendMessageCommand({
        QueueUrl: cloud.resources.Work.url, MessageBody: JSON.stringify({ id: 'x', do: given.what }),
      }));`,
    );
    const given = JSON.stringify({ ...options(), what });
    const parent = spawn(process.execPath, [script, given], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [line] = (await once(createInterface({ input: parent.stdout }), 'line')) as [string];
    const [pid] = JSON.parse(line) as [number];
    expect(await isAlive(pid)).toBe(true);
    parent.kill('SIGKILL');
    await expect.poll(() => isAlive(pid), { timeout: 5_000, interval: 10 }).toBe(false);
  });
});

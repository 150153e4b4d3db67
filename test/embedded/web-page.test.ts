import { mkdirSync, writeFileSync } from 'node:fs';
import type { IncomingHttpHeaders } from 'node:http';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { DescribeTableCommand, DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { ListSubscriptionsCommand, ListTopicsCommand, SNSClient } from '@aws-sdk/client-sns';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type EmbeddedCloud, startEmbeddedCloud } from '../../local/embedded/cloud.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { ask, fromPage } from '../support/web-page.ts';

const definitions: Readonly<Record<string, unknown>> = {
  'tables.yml': {
    Resources: {
      Devices: {
        Type: 'AWS::DynamoDB::Table',
        Properties: {
          TableName: 'devices',
          BillingMode: 'PAY_PER_REQUEST',
          AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
          KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
        },
      },
    },
  },
  'messaging.yml': {
    Resources: {
      Requests: { Type: 'AWS::SQS::Queue', Properties: { QueueName: 'requests' } },
      Topic: { Type: 'AWS::SNS::Topic', Properties: { TopicName: 'certificates' } },
    },
  },
  'storage.yml': { Resources: { Bucket: { Type: 'AWS::S3::Bucket', Properties: { BucketName: 'public' } } } },
  'functions.yml': {},
};
const region = 'eu-central-1';
const certificate = 'ca/devices.cer';

let cloud: EmbeddedCloud;
/** What this process listened on because of the cloud, by kind of handle. */
let listening: readonly string[];
let clients: { readonly s3: S3Client; readonly sns: SNSClient; readonly dynamoDB: DynamoDBClient };

const servers = () => process.getActiveResourcesInfo().filter((name) => /Server/.test(name));

beforeAll(async () => {
  const folder = join(temporaryFolder('web-page'), 'deploy/');
  mkdirSync(folder);
  // JSON is YAML.
  for (const [name, content] of Object.entries(definitions)) writeFileSync(join(folder, name), JSON.stringify(content));
  const before = servers().length;
  cloud = await startEmbeddedCloud({
    definitions: pathToFileURL(folder),
    distribution: pathToFileURL(folder),
    region,
    accountId: '000000000000',
    stage: 'local',
    parameters: {},
    stubEndpoint: 'http://127.0.0.1:1',
    functionEnvironment: {},
    onFunctionLog: () => undefined,
    now: Date.now,
  });
  listening = servers().slice(before);
  const options = {
    region,
    endpoint: cloud.endpoint,
    credentials: { accessKeyId: 'LOCALTEST', secretAccessKey: 'local' },
  };
  clients = {
    s3: new S3Client({ ...options, forcePathStyle: true }),
    sns: new SNSClient(options),
    dynamoDB: new DynamoDBClient(options),
  };
  await clients.s3.send(new PutObjectCommand({ Bucket: 'public', Key: certificate, Body: 'certificate' }));
});

afterAll(async () => {
  for (const client of Object.values(clients)) client.destroy();
  await cloud.stop();
});

const scope = (service: string) => `LOCALTEST/20261122/${region}/${service}/aws4_request`;
const signed = (service: string) => ({
  authorization: `AWS4-HMAC-SHA256 Credential=${scope(service)}, SignedHeaders=host, Signature=0`,
});
const form = { 'content-type': 'application/x-www-form-urlencoded' };

function expectNoLeave(headers: IncomingHttpHeaders): void {
  expect(Object.keys(headers).filter((name) => name.startsWith('access-control-'))).toEqual([]);
}

describe('a form that a web page sends unasked', () => {
  const inQuery = (service: string) => `X-Amz-Credential=${encodeURIComponent(scope(service))}`;
  const queueArn = `arn:aws:sqs:${region}:000000000000:requests`;
  const topicArn = `arn:aws:sns:${region}:000000000000:certificates`;
  const actions = [
    'Action=CreateTopic&Name=of-a-page',
    `Action=Subscribe&TopicArn=${topicArn}&Protocol=sqs&Endpoint=${queueArn}` +
      '&Attributes.entry.1.key=RawMessageDelivery&Attributes.entry.1.value=true',
    `Action=Publish&TopicArn=${topicArn}&Message=request`,
  ];

  it.each([
    ['credentials in the query', `/?${inQuery('sns')}`, {}],
    ['credentials in the query, from a page', `/?${inQuery('sns')}`, fromPage],
    // No page can send this one without a preflight; that it is refused does not hang on browsers keeping to that.
    ['credentials in the header, from a page', '/', { ...signed('sns'), ...fromPage }],
  ])('does nothing at SNS: %s', async (_, path, headers) => {
    for (const body of actions) {
      const answer = await ask(cloud.endpoint, { method: 'POST', path, headers: { ...form, ...headers }, body });
      expect(answer).toMatchObject({ status: 403, body: expect.stringMatching(/<Code>\w+<\/Code>/) });
      expectNoLeave(answer.headers);
    }
    const { Topics: topics } = await clients.sns.send(new ListTopicsCommand({}));
    expect(topics).toEqual([{ TopicArn: topicArn }]);
    const { Subscriptions: subscriptions } = await clients.sns.send(new ListSubscriptionsCommand({}));
    expect(subscriptions ?? []).toEqual([]);
  });

  it.each([
    ['from a page', fromPage],
    ['without what shows a page', {}],
  ])('deletes no object: %s', async (_, headers) => {
    const answer = await ask(cloud.endpoint, {
      method: 'POST',
      path: `/public?delete&${inQuery('s3')}`,
      headers: { 'content-type': 'text/plain', ...headers },
      body: `<Delete><Object><Key>${certificate}</Key></Object></Delete>`,
    });
    expect(answer).toMatchObject({ status: 403, body: expect.stringMatching(/<Code>\w+<\/Code>/) });
    const { Body: body } = await clients.s3.send(new GetObjectCommand({ Bucket: 'public', Key: certificate }));
    expect(await body?.transformToString()).toBe('certificate');
  });
});

describe('a web page that asks first', () => {
  it.each(['dynamodb', 'sqs', 's3', 'lambda'])('is not given leave for %s', async (service) => {
    const preflight = await ask(cloud.endpoint, {
      method: 'OPTIONS',
      path: '/',
      headers: {
        ...fromPage,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization,content-type,x-amz-date,x-amz-target',
      },
    });
    expect(preflight.status).toBe(403);
    expectNoLeave(preflight.headers);
    const call = await ask(cloud.endpoint, {
      method: 'POST',
      path: '/',
      headers: {
        ...fromPage,
        ...signed(service),
        'content-type': 'application/x-amz-json-1.0',
        'x-amz-date': '20261122T000000Z',
        'x-amz-target': 'DynamoDB_20120810.ListTables',
      },
      body: '{}',
    });
    expect(call.status).toBe(403);
    expect(JSON.parse(call.body)).toMatchObject({ __type: 'AccessDenied' });
    expectNoLeave(call.headers);
  });

  it('finds no other port: an emulator has none of its own', () => {
    expect(listening).toEqual(['TCPServerWrap']);
  });
});

describe('a web page whose name was rebound to this machine', () => {
  it.each([
    ['its name', (port: string) => `page.example:${port}`],
    ['its name, as a part', (port: string) => `localhost.page.example:${port}`],
    ['every address', (port: string) => `0.0.0.0:${port}`],
    ['another port', () => 'localhost:1'],
    ['no port', () => '127.0.0.1'],
  ])('is refused by what Host says: %s', async (_, host) => {
    const { port } = new URL(cloud.endpoint);
    const headers = { host: host(port), ...signed('dynamodb'), 'x-amz-target': 'DynamoDB_20120810.ListTables' };
    const answer = await ask(cloud.endpoint, { method: 'POST', path: '/', headers, body: '{}' });
    expect(answer.status).toBe(403);
    expect(JSON.parse(answer.body)).toMatchObject({ __type: 'AccessDenied' });
    const object = await ask(cloud.endpoint, {
      method: 'GET',
      path: `/public/${certificate}`,
      headers: { host: headers.host },
    });
    expect(object.status).toBe(403);
  });
});

describe('what stays open', () => {
  it.each([
    ['a device', {}],
    ['an address typed into a browser', { 'sec-fetch-site': 'none' }],
    ['a link on a page', { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' }],
    ["a page's script", fromPage],
  ])('an object by GET and HEAD: %s', async (_, headers) => {
    const path = `/public/${certificate}`;
    const got = await ask(cloud.endpoint, { method: 'GET', path, headers });
    expect(got).toMatchObject({ status: 200, body: 'certificate' });
    // Had, but not read by a page of another origin.
    expectNoLeave(got.headers);
    expect((await ask(cloud.endpoint, { method: 'HEAD', path, headers })).status).toBe(200);
    expect((await ask(cloud.endpoint, { method: 'DELETE', path, headers })).status).toBe(403);
  });

  it.each(['localhost', '[::1]', 'LOCALHOST'])('the name %s', async (name) => {
    const host = `${name}:${new URL(cloud.endpoint).port}`;
    const answer = await ask(cloud.endpoint, { method: 'GET', path: `/public/${certificate}`, headers: { host } });
    expect(answer.status).toBe(200);
  });

  it('the SDK, whose tables are of its Region', async () => {
    const { Table: table } = await clients.dynamoDB.send(new DescribeTableCommand({ TableName: 'devices' }));
    expect(table?.TableArn).toBe(`arn:aws:dynamodb:${region}:000000000000:table/devices`);
  });
});

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { DynamoDBClient, GetItemCommand } from '@aws-sdk/client-dynamodb';
import {
  GetEventSourceMappingCommand,
  LambdaClient,
  ListEventSourceMappingsCommand,
  UpdateEventSourceMappingCommand,
} from '@aws-sdk/client-lambda';
import { SendMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { AroundCall } from '../../local/embedded/api-call.ts';
import { CallFaults, callErrors } from '../../local/embedded/call-faults.ts';
import { type EmbeddedCloud, startEmbeddedCloud } from '../../local/embedded/cloud.ts';
import { disturbedSource } from '../../local/embedded/delivery-faults.ts';
import { SeededRandom } from '../../local/embedded/seeded-random.ts';
import { until } from '../support/embedded-until.ts';

/** What can go wrong in the embedded cloud, seen from a function that writes a row for each message and says how it went. */

const queue = (name: string) => ({
  Type: 'AWS::SQS::Queue',
  // Longer than a cold start on a busy machine, or what one test sent takes the next one's fault.
  Properties: { QueueName: name, VisibilityTimeout: 10 },
});
const writer = (queueId: string) => ({
  handler: 'dist/writer/index.handler',
  timeout: 10,
  environment: { TABLE: { Ref: 'Rows' } },
  events: [{ sqs: { arn: { 'Fn::GetAtt': [queueId, 'Arn'] }, functionResponseType: 'ReportBatchItemFailures' } }],
});

const files: Readonly<Record<string, unknown>> = {
  'deploy/tables.yml': {
    Resources: {
      Rows: {
        Type: 'AWS::DynamoDB::Table',
        Properties: {
          TableName: 'rows',
          BillingMode: 'PAY_PER_REQUEST',
          AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
          KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
        },
      },
    },
  },
  'deploy/messaging.yml': { Resources: { Work: queue('work'), Pausable: queue('pausable'), Twice: queue('twice') } },
  'deploy/storage.yml': { Resources: {} },
  'deploy/functions.yml': {
    work: writer('Work'),
    pausable: writer('Pausable'),
    twice: writer('Twice'),
    clock: { handler: 'dist/clock/index.handler', timeout: 5, events: [{ schedule: 'rate(1 minute)' }] },
  },
  'dist/clock/index.mjs': `
    export const handler = async (event) => console.log(JSON.stringify({ source: event.source, time: event.time }));`,
  'dist/writer/index.mjs': `
    import { DynamoDBClient, PutItemCommand } from ${JSON.stringify(import.meta.resolve('@aws-sdk/client-dynamodb'))};
    const client = new DynamoDBClient({ maxAttempts: 1 });
    export const handler = async ({ Records }) => {
      for (const { body } of Records) {
        const Item = { id: { S: body } };
        const wrote = await client.send(new PutItemCommand({ TableName: process.env.TABLE, Item })).then(
          () => 'OK',
          (error) => error.name,
        );
        console.log(JSON.stringify({ body, wrote }));
      }
    };`,
};

/** How a process said that it went with a body. */
interface Said {
  readonly pid: number;
  readonly body?: string;
  readonly wrote?: string;
  readonly source?: string;
}

const faults = new CallFaults();
/** Before or after which PutItem the process is killed, once. */
let kill: 'before' | 'after' | undefined;
const around: AroundCall = async (call, perform) => {
  if (call.operation !== 'PutItem' || call.caller === undefined || kill === undefined)
    return faults.around(call, perform);
  const when = kill;
  kill = undefined;
  if (when === 'after') await perform();
  await call.caller.kill();
  return undefined;
};

const pauseLag = 3_000;
let folder: string;
let cloud: EmbeddedCloud;
let sqs: SQSClient;
let dynamoDB: DynamoDBClient;
let lambda: LambdaClient;
const said: Said[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mintmark-faults-'));
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), typeof content === 'string' ? content : JSON.stringify(content));
  }
  const base = pathToFileURL(`${folder}/`);
  const random = SeededRandom.of(1);
  cloud = await startEmbeddedCloud({
    definitions: new URL('deploy/', base),
    distribution: new URL('dist/', base),
    region: 'eu-central-1',
    accountId: '000000000000',
    stage: 'local',
    parameters: {},
    stubEndpoint: 'http://127.0.0.1:9',
    functionEnvironment: {},
    onFunctionLog: ({ pid, text }) => {
      if (text.startsWith('{')) said.push({ pid, ...(JSON.parse(text) as Omit<Said, 'pid'>) });
    },
    now: Date.now,
    conditions: {
      around,
      source: (source, mapping) => {
        const duplicate = mapping.function === 'twice' && mapping.queue === 'Twice' ? 1 : 0;
        const chances = { duplicate, late: 0, lateMilliseconds: 0 };
        return disturbedSource(
          source,
          () => chances,
          random.named(mapping.queue),
          () => performance.now(),
        );
      },
      scheduleCompression: 120,
      pauseLag,
    },
  });
  const { AWS_ACCESS_KEY_ID: accessKeyId = '', AWS_REGION: region = '' } = cloud.environment;
  const common = { endpoint: cloud.endpoint, region, credentials: { accessKeyId, secretAccessKey: 'local' } };
  sqs = new SQSClient({ ...common, useQueueUrlAsEndpoint: false });
  dynamoDB = new DynamoDBClient(common);
  lambda = new LambdaClient(common);
});
afterAll(async () => {
  for (const client of [sqs, dynamoDB, lambda]) client?.destroy();
  await cloud?.stop();
  await rm(folder, { recursive: true, force: true });
});
afterEach(() => faults.set());

const send = (logicalId: string, body: string) =>
  sqs.send(new SendMessageCommand({ QueueUrl: cloud.resources[logicalId]?.ref, MessageBody: body }));
const saidOf = (body: string) => said.filter((one) => one.body === body);
const exists = async (id: string) =>
  (await dynamoDB.send(new GetItemCommand({ TableName: 'rows', Key: { id: { S: id } } }))).Item !== undefined;

describe('a call that goes wrong', () => {
  it.each([
    { name: 'throttled', effect: callErrors.provisionedThroughputExceeded, when: 'before', written: false },
    { name: 'condition-failed', effect: callErrors.conditionalCheckFailed, when: 'before', written: false },
    { name: 'failed', effect: callErrors.internal, when: 'before', written: false },
    { name: 'failed-but-done', effect: callErrors.internal, when: 'after', written: true },
  ] as const)('$name: the function is told so, written: $written', async ({ name, effect, when, written }) => {
    faults.set({ ...effect, when, service: 'dynamodb', operation: 'PutItem', count: 1 });
    await send('Work', name);
    await until(() => saidOf(name).length > 0, 'word of the function');
    expect(saidOf(name)[0]?.wrote).toBe(effect.code);
    expect(await exists(name)).toBe(written);
  });

  it.each([
    { when: 'before', written: false },
    { when: 'after', written: true },
  ] as const)('no answer, dropped $when: the function gets none, written: $written', async ({ when, written }) => {
    const name = `dropped-${when}`;
    faults.set({ effect: 'connection-dropped', when, service: 'dynamodb', operation: 'PutItem', count: 1 });
    await send('Work', name);
    await until(() => saidOf(name).length > 0, 'word of the function');
    expect(saidOf(name)[0]?.wrote).not.toBe('OK');
    expect(await exists(name)).toBe(written);
  });
});

describe('a process that is killed at a call', () => {
  it.each([
    { when: 'before', written: false },
    { when: 'after', written: true },
  ] as const)(
    '$when it: written: $written; nobody hears of it, and the message comes again',
    async ({ when, written }) => {
      const name = `killed-${when}`;
      const before = cloud.functions['work']?.pids() ?? [];
      kill = when;
      await send('Work', name);
      await until(() => kill === undefined, 'call to be killed at');
      await until(() => before.some((pid) => !cloud.functions['work']?.pids().includes(pid)), 'end of the process');
      // The visibility timeout is still running.
      expect(await exists(name)).toBe(written);
      expect(saidOf(name)).toEqual([]);
      await until(() => saidOf(name).length > 0, 'second delivery');
      expect(saidOf(name)[0]?.wrote).toBe('OK');
    },
  );
});

it('a message that is delivered twice', async () => {
  await send('Twice', 'again');
  await until(() => saidOf('again').length === 2, 'second delivery');
});

it('a schedule fires, so many times as often, with the event of a rule', async () => {
  await until(() => said.filter(({ source }) => source === 'aws.events').length >= 3, 'third event');
});

it('a mapping that is paused delivers for a while, and then no more', async () => {
  const queueArn = cloud.resources['Pausable']?.arn;
  const { EventSourceMappings: mappings = [] } = await lambda.send(
    new ListEventSourceMappingsCommand({ EventSourceArn: queueArn }),
  );
  const UUID = mappings[0]?.UUID ?? '';
  const state = async () => (await lambda.send(new GetEventSourceMappingCommand({ UUID }))).State;
  await lambda.send(new UpdateEventSourceMappingCommand({ UUID, Enabled: false }));
  await send('Pausable', 'meanwhile');
  await until(() => saidOf('meanwhile').length === 1, 'delivery of a mapping that is being paused');
  await until(async () => (await state()) === 'Disabled', 'mapping that is paused');

  await send('Pausable', 'afterwards');
  await send('Work', 'elsewhere');
  await until(() => saidOf('elsewhere').length === 1, 'delivery of another mapping');
  expect(saidOf('afterwards')).toEqual([]);
  await lambda.send(new UpdateEventSourceMappingCommand({ UUID, Enabled: true }));
  await until(() => saidOf('afterwards').length === 1, 'delivery of a mapping that was resumed');
});

import { X509Certificate } from 'node:crypto';
import { UpdateItemCommand } from '@aws-sdk/client-dynamodb';
import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import { SNSClient, SubscribeCommand } from '@aws-sdk/client-sns';
import { CreateQueueCommand, GetQueueAttributesCommand, ReceiveMessageCommand } from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Revocations } from '../../shared/ledger/revocations.ts';
import { generateEcKey } from '../fixtures/csr/make.ts';
import { TestCloud, type TestRequest } from '../support/embedded-cloud.ts';
import { makePemCsr } from '../support/embedded-openssl.ts';

const key = generateEcKey('P-256');
let cloud: TestCloud;
let lambda: LambdaClient;
let announcements: string;
let revocations: Revocations;

beforeAll(async () => {
  // No message is delivered again by itself while these run: what is finished, is finished without its message.
  cloud = await TestCloud.start({
    visibilityTimeout: '600',
    issueConcurrency: '1',
    reconcileAfterSeconds: '1',
  });
  const { endpoint, environment, resources } = cloud.local.cloud;
  const options = {
    endpoint,
    region: environment['AWS_REGION'] ?? '',
    credentials: { accessKeyId: 'LOCALOPERATOR', secretAccessKey: 'local' },
  };
  lambda = new LambdaClient(options);
  revocations = new Revocations(cloud.local.clients.dynamoDB, resources['RevocationsTable']?.ref ?? '');
  const { sqs } = cloud.local.clients;
  announcements = (await sqs.send(new CreateQueueCommand({ QueueName: 'announcements' }))).QueueUrl ?? '';
  const AttributeNames = ['QueueArn' as const];
  const { Attributes } = await sqs.send(new GetQueueAttributesCommand({ QueueUrl: announcements, AttributeNames }));
  const sns = new SNSClient(options);
  await sns.send(
    new SubscribeCommand({
      TopicArn: resources['CertificatesTopic']?.ref,
      Protocol: 'sqs',
      Endpoint: Attributes?.QueueArn,
      Attributes: { RawMessageDelivery: 'true' },
    }),
  );
  sns.destroy();
});
afterAll(async () => {
  lambda?.destroy();
  await cloud?.stop();
});

/** A request whose function was killed as it was about to sign: its intent is recorded, its message away for ten minutes. */
async function killed(name: string): Promise<TestRequest> {
  const deviceId = await cloud.newDevice(name);
  const request = { deviceId, requestId: 'r', csr: makePemCsr(key, deviceId) };
  const lines = cloud.lines.length;
  cloud.faults({ fault: 'crash-before-sign', count: 1 });
  await cloud.request(request);
  await cloud.until(async () => (await cloud.row(request))?.state === 'intent', `intent of ${deviceId}`);
  await cloud.until(
    () => cloud.lines.slice(lines).some((line) => line.includes('exited with error')),
    'killed function',
  );
  cloud.faults();
  return request;
}

/** In place of the fifteen minutes. */
async function passDeadline({ deviceId, requestId }: TestRequest): Promise<void> {
  const command = new UpdateItemCommand({
    TableName: cloud.local.cloud.resources['IssuanceTable']?.ref,
    Key: { deviceId: { S: deviceId }, requestId: { S: requestId } },
    UpdateExpression: 'SET signBefore = :past',
    ExpressionAttributeValues: { ':past': { S: new Date(Date.now() - 1).toISOString() } },
  });
  await cloud.local.clients.dynamoDB.send(command);
}

interface Answer {
  readonly finished: number;
  readonly abandoned: number;
  readonly hindered: number;
  readonly overdue: number;
  readonly isComplete: boolean;
}

async function reconcile(): Promise<Answer> {
  const { FunctionError: error, Payload: payload } = await lambda.send(
    new InvokeCommand({ FunctionName: cloud.local.cloud.functions['reconcile']?.arn }),
  );
  const text = Buffer.from(payload ?? []).toString();
  if (error !== undefined) throw new Error(text);
  return JSON.parse(text) as Answer;
}

async function announced({ deviceId }: TestRequest): Promise<Record<string, string>[]> {
  const command = new ReceiveMessageCommand({ QueueUrl: announcements, MaxNumberOfMessages: 10, VisibilityTimeout: 0 });
  const { Messages: messages = [] } = await cloud.local.clients.sqs.send(command);
  return messages
    .map(({ Body: body = '' }) => JSON.parse(body) as Record<string, string>)
    .filter((announcement) => announcement['deviceId'] === deviceId);
}

const metric = (name: string): number[] =>
  cloud.local.cloud.metrics.flatMap((each) => (each.name === name ? [each.value] : []));

const logged = (message: string, { deviceId }: TestRequest): Record<string, unknown>[] =>
  cloud.lines
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .filter((line) => line['message'] === message && line['deviceId'] === deviceId);

describe('a request whose function was killed', () => {
  it('gets its certificate from reconcile, without its message', async () => {
    const request = await killed('finished');
    const signatures = cloud.signatures().length;
    const intent = await cloud.row(request);
    await cloud.until(async () => (await reconcile()).finished === 1, 'run that finishes it');

    const { certificate, serialNumber, attempt } = await cloud.issued(request);
    expect(intent).toMatchObject({ state: 'intent', serialNumber, attempt });
    expect(new X509Certificate(certificate).verify(new X509Certificate(cloud.local.issuingCertificate).publicKey)).toBe(
      true,
    );
    expect(cloud.signatures()).toHaveLength(signatures + 1);
    const [announcement] = await cloud.until(async () => {
      const heard = await announced(request);
      return heard.length > 0 && heard;
    }, 'announcement');
    expect(announcement).toMatchObject({ type: 'certificate.issued', serialNumber });
    expect(logged('finished', request)).toMatchObject([{ serialNumber, service: 'reconcile' }]);
    expect((await cloud.messages()).inFlight).toBeGreaterThan(0);
    expect(await reconcile()).toEqual({ finished: 0, abandoned: 0, hindered: 0, overdue: 0, isComplete: true });
    expect(metric('IntentsFinished')).toContain(1);
    expect(metric('OpenIntentsOverdue')).not.toContain(1);
    // The killed function counted nothing; the one signature that was told is one over an earlier intent.
    expect(metric('SignaturesMade').at(-1)).toBe(1);
    expect(metric('SignaturesRepeated').at(-1)).toBe(1);
  });

  it('is abandoned past the deadline, its serial number revoked; sent again it is attempt 2', async () => {
    const request = await killed('abandoned');
    const intent = await cloud.row(request);
    if (intent?.state !== 'intent') throw new Error('no intent');
    await passDeadline(request);
    expect(await reconcile()).toMatchObject({ abandoned: 1, finished: 0, overdue: 0 });

    expect(await cloud.row(request)).toMatchObject({ state: 'abandoned', abandonReason: 'deadline-passed' });
    expect(await revocations.isRevoked(intent)).toBe(true);
    expect(logged('abandoned', request)).toMatchObject([{ reason: 'deadline-passed' }]);
    await cloud.request(request);
    const { serialNumber, attempt } = await cloud.issued(request);
    expect(attempt).toBe(2);
    expect(serialNumber).not.toBe(intent.serialNumber);
    expect(await revocations.isRevoked({ ...intent, serialNumber })).toBe(false);
  });
});

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { DeleteItemCommand, UpdateItemCommand } from '@aws-sdk/client-dynamodb';
import { DecryptCommand, KMSClient } from '@aws-sdk/client-kms';
import { LambdaClient, ListEventSourceMappingsCommand } from '@aws-sdk/client-lambda';
import { SNSClient, SubscribeCommand } from '@aws-sdk/client-sns';
import { CreateQueueCommand, DeleteMessageCommand, ReceiveMessageCommand } from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readInstalled } from '../../local/setup/installed.ts';
import { withToken } from '../../local/softhsm/token.ts';
import { Breakers } from '../../shared/breaker/breakers.ts';
import type { BreakerAnnouncement } from '../../shared/breaker/tell.ts';
import { Issuers } from '../../shared/ledger/issuers.ts';
import { type PinPurpose, sealPin } from '../../shared/signer/pin.ts';
import { generateEcKey } from '../fixtures/csr/make.ts';
import { TestCloud } from '../support/embedded-cloud.ts';
import { makePemCsr } from '../support/embedded-openssl.ts';

/** The breaker through the whole of a stage. Nothing fires by itself here: each look of check-signer is the test's. */

const key = generateEcKey('P-256');
const issuerId = 'devices';
const credentials = { accessKeyId: 'TEST', secretAccessKey: 'local' };

let cloud: TestCloud;
let breakers: Breakers;
let lambda: LambdaClient;
let operationsQueue: string;
const announced: BreakerAnnouncement[] = [];

beforeAll(async () => {
  cloud = await TestCloud.start({ visibilityTimeout: '60', giveUpAfterSeconds: '3600' }, false);
  const { endpoint, environment, resources } = cloud.local.cloud;
  const common = { endpoint, region: environment['AWS_REGION'] ?? '', credentials };
  breakers = new Breakers(cloud.local.clients.dynamoDB, resources['IssuersTable']?.ref ?? '');
  lambda = new LambdaClient(common);
  const { QueueUrl: url = '' } = await cloud.local.clients.sqs.send(
    new CreateQueueCommand({ QueueName: 'operations' }),
  );
  operationsQueue = url;
  const sns = new SNSClient(common);
  await sns.send(
    new SubscribeCommand({
      TopicArn: resources['OperationsTopic']?.ref,
      Protocol: 'sqs',
      Endpoint: `arn:aws:sqs:${common.region}:000000000000:operations`,
      Attributes: { RawMessageDelivery: 'true' },
    }),
  );
  sns.destroy();
});
afterAll(async () => {
  lambda?.destroy();
  await cloud?.stop();
});

const read = () => breakers.read(issuerId);

const look = () => cloud.checkSigner();

async function mappingStates(): Promise<(string | undefined)[]> {
  const command = new ListEventSourceMappingsCommand({ FunctionName: 'mintmark-local-issue' });
  return ((await lambda.send(command)).EventSourceMappings ?? []).map(({ State }) => State);
}

const mappingsAre = (state: string) =>
  cloud.until(async () => (await mappingStates()).every((each) => each === state), `mappings that are ${state}`);

const issuingPids = () => cloud.local.cloud.functions['issue']?.pids() ?? [];

/** With nothing in hand: what one of them had would come back a visibility timeout later. */
async function endEnvironments(): Promise<void> {
  await cloud.drained();
  const pids = issuingPids();
  for (const pid of pids) process.kill(pid, 'SIGKILL');
  await cloud.until(() => !issuingPids().some((pid) => pids.includes(pid)), 'end of the environments');
}

async function newRequest(name: string) {
  const deviceId = await cloud.newDevice(name);
  return { deviceId, requestId: 'r', csr: makePemCsr(key, deviceId) };
}

/** Everything that was published so far, as a subscriber has it. */
async function announcements(count: number): Promise<readonly BreakerAnnouncement[]> {
  const { sqs } = cloud.local.clients;
  await cloud.until(async () => {
    const command = new ReceiveMessageCommand({ QueueUrl: operationsQueue, MaxNumberOfMessages: 10 });
    for (const { Body: body = '', ReceiptHandle } of (await sqs.send(command)).Messages ?? []) {
      announced.push(JSON.parse(body) as BreakerAnnouncement);
      await sqs.send(new DeleteMessageCommand({ QueueUrl: operationsQueue, ReceiptHandle }));
    }
    return announced.length >= count;
  }, `${count} announcements`);
  return announced.toSorted((one, other) => one.revision - other.revision);
}

async function mintmark(
  ...args: string[]
): Promise<{ code: number | null; value: Record<string, unknown>; stderr: string }> {
  const command = fileURLToPath(new URL('../../local/setup/mintmark.mjs', import.meta.url));
  const env = {
    PATH: process.env['PATH'],
    HOME: '/nonexistent',
    AWS_EC2_METADATA_DISABLED: 'true',
    ...cloud.local.cloud.environment,
  };
  const child = spawn(process.execPath, [command, ...args, '--json'], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  return { code: code as number | null, value: JSON.parse(stdout) as Record<string, unknown>, stderr };
}

const breakerIs = (state: string) =>
  cloud.until(async () => (await read()).state === state, `breaker that is ${state}`);

const retriedWith = (messageId: string, code: string) =>
  cloud.until(() => cloud.outcomesOf(messageId).find((end) => end.code === code), `${messageId} retried with ${code}`);

describe('an HSM that is away', () => {
  it('opens the breaker; then nothing is recorded, and nobody asks it', async () => {
    const first = await newRequest('first');
    await cloud.request(first);
    await cloud.issued(first);
    expect(await read()).toMatchObject({ state: 'closed', revision: 0 });
    await look();
    expect(cloud.signatures()).toHaveLength(1);

    cloud.faults({ fault: 'down', count: -1 });
    const stuck = await newRequest('stuck');
    await cloud.request(stuck);
    await breakerIs('open');
    expect(await read()).toMatchObject({ held: false, reason: expect.stringMatching(/^SIGNER_/) });
    expect(await cloud.row(stuck)).toMatchObject({ state: 'intent' });

    const late = await newRequest('late');
    await retriedWith(await cloud.request(late), 'SIGNER_PAUSED');
    expect(await cloud.row(late)).toBeUndefined();
    // What needs no signer is answered all the same.
    const unknown = { deviceId: 'nobody', requestId: 'r', csr: makePemCsr(key, 'nobody') };
    await cloud.request(unknown);
    expect((await cloud.rejected(unknown)).code).toBe('DEVICE_UNKNOWN');
    const again = await cloud.request(first);
    expect(await cloud.ended(again)).toMatchObject({ message: 'issued' });
    expect(cloud.signatures()).toHaveLength(1);
  });

  it('while the canary fails it stays open, and the mappings are paused', async () => {
    await look();
    expect(await read()).toMatchObject({ state: 'open', revision: 1 });
    await mappingsAre('Disabled');
    await look();
    expect(await read()).toMatchObject({ state: 'open', revision: 1 });
    expect(await mintmark('queue', 'status')).toMatchObject({
      code: 1,
      value: {
        queues: [
          { queue: 'mintmark-local-requests', mapping: 'Disabled' },
          { queue: 'mintmark-local-redrive', mapping: 'Disabled', waiting: 0, inFlight: 0 },
        ],
        breakers: [{ issuerId, state: 'open', held: false }],
        // What was given back while it opened is told of, too.
        advice: expect.arrayContaining([expect.stringContaining('It is tried again every minute')]) as string[],
        runbook: 'docs/operating.md#the-breaker',
      },
    });
    const { code, value } = await mintmark('health');
    expect(code).toBe(1);
    expect((value as { findings: unknown[] }).findings).toContainEqual(
      expect.objectContaining({ rule: 'breaker', severity: 'critical', subject: issuerId, observed: 'open' }),
    );
  });

  it('when the canary signs, a few try, then all; nothing was lost', async () => {
    cloud.faults();
    const waiting = await newRequest('waiting');
    await cloud.request(waiting);
    await look();
    await mappingsAre('Enabled');
    await cloud.issued(waiting);
    await breakerIs('closed');
    await cloud.drained();
    expect(await cloud.failures()).toEqual([]);
    await look();
    const told = await announcements(3);
    expect(told.map(({ type, revision, from, to }) => [type, revision, from, to])).toEqual([
      ['breaker.opened', 1, 'closed', 'open'],
      ['breaker.half-opened', 2, 'open', 'half-open'],
      ['breaker.closed', 3, 'half-open', 'closed'],
    ]);
    expect((await read()).untold).toEqual([]);
    const counted = cloud.local.cloud.metrics.filter(({ name }) => /^Breaker(Opened|HalfOpened|Closed)$/.test(name));
    expect(counted.map(({ name, value }) => [name, value])).toEqual([
      ['BreakerOpened', 1],
      ['BreakerHalfOpened', 1],
      ['BreakerClosed', 1],
    ]);
    const gauges = cloud.local.cloud.metrics.filter(({ name }) => name === 'BreakersOpen').map(({ value }) => value);
    expect(gauges).toEqual([0, 1, 1, 1, 0]);
  });
});

describe('an operator', () => {
  it('pauses: at once, held whatever the canary says, with the mappings', async () => {
    const paused = await mintmark('queue', 'pause', '--because', 'New HSMs.');
    expect(paused).toMatchObject({
      code: 0,
      value: {
        breakers: [{ state: 'open', held: true, reason: 'OPERATOR', detail: 'New HSMs.' }],
        mappingsFollowed: true,
      },
    });
    await mappingsAre('Disabled');
    await look();
    expect(await read()).toMatchObject({ state: 'open', held: true });
    expect((await mintmark('queue', 'pause', '--because', 'Lunch.')).value).toMatchObject({
      breakers: [{ detail: 'New HSMs.', changed: false }],
    });
    expect(await mintmark('health')).toMatchObject({
      code: 0,
      value: { critical: 0, findings: [{ rule: 'breaker', severity: 'warning', observed: 'open, held' }] },
    });
    const status = await mintmark('queue', 'status');
    expect(status).toMatchObject({ code: 1, value: { advice: [expect.stringContaining('mintmark queue resume')] } });
  });

  it('resumes, and what waited is issued', async () => {
    const request = await newRequest('paused');
    await cloud.request(request);
    expect((await mintmark('queue', 'status')).value).toMatchObject({
      queues: [
        { waiting: 1, oldestSeconds: expect.any(Number) },
        { waiting: 0, oldestSeconds: null },
      ],
    });
    expect((await mintmark('queue', 'resume')).value).toMatchObject({ breakers: [{ issuerId, changed: true }] });
    await mappingsAre('Enabled');
    await cloud.issued(request);
    await breakerIs('closed');
    expect(await mintmark('queue', 'status')).toMatchObject({ code: 0, value: { advice: [] } });
    expect(await mintmark('queue', 'resume')).toMatchObject({
      code: 0,
      value: { breakers: [{ state: 'closed', changed: false }] },
    });
  });

  it('names an issuer that is there', async () => {
    expect(await mintmark('queue', 'pause', '--issuer', 'others')).toMatchObject({
      code: 2,
      value: { error: { message: 'There is no issuer others.', cure: 'The issuers are: devices.' } },
    });
  });
});

describe('check-signer that does not look', () => {
  it('leaves an open breaker to the batches: after a quarter of an hour one tries by itself', async () => {
    const present = await read();
    const ago = Date.now() - 16 * 60_000;
    await breakers.hold(present, { reason: 'SIGNER_UNAVAILABLE', detail: 'No HSM answers.' }, ago);
    const resumed = await breakers.resume(await read(), 1, ago);
    await breakers.open(resumed ?? present, { reason: 'SIGNER_UNAVAILABLE', detail: 'No HSM answers.' }, 0, ago);
    const request = await newRequest('unaided');
    await cloud.request(request);
    await cloud.issued(request);
    await breakerIs('closed');
    expect((await read()).untold.slice(-2)).toMatchObject([
      { from: 'open', to: 'half-open' },
      { from: 'half-open', to: 'closed' },
    ]);
    await look();
  });
});

describe("a breaker's row that is none", () => {
  const row = () => ({
    TableName: cloud.local.cloud.resources['IssuersTable']?.ref ?? '',
    Key: { issuerId: { S: `#breaker#${issuerId}` } },
  });

  it('stops nobody, and everybody who looks says so', async () => {
    const { dynamoDB } = cloud.local.clients;
    const names = { ExpressionAttributeNames: { '#state': 'state' } };
    await dynamoDB.send(new UpdateItemCommand({ ...row(), UpdateExpression: 'REMOVE #state', ...names }));
    const request = await newRequest('unreadable');
    await cloud.request(request);
    await cloud.issued(request);
    await expect(look()).rejects.toThrow('The look was not whole.');
    expect(cloud.local.cloud.metrics.filter(({ name }) => name === 'BreakersOpen').at(-1)?.value).toBe(1);
    expect(await mintmark('queue', 'status')).toMatchObject({
      code: 1,
      value: {
        breakers: [{ issuerId, state: 'unreadable', detail: expect.stringContaining('#breaker#devices') }],
        advice: [expect.stringContaining('Delete the row')],
      },
    });
    await dynamoDB.send(new DeleteItemCommand(row()));
    await look();
    expect(await read()).toMatchObject({ state: 'closed' });
  });
});

describe('an HSM that signs wrongly', () => {
  it('opens the breaker, and closes it when its signatures verify again; none that was wrong went out', async () => {
    cloud.faults({ fault: 'corrupt', count: -1 });
    const request = await newRequest('corrupt');
    await cloud.request(request);
    await breakerIs('open');
    expect(await read()).toMatchObject({ held: false, reason: 'SIGNATURE_WRONG' });
    // The canary's signatures are wrong as well.
    await look();
    expect(await read()).toMatchObject({ state: 'open' });
    await mappingsAre('Disabled');

    cloud.faults();
    await look();
    await mappingsAre('Enabled');
    await cloud.issued(request);
    await breakerIs('closed');
  });
});

describe('a refused PIN', () => {
  let right: Uint8Array;
  let rightPin: string;
  let keyId: string;
  let kms: KMSClient;
  let purpose: PinPurpose;
  const region = () => cloud.local.cloud.environment['AWS_REGION'] ?? '';
  const TableName = () => cloud.local.cloud.resources['IssuersTable']?.ref ?? '';

  beforeAll(async () => {
    const issuer = await new Issuers(cloud.local.clients.dynamoDB, TableName()).read(issuerId);
    right = issuer?.sealedPins[region()] ?? new Uint8Array();
    purpose = { clusterId: issuer?.clusterId ?? '', issuerId, stage: 'local' };
    const context = {
      'mintmark:purpose': 'crypto-user-pin',
      'mintmark:cluster': purpose.clusterId,
      'mintmark:issuer': issuerId,
      'mintmark:stage': purpose.stage,
    };
    kms = new KMSClient({ endpoint: cloud.local.stubEndpoint, region: region(), credentials });
    const opened = await kms.send(new DecryptCommand({ CiphertextBlob: right, EncryptionContext: context }));
    keyId = opened.KeyId ?? '';
    rightPin = Buffer.from(opened.Plaintext ?? []).toString('utf8');
  });
  afterAll(() => kms?.destroy());

  const seal = (sealed: Uint8Array) =>
    cloud.local.clients.dynamoDB.send(
      new UpdateItemCommand({
        TableName: TableName(),
        Key: { issuerId: { S: issuerId } },
        UpdateExpression: 'SET sealedPins.#region = :sealed',
        ExpressionAttributeNames: { '#region': region() },
        ExpressionAttributeValues: { ':sealed': { B: sealed } },
      }),
    );

  /** Of the crypto user, in the HSM. */
  function setPassword(from: string, to: string): void {
    const { softhsm2Library: library } = readInstalled();
    const directory = join(dirname(cloud.local.shim.faults), 'tokens');
    withToken({ directory, library, label: 'devices', userPin: from }, ({ pkcs11, handle }) =>
      pkcs11.C_SetPIN(handle, from, to),
    );
  }

  /** A request to environments that all have to log in, and are refused. */
  async function requestWithPin(name: string, pin: string) {
    await seal(await sealPin(kms, keyId, pin, purpose));
    // An environment that has a session keeps it; it is the new ones that log in.
    await endEnvironments();
    const request = await newRequest(name);
    const messageId = await cloud.request(request);
    await retriedWith(messageId, 'SIGNER_PAUSED');
    expect(await read()).toMatchObject({ state: 'open', held: true, reason: 'SIGNER_PIN_REFUSED' });
    await look();
    expect(await read()).toMatchObject({ state: 'open', held: true });
    // One that is still being paused cannot be resumed: the next look does it, and here nobody looks again.
    await mappingsAre('Disabled');
    return { request, refusals: () => refusalsOf(messageId) };
  }

  const refusalsOf = (messageId: string) =>
    cloud.outcomesOf(messageId).filter(({ code }) => code === 'SIGNER_PIN_REFUSED').length;

  it('holds it at the first try, until an operator has sealed another', async () => {
    const { request, refusals } = await requestWithPin('pin', 'user:of-last-year');
    expect(refusals()).toBe(1);
    await seal(right);
    expect(await mintmark('queue', 'resume')).toMatchObject({ code: 0 });
    await cloud.issued(request);
    await breakerIs('closed');
  });

  it('that was made right in the HSM is tried by the environment that remembers it, with the row as it was', async () => {
    const nextPin = 'crypto_user:of-next-year';
    const { request, refusals } = await requestWithPin('repaired', nextPin);
    const pids = issuingPids();
    // Not repaired yet: the HSM is asked, once, and says so again.
    expect(await mintmark('queue', 'resume')).toMatchObject({ code: 0 });
    await breakerIs('open');
    expect(await read()).toMatchObject({ held: true, reason: 'SIGNER_PIN_REFUSED' });
    await cloud.until(() => refusals() >= 2, 'second refusal');
    expect(refusals()).toBe(2);
    await look();
    await mappingsAre('Disabled');

    setPassword(rightPin, nextPin);
    expect(await mintmark('queue', 'resume')).toMatchObject({ code: 0 });
    await cloud.issued(request);
    await breakerIs('closed');
    expect(issuingPids()).toEqual(pids);
  });

  it('of an environment that lost its session is sent once by each probe, and is right when it was made so', async () => {
    await seal(right);
    setPassword('crypto_user:of-next-year', rightPin);
    await endEnvironments();
    const first = await newRequest('in-session');
    await cloud.request(first);
    await cloud.issued(first);
    // It is free for the next request when it has answered for this one; another would be started until then.
    await cloud.drained();
    const pids = issuingPids();

    setPassword(rightPin, 'crypto_user:of-the-year-after');
    cloud.faults({ fault: 'session-lost', count: 1 });
    const request = await newRequest('session-lost');
    const messageId = await cloud.request(request);
    await breakerIs('open');
    expect(await read()).toMatchObject({ held: true, reason: 'SIGNER_PIN_REFUSED', isPinDoubtful: true });
    await look();
    await mappingsAre('Disabled');

    setPassword('crypto_user:of-the-year-after', rightPin);
    expect(await mintmark('queue', 'resume')).toMatchObject({ code: 0 });
    await cloud.issued(request);
    await breakerIs('closed');
    expect(refusalsOf(messageId)).toBe(1);
    expect(issuingPids()).toEqual(pids);
  });
});

import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { CloudWatchClient } from '@aws-sdk/client-cloudwatch';
import { afterEach, describe, expect, it } from 'vitest';
import { type ErrorCode, errorKinds, MintmarkError } from '../../shared/errors.ts';
import type { Outcome } from '../../shared/issuance/outcome.ts';
import { measureFailures, measureOutcomes, tellCloudWatch } from '../../shared/issuance/request-metrics.ts';

const now = Date.UTC(2026, 10, 22, 12);
/** Received for the third time. */
const sentSecondsAgo = (...ages: readonly number[]) =>
  ages.map((age) => ({ sentAt: now - age * 1000, receiveCount: 3 }));
const retryFor = (code: ErrorCode): Outcome => ({ kind: 'retry', error: new MintmarkError(code, 'x') });
const retry = retryFor('SIGNER_UNAVAILABLE');
const rejected: Outcome = {
  kind: 'rejected',
  request: { deviceId: 'd', requestId: 'r', profile: 'device-tls' },
  code: 'KEY_TOO_SMALL',
  detail: 'x',
};
const failed = (code: ErrorCode): Outcome => ({ kind: 'failed', code, detail: 'x' });

const values = (measurements: readonly { name: string; value: number }[]) =>
  Object.fromEntries(measurements.map(({ name, value }) => [name, value]));

describe('measureOutcomes', () => {
  it('has nothing to say of a batch without trouble', () => {
    expect(measureOutcomes(sentSecondsAgo(900), [rejected], now)).toEqual([]);
    expect(measureOutcomes([], [], now)).toEqual([]);
  });

  it('counts what is retried, and the age of the oldest of that alone', () => {
    const batch = sentSecondsAgo(4000, 20, 301.5, 5000);
    expect(measureOutcomes(batch, [rejected, retry, retry, failed('MESSAGE_NOT_JSON')], now).slice(0, 2)).toEqual([
      { name: 'RequestsRetried', unit: 'Count', value: 2 },
      { name: 'OldestRetriedRequestAgeSeconds', unit: 'Seconds', value: 301.5 },
    ]);
  });

  it('knows no age below nothing', () => {
    expect(values(measureOutcomes(sentSecondsAgo(-3), [retry], now))).toEqual({
      RequestsRetried: 1,
      OldestRetriedRequestAgeSeconds: 0,
    });
  });

  it.each([
    ['a defect', retryFor('INTERNAL')],
    ['no outcome', undefined],
  ])('counts a message with %s as retried, and not its age: the next message does not meet the same', (_, outcome) => {
    const batch = sentSecondsAgo(5000, 20);
    expect(values(measureOutcomes(batch.slice(0, 1), [outcome], now))).toEqual({ RequestsRetried: 1 });
    expect(values(measureOutcomes(batch, [outcome, retry], now))).toEqual({
      RequestsRetried: 2,
      OldestRetriedRequestAgeSeconds: 20,
    });
  });

  it("counts an age from the third receive on: until then SQS's own metric has it", () => {
    const batch = [1, 2, 3].map((receiveCount) => ({ sentAt: now - 9_000 / receiveCount, receiveCount }));
    expect(values(measureOutcomes(batch.slice(0, 2), [retry, retry], now))).toEqual({ RequestsRetried: 2 });
    expect(values(measureOutcomes(batch, [retry, retry, retry], now))).toMatchObject({
      OldestRetriedRequestAgeSeconds: 3,
    });
  });

  it('counts what failed, and apart what was given up though nothing was wrong with it', () => {
    const outcomes = [failed('MESSAGE_NOT_JSON'), failed('SIGNER_UNAVAILABLE'), failed('SENDER_NOT_ALLOWED'), rejected];
    expect(values(measureOutcomes(sentSecondsAgo(1, 2, 3, 4), outcomes, now))).toEqual({
      RequestsFailed: 3,
      RequestsGivenUp: 1,
    });
    expect(values(measureOutcomes(sentSecondsAgo(1), [failed('MESSAGE_INVALID')], now))).toEqual({ RequestsFailed: 1 });
  });
});

describe('measureFailures', () => {
  it.each(Object.keys(errorKinds) as ErrorCode[])('%s: given up is what was retried for want of something', (code) => {
    const wasRetried = errorKinds[code].disposition === 'retry' || code === 'ATTEMPTS_EXHAUSTED';
    const isOurs = wasRetried && code !== 'INTERNAL';
    expect(values(measureFailures([code, code]))).toEqual({
      RequestsFailed: 2,
      ...(isOurs ? { RequestsGivenUp: 2 } : {}),
    });
  });

  it('has nothing to say of no failure', () => {
    expect(measureFailures([])).toEqual([]);
  });
});

describe('tellCloudWatch', () => {
  const measurements = [{ name: 'RequestsRetried', unit: 'Count', value: 2 }] as const;
  const cleanUps: (() => void)[] = [];
  afterEach(() => cleanUps.splice(0).forEach((cleanUp) => cleanUp()));

  /** A CloudWatch that answers with this status, or never. */
  async function cloudWatchThat(status: number | undefined): Promise<{ server: Server; client: CloudWatchClient }> {
    const server = createServer((_, response) => {
      if (status !== undefined) response.writeHead(status, { 'content-type': 'application/x-amz-json-1.0' }).end('{}');
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const client = new CloudWatchClient({
      endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      region: 'eu-central-1',
      credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
      maxAttempts: 1,
    });
    cleanUps.push(() => {
      client.destroy();
      server.closeAllConnections();
      server.close();
    });
    return { server, client };
  }

  it("puts all of them in one call, the stage's namespace, dimension Stage", async () => {
    const { server, client } = await cloudWatchThat(200);
    const bodies: Promise<string>[] = [];
    server.prependListener('request', (request) => bodies.push(text(request)));
    const errors: Error[] = [];
    const two = [...measurements, { name: 'RequestsFailed', unit: 'Count', value: 1 } as const];
    const signal = new AbortController().signal;
    await tellCloudWatch(client, 'prod', two, { now, signal, onError: (error) => errors.push(error) });
    expect(errors).toEqual([]);
    expect((await Promise.all(bodies)).map((body) => JSON.parse(body) as unknown)).toEqual([
      {
        Namespace: 'Mintmark/prod',
        MetricData: two.map(({ name, unit, value }) => ({
          MetricName: name,
          Dimensions: [{ Name: 'Stage', Value: 'prod' }],
          Timestamp: now / 1000,
          Unit: unit,
          Value: value,
        })),
      },
    ]);
  });

  it('asks nothing of CloudWatch where there is nothing to tell', async () => {
    const { server, client } = await cloudWatchThat(500);
    let calls = 0;
    server.prependListener('request', () => calls++);
    const signal = new AbortController().signal;
    const onError = (error: Error) => expect.unreachable(error.message);
    await tellCloudWatch(client, 'prod', [], { now, signal, onError });
    expect(calls).toBe(0);
  });

  it('a CloudWatch that fails is heard of and throws nothing', async () => {
    const { client } = await cloudWatchThat(403);
    const errors: Error[] = [];
    const signal = new AbortController().signal;
    await tellCloudWatch(client, 'prod', measurements, { now, signal, onError: (error) => errors.push(error) });
    expect(errors).toHaveLength(1);
  });

  it('a CloudWatch that never answers is given up when the signal says so', async () => {
    const { server, client } = await cloudWatchThat(undefined);
    const abort = new AbortController();
    const errors: Error[] = [];
    const asked = once(server, 'request');
    const told = tellCloudWatch(client, 'prod', measurements, {
      now,
      signal: abort.signal,
      onError: (error) => errors.push(error),
    });
    await asked;
    abort.abort();
    await told;
    expect(errors.map(({ name }) => name)).toEqual(['AbortError']);
  });
});

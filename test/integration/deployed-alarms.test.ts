import { randomUUID } from 'node:crypto';
import {
  CloudWatchClient,
  DescribeAlarmsCommand,
  GetMetricStatisticsCommand,
  type MetricAlarm,
} from '@aws-sdk/client-cloudwatch';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generateEcKey } from '../fixtures/csr/make.ts';
import type { TestRequest } from '../support/cloud-under-test.ts';
import { makePemCsr } from '../support/embedded-openssl.ts';
import { DeployedCloud } from './deployed-fixture.ts';
import { orWhyNot, region, unavailable } from './localstack-fixture.ts';

/** Seconds. The least that CloudWatch takes. LocalStack counts every value that it finds in the two periods before, too. */
const period = 10;
const alarmLimit = 8 * period * 1000;

const key = generateEcKey('P-256');

describe.skipIf(unavailable !== undefined)(`alarms on requests in trouble, deployed to LocalStack${orWhyNot}`, () => {
  let cloud: DeployedCloud;
  let cloudWatch: CloudWatchClient;
  let start: Date;

  beforeAll(async () => {
    // Tries at about 0, 1, 3, 6, 12 s; the alarm of the stage `local` is at 5 s.
    cloud = await DeployedCloud.start({ requestAlarmPeriodSeconds: String(period), giveUpAfterSeconds: '20' });
    const credentials = { accessKeyId: 'local', secretAccessKey: 'local' };
    cloudWatch = new CloudWatchClient({ endpoint: cloud.local.cloud.endpoint, region, credentials });
    start = new Date();
  });
  afterAll(async () => {
    cloudWatch?.destroy();
    await cloud?.stop();
  });

  async function newRequest(name: string): Promise<TestRequest> {
    const deviceId = await cloud.newDevice(name);
    return { deviceId, requestId: randomUUID(), csr: makePemCsr(key, deviceId) };
  }

  async function alarm(name: string): Promise<MetricAlarm> {
    const command = new DescribeAlarmsCommand({ AlarmNames: [`mintmark-local-${name}`] });
    const { MetricAlarms: [found] = [] } = await cloudWatch.send(command);
    if (found === undefined) throw new Error(`The stack has no alarm ${name}.`);
    return found;
  }

  const inState = (name: string, state: string): Promise<boolean> =>
    cloud.until(async () => (await alarm(name)).StateValue === state, `time when ${name} is ${state}`, alarmLimit);

  /** Of all that was told of it since the start. */
  async function told(metric: string): Promise<{ readonly maximum: number; readonly sum: number } | undefined> {
    const command = new GetMetricStatisticsCommand({
      Namespace: 'Mintmark/local',
      MetricName: metric,
      Dimensions: [{ Name: 'Stage', Value: 'local' }],
      StartTime: start,
      EndTime: new Date(Date.now() + 1000),
      Period: 60,
      Statistics: ['Maximum', 'Sum'],
    });
    const { Datapoints: points = [] } = await cloudWatch.send(command);
    if (points.length === 0) return undefined;
    return {
      maximum: Math.max(...points.map(({ Maximum = 0 }) => Maximum)),
      sum: points.reduce((total, { Sum = 0 }) => total + Sum, 0),
    };
  }

  it('a request that is issued at once: CloudWatch is told nothing, and the alarms are OK', async () => {
    const request = await newRequest('well');
    await cloud.request(request);
    await cloud.issued(request, 60_000);
    await cloud.drained();
    for (const metric of ['RequestsRetried', 'RequestsFailed']) expect(await told(metric), metric).toBeUndefined();
    for (const name of ['requests-retried', 'requests-given-up', 'requests-failed']) await inState(name, 'OK');
  });

  it('the signer in trouble: the age of what is retried arrives, its alarm goes off, then that it was given up', async () => {
    cloud.faults({ fault: 'busy', count: -1 });
    const messageId = await cloud.request(await newRequest('waits'));
    await inState('requests-retried', 'ALARM');
    expect((await told('OldestRetriedRequestAgeSeconds'))?.maximum).toBeGreaterThan(5);
    expect((await told('RequestsRetried'))?.sum).toBeGreaterThan(1);

    expect((await cloud.failure(messageId, 60_000)).failureClass).toBe('transient-exhausted');
    cloud.faults();
    await Promise.all(['requests-given-up', 'requests-failed'].map((name) => inState(name, 'ALARM')));
    expect([(await told('RequestsGivenUp'))?.sum, (await told('RequestsFailed'))?.sum]).toEqual([1, 1]);
  });

  it('the signer well again: every alarm is OK again', async () => {
    const next = await newRequest('next');
    await cloud.request(next);
    // The breaker that the trouble opened is closed by check-signer, which looks once a minute.
    await cloud.issued(next, 150_000);
    for (const name of ['requests-retried', 'requests-given-up', 'requests-failed']) await inState(name, 'OK');
  });

  it("a message that nobody can read is its sender's: the warning alone", async () => {
    await cloud.failure(await cloud.send('{'));
    await inState('requests-failed', 'ALARM');
    expect((await told('RequestsGivenUp'))?.sum).toBe(1);
    expect((await alarm('requests-given-up')).StateValue).toBe('OK');
  });

  it('alarms on metric math are there, and not evaluated', async () => {
    for (const [name, count] of [
      ['requests-stalled', 4],
      ['redrive-stalled', 4],
      ['dead-letters-not-recorded', 3],
    ] as const) {
      const { Metrics: metrics, StateValue: state } = await alarm(name);
      expect([name, metrics?.length, state]).toEqual([name, count, 'INSUFFICIENT_DATA']);
    }
  });
});

import { randomUUID } from 'node:crypto';
import { CloudWatchClient, GetMetricStatisticsCommand } from '@aws-sdk/client-cloudwatch';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { rules } from '../../shared/cluster/index.ts';
import { generateEcKey } from '../fixtures/csr/make.ts';
import type { TestRequest } from '../support/cloud-under-test.ts';
import { makePemCsr } from '../support/embedded-openssl.ts';
import { DeployedCloud } from './deployed-fixture.ts';
import { orWhyNot, region, unavailable } from './localstack-fixture.ts';
import { alarmPeriod, noData, Watched, watchParameters } from './watched-fixture.ts';

const key = generateEcKey('P-256');

const requestAlarms = ['requests-retried', 'requests-given-up', 'requests-failed'];

describe.skipIf(unavailable !== undefined)(
  `alarms on requests in trouble and on a watch that cannot run, deployed to LocalStack${orWhyNot}`,
  () => {
    let cloud: DeployedCloud;
    let watched: Watched;
    let cloudWatch: CloudWatchClient;
    let start: Date;

    beforeAll(async () => {
      // Tries at about 0, 1, 3, 6, 12 s; the alarm of the stage `local` is at 5 s.
      const requests = { requestAlarmPeriodSeconds: String(alarmPeriod), giveUpAfterSeconds: '20' };
      cloud = await DeployedCloud.start({ ...watchParameters, ...requests });
      watched = await Watched.start(cloud);
      const credentials = { accessKeyId: 'local', secretAccessKey: 'local' };
      cloudWatch = new CloudWatchClient({ endpoint: cloud.local.cloud.endpoint, region, credentials });
      start = new Date();
    });
    afterAll(async () => {
      cloudWatch?.destroy();
      watched?.destroy();
      await cloud?.stop();
    });

    async function newRequest(name: string): Promise<TestRequest> {
      const deviceId = await cloud.newDevice(name);
      return { deviceId, requestId: randomUUID(), csr: makePemCsr(key, deviceId) };
    }

    async function inState(state: string, ...names: readonly string[]): Promise<void> {
      const areAll = async () => {
        const alarms = await Promise.all(names.map((name) => watched.alarm(name)));
        return alarms.every(({ StateValue: value }) => value === state);
      };
      await watched.until(areAll, `time when ${names.join(', ')} are ${state}`);
    }

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
      await inState('OK', ...requestAlarms);
    });

    // The two take as long, and a watch that does not run signs no canary, which would be in the same trouble.
    describe('a watch that cannot run, and a signer in trouble', () => {
      let stopped: number;
      beforeAll(async () => {
        await watched.everyAlarmIsOk();
        stopped = Date.now();
        await watched.stop();
      });

      it('the age of what is retried arrives, its alarm goes off, then that it was given up', async () => {
        await watched.stopCheckSigner();
        cloud.faults({ fault: 'busy', count: -1 });
        const messageId = await cloud.request(await newRequest('waits'));
        await inState('ALARM', 'requests-retried');
        expect((await told('OldestRetriedRequestAgeSeconds'))?.maximum).toBeGreaterThan(5);
        expect((await told('RequestsRetried'))?.sum).toBeGreaterThan(1);

        expect((await cloud.failure(messageId, 60_000)).failureClass).toBe('transient-exhausted');
        cloud.faults();
        await watched.resumeCheckSigner();
        await inState('ALARM', 'requests-given-up', 'requests-failed');
        expect([(await told('RequestsGivenUp'))?.sum, (await told('RequestsFailed'))?.sum]).toEqual([1, 1]);
      });

      it('an alarm for each rule of the watch, by missing data, and its message', async () => {
        for (const { name, severities } of rules) {
          const severity = severities.includes('critical') ? 'critical' : 'warning';
          const alarm = `${name}-${severity}`;
          const message = await watched.told(alarm, 'ALARM', stopped);
          expect(message.topic).toBe(severity === 'critical' ? 'AlarmsCriticalTopic' : 'AlarmsWarningTopic');
          expect(message.NewStateReason).toMatch(noData);
          expect(await watched.standing(alarm)).toEqual({ state: 'ALARM', highest: undefined });
        }
        // Once is enough.
        expect((await watched.states()).filter((state) => state === 'ALARM')).toHaveLength(rules.length);
      });
    });

    it('the watch runs again: its alarms are OK, and their messages', async () => {
      const since = Date.now();
      await watched.resume();
      expect(await watched.look()).toEqual([]);
      expect((await watched.told('described-critical', 'OK', since)).topic).toBe('AlarmsCriticalTopic');
      await watched.everyAlarmIsOk();
    });

    it('the signer well again: every alarm on requests is OK again', async () => {
      const next = await newRequest('next');
      await cloud.request(next);
      // The breaker that the trouble opened is closed by check-signer, which looks once a minute.
      await cloud.issued(next, 150_000);
      await inState('OK', ...requestAlarms);
    });

    it("a message that nobody can read is its sender's: the warning alone", async () => {
      await cloud.failure(await cloud.send('{'));
      await inState('ALARM', 'requests-failed');
      expect((await told('RequestsGivenUp'))?.sum).toBe(1);
      expect((await watched.alarm('requests-given-up')).StateValue).toBe('OK');
    });

    it('alarms on metric math are there, and not evaluated', async () => {
      for (const [name, count] of [
        ['requests-stalled', 4],
        ['redrive-stalled', 4],
        ['dead-letters-not-recorded', 3],
      ] as const) {
        const { Metrics: metrics, StateValue: state } = await watched.alarm(name);
        expect([name, metrics?.length, state]).toEqual([name, count, 'INSUFFICIENT_DATA']);
      }
    });
  },
);

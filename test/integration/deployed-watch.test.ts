import { CloudWatchClient, DescribeAlarmsCommand } from '@aws-sdk/client-cloudwatch';
import { LambdaClient, PutFunctionConcurrencyCommand } from '@aws-sdk/client-lambda';
import { SNSClient, SubscribeCommand } from '@aws-sdk/client-sns';
import { CreateQueueCommand, DeleteMessageBatchCommand, ReceiveMessageCommand } from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { gaugeName } from '../../shared/cluster/assess.ts';
import { type Finding, rules } from '../../shared/cluster/index.ts';
import { DeployedCloud } from './deployed-fixture.ts';
import { type Invocation, orWhyNot, region, unavailable } from './localstack-fixture.ts';

const watch = 'CheckClusterLambdaFunction';

/** Seconds. The least that CloudWatch takes. */
const period = 10;
/** LocalStack looks once in all of an alarm's periods, and counts every value that it finds in two more: it recovers late. */
const alarmLimit = 8 * period * 1000;

/** What CloudWatch tells a topic (CloudWatch user guide, "Using Amazon CloudWatch alarms"). */
interface AlarmMessage {
  readonly AlarmName: string;
  readonly NewStateValue: 'ALARM' | 'OK' | 'INSUFFICIENT_DATA';
  readonly NewStateReason: string;
  readonly StateChangeTime: string;
  readonly Trigger: { readonly MetricName: string; readonly Namespace: string };
}

/** How an alarm's NewStateReason begins that has seen no value of its gauge at all. */
const noData = /^Threshold Crossed: no datapoints were received .*\[Breaching\]\.$/;

/** The watch's; other functions tell other metrics. */
const gauges = new Set(rules.map(({ name }) => gaugeName(name)));

const zone = (letter: string) => `${region}${letter}`;
const healthyHsms = ['a', 'b', 'c'].map((letter) => ({ availabilityZone: zone(letter) }));
const hour = 3600;

describe.skipIf(unavailable !== undefined)(`the watch, deployed to LocalStack${orWhyNot}`, () => {
  let cloud: DeployedCloud;
  let clients: { readonly cloudWatch: CloudWatchClient; readonly lambda: LambdaClient; readonly sns: SNSClient };
  const queueUrls: Record<string, string> = {};
  const messages: (AlarmMessage & { readonly topic: string })[] = [];
  /** Of the looks that this test asked for; the others are the schedule's. */
  const requestIds = new Set<string>();
  let lastLook = 0;
  /** Whether the watch can run. */
  let running = true;

  beforeAll(async () => {
    cloud = await DeployedCloud.start({ watchPeriodSeconds: String(period) });
    const { endpoint } = cloud.local.cloud;
    const common = { endpoint, region, credentials: { accessKeyId: 'local', secretAccessKey: 'local' } };
    clients = {
      cloudWatch: new CloudWatchClient(common),
      lambda: new LambdaClient(common),
      sns: new SNSClient(common),
    };
    for (const topic of ['AlarmsCriticalTopic', 'AlarmsWarningTopic']) {
      const { QueueUrl: url = '' } = await cloud.local.clients.sqs.send(new CreateQueueCommand({ QueueName: topic }));
      queueUrls[topic] = url;
      const queueArn = `arn:aws:sqs:${region}:000000000000:${topic}`;
      await clients.sns.send(new SubscribeCommand({ TopicArn: cloud.ref(topic), Protocol: 'sqs', Endpoint: queueArn }));
    }
  });
  afterAll(async () => {
    Object.values(clients ?? {}).forEach((client) => client.destroy());
    await cloud?.stop();
  });

  async function look(): Promise<readonly Finding[]> {
    const { payload, functionError, requestId } = await cloud.until(invoke, 'environment that is free');
    requestIds.add(requestId);
    expect(functionError, JSON.stringify(payload)).toBeNull();
    lastLook = Date.now();
    return (payload as { findings: readonly Finding[] }).findings;
  }

  /** One at a time: while the schedule's look lasts, the function's reserved concurrency is used up. */
  async function invoke(): Promise<Invocation | undefined> {
    try {
      return await cloud.api.invoke(cloud.ref(watch), {});
    } catch (error) {
      if (error instanceof Error && error.message.includes('ReservedFunctionConcurrentInvocationLimitExceeded')) return;
      throw error;
    }
  }

  /** Looks often enough for the alarms to have data in every period. */
  async function lookAgain(): Promise<void> {
    if (running && Date.now() - lastLook > (period * 1000) / 3) await look();
  }

  async function alarmStates(): Promise<ReadonlyMap<string, string>> {
    const { MetricAlarms: alarms = [] } = await clients.cloudWatch.send(new DescribeAlarmsCommand({ MaxRecords: 100 }));
    return new Map(
      alarms
        .filter(({ Namespace: namespace, MetricName: metric = '' }) => {
          return namespace === 'Mintmark/local' && gauges.has(metric);
        })
        .map(({ AlarmName: name = '', StateValue: state = '' }) => [name, state]),
    );
  }

  async function everyAlarmIsOk(): Promise<void> {
    await cloud.until(
      async () => {
        await lookAgain();
        const states = [...(await alarmStates()).values()];
        return states.length > 10 && states.every((state) => state === 'OK');
      },
      'time when all is well',
      alarmLimit,
    );
  }

  /** Those of its gauge's values that the alarm's present state comes from, and the reason that it gives. */
  async function reasonOf(alarm: string) {
    const { MetricAlarms: [described] = [] } = await clients.cloudWatch.send(
      new DescribeAlarmsCommand({ AlarmNames: [`mintmark-local-${alarm}`] }),
    );
    const { recentDatapoints } = JSON.parse(described?.StateReasonData ?? '{}') as { recentDatapoints?: number[] };
    return { state: described?.StateValue, reason: described?.StateReason, recentDatapoints };
  }

  /** Takes what has come to the subscribed queues. */
  async function receive(): Promise<void> {
    const { sqs } = cloud.local.clients;
    for (const [topic, url] of Object.entries(queueUrls)) {
      const { Messages: received = [] } = await sqs.send(
        new ReceiveMessageCommand({ QueueUrl: url, MaxNumberOfMessages: 10 }),
      );
      if (received.length === 0) continue;
      for (const { Body: body = '' } of received) {
        const { Message: message } = JSON.parse(body) as { Message: string };
        messages.push({ topic, ...(JSON.parse(message) as AlarmMessage) });
      }
      const entries = received.map(({ ReceiptHandle: handle }, index) => ({
        Id: String(index),
        ReceiptHandle: handle,
      }));
      await sqs.send(new DeleteMessageBatchCommand({ QueueUrl: url, Entries: entries }));
    }
  }

  /** That an alarm changed its state since then, as told to whoever subscribes to its topic. */
  function told(alarm: string, state: 'ALARM' | 'OK', since: number): Promise<AlarmMessage & { topic: string }> {
    return cloud.until(
      async () => {
        await lookAgain();
        await receive();
        return messages.find(
          ({ AlarmName: name, NewStateValue: value, StateChangeTime: time }) =>
            name === `mintmark-local-${alarm}` && value === state && Date.parse(time) >= since,
        );
      },
      `message that ${alarm} is ${state}`,
      alarmLimit,
    );
  }

  it('a cluster that is well: no finding, and every alarm of the watch is OK', async () => {
    expect(await look()).toEqual([]);
    await everyAlarmIsOk();
  });

  const troubles: readonly {
    what: string;
    drill: [path: string, body: unknown];
    repair: [path: string, body: unknown];
    finding: Partial<Finding>;
    alarm: string;
    topic: string;
    metric: string;
    /** The gauge's value that raises it. */
    gauge: number;
    /** Another rule, whose finding would be the same and is left out: its alarm is raised, by its own gauge. */
    quiet?: string;
  }[] = [
    {
      what: 'the newest backup is stale',
      drill: ['backups', { backups: [{ ageSeconds: 31 * hour }] }],
      repair: ['backups', { backups: [{ ageSeconds: hour }, { ageSeconds: 31 * hour }] }],
      finding: { rule: 'backup-age', severity: 'critical' },
      alarm: 'backup-age-critical',
      topic: 'AlarmsCriticalTopic',
      metric: 'BackupAgeFinding',
      gauge: 2,
    },
    {
      what: 'an HSM is degraded',
      drill: ['hsms', { hsms: [{ availabilityZone: zone('a'), state: 'DEGRADED' }, ...healthyHsms.slice(1)] }],
      repair: ['hsms', { hsms: healthyHsms }],
      finding: { rule: 'hsm-state', severity: 'warning' },
      alarm: 'hsm-state-warning',
      topic: 'AlarmsWarningTopic',
      metric: 'HsmStateFinding',
      gauge: 1,
    },
    {
      what: 'all HSMs are in one Availability Zone',
      drill: ['hsms', { hsms: healthyHsms.map(() => ({ availabilityZone: zone('a') })) }],
      repair: ['hsms', { hsms: healthyHsms }],
      finding: { rule: 'az-spread', severity: 'critical' },
      alarm: 'az-spread-critical',
      topic: 'AlarmsCriticalTopic',
      metric: 'AzSpreadFinding',
      gauge: 2,
    },
    {
      what: 'the key store is disconnected',
      drill: ['custom-key-store', { connectionState: 'DISCONNECTED' }],
      repair: ['custom-key-store', { connectionState: 'CONNECTED' }],
      finding: { rule: 'key-store-state', severity: 'critical' },
      alarm: 'key-store-state-critical',
      topic: 'AlarmsCriticalTopic',
      metric: 'KeyStoreStateFinding',
      gauge: 2,
      quiet: 'key-store-canary',
    },
  ];
  /** When each was repaired, by alarm. */
  const repaired = new Map<string, number>();

  it.each(troubles)('$what: the finding, $alarm and its message', async (trouble) => {
    const { drill, repair, finding, alarm, topic, metric, gauge, quiet } = trouble;
    const since = Date.now();
    await cloud.drill(...drill);
    const findings = await look();
    expect(findings).toContainEqual(expect.objectContaining(finding));
    const message = await told(alarm, 'ALARM', since);
    expect(message).toMatchObject({ topic, Trigger: { MetricName: metric, Namespace: 'Mintmark/local' } });
    await expectGauge(alarm, message, gauge);
    if (quiet !== undefined) {
      expect(findings.map(({ rule }) => rule)).not.toContain(quiet);
      const other = `${quiet}-critical`;
      await expectGauge(other, await told(other, 'ALARM', since), 2);
    }
    repaired.set(alarm, Date.now());
    await cloud.drill(...repair);
    expect(await look()).toEqual([]);
  });

  /** An alarm that missing data raised says the same, but for this. */
  async function expectGauge(alarm: string, message: AlarmMessage, gauge: number): Promise<void> {
    expect(message.NewStateReason).not.toMatch(noData);
    const { state, recentDatapoints = [] } = await reasonOf(alarm);
    expect(state).toBe('ALARM');
    expect(Math.max(...recentDatapoints)).toBe(gauge);
  }

  async function expectNoData(alarm: string, message: AlarmMessage): Promise<void> {
    expect(message.NewStateReason).toMatch(noData);
    expect(await reasonOf(alarm)).toMatchObject({ state: 'ALARM', recentDatapoints: [] });
  }

  it.each(troubles)('no more that $what: $alarm is OK, and its message', async ({ alarm, topic }) => {
    const since = repaired.get(alarm);
    if (since === undefined) throw new Error('It was never repaired.');
    expect((await told(alarm, 'OK', since)).topic).toBe(topic);
    const { recentDatapoints = [] } = await reasonOf(alarm);
    // Values of the gauge, not their absence.
    expect(recentDatapoints.length).toBeGreaterThan(0);
    expect(Math.max(...recentDatapoints)).toBe(0);
  });

  it('every alarm is OK again', async () => {
    await everyAlarmIsOk();
  });

  it('the schedule fires: the watch has looked without having been asked', async () => {
    const scheduled = async () => {
      const started = (await cloud.logLines(watch)).flatMap((line) => /^START RequestId: (\S+)/.exec(line)?.[1] ?? []);
      return started.find((requestId) => !requestIds.has(requestId));
    };
    expect(requestIds.size).toBeGreaterThan(0);
    const requestId = await cloud.until(scheduled, 'look by the schedule', 90_000);
    const ended = async () => (await cloud.logLines(watch)).includes(`END RequestId: ${requestId}`);
    await cloud.until(ended, 'end of the look');
  });

  it('a rule that cannot look: its alarm, by missing data, and its message', async () => {
    await everyAlarmIsOk();
    const since = Date.now();
    const operation = 'BaldrApiService.DescribeBackups';
    await cloud.drill('faults', { faults: [{ operation, code: 'CloudHsmAccessDeniedException', count: 1_000_000 }] });
    expect(await look()).toMatchObject([{ rule: 'described', severity: 'critical' }]);
    const message = await told('backup-age-critical', 'ALARM', since);
    expect(message.topic).toBe('AlarmsCriticalTopic');
    await expectNoData('backup-age-critical', message);
    await expectGauge('described-critical', await told('described-critical', 'ALARM', since), 2);
    await cloud.drill('faults', { faults: [] });
    expect(await look()).toEqual([]);
  });

  describe('the watch that cannot run', () => {
    /** Zero stops a function (Lambda developer guide, "Configuring reserved concurrency"); deploy/functions.yml says 1. */
    async function reserve(concurrency: number): Promise<void> {
      const FunctionName = cloud.ref(watch);
      await clients.lambda.send(
        new PutFunctionConcurrencyCommand({ FunctionName, ReservedConcurrentExecutions: concurrency }),
      );
    }
    let since = 0;

    it('is an alarm for each rule, by missing data, and its message', async () => {
      await everyAlarmIsOk();
      since = Date.now();
      running = false;
      await reserve(0);
      for (const { name, severities } of rules) {
        const severity = severities.includes('critical') ? 'critical' : 'warning';
        const alarm = `${name}-${severity}`;
        const message = await told(alarm, 'ALARM', since);
        expect(message.topic).toBe(severity === 'critical' ? 'AlarmsCriticalTopic' : 'AlarmsWarningTopic');
        await expectNoData(alarm, message);
      }
      // Once is enough.
      const states = await alarmStates();
      const raised = [...states.values()].filter((state) => state === 'ALARM');
      expect(raised).toHaveLength(rules.length);
    });

    it('is none when it runs again', async () => {
      since = Date.now();
      await reserve(1);
      running = true;
      expect(await look()).toEqual([]);
      expect((await told('described-critical', 'OK', since)).topic).toBe('AlarmsCriticalTopic');
      await everyAlarmIsOk();
    });
  });
});

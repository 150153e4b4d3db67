import { CloudWatchClient, DescribeAlarmsCommand, type MetricAlarm } from '@aws-sdk/client-cloudwatch';
import { LambdaClient, PutFunctionConcurrencyCommand } from '@aws-sdk/client-lambda';
import { SNSClient, SubscribeCommand } from '@aws-sdk/client-sns';
import { CreateQueueCommand, DeleteMessageBatchCommand, ReceiveMessageCommand } from '@aws-sdk/client-sqs';
import { gaugeName } from '../../shared/cluster/assess.ts';
import { type Finding, rules } from '../../shared/cluster/index.ts';
import type { DeployedCloud } from './deployed-fixture.ts';
import { type Invocation, region } from './localstack-fixture.ts';

export const watchFunction = 'CheckClusterLambdaFunction';
const checkSignerFunction = 'CheckSignerLambdaFunction';

/** Seconds. The least that LocalStack takes, of what CloudWatch does (10, 20, 30, 60 and its multiples). */
export const alarmPeriod = 10;

/**
 * Milliseconds. LocalStack looks once in all of an alarm's periods, and counts every value that it finds in two more: an
 * alarm on two periods recovers after 60 s. Twice that for a busy machine.
 */
export const alarmLimit = 120_000;

/** What the two of them need to be quick here, and quiet where the machine is busy. */
export const watchParameters = {
  watchPeriodSeconds: String(alarmPeriod),
  // A signature on a busy machine takes as long as it takes.
  canarySignWarningMilliseconds: '60000',
};

/** Milliseconds between two looks of the watch: in every period of an alarm there is at least one. */
const lookEvery = (alarmPeriod * 1000) / 2;

const topics = ['AlarmsCriticalTopic', 'AlarmsWarningTopic'] as const;

/** What CloudWatch tells a topic (CloudWatch user guide, "Using Amazon CloudWatch alarms"), and which topic it told. */
export interface AlarmMessage {
  readonly AlarmName: string;
  readonly NewStateValue: 'ALARM' | 'OK' | 'INSUFFICIENT_DATA';
  readonly NewStateReason: string;
  readonly StateChangeTime: string;
  readonly Trigger: { readonly MetricName: string; readonly Namespace: string };
  readonly topic: (typeof topics)[number];
}

/** The NewStateReason of an alarm that has seen no value of its gauge at all. */
export const noData = /^Threshold Crossed: no datapoints were received .*\[Breaching\]\.$/;

/** The watch's; other functions tell other metrics. */
const gauges = new Set(rules.map(({ name }) => gaugeName(name)));

/** The watch of a deployed stage, and what its alarms say to whoever subscribes to their topics. */
export class Watched {
  readonly #cloud: DeployedCloud;
  readonly #cloudWatch: CloudWatchClient;
  readonly #lambda: LambdaClient;
  /** Subscribed to both topics. */
  readonly #queueUrl: string;
  readonly #messages: AlarmMessage[] = [];
  /** Of the looks that were asked for here; the others are the schedule's. */
  readonly #requestIds = new Set<string>();
  #lastLook = 0;
  #canRun = true;

  private constructor(cloud: DeployedCloud, cloudWatch: CloudWatchClient, lambda: LambdaClient, queueUrl: string) {
    this.#cloud = cloud;
    this.#cloudWatch = cloudWatch;
    this.#lambda = lambda;
    this.#queueUrl = queueUrl;
  }

  static async start(cloud: DeployedCloud): Promise<Watched> {
    const credentials = { accessKeyId: 'local', secretAccessKey: 'local' };
    const common = { endpoint: cloud.local.cloud.endpoint, region, credentials };
    const name = 'subscribed-to-alarms';
    const { QueueUrl: url = '' } = await cloud.local.clients.sqs.send(new CreateQueueCommand({ QueueName: name }));
    const Endpoint = `arn:aws:sqs:${region}:000000000000:${name}`;
    const sns = new SNSClient(common);
    for (const topic of topics) {
      await sns.send(new SubscribeCommand({ TopicArn: cloud.ref(topic), Protocol: 'sqs', Endpoint }));
    }
    sns.destroy();
    return new Watched(cloud, new CloudWatchClient(common), new LambdaClient(common), url);
  }

  destroy(): void {
    this.#cloudWatch.destroy();
    this.#lambda.destroy();
  }

  /** Has the watch look. @returns its findings */
  async look(): Promise<readonly Finding[]> {
    const { payload, functionError, requestId } = await this.#cloud.until(
      () => this.#invoke(),
      'environment that is free',
    );
    this.#requestIds.add(requestId);
    if (functionError !== null) throw new Error(`The watch ended by ${functionError}: ${JSON.stringify(payload)}`);
    this.#lastLook = Date.now();
    return (payload as { findings: readonly Finding[] }).findings;
  }

  /** One at a time: while the schedule's look lasts, the function's reserved concurrency is used up. */
  async #invoke(): Promise<Invocation | undefined> {
    try {
      return await this.#cloud.api.invoke(this.#cloud.ref(watchFunction), {});
    } catch (error) {
      if (error instanceof Error && error.message.includes('ReservedFunctionConcurrentInvocationLimitExceeded')) return;
      throw error;
    }
  }

  /** Looks often enough for the alarms to have data in every period, and takes what has been told. */
  async #goOn(): Promise<void> {
    if (this.#canRun && Date.now() - this.#lastLook > lookEvery) await this.look();
    await this.#receive();
  }

  /** As cloud.until, while the watch looks on. */
  until<T>(look: () => Promise<T | undefined | false>, what: string): Promise<T> {
    return this.#cloud.until(
      async () => {
        await this.#goOn();
        return look();
      },
      what,
      alarmLimit,
    );
  }

  /** Zero stops a function (Lambda developer guide, "Configuring reserved concurrency"); deploy/functions.yml says 1. */
  async #reserve(concurrency: number, logicalId = watchFunction): Promise<void> {
    const FunctionName = this.#cloud.ref(logicalId);
    await this.#lambda.send(
      new PutFunctionConcurrencyCommand({ FunctionName, ReservedConcurrentExecutions: concurrency }),
    );
  }

  /** From here on the watch cannot run. */
  async stop(): Promise<void> {
    this.#canRun = false;
    await this.#reserve(0);
  }

  async resume(): Promise<void> {
    await this.#reserve(1);
    this.#canRun = true;
  }

  /** While check-signer cannot run, no mapping is paused: what is given back is delivered again until it is given up. */
  async stopCheckSigner(): Promise<void> {
    await this.#reserve(0, checkSignerFunction);
  }

  async resumeCheckSigner(): Promise<void> {
    await this.#reserve(1, checkSignerFunction);
  }

  /** Whether this run of the watch was asked for here. */
  wasAskedFor(requestId: string): boolean {
    return this.#requestIds.has(requestId);
  }

  async alarm(name: string): Promise<MetricAlarm> {
    const command = new DescribeAlarmsCommand({ AlarmNames: [`mintmark-local-${name}`] });
    const { MetricAlarms: [found] = [] } = await this.#cloudWatch.send(command);
    if (found === undefined) throw new Error(`The stack has no alarm ${name}.`);
    return found;
  }

  /** The states of the watch's own alarms. */
  async states(): Promise<string[]> {
    const command = new DescribeAlarmsCommand({ MaxRecords: 100 });
    const { MetricAlarms: alarms = [] } = await this.#cloudWatch.send(command);
    return alarms
      .filter(({ Namespace: space, MetricName: metric = '' }) => space === 'Mintmark/local' && gauges.has(metric))
      .map(({ StateValue: state = '' }) => state);
  }

  async everyAlarmIsOk(): Promise<void> {
    await this.until(async () => {
      const states = await this.states();
      return states.length > 10 && states.every((state) => state === 'OK');
    }, 'time when all is well');
  }

  /** Takes what has come to the subscribed queue, and waits a second for it. */
  async #receive(): Promise<void> {
    const { sqs } = this.#cloud.local.clients;
    const { Messages: received = [] } = await sqs.send(
      new ReceiveMessageCommand({ QueueUrl: this.#queueUrl, MaxNumberOfMessages: 10, WaitTimeSeconds: 1 }),
    );
    if (received.length === 0) return;
    for (const { Body: body = '' } of received) {
      const { Message: message, TopicArn: arn } = JSON.parse(body) as { Message: string; TopicArn: string };
      const topic = topics.find((name) => this.#cloud.ref(name) === arn);
      if (topic === undefined) throw new Error(`A message of ${arn}, which nobody subscribed to.`);
      this.#messages.push({ ...(JSON.parse(message) as Omit<AlarmMessage, 'topic'>), topic });
    }
    const entries = received.map(({ ReceiptHandle: handle }, index) => ({ Id: String(index), ReceiptHandle: handle }));
    await sqs.send(new DeleteMessageBatchCommand({ QueueUrl: this.#queueUrl, Entries: entries }));
  }

  /** That an alarm changed its state since then, as told to whoever subscribes to its topic. */
  told(alarm: string, state: 'ALARM' | 'OK', since: number): Promise<AlarmMessage> {
    return this.until(
      async () =>
        this.#messages.find(
          ({ AlarmName: name, NewStateValue: value, StateChangeTime: time }) =>
            name === `mintmark-local-${alarm}` && value === state && Date.parse(time) >= since,
        ),
      `message that ${alarm} is ${state}`,
    );
  }

  /** An alarm's state, and the highest of the gauge's values that it comes from; undefined where there were none. */
  async standing(alarm: string): Promise<{ readonly state: string | undefined; readonly highest: number | undefined }> {
    const { StateValue: state, StateReasonData: data = '{}' } = await this.alarm(alarm);
    const { recentDatapoints: values = [] } = JSON.parse(data) as { recentDatapoints?: number[] };
    return { state, highest: values.length === 0 ? undefined : Math.max(...values) };
  }
}

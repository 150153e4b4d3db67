import { randomBytes, randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { S3Client } from '@aws-sdk/client-s3';
import { SNSClient } from '@aws-sdk/client-sns';
import { SQSClient } from '@aws-sdk/client-sqs';
import { MintmarkError } from '../../shared/errors.ts';
import { FunctionPool } from '../lambda/function-pool.ts';
import { type AroundCall, aroundCalls, type Caller } from './api-call.ts';
import { cloudWatchService, type Metric } from './cloudwatch-service.ts';
import type { FunctionDefinition, ResourceReference } from './definitions.ts';
import { readDocuments, resolveDefinitions } from './definitions.ts';
import { metricsIn } from './embedded-metrics.ts';
import { startDynalite, startFauxqs } from './emulators.ts';
import { EventSourceMapping } from './event-source-mapping.ts';
import { forwardTo, forwardToEmulator } from './forward.ts';
import type { Service } from './gateway.ts';
import { startGateway } from './gateway.ts';
import { iamService, type Principal } from './iam-service.ts';
import { withLayers } from './lambda-layers.ts';
import { lambdaService } from './lambda-service.ts';
import { type MessageSource, queueSource } from './message-source.ts';
import { MetricStatistics } from './metric-statistics.ts';
import type { Clients } from './provision.ts';
import { provision } from './provision.ts';
import { ageOfOldestIn, withQueueAges } from './queue-ages.ts';
import { Schedule } from './schedule.ts';
import { sqsService } from './sqs-service.ts';

export interface EmbeddedCloudOptions {
  /** The deploy folder: tables.yml, messaging.yml, storage.yml and functions.yml are read. */
  readonly definitions: URL;
  /** The folder of the bundles; handlers in functions.yml are relative to the folder that it is in. */
  readonly distribution: URL;
  readonly region: string;
  /** 000000000000: fauxqs has no other. */
  readonly accountId: string;
  readonly stage: string;
  /** Values of `${param:x}`. */
  readonly parameters: Readonly<Record<string, string>>;
  /** Where KMS, CloudHSM v2 and CloudTrail are. */
  readonly stubEndpoint: string;
  /** Variables that every function has besides its own. */
  readonly functionEnvironment: Readonly<Record<string, string>>;
  /** A line that a function (its logical id) wrote, or Lambda about it. */
  onFunctionLog(line: { readonly function: string; readonly pid: number; readonly text: string }): void;
  /** Milliseconds since the epoch. */
  now(): number;
  readonly conditions?: Conditions;
}

/** What can be otherwise than in a cloud where all is well. */
export interface Conditions {
  /** Between every call of AWS's API and its service. */
  readonly around?: AroundCall;
  /** Between a queue and the function that it is mapped to; both by logical id. */
  readonly source?: (
    source: MessageSource,
    mapping: { readonly function: string; readonly queue: string },
  ) => MessageSource;
  /**
   * How many times as often as they are defined the functions' schedules fire; 1: as they are defined. Without it they do
   * not: whoever wants such a function invokes it.
   */
  readonly scheduleCompression?: number;
  /** Milliseconds for which a mapping still delivers after it was paused; at AWS up to a minute. */
  readonly pauseLag?: number;
}

export interface EmbeddedCloud {
  /** `http://127.0.0.1:PORT`, one gateway for every service. */
  readonly endpoint: string;
  /** What an AWS SDK needs to talk to it, and nothing else. */
  readonly environment: Readonly<Record<string, string>>;
  /** Who has that environment: a user of IAM, and what SQS attests of it. */
  readonly sender: { readonly principalId: string; readonly arn: string };
  /** Tables, queues, topics and buckets by logical id. */
  readonly resources: Readonly<Record<string, ResourceReference>>;
  /** By logical id: its ARN, the access key id that it calls AWS with (SenderId of what it sends), its processes now. */
  readonly functions: Readonly<Record<string, EmbeddedFunction>>;
  /** The last that CloudWatch was told, oldest first. */
  readonly metrics: readonly Metric[];
  /** Delivers nothing more, lets running invocations end (at their timeout at the latest), and leaves nothing behind. */
  stop(): Promise<void>;
}

export interface EmbeddedFunction {
  readonly arn: string;
  readonly accessKeyId: string;
  pids(): readonly number[];
}

const onlyAccountId = '000000000000';

/** Signatures are not verified here, so there is one for all and it is no secret. */
const secretAccessKey = 'local';

/** Whoever uses this cloud. */
const operator: Principal = { kind: 'User', name: 'operator', path: '/', id: accessKeyIdOf('operator') };

/** AWS's least MaximumConcurrency, for mappings that set none: this is one machine. */
const defaultConcurrency = 2;

/** How many values are kept of what CloudWatch is told, for a cloud that is up for days. */
const maximumMetrics = 10_000;

/**
 * The parts of AWS that the project uses, in this process (functions in processes of their own), from the definitions
 * that AWS is given. Everything is in memory and listens on loopback; nothing is left after `stop`, nor after this
 * process ends otherwise, SIGKILL included.
 *
 * @throws MintmarkError CONFIGURATION_INVALID that lists everything that is wrong with the definitions
 */
export async function startEmbeddedCloud(options: EmbeddedCloudOptions): Promise<EmbeddedCloud> {
  const documents = await readDocuments(options.definitions);
  const cleanUps: (() => Promise<void>)[] = [];
  let stopping: Promise<void> | undefined;
  const stop = () => (stopping ??= stopAll(cleanUps));

  try {
    if (options.accountId !== onlyAccountId) {
      throw new MintmarkError('CONFIGURATION_INVALID', `The embedded cloud's account id is ${onlyAccountId}.`);
    }
    const dynalite = startDynalite(options.region);
    const fauxqs = await startFauxqs(options.region);
    cleanUps.push(() => fauxqs.close());

    const mappings: EventSourceMapping[] = [];
    const metrics: Metric[] = [];
    const statistics = new MetricStatistics();
    const keepMetric = (metric: Metric) => {
      statistics.add(metric);
      metrics.push(metric);
      if (metrics.length > maximumMetrics) metrics.shift();
    };
    const pools: FunctionPool[] = [];
    const functions: (EmbeddedFunction & { readonly logicalId: string; readonly pool: FunctionPool })[] = [];
    const services = new Map<string, Service>();
    const { around, scheduleCompression } = options.conditions ?? {};
    const gateway = await startGateway(
      services,
      around === undefined ? undefined : aroundCalls(around, (sessionToken) => callerOf(sessionToken, functions)),
    );
    cleanUps.push(() => gateway.close());
    const { endpoint } = gateway;
    const toFauxqs = forwardToEmulator(fauxqs);
    const toStub = forwardTo(new URL(options.stubEndpoint));
    services
      .set('dynamodb', forwardToEmulator(dynalite))
      .set('sqs', sqsService(toFauxqs, endpoint, options.region))
      .set('sns', toFauxqs)
      .set('s3', toFauxqs)
      .set('kms', toStub)
      .set('cloudhsm', toStub)
      .set('cloudtrail', toStub)
      .set(
        'iam',
        iamService({ accountId: options.accountId, principals: [operator], randomBytes, now: () => options.now() }),
      )
      .set(
        'lambda',
        withLayers(lambdaService(mappings, pools), {
          region: options.region,
          accountId: options.accountId,
          now: () => options.now(),
        }),
      )
      .set(
        'monitoring',
        // fauxqs has the machine's time.
        cloudWatchService(
          keepMetric,
          withQueueAges(statistics, ageOfOldestIn(toFauxqs, Date.now), () => options.now()),
        ),
      );

    const { region, accountId, stage, parameters } = options;
    const definitions = resolveDefinitions(documents, { endpoint, region, accountId, stage, parameters });
    const clients = makeClients(endpoint, region);
    cleanUps.push(async () => Object.values(clients).forEach((client) => client.destroy()));
    await provision(definitions, clients);

    const schedules: Schedule[] = [];
    for (const definition of definitions.functions) {
      const accessKeyId = accessKeyIdOf(definition.logicalId);
      const arn = `arn:aws:lambda:${region}:${accountId}:function:${definition.functionName}`;
      const pool = new FunctionPool(
        {
          functionName: definition.functionName,
          functionArn: arn,
          handler: definition.handler,
          taskRoot: fileURLToPath(new URL('..', options.distribution)),
          timeout: definition.timeout,
          memorySize: definition.memorySize,
          environment: {
            ...definition.environment,
            ...options.functionEnvironment,
            ...awsEnvironment(endpoint, options, accessKeyId),
            // Through the gateway, as all else: it passes them on.
            AWS_ENDPOINT_URL_CLOUDHSM_V2: endpoint,
            AWS_ENDPOINT_URL_CLOUDTRAIL: endpoint,
            AWS_ENDPOINT_URL_KMS: endpoint,
          },
          region,
        },
        {
          now: () => options.now(),
          onLog: (line) => {
            for (const metric of metricsIn(line.text)) keepMetric(metric);
            options.onFunctionLog({ function: definition.logicalId, ...line });
          },
        },
      );
      cleanUps.push(() => pool.stop());
      pools.push(pool);
      const { logicalId } = definition;
      functions.push({ logicalId, arn, accessKeyId, pool, pids: () => pool.pids });
      mappings.push(...mappingsOf(definition, pool, options, definitions.references, clients.sqs));
      if (scheduleCompression !== undefined) {
        const invoke = (event: unknown) => pool.invoke(event);
        const common = { region, accountId, invoke, now: () => options.now() };
        schedules.push(
          ...definition.schedules.map((rate) => new Schedule({ ...common, every: rate / scheduleCompression })),
        );
      }
    }
    // Pushed last, so first: the mappings stop all together, and before the functions that they invoke.
    cleanUps.push(async () => {
      for (const schedule of schedules) schedule.stop();
      await Promise.all(mappings.map((mapping) => mapping.stop()));
    });

    return {
      endpoint,
      environment: awsEnvironment(endpoint, options, operator.id),
      sender: { principalId: operator.id, arn: `arn:aws:iam::${accountId}:user/${operator.name}` },
      resources: definitions.references,
      functions: Object.fromEntries(functions.map((one) => [one.logicalId, one])),
      metrics,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Last in, first out; all of them, whatever one of them says. */
async function stopAll(cleanUps: readonly (() => Promise<void>)[]): Promise<void> {
  const errors: unknown[] = [];
  for (const cleanUp of cleanUps.toReversed()) await cleanUp().catch((error: unknown) => errors.push(error));
  if (errors.length > 0) throw new AggregateError(errors, 'The embedded cloud did not stop cleanly.');
}

function mappingsOf(
  definition: FunctionDefinition,
  pool: FunctionPool,
  options: EmbeddedCloudOptions,
  references: Readonly<Record<string, ResourceReference>>,
  client: SQSClient,
): EventSourceMapping[] {
  const { source: disturbed = (source: MessageSource) => source, pauseLag = 0 } = options.conditions ?? {};
  return definition.queues.map((sqs) => {
    const [queue, reference] = Object.entries(references).find(([, { arn }]) => arn === sqs.arn) ?? [];
    const source = queueSource(client, reference?.url ?? '');
    return new EventSourceMapping({
      uuid: randomUUID(),
      eventSourceArn: sqs.arn,
      functionArn: pool.configuration.functionArn,
      region: options.region,
      batchSize: sqs.batchSize,
      maximumConcurrency: sqs.maximumConcurrency ?? defaultConcurrency,
      reportBatchItemFailures: sqs.functionResponseType === 'ReportBatchItemFailures',
      enabled: sqs.enabled,
      pauseLag,
      source: disturbed(source, { function: definition.logicalId, queue: queue ?? '' }),
      invoke: (event) => pool.invoke(event),
      now: () => options.now(),
      onProblem: (text) => options.onFunctionLog({ function: definition.logicalId, pid: process.pid, text }),
    });
  });
}

function awsEnvironment(
  endpoint: string,
  { region, stubEndpoint }: EmbeddedCloudOptions,
  accessKeyId: string,
): Record<string, string> {
  return {
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_ENDPOINT_URL: endpoint,
    AWS_ENDPOINT_URL_CLOUDHSM_V2: stubEndpoint,
    AWS_ENDPOINT_URL_CLOUDTRAIL: stubEndpoint,
    AWS_ENDPOINT_URL_KMS: stubEndpoint,
    AWS_REGION: region,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
  };
}

/** The execution environment that has this session token, of whatever function. */
function callerOf(
  sessionToken: string,
  functions: readonly { readonly logicalId: string; readonly pool: FunctionPool }[],
): Caller | undefined {
  for (const { logicalId, pool } of functions) {
    const environment = pool.environment(sessionToken);
    if (environment !== undefined) return { function: logicalId, kill: () => environment.kill() };
  }
  return undefined;
}

/** A key per caller, so that SenderId tells them apart: LOCAL and the caller's name, in letters that AWS's keys have. */
function accessKeyIdOf(caller: string): string {
  return `LOCAL${caller.toUpperCase().replaceAll(/[^A-Z0-9]/g, '')}`;
}

function makeClients(endpoint: string, region: string): Clients {
  const common = { endpoint, region, credentials: { accessKeyId: accessKeyIdOf('cloud'), secretAccessKey } };
  return {
    dynamodb: new DynamoDBClient(common),
    s3: new S3Client({ ...common, forcePathStyle: true }),
    sns: new SNSClient(common),
    sqs: new SQSClient({ ...common, useQueueUrlAsEndpoint: false }),
  };
}

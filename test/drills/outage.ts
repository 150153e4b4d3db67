import { setTimeout as delay } from 'node:timers/promises';
import { LambdaClient, ListEventSourceMappingsCommand } from '@aws-sdk/client-lambda';
import { SeededRandom } from '../../local/embedded/seeded-random.ts';
import { type LocalCloud, stage } from '../../local/local-cloud.ts';
import { writeFaults } from '../../local/pkcs11-shim/faults.ts';
import { readRecord } from '../../local/pkcs11-shim/record.ts';
import { Breakers } from '../../shared/breaker/index.ts';
import { accountFor } from './account.ts';
import { Deliveries } from './deliveries.ts';
import { type DrillOptions, type DrillResult, withEmbeddedCloud } from './drill.ts';
import { type FleetRequest, makeFleet, sendAll } from './fleet.ts';
import { invokingEvery, withLocalStack } from './localstack.ts';
import { type OutageMeasurements, outageAnswers, outageProblems } from './outage-answers.ts';
import { messagesIn, settle } from './settle.ts';
import { verifyCertificates } from './verify-certificates.ts';

export interface OutageOptions extends DrillOptions {
  readonly requests: number;
  /** How many seconds at AWS are one here. */
  readonly compression: number;
}

/** In the order in which `--json` has them. */
export interface OutageFigures {
  readonly requests: number;
  readonly issued: number;
  /** Rows of `failures`. */
  readonly failures: number;
  /** Requests without a certificate. */
  readonly lost: number;
  /** As they passed here; the outage at AWS that this stands for is `compression` times as long. */
  readonly outageSeconds: number;
  /** From the HSMs' return until the last request had its certificate, as they passed here; null if one never had. */
  readonly recoverySeconds: number | null;
}

/** The times of a stage at AWS (deploy/parameters.yml, `default`), in seconds; those in deploy/functions.yml are its own. */
const atAws = {
  outage: 1_800,
  visibilityTimeout: 180,
  pausedSeconds: 60,
  giveUpAfterSeconds: 14_400,
  signBeforeSeconds: 900,
  reconcileAfterSeconds: 180,
  retryBaseSeconds: 5,
  /** AWS Lambda developer guide, UpdateEventSourceMapping: a mapping takes up to a minute to be paused. */
  pauseLag: 60,
} as const;

/** Seconds between two invocations at AWS, as in deploy/functions.yml. */
const schedules = { checkSigner: 60, checkCluster: 300, reconcile: 300 } as const;

/** What becomes of breaker and mapping; seconds since the outage began. */
interface Observed {
  breaker: { openedAt?: number; closedAt?: number; reason?: string; state: string };
  mapping: { pausingAt?: number; pausedAt?: number; resumedAt?: number; state: string | undefined };
}

const issuerId = 'devices';
/** Requests that come before the outage, of all. */
const shareBefore = 0.2;
const patience = 120_000;
/** Milliseconds between two looks at breaker and mapping. */
const interval = 250;

/** What a stage's parameters are when time passes so much faster; SQS and the functions count in whole seconds. */
export function compressedParameters(compression: number): Record<string, string> {
  const seconds = (atAwsSeconds: number) => String(Math.max(1, Math.round(atAwsSeconds / compression)));
  return {
    visibilityTimeout: seconds(atAws.visibilityTimeout),
    pausedSeconds: seconds(atAws.pausedSeconds),
    giveUpAfterSeconds: seconds(atAws.giveUpAfterSeconds),
    signBeforeSeconds: seconds(atAws.signBeforeSeconds),
    reconcileAfterSeconds: seconds(atAws.reconcileAfterSeconds),
    retryBaseSeconds: seconds(atAws.retryBaseSeconds),
    watchSchedule: 'rate(5 minutes)',
    reconcileSchedule: 'rate(5 minutes)',
    issueConcurrency: '2',
  };
}

/** The whole HSM cluster is gone for half an hour, and comes back. */
export function outage(options: OutageOptions): Promise<DrillResult<OutageFigures>> {
  const { compression } = options;
  const conditions = { scheduleCompression: compression, pauseLag: (atAws.pauseLag * 1000) / compression };
  const parameters = compressedParameters(compression);
  return withEmbeddedCloud('outage', { parameters, conditions }, (local) => outageIn(local, options));
}

/** On LocalStack, whose schedules are a minute or more: the functions that have one are invoked by the drill. */
export function outageOnLocalStack(options: OutageOptions): Promise<DrillResult<OutageFigures>> {
  const { compression } = options;
  const every = Object.fromEntries(
    Object.entries(schedules).map(([name, seconds]) => [`mintmark-${stage}-${name}`, (seconds * 1000) / compression]),
  );
  return withLocalStack(compressedParameters(compression), options.onProgress, (local) =>
    invokingEvery(local, every, () => outageIn(local, options)),
  );
}

/** The drill in any local cloud. The functions with a schedule are invoked by somebody, so many times as often. */
export async function outageIn(
  local: LocalCloud,
  { seed, requests: count, compression, onProgress }: OutageOptions,
): Promise<DrillResult<OutageFigures>> {
  const random = SeededRandom.of(seed);
  const outageMilliseconds = (atAws.outage * 1000) / compression;
  const deliveries = await Deliveries.start(local);
  const requests = random.shuffled(await makeFleet(local, 'outage', count));
  const before = requests.slice(0, Math.ceil(count * shareBefore));
  const during = requests.slice(before.length);

  await sendAll(local, before);
  await settle(local, before, deliveries, patience, (issued) => onProgress(`${issued} issued before the outage`));
  const certificatesBefore = deliveries.all;
  const signaturesBefore = readRecord(local.shim.record).length;

  const down = performance.now();
  const since = () => (performance.now() - down) / 1000;
  await setCluster(local, false);
  const watching = new AbortController();
  const watched = watch(local, since, watching.signal);
  await sendEvenly(local, during, outageMilliseconds, (sent) =>
    onProgress(`${since().toFixed(0)} s of outage, ${sent} of ${during.length} requests sent meanwhile`),
  );
  const earlierRefused = verifyCertificates(local, requests, certificatesBefore);
  const earlierRead = (await deliveries.read(before)).length;
  const issuedMeanwhile = (await deliveries.read(during)).length;
  const signedMeanwhile = readRecord(local.shim.record).length - signaturesBefore;
  const backlog = await messagesIn(local, 'RequestsQueue');

  const returnedAt = since();
  await setCluster(local, true);
  let firstIssuedAt: number | undefined;
  let allIssuedAt: number | undefined;
  await settle(local, requests, deliveries, patience, (issued) => {
    if (issued > before.length + issuedMeanwhile) firstIssuedAt ??= since();
    if (issued === count) allIssuedAt ??= since();
    onProgress(`${issued} of ${count} issued`);
  });
  watching.abort();
  const { breaker, mapping } = await watched;
  await deliveries.stop();

  const { figures, failures, problems } = await accountFor(local, requests, deliveries);
  const measured: OutageMeasurements = {
    compression,
    returnedAt,
    endedAt: since(),
    sent: during.length,
    issuedMeanwhile,
    signedMeanwhile,
    earlier: certificatesBefore.length,
    earlierRead,
    earlierRefused,
    backlog,
    breaker,
    mapping,
    firstIssuedAt,
    allIssuedAt,
    missing: figures.lost,
    failures: failures.length,
  };
  return {
    figures: {
      requests: count,
      issued: figures.issued,
      failures: failures.length,
      lost: figures.lost,
      outageSeconds: round(returnedAt),
      recoverySeconds: allIssuedAt === undefined ? null : round(allIssuedAt - returnedAt),
    },
    remarks: [
      `${atAws.outage / 60} minutes at AWS, compressed ${compression} times, as are visibility timeout, breaker, canary and`,
      'the minute for which a mapping that was paused still delivers; in seconds as they passed here:',
      '',
      ...outageAnswers(measured, { ...atAws, checkSignerSeconds: schedules.checkSigner }),
    ],
    problems: [...problems, ...outageProblems(measured)],
  };
}

const round = (seconds: number): number => Math.round(seconds * 10) / 10;

/** All of it: every call of PKCS#11 fails, KMS cannot reach the key store's key, and CloudHSM says that it is degraded. */
async function setCluster(local: LocalCloud, isUp: boolean): Promise<void> {
  const tell = async (path: string, body: unknown) => {
    const answer = await fetch(`${local.stubEndpoint}/_stub/${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    if (!answer.ok) throw new Error(`The stub refuses ${path}: ${await answer.text()}`);
  };
  writeFaults(local.shim.faults, isUp ? [] : [{ fault: 'down', count: -1 }]);
  await tell('cluster', { state: isUp ? 'ACTIVE' : 'DEGRADED' });
  // KMS API reference, Decrypt: "The system timed out while trying to fulfill the request."
  const decrypt = { operation: 'TrentService.Decrypt', code: 'DependencyTimeoutException', count: -1 };
  await tell('faults', { faults: isUp ? [] : [decrypt] });
}

/** Spread over that many milliseconds. */
async function sendEvenly(
  local: LocalCloud,
  requests: readonly FleetRequest[],
  milliseconds: number,
  onSent: (sent: number) => void,
): Promise<void> {
  const start = performance.now();
  let sent = 0;
  for (let passed = 0; passed < milliseconds; passed = performance.now() - start) {
    const due = Math.ceil((requests.length * passed) / milliseconds);
    await sendAll(local, requests.slice(sent, due));
    sent = due;
    onSent(sent);
    await delay(interval);
  }
  await sendAll(local, requests.slice(sent));
}

/**
 * What becomes of the breaker and of the mapping of the requests queue. After the signal it is watched until the breaker is
 * closed and the mapping delivers, and no longer than `patience`: what is found then is how it was left.
 */
async function watch(local: LocalCloud, since: () => number, signal: AbortSignal): Promise<Observed> {
  const { endpoint, environment, resources } = local.cloud;
  const { AWS_ACCESS_KEY_ID: accessKeyId = '', AWS_SECRET_ACCESS_KEY: secretAccessKey = '' } = environment;
  const credentials = { accessKeyId, secretAccessKey };
  const lambda = new LambdaClient({ endpoint, region: environment['AWS_REGION'] ?? '', credentials });
  const breakers = new Breakers(local.clients.dynamoDB, resources['IssuersTable']?.ref ?? '');
  const queueName = new URL(local.requestsQueueUrl).pathname.replace(/.*\//, '');
  const observed: Observed = { breaker: { state: 'closed' }, mapping: { state: undefined } };
  const { breaker, mapping } = observed;
  let endsAt: number | undefined;
  try {
    for (;;) {
      if (signal.aborted) endsAt ??= since() + patience / 1000;
      const { state, reason } = await breakers.read(issuerId);
      breaker.state = state;
      if (state === 'open') breaker.openedAt ??= since();
      if (state === 'open' && reason !== undefined) breaker.reason ??= reason;
      if (state === 'closed' && breaker.openedAt !== undefined) breaker.closedAt ??= since();
      const { EventSourceMappings: mappings = [] } = await lambda.send(new ListEventSourceMappingsCommand({}));
      mapping.state = mappings.find(({ EventSourceArn: arn }) => arn?.endsWith(`:${queueName}`))?.State;
      if (mapping.state === 'Disabling') mapping.pausingAt ??= since();
      if (mapping.state === 'Disabled') mapping.pausedAt ??= since();
      if (mapping.state === 'Enabled' && mapping.pausedAt !== undefined) mapping.resumedAt ??= since();
      const isWell = state === 'closed' && mapping.state === 'Enabled';
      if (endsAt !== undefined && (isWell || since() > endsAt)) return observed;
      await delay(interval);
    }
  } finally {
    lambda.destroy();
  }
}

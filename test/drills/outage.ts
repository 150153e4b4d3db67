import { setTimeout as delay } from 'node:timers/promises';
import { LambdaClient, ListEventSourceMappingsCommand } from '@aws-sdk/client-lambda';
import { SeededRandom } from '../../local/embedded/seeded-random.ts';
import { type LocalCloud, stage } from '../../local/local-cloud.ts';
import { writeFaults } from '../../local/pkcs11-shim/faults.ts';
import { readRecord } from '../../local/pkcs11-shim/record.ts';
import { Breakers } from '../../shared/breaker/index.ts';
import { accountFor, type RequestFigures } from './account.ts';
import { countedSource } from './counted-source.ts';
import { Deliveries } from './deliveries.ts';
import { type DrillOptions, type DrillResult, withEmbeddedCloud } from './drill.ts';
import { type FleetRequest, makeFleet, sendAll } from './fleet.ts';
import { invokingEvery, withLocalStack } from './localstack.ts';
import {
  type OutageAnswer,
  type OutageMeasurements,
  outageAnswerLines,
  outageAnswers,
  outageProblems,
} from './outage-answers.ts';
import { messagesIn, settle } from './settle.ts';
import { compressedSeconds, intervalAtAws, secondsAtAws } from './stage-times.ts';
import { verifyCertificates } from './verify-certificates.ts';

export interface OutageOptions extends DrillOptions {
  readonly requests: number;
  /** How many seconds at AWS are one here. */
  readonly compression: number;
  /** No environment of a function that signs is there when it begins: no request comes before it. */
  readonly isCold: boolean;
}

/** In the order in which `--json` has them. */
export interface OutageFigures extends RequestFigures {
  readonly requests: number;
  /** Rows of `failures`. */
  readonly failures: number;
  /** As they passed here; the outage at AWS that this stands for is `compression` times as long. */
  readonly outageSeconds: number;
  /** From the HSMs' return until the last request had its certificate, as they passed here; null if one never had. */
  readonly recoverySeconds: number | null;
  readonly answers: readonly OutageAnswer[];
}

/** In seconds. */
const outageAtAws = 1_800;
/** AWS Lambda developer guide, UpdateEventSourceMapping: a mapping takes up to a minute to be paused. In seconds. */
const pauseLagAtAws = 60;

/** The parameters of a stage that are times in seconds, and pass faster. */
const times = [
  'visibilityTimeout',
  'pausedSeconds',
  'giveUpAfterSeconds',
  'signBeforeSeconds',
  'reconcileAfterSeconds',
  'retryBaseSeconds',
  'checkSignerSeconds',
] as const;

/** Seconds between two invocations at AWS. */
const schedules = {
  checkSigner: secondsAtAws('checkSignerSeconds'),
  checkCluster: intervalAtAws('watchSchedule'),
  reconcile: intervalAtAws('reconcileSchedule'),
} as const;

/** What becomes of breaker and mapping; seconds since the outage began. */
interface Observed {
  breaker: { openedAt?: number; closedAt: number[]; reason?: string; state: string };
  mapping: { pausingAt?: number; pausedAt?: number; resumedAt: number[]; state: string | undefined };
}

const issuerId = 'devices';
/** Requests that come before the outage, of all. */
const shareBefore = 0.2;
const patience = 120_000;
/** Milliseconds between two looks at breaker and mapping. */
const interval = 250;

/** What a stage's parameters are when time passes so much faster. */
function compressedParameters(compression: number): Record<string, string> {
  const compressed = (name: string) => String(compressedSeconds(secondsAtAws(name), compression));
  return {
    ...Object.fromEntries(times.map((name) => [name, compressed(name)])),
    watchSchedule: 'rate(5 minutes)',
    reconcileSchedule: 'rate(5 minutes)',
    issueConcurrency: '2',
  };
}

/** The whole HSM cluster is gone for half an hour, and comes back. */
export function outage(options: OutageOptions): Promise<DrillResult<OutageFigures>> {
  const { compression } = options;
  const received = countedSource();
  const conditions = {
    scheduleCompression: compression,
    pauseLag: (pauseLagAtAws * 1000) / compression,
    source: received.source,
  };
  const parameters = compressedParameters(compression);
  return withEmbeddedCloud('outage', options, { parameters, conditions }, (local) =>
    outageIn(local, options, received.highest),
  );
}

/** On LocalStack, whose schedules are a minute or more: the functions that have one are invoked by the drill. */
export function outageOnLocalStack(options: OutageOptions): Promise<DrillResult<OutageFigures>> {
  const { compression } = options;
  const every = Object.fromEntries(
    Object.entries(schedules).map(([name, seconds]) => [`mintmark-${stage}-${name}`, (seconds * 1000) / compression]),
  );
  return withLocalStack(compressedParameters(compression), options, (local) =>
    invokingEvery(local, every, () => outageIn(local, options)),
  );
}

/**
 * The drill in any local cloud. The functions with a schedule are invoked by somebody, so many times as often.
 * @param highestReceiveCount of any message so far, where that is counted
 */
export async function outageIn(
  local: LocalCloud,
  { seed, requests: count, compression, isCold, onProgress }: OutageOptions,
  highestReceiveCount?: () => number,
): Promise<DrillResult<OutageFigures>> {
  const random = SeededRandom.of(seed);
  const outageMilliseconds = (outageAtAws * 1000) / compression;
  const deliveries = await Deliveries.start(local);
  onProgress(`${count} devices are registered`);
  const requests = random.shuffled(await makeFleet(local, 'outage', count));
  const before = requests.slice(0, isCold ? 0 : Math.ceil(count * shareBefore));
  const during = requests.slice(before.length);

  await sendAll(local, before);
  await settle(local, before, deliveries, patience, (issued) => onProgress(`${issued} issued before the outage`));
  const certificatesBefore = deliveries.all;
  const signaturesBefore = readRecord(local.shim.record).length;

  const breakers = new Breakers(local.clients.dynamoDB, local.cloud.resources['IssuersTable']?.ref ?? '');
  const { revision: revisionBefore } = await breakers.read(issuerId);
  const down = performance.now();
  const since = () => (performance.now() - down) / 1000;
  await setCluster(local, false);
  const watching = new AbortController();
  const watched = watch(local, breakers, since, watching.signal);
  // It is thrown where it is waited for.
  watched.catch(() => undefined);
  await sendEvenly(local, during, outageMilliseconds, (sent) =>
    onProgress(`${since().toFixed(0)} s of outage, ${sent} of ${during.length} requests sent meanwhile`),
  );
  const earlierRefused = verifyCertificates(local, requests, certificatesBefore);
  const earlierRead = (await deliveries.read(before)).length;
  const issuedMeanwhile = (await deliveries.read(during)).length;
  const signedMeanwhile = readRecord(local.shim.record).length - signaturesBefore;
  const backlog = await messagesIn(local, 'RequestsQueue');

  const { revision } = await breakers.read(issuerId);
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
    highestReceiveCount: highestReceiveCount?.(),
    // It opened, and each try was one change to half-open and one back.
    breaker: { ...breaker, triedMeanwhile: Math.floor((revision - revisionBefore) / 2) },
    mapping,
    firstIssuedAt,
    allIssuedAt,
    missing: figures.lost,
    failures: failures.length,
  };
  const stageTimes = {
    giveUpAfterSeconds: secondsAtAws('giveUpAfterSeconds'),
    pausedSeconds: secondsAtAws('pausedSeconds'),
    checkSignerSeconds: secondsAtAws('checkSignerSeconds'),
  };
  return {
    figures: {
      requests: count,
      ...figures,
      failures: failures.length,
      outageSeconds: round(returnedAt),
      recoverySeconds: allIssuedAt === undefined ? null : round(allIssuedAt - returnedAt),
      answers: outageAnswers(measured, stageTimes),
    },
    remarks: [
      `${outageAtAws / 60} minutes at AWS, compressed ${compression} times, as are visibility timeout, breaker, canary and`,
      'the minute for which a mapping that was paused still delivers; in seconds as they passed here:',
      ...(isCold ? ['No request was sent before it: every environment of a function started in it.'] : []),
      '',
      ...outageAnswerLines(measured, stageTimes),
    ],
    problems: [...problems, ...outageProblems(measured, stageTimes)],
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
async function watch(
  local: LocalCloud,
  breakers: Breakers,
  since: () => number,
  signal: AbortSignal,
): Promise<Observed> {
  const { endpoint, environment } = local.cloud;
  const { AWS_ACCESS_KEY_ID: accessKeyId = '', AWS_SECRET_ACCESS_KEY: secretAccessKey = '' } = environment;
  const credentials = { accessKeyId, secretAccessKey };
  const lambda = new LambdaClient({ endpoint, region: environment['AWS_REGION'] ?? '', credentials });
  const queueName = new URL(local.requestsQueueUrl).pathname.replace(/.*\//, '');
  const observed: Observed = {
    breaker: { closedAt: [], state: 'closed' },
    mapping: { resumedAt: [], state: undefined },
  };
  const { breaker, mapping } = observed;
  let endsAt: number | undefined;
  try {
    for (;;) {
      if (signal.aborted) endsAt ??= since() + patience / 1000;
      const { state, reason } = await breakers.read(issuerId);
      if (state === 'closed' && breaker.state !== 'closed') breaker.closedAt.push(since());
      breaker.state = state;
      if (state === 'open') breaker.openedAt ??= since();
      if (state === 'open' && reason !== undefined) breaker.reason ??= reason;
      const { EventSourceMappings: mappings = [] } = await lambda.send(new ListEventSourceMappingsCommand({}));
      const before = mapping.state;
      mapping.state = mappings.find(({ EventSourceArn: arn }) => arn?.endsWith(`:${queueName}`))?.State;
      if (mapping.state === 'Disabling') mapping.pausingAt ??= since();
      if (mapping.state === 'Disabled') mapping.pausedAt ??= since();
      const isResumed = mapping.state === 'Enabled' && before !== undefined && before !== 'Enabled';
      if (isResumed && mapping.pausedAt !== undefined) mapping.resumedAt.push(since());
      const isWell = state === 'closed' && mapping.state === 'Enabled';
      if (endsAt !== undefined && (isWell || since() > endsAt)) return observed;
      await delay(interval);
    }
  } finally {
    lambda.destroy();
  }
}

import { randomBytes, randomInt } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { Logger } from '@aws-lambda-powertools/logger';
import type { Context, SQSBatchResponse, SQSEvent, SQSRecord } from 'aws-lambda';
import * as z from 'zod';
import {
  makeCloudWatchClient,
  makeDynamoDBClient,
  makeKMSClient,
  makeSNSClient,
  makeSQSClient,
} from '../shared/aws.ts';
import { Breakers, Gatekeeper, SignerPausedError } from '../shared/breaker/index.ts';
import { pkcs11Sessions, readAll, readConfiguration, seconds, text } from '../shared/configuration.ts';
import { errorKinds, MintmarkError } from '../shared/errors.ts';
import { senderOf } from '../shared/failures/index.ts';
import {
  AdmittedIssuers,
  type Authority,
  announce,
  type IssuerCertificate,
  issueBatch,
  type Login,
  logBreakerChange,
  logNewerPinError,
  measureOutcomes,
  OpenIssuers,
  type Outcome,
  openIssuerSigner,
  type QueuedRequest,
  readProfiles,
  recoveredLine,
  signatureLine,
  tellCloudWatch,
  tellLimit,
} from '../shared/issuance/index.ts';
import {
  CompromisedKeys,
  DeviceRows,
  Devices,
  Failures,
  FirstLogins,
  IssuanceLedger,
  type Issuer,
  IssuerNames,
  Issuers,
  KeyClaims,
  RateBuckets,
  type Redriven,
  Revocations,
  rateShards,
  Senders,
} from '../shared/ledger/index.ts';
import { type DeliveredMessage, RetryLater } from '../shared/queue/index.ts';
import { isPkcs11LibraryStuck, type Signer } from '../shared/signer/index.ts';

/**
 * The requests queue to the ledger: one invocation takes a batch of messages and answers with those that are to be
 * delivered again. What a message goes through is in shared/issuance/issue-batch.ts; here it is only wired.
 */

// Once for the process, at cold start. Nothing here touches the HSM: Lambda's init phase has ten seconds.
const logger = new Logger({ serviceName: 'issue' });
const { configuration, profiles } = readAll({
  configuration: () =>
    readConfiguration(
      z.object({
        ISSUANCE_TABLE: text,
        REVOCATIONS_TABLE: text,
        DEVICES_TABLE: text,
        SENDERS_TABLE: text,
        KEYS_TABLE: text,
        QUOTAS_TABLE: text,
        ISSUERS_TABLE: text,
        FAILURES_TABLE: text,
        CERTIFICATES_TOPIC_ARN: text,
        PKCS11_LIBRARY: text,
        PKCS11_SESSIONS: pkcs11Sessions,
        STAGE: text,
        AWS_REGION: text,
        SIGN_BEFORE_SECONDS: seconds,
        GIVE_UP_AFTER_SECONDS: seconds,
        RETRY_BASE_SECONDS: seconds,
        PAUSED_SECONDS: seconds,
        CHECK_SIGNER_SECONDS: seconds,
        REDRIVE_QUEUE_ARN: text,
      }),
      process.env,
    ),
  profiles: () => readProfiles(new URL('./profiles/', import.meta.url)),
});
const dynamoDB = makeDynamoDBClient();
const kms = makeKMSClient();
const sns = makeSNSClient();
const cloudWatch = makeCloudWatchClient();
const retryLater = new RetryLater(makeSQSClient(), {
  baseSeconds: configuration.RETRY_BASE_SECONDS,
  random: Math.random,
  now: Date.now,
});
const gatekeeper = new Gatekeeper({
  breakers: new Breakers(dynamoDB, configuration.ISSUERS_TABLE),
  pausedSeconds: configuration.PAUSED_SECONDS,
  checkSignerSeconds: configuration.CHECK_SIGNER_SECONDS,
  now: Date.now,
  onError: (error) => logger.warn("A breaker's record could not be read or written; what was last read stands.", error),
});
const authority: Authority = {
  profiles,
  ledger: new IssuanceLedger(dynamoDB, configuration.ISSUANCE_TABLE),
  revocations: new Revocations(dynamoDB, configuration.REVOCATIONS_TABLE),
  devices: new Devices(dynamoDB, configuration.DEVICES_TABLE),
  senders: new Senders(dynamoDB, configuration.SENDERS_TABLE),
  compromisedKeys: new CompromisedKeys(dynamoDB, configuration.KEYS_TABLE),
  keyClaims: new KeyClaims(dynamoDB, configuration.KEYS_TABLE),
  deviceRows: new DeviceRows(dynamoDB, configuration.ISSUANCE_TABLE),
  rateBuckets: new RateBuckets(dynamoDB, configuration.QUOTAS_TABLE, randomInt(rateShards)),
  failures: new Failures(dynamoDB, configuration.FAILURES_TABLE),
  issuerNames: new IssuerNames(dynamoDB, configuration.ISSUERS_TABLE),
  issuers: new OpenIssuers({
    issuers: new Issuers(dynamoDB, configuration.ISSUERS_TABLE),
    openSigner,
    firstLogins: new FirstLogins(dynamoDB, configuration.ISSUERS_TABLE),
    now: Date.now,
    wait,
  }),
  publish: (outcomes) => announce(sns, configuration.CERTIFICATES_TOPIC_ARN, profiles, outcomes),
  onSigned: (counts) =>
    void process.stdout.write(`${signatureLine('issue', configuration.STAGE, counts, Date.now())}\n`),
  now: Date.now,
  randomBytes,
  signBeforeSeconds: configuration.SIGN_BEFORE_SECONDS,
  giveUpAfterSeconds: configuration.GIVE_UP_AFTER_SECONDS,
};

/** What an invocation keeps for storing, telling and answering after the signer's deadline: a slow call of each (ms). */
const reserveAfterSigning = 12_000;

/** At cold start, and when an issuer's row has changed. */
function openSigner(issuer: Issuer, certificate: IssuerCertificate, deadline: number, login: Login): Promise<Signer> {
  const { AWS_REGION: region, STAGE: stage, PKCS11_LIBRARY: library, PKCS11_SESSIONS: sessions } = configuration;
  return openIssuerSigner(
    {
      kms,
      region,
      stage,
      library,
      workerUrl: new URL('./pkcs11-worker.mjs', import.meta.url),
      sessions,
      now: Date.now,
      random: Math.random,
      onSigned: authority.onSigned,
      onRecovered: (issuerId) => void process.stdout.write(`${recoveredLine('issue', stage, issuerId, Date.now())}\n`),
    },
    issuer,
    certificate,
    deadline,
    login,
  );
}

export async function handler(event: SQSEvent, context: Context): Promise<SQSBatchResponse> {
  if (isPkcs11LibraryStuck(configuration.PKCS11_LIBRARY)) {
    // A thread that has been blocked in the library since the last batch cannot be ended, and process.exit waits for it;
    // only a signal does not. That batch was answered; this one comes back soon, to an environment that is new.
    await postpone(event.Records);
    logger.error('The PKCS#11 library does not return: this execution environment ends.');
    process.kill(process.pid, 'SIGKILL');
  }
  const batch = event.Records.map(readRecord);
  const deadline = Date.now() + context.getRemainingTimeInMillis() - reserveAfterSigning;
  const gate = gatekeeper.newGate(context.awsRequestId);
  const issuers = new AdmittedIssuers(authority.issuers, gate, (issuerId, error) =>
    logNewerPinError(logger, issuerId, error),
  );
  const outcomes = await issueBatch({ ...authority, issuers }, batch, deadline);
  const retried: (SQSRecord & Pick<DeliveredMessage, 'wait'>)[] = [];
  for (const [index, record] of event.Records.entries()) {
    const outcome = outcomes[index];
    report(record, outcome, batch[index]);
    if (outcome === undefined || outcome.kind === 'retry') retried.push({ ...record, wait: waitOfPaused(outcome) });
  }
  const [changes] = await Promise.all([gate.report(), postpone(retried), tell(batch, outcomes)]);
  for (const change of changes) logBreakerChange(logger, change);
  return { batchItemFailures: retried.map(({ messageId }) => ({ itemIdentifier: messageId })) };
}

const postpone = (records: readonly DeliveredMessage[]): Promise<void> =>
  retryLater.postpone(records, (error) => logger.warn('A message waits for its full visibility timeout.', error));

/** Of a message that the breaker turned away; the others wait the longer the more they have been tried. */
const waitOfPaused = (outcome: Outcome | undefined): DeliveredMessage['wait'] =>
  outcome?.kind === 'retry' && outcome.error instanceof SignerPausedError ? outcome.error.wait : undefined;

/** Of what is retried or failed; the alarms of deploy/alarms.yml are on it. */
function tell(batch: readonly QueuedRequest[], outcomes: readonly Outcome[]): Promise<void> {
  const now = Date.now();
  return tellCloudWatch(cloudWatch, configuration.STAGE, measureOutcomes(batch, outcomes, now), {
    now,
    signal: AbortSignal.timeout(tellLimit),
    onError: (error) => logger.warn('CloudWatch was not told of requests in trouble.', error),
  });
}

/** The attributes are always there: the event source mapping asks for all of them. */
function readRecord(record: SQSRecord): QueuedRequest {
  return {
    messageId: record.messageId,
    body: record.body,
    ...senderOf(record, configuration.REDRIVE_QUEUE_ARN),
    sentAt: Number(record.attributes.SentTimestamp),
    receiveCount: Number(record.attributes.ApproximateReceiveCount),
  };
}

function report({ messageId, attributes }: SQSRecord, outcome: Outcome | undefined, queued?: QueuedRequest): void {
  const common = {
    messageId,
    receiveCount: Number(attributes.ApproximateReceiveCount),
    ...(queued?.redriven === undefined ? {} : redriveIn(queued.redriven)),
  };
  switch (outcome?.kind) {
    case 'issued': {
      const { deviceId, requestId, serialNumber } = outcome.row;
      return logger.info('issued', { ...common, deviceId, requestId, serialNumber });
    }
    case 'rejected':
      return logger.info('rejected', { ...common, ...outcome.request, code: outcome.code, detail: outcome.detail });
    case 'failed': {
      const { code, detail } = outcome;
      return logger.error('failed', { ...common, code, detail, cure: errorKinds[code].cure });
    }
    case 'retry':
    case undefined: {
      const error = outcome?.error ?? new MintmarkError('INTERNAL', 'The message has no outcome.');
      const { code, message, cure } = error;
      // Where a defect is, only its stack says.
      const defect = code === 'INTERNAL' ? { error: error.cause instanceof Error ? error.cause : error } : {};
      const lost = outcome?.firstErrorLost === undefined ? {} : { firstErrorLost: outcome.firstErrorLost.message };
      return logger.warn('retry', { ...common, code, detail: message, cure, ...lost, ...defect });
    }
  }
}

/** Who sent it again, and for which failure: nobody else has that. */
const redriveIn = ({ originalMessageId, redriveCount, resentBy }: Redriven) => ({
  originalMessageId,
  redriveCount,
  resentBy,
});

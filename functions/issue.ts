import { randomBytes, randomInt } from 'node:crypto';
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
import { readAll, readConfiguration, seconds, text } from '../shared/configuration.ts';
import { errorKinds, MintmarkError } from '../shared/errors.ts';
import {
  type Authority,
  announce,
  type IssuerCertificate,
  issueBatch,
  OpenIssuers,
  type Outcome,
  type QueuedRequest,
  readProfiles,
} from '../shared/issuance/index.ts';
import { Devices, Failures, IssuanceLedger, type Issuer, Issuers, Revocations } from '../shared/ledger/index.ts';
import { RetryLater } from '../shared/queue/index.ts';
import { measureOutcomes, tellCloudWatch, tellLimit } from '../shared/request-metrics.ts';
import {
  isAwsKmsUri,
  isPkcs11LibraryStuck,
  openAwsKmsSigner,
  openSealedSigner,
  type Signer,
} from '../shared/signer/index.ts';

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
        ISSUERS_TABLE: text,
        FAILURES_TABLE: text,
        CERTIFICATES_TOPIC_ARN: text,
        PKCS11_LIBRARY: text,
        STAGE: text,
        AWS_REGION: text,
        SIGN_BEFORE_SECONDS: seconds,
        GIVE_UP_AFTER_SECONDS: seconds,
        RETRY_BASE_SECONDS: seconds,
      }),
      process.env,
    ),
  profiles: () => readProfiles(new URL('./profiles/', import.meta.url)),
});
const dynamoDB = makeDynamoDBClient();
const kms = makeKMSClient();
const sns = makeSNSClient();
const cloudWatch = makeCloudWatchClient();
const retryLater = new RetryLater(
  makeSQSClient(),
  configuration.RETRY_BASE_SECONDS,
  () => randomInt(2 ** 32) / 2 ** 32,
);
const authority: Authority = {
  profiles,
  ledger: new IssuanceLedger(dynamoDB, configuration.ISSUANCE_TABLE),
  revocations: new Revocations(dynamoDB, configuration.REVOCATIONS_TABLE),
  devices: new Devices(dynamoDB, configuration.DEVICES_TABLE),
  failures: new Failures(dynamoDB, configuration.FAILURES_TABLE),
  issuers: new OpenIssuers({
    issuers: new Issuers(dynamoDB, configuration.ISSUERS_TABLE),
    openSigner,
    now: Date.now,
  }),
  publish: (outcomes) => announce(sns, configuration.CERTIFICATES_TOPIC_ARN, outcomes),
  now: Date.now,
  randomBytes,
  signBeforeSeconds: configuration.SIGN_BEFORE_SECONDS,
  giveUpAfterSeconds: configuration.GIVE_UP_AFTER_SECONDS,
};

/** What an invocation keeps for storing, telling and answering after the signer's deadline: a slow call of each (ms). */
const reserveAfterSigning = 12_000;

/**
 * At cold start, and when an issuer's row has changed. A key in CloudHSM: the PIN is unsealed by KMS and goes to the HSM's
 * worker alone. A key in KMS: nothing but its name is needed.
 */
async function openSigner(issuer: Issuer, certificate: IssuerCertificate, deadline: number): Promise<Signer> {
  const { issuerId, clusterId, signerUri } = issuer;
  const common = { kms, uri: signerUri, certificatePublicKey: certificate.publicKey, deadline, now: Date.now };
  if (isAwsKmsUri(signerUri)) return openAwsKmsSigner(common);
  const sealedPin = issuer.sealedPins[configuration.AWS_REGION];
  if (clusterId === undefined || sealedPin === undefined) {
    const missing =
      clusterId === undefined ? 'no clusterId' : `no PIN sealed for the Region ${configuration.AWS_REGION}`;
    throw new MintmarkError('SIGNER_MISCONFIGURED', `The issuer ${issuerId} has ${missing}.`);
  }
  return openSealedSigner({
    ...common,
    sealedPin,
    purpose: { clusterId, issuerId, stage: configuration.STAGE },
    library: configuration.PKCS11_LIBRARY,
    workerUrl: new URL('./pkcs11-worker.mjs', import.meta.url),
  });
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
  const outcomes = await issueBatch(authority, batch, deadline);
  const retried: SQSRecord[] = [];
  for (const [index, record] of event.Records.entries()) {
    const outcome = outcomes[index];
    report(record, outcome);
    if (outcome === undefined || outcome.kind === 'retry') retried.push(record);
  }
  await Promise.all([postpone(retried), tell(batch, outcomes)]);
  return { batchItemFailures: retried.map(({ messageId }) => ({ itemIdentifier: messageId })) };
}

const postpone = (records: readonly SQSRecord[]): Promise<void> =>
  retryLater.postpone(records, (error) => logger.warn('A message waits for its full visibility timeout.', error));

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
    senderId: record.attributes.SenderId,
    sentAt: Number(record.attributes.SentTimestamp),
    receiveCount: Number(record.attributes.ApproximateReceiveCount),
  };
}

function report({ messageId, attributes }: SQSRecord, outcome: Outcome | undefined): void {
  const common = { messageId, receiveCount: Number(attributes.ApproximateReceiveCount) };
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
      return logger.warn('retry', { ...common, code, detail: message, cure, ...defect });
    }
  }
}

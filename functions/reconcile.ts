import { randomInt } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { Logger } from '@aws-lambda-powertools/logger';
import type { Context } from 'aws-lambda';
import * as z from 'zod';
import { makeCloudWatchClient, makeDynamoDBClient, makeKMSClient, makeSNSClient } from '../shared/aws.ts';
import { Breakers, Gatekeeper } from '../shared/breaker/index.ts';
import { pkcs11Sessions, readAll, readConfiguration, seconds, text } from '../shared/configuration.ts';
import {
  AdmittedIssuers,
  announce,
  type FinishingAuthority,
  type IssuerCertificate,
  type Login,
  logBreakerChange,
  logNewerPinError,
  measureReconciliation,
  OpenIssuers,
  openIssuerSigner,
  type Reconciled,
  readProfiles,
  reconcile,
  recoveredLine,
  signatureLine,
} from '../shared/issuance/index.ts';
import {
  CompromisedKeys,
  DeviceRows,
  Devices,
  FirstLogins,
  IssuanceLedger,
  type Issuer,
  IssuerNames,
  Issuers,
  OpenIntents,
  Revocations,
  Senders,
} from '../shared/ledger/index.ts';
import { putMetrics } from '../shared/metrics.ts';
import { isPkcs11LibraryStuck, type Signer } from '../shared/signer/index.ts';

/**
 * On a schedule: finishes the intents whose messages do not come back, and abandons those that nobody may finish any more.
 * What that takes is in shared/issuance/reconcile.ts; here it is only wired.
 */

// Once for the process, at cold start. Nothing here touches the HSM: Lambda's init phase has ten seconds.
const logger = new Logger({ serviceName: 'reconcile' });
const { configuration, profiles } = readAll({
  configuration: () =>
    readConfiguration(
      z.object({
        ISSUANCE_TABLE: text,
        REVOCATIONS_TABLE: text,
        DEVICES_TABLE: text,
        SENDERS_TABLE: text,
        KEYS_TABLE: text,
        ISSUERS_TABLE: text,
        CERTIFICATES_TOPIC_ARN: text,
        PKCS11_LIBRARY: text,
        PKCS11_SESSIONS: pkcs11Sessions,
        STAGE: text,
        AWS_REGION: text,
        RECONCILE_AFTER_SECONDS: seconds,
        CHECK_SIGNER_SECONDS: seconds,
      }),
      process.env,
    ),
  profiles: () => readProfiles(new URL('./profiles/', import.meta.url)),
});
const { STAGE: stage, PKCS11_LIBRARY: library } = configuration;
const dynamoDB = makeDynamoDBClient();
const kms = makeKMSClient();
const sns = makeSNSClient();
const cloudWatch = makeCloudWatchClient();
const openIntents = new OpenIntents(dynamoDB, configuration.ISSUANCE_TABLE);
const gatekeeper = new Gatekeeper({
  breakers: new Breakers(dynamoDB, configuration.ISSUERS_TABLE),
  // Of a message, which there is none of here.
  pausedSeconds: 0,
  checkSignerSeconds: configuration.CHECK_SIGNER_SECONDS,
  now: Date.now,
  onError: (error) => logger.warn("A breaker's record could not be read or written; what was last read stands.", error),
});
const authority: FinishingAuthority = {
  profiles,
  ledger: new IssuanceLedger(dynamoDB, configuration.ISSUANCE_TABLE),
  revocations: new Revocations(dynamoDB, configuration.REVOCATIONS_TABLE),
  devices: new Devices(dynamoDB, configuration.DEVICES_TABLE),
  deviceRows: new DeviceRows(dynamoDB, configuration.ISSUANCE_TABLE),
  senders: new Senders(dynamoDB, configuration.SENDERS_TABLE),
  compromisedKeys: new CompromisedKeys(dynamoDB, configuration.KEYS_TABLE),
  issuerNames: new IssuerNames(dynamoDB, configuration.ISSUERS_TABLE),
  issuers: new OpenIssuers({
    issuers: new Issuers(dynamoDB, configuration.ISSUERS_TABLE),
    openSigner,
    firstLogins: new FirstLogins(dynamoDB, configuration.ISSUERS_TABLE),
    now: Date.now,
    wait,
  }),
  publish: (outcomes) => announce(sns, configuration.CERTIFICATES_TOPIC_ARN, profiles, outcomes),
  onSigned: (counts) => void process.stdout.write(`${signatureLine('reconcile', stage, counts, Date.now())}\n`),
  now: Date.now,
};

/** What a run keeps for storing, announcing and telling after the signer's deadline: a slow call of each (ms). */
const reserveAfterSigning = 15_000;

/** At cold start, and when an issuer's row has changed. */
function openSigner(issuer: Issuer, certificate: IssuerCertificate, deadline: number, login: Login): Promise<Signer> {
  const { AWS_REGION: region, PKCS11_SESSIONS: sessions } = configuration;
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
      onRecovered: (issuerId) =>
        void process.stdout.write(`${recoveredLine('reconcile', stage, issuerId, Date.now())}\n`),
    },
    issuer,
    certificate,
    deadline,
    login,
  );
}

/** How a run went; what became of each request is in the log. */
interface ReconcileAnswer {
  readonly finished: number;
  readonly abandoned: number;
  readonly hindered: number;
  readonly overdue: number;
  readonly isComplete: boolean;
}

export async function handler(_event: unknown, context: Context): Promise<ReconcileAnswer> {
  if (isPkcs11LibraryStuck(library)) {
    // As in functions/check-cluster.ts: Lambda repeats this invocation in an environment that is new.
    logger.error('The PKCS#11 library does not return: this execution environment ends.');
    process.kill(process.pid, 'SIGKILL');
  }
  // A run asks the breaker as a batch of messages does, and tells it how it went.
  const gate = gatekeeper.newGate(context.awsRequestId);
  const issuers = new AdmittedIssuers(authority.issuers, gate, (issuerId, error) =>
    logNewerPinError(logger, issuerId, error),
  );
  const reconciliation = await reconcile({
    authority: { ...authority, issuers },
    openIntents,
    patience: configuration.RECONCILE_AFTER_SECONDS * 1000,
    firstShard: randomInt(16),
    deadline: Date.now() + context.getRemainingTimeInMillis() - reserveAfterSigning,
  });
  const { requests, overdue, isComplete } = reconciliation;
  for (const request of requests) report(request);
  for (const change of await gate.report()) logBreakerChange(logger, change);
  const count = (became: Reconciled['became']) => requests.filter((request) => request.became === became).length;
  const answer = {
    finished: count('finished'),
    abandoned: count('abandoned'),
    hindered: count('hindered'),
    overdue,
    isComplete,
  };
  if (isComplete) logger.info('reconciled', answer);
  else logger.warn('reconciled', { ...answer, detail: 'Time ran out: the next run goes on with another shard.' });
  await putMetrics(cloudWatch, stage, measureReconciliation(reconciliation), Date.now());
  return answer;
}

function report(request: Reconciled): void {
  const { deviceId, requestId } = request;
  const id = { deviceId, requestId };
  switch (request.became) {
    case 'finished':
    case 'announced':
      return logger.info(request.became, { ...id, serialNumber: request.serialNumber });
    case 'abandoned':
      return logger.warn('abandoned', { ...id, serialNumber: request.serialNumber, reason: request.reason });
    case 'revoked':
      return logger.info('revoked', id);
    case 'left':
      return logger.debug('left', id);
    case 'hindered': {
      const { code, message, cure } = request.error;
      // Where a defect is, only its stack says.
      const { cause } = request.error;
      const defect = code === 'INTERNAL' ? { error: cause instanceof Error ? cause : request.error } : {};
      return logger.warn('hindered', { ...id, code, detail: message, cure, ...defect });
    }
  }
}

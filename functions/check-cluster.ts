import { Logger } from '@aws-lambda-powertools/logger';
import * as z from 'zod';
import { makeCloudWatchClient, makeDynamoDBClient, makeKMSClient } from '../shared/aws.ts';
import { makeCloudHSMV2Client } from '../shared/aws-cloudhsm.ts';
import {
  assess,
  CanarySigner,
  canarySignerOpener,
  type Finding,
  observe,
  publish,
  readThresholds,
  rules,
  type Sources,
} from '../shared/cluster/index.ts';
import { readAll, readConfiguration, text } from '../shared/configuration.ts';
import { isPkcs11LibraryStuck } from '../shared/signer/index.ts';

/**
 * The watch, on a schedule: looks at cluster, backups, key store, canaries, issuers and their keys in KMS, and puts what it
 * finds into the log and into CloudWatch, whose alarms tell people. What is looked at is in shared/cluster; here it is only
 * wired.
 */

// Once for the process, at cold start. Nothing here touches the HSM: Lambda's init phase has ten seconds.
const logger = new Logger({ serviceName: 'check-cluster' });
const { configuration, thresholds } = readAll({
  configuration: () =>
    readConfiguration(
      z.object({
        ISSUERS_TABLE: text,
        PKCS11_LIBRARY: text,
        // The deployment's word on whether the stage has CloudHSM: empty where it has none, never absent.
        SEALING_KEY_ARN: z.string(),
        STAGE: text,
        AWS_REGION: text,
      }),
      process.env,
    ),
  thresholds: () => readThresholds(process.env),
});
const { ISSUERS_TABLE: issuersTable, AWS_REGION: region, STAGE: stage } = configuration;
const kms = makeKMSClient();
const openSigner = canarySignerOpener({
  kms,
  library: configuration.PKCS11_LIBRARY,
  stage,
  workerUrl: new URL('./pkcs11-worker.mjs', import.meta.url),
  now: Date.now,
  random: Math.random,
});
const cloudWatch = makeCloudWatchClient();

const sources: Sources = {
  dynamoDB: makeDynamoDBClient(),
  ...(configuration.SEALING_KEY_ARN === '' ? {} : { cloudHsm: makeCloudHSMV2Client() }),
  kms,
  issuersTable,
  region,
  stage,
  signer: new CanarySigner({ openSigner, stage, now: Date.now }),
  now: Date.now,
  partMilliseconds: 10_000,
  signMilliseconds: 25_000,
};

export async function handler(): Promise<{ findings: readonly Finding[] }> {
  if (isPkcs11LibraryStuck(configuration.PKCS11_LIBRARY)) {
    // A thread that is blocked in the PKCS#11 library since the last look cannot be ended, and process.exit waits for
    // it; only a signal does not. Lambda repeats this invocation in an environment that is new.
    logger.error('The PKCS#11 library does not return: this execution environment ends.');
    process.kill(process.pid, 'SIGKILL');
  }
  const observation = await observe(sources);
  const now = Date.now();
  const { findings, measurements } = assess(observation, rules, thresholds, now);
  for (const finding of findings) report(finding);
  logger.info('checked', { findings: findings.length });
  await publish(cloudWatch, stage, measurements, now);
  return { findings };
}

function report(finding: Finding): void {
  if (finding.severity === 'critical') logger.error('finding', { finding });
  else logger.warn('finding', { finding });
}

import { Logger } from '@aws-lambda-powertools/logger';
import { GetQueueAttributesCommand } from '@aws-sdk/client-sqs';
import * as z from 'zod';
import {
  makeCloudWatchClient,
  makeDynamoDBClient,
  makeKMSClient,
  makeLambdaClient,
  makeSNSClient,
  makeSQSClient,
} from '../shared/aws.ts';
import { Breakers, Canaries, check, measureBreakers, transitionLine } from '../shared/breaker/index.ts';
import { CanarySigner, canarySignerOpener, unsealCanaryPin } from '../shared/cluster/index.ts';
import { readConfiguration, seconds, text } from '../shared/configuration.ts';
import { putMetrics } from '../shared/metrics.ts';
import { isPkcs11LibraryStuck } from '../shared/signer/index.ts';

/**
 * The breakers' other half, every minute: the issue function opens them, this one tries the signer with a canary, lets a
 * few batches try, pauses and resumes the event source mappings, and tells who wants to know. What a look does is in
 * shared/breaker/check.ts; here it is only wired.
 */

// Once for the process, at cold start. Nothing here touches the HSM: Lambda's init phase has ten seconds.
const logger = new Logger({ serviceName: 'check-signer' });
const configuration = readConfiguration(
  z.object({
    ISSUERS_TABLE: text,
    REQUESTS_QUEUE_URL: text,
    REDRIVE_QUEUE_URL: text,
    OPERATIONS_TOPIC_ARN: text,
    ISSUE_FUNCTION_NAME: text,
    CHECK_SIGNER_SECONDS: seconds,
    PKCS11_LIBRARY: text,
    STAGE: text,
    AWS_REGION: text,
  }),
  process.env,
);
const { ISSUERS_TABLE: issuersTable, STAGE: stage, AWS_REGION: region } = configuration;
const dynamoDB = makeDynamoDBClient();
const kms = makeKMSClient();
const openSigner = canarySignerOpener({
  kms,
  library: configuration.PKCS11_LIBRARY,
  stage,
  workerUrl: new URL('./pkcs11-worker.mjs', import.meta.url),
  now: Date.now,
  random: Math.random,
});
const sqs = makeSQSClient();
const cloudWatch = makeCloudWatchClient();
const clients = { dynamoDB, lambda: makeLambdaClient(), sns: makeSNSClient() };
const breakers = new Breakers(dynamoDB, configuration.ISSUERS_TABLE);
const signer = new CanarySigner({ openSigner, stage, now: Date.now });

/** The longest that the canary may take, in milliseconds: a cold HSM client takes some, a hanging one all of it. */
const signMilliseconds = 20_000;

/** Approximate, as all of SQS's numbers are; in flight and postponed messages count. */
async function waits(): Promise<boolean> {
  const counts = await Promise.all(
    [configuration.REQUESTS_QUEUE_URL, configuration.REDRIVE_QUEUE_URL].map(async (QueueUrl) => {
      const { Attributes: attributes = {} } = await sqs.send(
        new GetQueueAttributesCommand({
          QueueUrl,
          AttributeNames: [
            'ApproximateNumberOfMessages',
            'ApproximateNumberOfMessagesNotVisible',
            'ApproximateNumberOfMessagesDelayed',
          ],
        }),
      );
      return Object.values(attributes).reduce((sum, count) => sum + Number(count), 0);
    }),
  );
  return counts.some((count) => count > 0);
}

/** What `mintmark queue pause` and `resume` show when they have had it look. */
interface Answer {
  readonly breakers: readonly { readonly issuerId: string; readonly state: string; readonly held: boolean }[];
}

export async function handler(): Promise<Answer> {
  if (isPkcs11LibraryStuck(configuration.PKCS11_LIBRARY)) {
    // As in the issue function: only a signal ends a thread that is blocked in the library. The next look is in a minute.
    logger.error('The PKCS#11 library does not return: this execution environment ends.');
    process.kill(process.pid, 'SIGKILL');
  }
  const errors: unknown[] = [];
  const canaries = new Canaries({
    dynamoDB,
    kms,
    issuersTable,
    region,
    signer,
    unseal: (record) => unsealCanaryPin(kms, record, stage),
    now: Date.now,
    signMilliseconds,
    onTrouble: (issuerId, detail) => logger.warn('canary', { issuerId, detail }),
  });
  const { breakers: records, unreadable } = await check({
    ...clients,
    issuersTable,
    breakers,
    functionName: configuration.ISSUE_FUNCTION_NAME,
    topicArn: configuration.OPERATIONS_TOPIC_ARN,
    canaryOf: (issuer) => canaries.of(issuer),
    waits,
    checkSignerSeconds: configuration.CHECK_SIGNER_SECONDS,
    now: Date.now,
    on: {
      step: (issuerId, step, canary, { state, held, reason }) =>
        logger.info('checked', { issuerId, step, canary, state, held, reason }),
      mapping: ({ mapping, to }) => logger.warn('event source mapping', { ...mapping, to }),
      told: (announcement) => {
        process.stdout.write(`${transitionLine('check-signer', stage, announcement, Date.now())}\n`);
        logger.info('breaker', { ...announcement });
      },
      error: (error) => {
        errors.push(error);
        logger.error('A part of the look failed; the next one does it.', error as Error);
      },
    },
  });
  const measurements = measureBreakers(records, unreadable.length);
  await putMetrics(cloudWatch, stage, measurements, Date.now()).catch((error: unknown) => errors.push(error));
  if (errors.length > 0) throw new AggregateError(errors, 'The look was not whole.');
  return { breakers: records.map(({ issuerId, state, held }) => ({ issuerId, state, held })) };
}

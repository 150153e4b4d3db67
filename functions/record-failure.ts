import { Logger } from '@aws-lambda-powertools/logger';
import type { SQSBatchResponse, SQSEvent, SQSRecord } from 'aws-lambda';
import * as z from 'zod';
import { makeCloudWatchClient, makeDynamoDBClient } from '../shared/aws.ts';
import { readConfiguration, text } from '../shared/configuration.ts';
import { deadLetterSenderOf } from '../shared/failures/index.ts';
import { measureFailures, tellCloudWatch, tellLimit } from '../shared/issuance/index.ts';
import { Failures } from '../shared/ledger/index.ts';

/**
 * The dead-letter queue to the failures table. What arrives here was delivered until SQS gave up without the issue
 * function ever answering for it: it kills the function or times it out, or the function could not start.
 */

const logger = new Logger({ serviceName: 'record-failure' });
const configuration = readConfiguration(
  z.object({ FAILURES_TABLE: text, REDRIVE_QUEUE_ARN: text, STAGE: text }),
  process.env,
);
const failures = new Failures(makeDynamoDBClient(), configuration.FAILURES_TABLE);
const cloudWatch = makeCloudWatchClient();

const code = 'MESSAGE_KILLED_FUNCTION';

export async function handler(event: SQSEvent): Promise<SQSBatchResponse> {
  const recorded = await Promise.allSettled(event.Records.map(record));
  const batchItemFailures: SQSBatchResponse['batchItemFailures'] = [];
  for (const [index, { messageId }] of event.Records.entries()) {
    const result = recorded[index];
    if (result?.status === 'fulfilled') logger.error('failed', { messageId, code });
    else {
      // It stays in the dead-letter queue, for as long as that keeps messages, until the table takes it.
      logger.error('The failure could not be recorded.', { messageId, error: result?.reason as Error });
      batchItemFailures.push({ itemIdentifier: messageId });
    }
  }
  await tell(event.Records.length - batchItemFailures.length);
  return { batchItemFailures };
}

/** A dead letter is a failure like those that the issue function records. */
function tell(recorded: number): Promise<void> {
  const measurements = measureFailures(Array.from({ length: recorded }, () => code));
  return tellCloudWatch(cloudWatch, configuration.STAGE, measurements, {
    now: Date.now(),
    signal: AbortSignal.timeout(tellLimit),
    onError: (error) => logger.warn('CloudWatch was not told of requests that failed.', error),
  });
}

async function record(letter: SQSRecord): Promise<void> {
  const { messageId, body, attributes } = letter;
  const { senderId, redriven } = deadLetterSenderOf(letter, configuration.REDRIVE_QUEUE_ARN);
  await failures.record({
    code,
    detail:
      'No delivery was answered until the queue gave the message up: it ends its function, or the function does not start.',
    messageId,
    sender: senderId,
    body,
    tries: Number(attributes.ApproximateReceiveCount),
    sentAt: Number(attributes.SentTimestamp),
    failedAt: Date.now(),
    ...(redriven === undefined ? {} : { redriven }),
  });
}

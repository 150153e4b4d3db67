import { SendMessageBatchCommand, type SQSClient } from '@aws-sdk/client-sqs';
import { MintmarkError } from '../errors.ts';
import type { RequestKey } from '../ledger/index.ts';

/** What is asked for. */
export interface EnrolmentRequest extends RequestKey {
  readonly profile: string;
  /** PEM, or base64 of DER. */
  readonly csr: string;
}

/** A request that is in the queue. */
export interface SentRequest extends RequestKey {
  /** SQS's MessageId. */
  readonly messageId: string;
}

/** A batch takes 10 messages and 1 MiB in all (Amazon SQS quotas); what JSON and SQS put around a body is in the rest. */
const batchMessages = 10;
const batchBytes = 1_000_000;

/** The message as functions/issue.ts reads it (issuance/message.ts). */
export const messageBody = ({ requestId, deviceId, profile, csr }: EnrolmentRequest): string =>
  JSON.stringify({ version: 1, requestId, deviceId, profile, csr });

/**
 * Enqueues requests, as many at a time as SQS takes.
 * @returns in the order of the requests
 * @throws MintmarkError STORE_UNAVAILABLE when SQS took a part only: sending all of them again makes no second
 *   certificate; the client's own errors
 */
export async function sendRequests(
  client: SQSClient,
  queueUrl: string,
  requests: readonly EnrolmentRequest[],
): Promise<SentRequest[]> {
  const sent: SentRequest[] = [];
  for (const batch of batchesOf(requests)) {
    const entries = batch.map(({ body }, index) => ({ Id: String(index), MessageBody: body }));
    const command = new SendMessageBatchCommand({ QueueUrl: queueUrl, Entries: entries });
    const { Successful: successful = [], Failed: failed = [] } = await client.send(command);
    if (failed.length > 0) {
      const [{ Code: code, Message: message } = {}] = failed;
      throw new MintmarkError('STORE_UNAVAILABLE', `SQS refused a message: ${code}: ${message}`);
    }
    const messageIds = new Map(successful.map(({ Id: id, MessageId: messageId }) => [id, messageId ?? '']));
    for (const [index, { request }] of batch.entries()) {
      const { deviceId, requestId } = request;
      sent.push({ deviceId, requestId, messageId: messageIds.get(String(index)) ?? '' });
    }
  }
  return sent;
}

interface Sendable {
  readonly request: EnrolmentRequest;
  readonly body: string;
}

function batchesOf(requests: readonly EnrolmentRequest[]): Sendable[][] {
  const batches: Sendable[][] = [];
  let bytes = 0;
  for (const request of requests) {
    const body = messageBody(request);
    const size = Buffer.byteLength(body);
    const last = batches.at(-1);
    if (last === undefined || last.length === batchMessages || bytes + size > batchBytes) {
      batches.push([{ request, body }]);
      bytes = size;
    } else {
      last.push({ request, body });
      bytes += size;
    }
  }
  return batches;
}

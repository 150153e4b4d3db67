import { SendMessageBatchCommand, type SQSClient } from '@aws-sdk/client-sqs';
import { MintmarkError } from '../errors.ts';
import { type RequestKey, storeError } from '../ledger/index.ts';

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

export interface SendOptions {
  /**
   * Named as the messages' MessageGroupId, which makes a standard queue a fair one: the requests of a fleet that sends very
   * many wait longer, and the others' do not (Amazon SQS developer guide, "Amazon SQS fair queues"). A help against
   * accidents: whoever may send may name any fleet, or none.
   */
  readonly fleet?: string | undefined;
}

/** A MessageGroupId: 1 to 128 letters, digits and punctuation marks of ASCII (Amazon SQS API reference, SendMessage). */
export const isFleetName = (text: string): boolean => /^[\x21-\x7e]{1,128}$/.test(text);

/** A batch takes 10 messages and 1 MiB in all (Amazon SQS quotas); what JSON and SQS put around a body is in the rest. */
const batchMessages = 10;
const batchBytes = 1_000_000;

/** The message as functions/issue.ts reads it (issuance/message.ts). */
export const messageBody = ({ requestId, deviceId, profile, csr }: EnrolmentRequest): string =>
  JSON.stringify({ version: 1, requestId, deviceId, profile, csr });

/**
 * Enqueues requests, as many at a time as SQS takes.
 * @returns in the order of the requests
 * @throws MintmarkError STORE_UNAVAILABLE, STORE_REFUSED that says to which queue, and how many it took: sending all of
 *   them again makes no second certificate. Its cause is the client's error where there was one
 */
export async function sendRequests(
  client: SQSClient,
  queueUrl: string,
  requests: readonly EnrolmentRequest[],
  { fleet }: SendOptions = {},
): Promise<SentRequest[]> {
  const group = fleet === undefined ? {} : { MessageGroupId: fleet };
  const sent: SentRequest[] = [];
  const queue = queueUrl.split('/').at(-1);
  const sending = (taken: number) => `Sending to the queue ${queue}, which has taken ${taken} of ${requests.length}`;
  for (const batch of batchesOf(requests)) {
    const entries = batch.map(({ body }, index) => ({ Id: String(index), MessageBody: body, ...group }));
    const command = new SendMessageBatchCommand({ QueueUrl: queueUrl, Entries: entries });
    const { Successful: successful = [], Failed: failed = [] } = await client.send(command).catch((error: unknown) => {
      throw storeError(error, sending(sent.length));
    });
    if (failed.length > 0) {
      const [{ Code: code, Message: message } = {}] = failed;
      const doing = sending(sent.length + successful.length);
      throw new MintmarkError('STORE_UNAVAILABLE', `${doing}: it refuses a message: ${code}: ${message}`);
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

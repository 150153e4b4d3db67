import type { Message, SQSClient } from '@aws-sdk/client-sqs';
import { DeleteMessageBatchCommand, ReceiveMessageCommand } from '@aws-sdk/client-sqs';

/**
 * Where a mapping's batches come from and where it gives back what is done. What a queue may do to messages (deliver
 * twice, late, in another order) can be done by wrapping one.
 */
export interface MessageSource {
  /** Up to `maximum` messages, all attributes set; none when there were none for a while. Rejects when aborted. */
  receive(maximum: number, signal: AbortSignal): Promise<readonly Message[]>;
  /** Rejects when one of them could not be deleted; it will be delivered again. */
  delete(messages: readonly Message[]): Promise<void>;
}

/** Seconds. Shorter than AWS's 20, so that a paused mapping is paused soon; an idle one costs a call per poller. */
const longPoll = 2;

export function queueSource(client: SQSClient, queueUrl: string): MessageSource {
  return {
    async receive(maximum, signal) {
      const command = new ReceiveMessageCommand({
        QueueUrl: queueUrl,
        MaxNumberOfMessages: maximum,
        WaitTimeSeconds: longPoll,
        MessageAttributeNames: ['All'],
        MessageSystemAttributeNames: ['All'],
      });
      return (await client.send(command, { abortSignal: signal })).Messages ?? [];
    },
    async delete(messages) {
      const { Failed: failed = [] } = await client.send(
        new DeleteMessageBatchCommand({
          QueueUrl: queueUrl,
          Entries: messages.map(({ ReceiptHandle }, index) => ({ Id: String(index), ReceiptHandle })),
        }),
      );
      if (failed.length > 0) throw new Error(`${failed.length} messages not deleted: ${failed[0]?.Message ?? ''}`);
    },
  };
}

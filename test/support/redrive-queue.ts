import { randomUUID } from 'node:crypto';
import { SendMessageBatchCommand, type SendMessageBatchRequestEntry, type SQSClient } from '@aws-sdk/client-sqs';
import { senderOf } from '../../shared/failures/redriven-message.ts';
import type { QueuedRequest } from '../../shared/issuance/outcome.ts';

export const redriveQueueArn = 'arn:aws:sqs:eu-west-1:111122223333:test-redrive';

interface Sent {
  readonly messageId: string;
  readonly entry: SendMessageBatchRequestEntry;
}

/** The redrive queue as far as messages are sent to it, in memory. */
export class RedriveQueue {
  readonly sent: Sent[] = [];
  /** What SQS refuses alone, of an otherwise good batch. */
  refuses: (entry: SendMessageBatchRequestEntry) => boolean = () => false;
  readonly client = this.newClient();

  newClient(): SQSClient {
    return { send: (command: object) => this.#answer(command) } as unknown as SQSClient;
  }

  async #answer(command: object): Promise<object> {
    if (!(command instanceof SendMessageBatchCommand)) throw new Error('not expected');
    const entries = command.input.Entries ?? [];
    if (entries.length < 1 || entries.length > 10) throw new Error(`A batch of ${entries.length}.`);
    const taken = entries.filter((entry) => !this.refuses(entry));
    const sent = taken.map((entry) => ({ messageId: randomUUID(), entry }));
    this.sent.push(...sent);
    return {
      Successful: sent.map(({ messageId, entry: { Id } }) => ({ Id, MessageId: messageId })),
      Failed: entries
        .filter((entry) => !taken.includes(entry))
        .map(({ Id }) => ({ Id, Code: 'InternalError', Message: 'Not today.', SenderFault: false })),
    };
  }

  /** All that is in it, each delivered for the first time, as functions/issue.ts reads it. */
  deliver(now: number): QueuedRequest[] {
    return this.sent.splice(0).map(({ messageId, entry }) => ({
      messageId,
      body: entry.MessageBody ?? '',
      ...senderOf(
        {
          messageId,
          eventSourceARN: redriveQueueArn,
          attributes: { SenderId: 'AROAOPERATOR:someone' },
          messageAttributes: Object.fromEntries(
            Object.entries(entry.MessageAttributes ?? {}).map(([name, { StringValue: stringValue }]) => [
              name,
              { stringValue },
            ]),
          ),
        },
        redriveQueueArn,
      ),
      sentAt: now,
      receiveCount: 1,
    }));
  }
}

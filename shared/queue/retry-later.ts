import { ChangeMessageVisibilityBatchCommand, GetQueueUrlCommand, type SQSClient } from '@aws-sdk/client-sqs';
import { retryDelaySeconds, type Wait, waitSeconds } from './retry-delay.ts';

/** What is needed of an SQS record of a Lambda event. */
export interface DeliveredMessage {
  readonly messageId: string;
  readonly receiptHandle: string;
  readonly eventSourceARN: string;
  readonly attributes: { readonly ApproximateReceiveCount: string };
  /** How long it is to stay away; without it, longer with each delivery. */
  readonly wait?: Wait | undefined;
}

/** ChangeMessageVisibilityBatch takes at most this many entries (Amazon SQS API reference). */
const maximumEntries = 10;

/**
 * Makes messages that are to be tried again visible after a while of their own, instead of after the queue's visibility
 * timeout, which is six times the function's timeout and the same for all.
 */
export class RetryLater {
  readonly #client: SQSClient;
  readonly #baseSeconds: number;
  readonly #random: () => number;
  readonly #queueUrls = new Map<string, string>();

  /** @param random from 0 to 1, 1 excluded */
  constructor(client: SQSClient, baseSeconds: number, random: () => number) {
    this.#client = client;
    this.#baseSeconds = baseSeconds;
    this.#random = random;
  }

  /**
   * Best effort: a message that SQS does not postpone comes back all the same, when its visibility timeout ends;
   * `onError` hears of it.
   */
  async postpone(messages: readonly DeliveredMessage[], onError: (error: Error) => void): Promise<void> {
    const byQueue = Map.groupBy(messages, ({ eventSourceARN }) => eventSourceARN);
    for (const [queueArn, group] of byQueue) {
      for (let start = 0; start < group.length; start += maximumEntries) {
        try {
          await this.#postponeBatch(queueArn, group.slice(start, start + maximumEntries), onError);
        } catch (error) {
          onError(error instanceof Error ? error : new Error(String(error)));
        }
      }
    }
  }

  async #postponeBatch(
    queueArn: string,
    messages: readonly DeliveredMessage[],
    onError: (error: Error) => void,
  ): Promise<void> {
    const command = new ChangeMessageVisibilityBatchCommand({
      QueueUrl: await this.#queueUrl(queueArn),
      Entries: messages.map((message, index) => ({
        Id: String(index),
        ReceiptHandle: message.receiptHandle,
        VisibilityTimeout: this.#delaySeconds(message),
      })),
    });
    for (const { Id: id, Code: code, Message: message } of (await this.#client.send(command)).Failed ?? []) {
      onError(new Error(`Message ${messages[Number(id)]?.messageId} was not postponed: ${code}: ${message}`));
    }
  }

  #delaySeconds({ attributes, wait }: DeliveredMessage): number {
    if (wait !== undefined) return waitSeconds(wait, this.#random());
    return retryDelaySeconds(Number(attributes.ApproximateReceiveCount), this.#baseSeconds, this.#random());
  }

  /** arn:partition:sqs:region:account:name */
  async #queueUrl(queueArn: string): Promise<string> {
    const known = this.#queueUrls.get(queueArn);
    if (known !== undefined) return known;
    const [account, name] = queueArn.split(':').slice(-2);
    const command = new GetQueueUrlCommand({ QueueName: name, QueueOwnerAWSAccountId: account });
    const { QueueUrl: url } = await this.#client.send(command);
    if (url === undefined) throw new Error(`SQS knows no URL of ${queueArn}.`);
    this.#queueUrls.set(queueArn, url);
    return url;
  }
}

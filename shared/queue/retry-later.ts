import { ChangeMessageVisibilityBatchCommand, GetQueueUrlCommand, type SQSClient } from '@aws-sdk/client-sqs';
import { retryDelaySeconds, type Wait, waitSeconds } from './retry-delay.ts';

/** What is needed of an SQS record of a Lambda event. */
export interface DeliveredMessage {
  readonly messageId: string;
  readonly receiptHandle: string;
  readonly eventSourceARN: string;
  readonly attributes: {
    readonly ApproximateReceiveCount: string;
    /** Milliseconds since the epoch. */
    readonly ApproximateFirstReceiveTimestamp: string;
  };
  /** How long it is to stay away; without it, the longer the more it has been tried. */
  readonly wait?: Wait | undefined;
}

/** ChangeMessageVisibilityBatch takes at most this many entries (Amazon SQS API reference). */
const maximumEntries = 10;

export interface RetryLaterOptions {
  /** What a message waits after its first delivery. */
  readonly baseSeconds: number;
  /** From 0 to 1, 1 excluded. */
  readonly random: () => number;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/**
 * Makes messages that are to be tried again visible after a while of their own, instead of after the queue's visibility
 * timeout, which is six times the function's timeout and the same for all.
 */
export class RetryLater {
  readonly #client: SQSClient;
  readonly #options: RetryLaterOptions;
  readonly #queueUrls = new Map<string, string>();

  constructor(client: SQSClient, options: RetryLaterOptions) {
    this.#client = client;
    this.#options = options;
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
    const { baseSeconds, random, now } = this.#options;
    if (wait !== undefined) return waitSeconds(wait, random());
    const receiveCount = Number(attributes.ApproximateReceiveCount);
    const seconds = (now() - Number(attributes.ApproximateFirstReceiveTimestamp)) / 1000;
    return retryDelaySeconds({ receiveCount, seconds }, baseSeconds, random());
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

import { ChangeMessageVisibilityBatchCommand, GetQueueUrlCommand, type SQSClient } from '@aws-sdk/client-sqs';
import { describe, expect, it } from 'vitest';
import { retryDelaySeconds, waitSeconds } from '../../shared/queue/retry-delay.ts';
import { type DeliveredMessage, RetryLater } from '../../shared/queue/retry-later.ts';

const almostOne = 1 - 2 ** -32;

/** Tried so often, and for long enough to wait as long as that has it. */
const tried = (receiveCount: number) => ({ receiveCount, seconds: 14_400 });

describe('retryDelaySeconds', () => {
  it.each([
    [1, 1, 2],
    [2, 2, 4],
    [3, 4, 8],
    [8, 128, 256],
    [9, 256, 512],
    [10, 450, 900],
    [100, 450, 900],
    [1_000_000, 450, 900],
  ])('after delivery %i is from %i to %i seconds, with a base of 2', (receiveCount, least, most) => {
    expect(retryDelaySeconds(tried(receiveCount), 2, 0)).toBe(least);
    expect(retryDelaySeconds(tried(receiveCount), 2, almostOne)).toBe(most);
    const middle = retryDelaySeconds(tried(receiveCount), 2, 0.5);
    expect(middle).toBeGreaterThanOrEqual(least);
    expect(middle).toBeLessThanOrEqual(most);
  });

  it.each([
    [0, 1, 2],
    [-3, 1, 2],
    [3, 2, 3],
    [60, 30, 60],
    [100, 50, 100],
    [899, 450, 899],
    [10_000, 450, 900],
  ])('first delivered %i seconds ago, however often since, is from %i to %i seconds', (seconds, least, most) => {
    expect(retryDelaySeconds({ receiveCount: 100, seconds }, 2, 0)).toBe(least);
    expect(retryDelaySeconds({ receiveCount: 100, seconds }, 2, almostOne)).toBe(most);
  });

  it('grows with the tries until it is the longest, where each try is at the end of its wait', () => {
    for (const random of [0, 0.5, almostOne]) {
      const waits: number[] = [];
      let seconds = 0;
      for (let receiveCount = 1; receiveCount <= 20; receiveCount++) {
        const wait = retryDelaySeconds({ receiveCount, seconds }, 5, random);
        waits.push(wait);
        seconds += wait;
      }
      expect(waits).toEqual(waits.toSorted((one, other) => one - other));
      expect(waits.at(-1)).toBe(Math.round(450 + 450 * random));
    }
  });

  it('is whole seconds and at least one, whatever the base', () => {
    for (const base of [1, 3, 7, 60, 1_209_600]) {
      for (let count = 1; count < 30; count++) {
        for (const random of [0, 0.123, 0.5, almostOne]) {
          const delay = retryDelaySeconds(tried(count), base, random);
          expect(Number.isInteger(delay) && delay >= 1 && delay <= 900, `${count} ${base} ${random}: ${delay}`).toBe(
            true,
          );
        }
      }
    }
  });
});

describe('waitSeconds', () => {
  it('is anywhere between what was said, in whole seconds from 1 to 900', () => {
    expect([0, 0.5, almostOne].map((random) => waitSeconds({ least: 60, most: 300 }, random))).toEqual([60, 180, 300]);
    expect(waitSeconds({ least: 0, most: 0.4 }, 0.5)).toBe(1);
    expect(waitSeconds({ least: 600, most: 3_000 }, almostOne)).toBe(900);
  });
});

describe('RetryLater', () => {
  const arn = (name: string): string => `arn:aws:sqs:eu-west-1:111122223333:${name}`;
  const now = 1_800_000_000_000;
  /** @param age seconds since its first delivery */
  const message = (id: number, queue = 'requests', receives = 1, age = 14_400): DeliveredMessage => ({
    messageId: `message-${id}`,
    receiptHandle: `handle-${id}`,
    eventSourceARN: arn(queue),
    attributes: {
      ApproximateReceiveCount: String(receives),
      ApproximateFirstReceiveTimestamp: String(now - age * 1000),
    },
  });

  /** A queue service that answers visibility changes as told. */
  function queuesThat(answer: (command: ChangeMessageVisibilityBatchCommand) => object = () => ({})) {
    const changes: ChangeMessageVisibilityBatchCommand['input'][] = [];
    const urlsAsked: GetQueueUrlCommand['input'][] = [];
    const send = async (command: object) => {
      if (command instanceof GetQueueUrlCommand) {
        urlsAsked.push(command.input);
        return command.input.QueueName === 'unknown'
          ? {}
          : { QueueUrl: `https://sqs.example.com/${command.input.QueueName}` };
      }
      if (!(command instanceof ChangeMessageVisibilityBatchCommand)) throw new Error('not expected');
      changes.push(command.input);
      return answer(command);
    };
    const errors: string[] = [];
    const retryLater = new RetryLater({ send } as unknown as SQSClient, {
      baseSeconds: 2,
      random: () => 0,
      now: () => now,
    });
    return {
      changes,
      urlsAsked,
      errors,
      postpone: (messages: readonly DeliveredMessage[]) =>
        retryLater.postpone(messages, ({ message }) => errors.push(message)),
    };
  }

  it('postpones each by its own deliveries, ten at a time, in its own queue', async () => {
    const { changes, urlsAsked, errors, postpone } = queuesThat();
    await postpone([
      ...Array.from({ length: 12 }, (_, index) => message(index, 'requests', index + 1)),
      message(99, 'redrive'),
    ]);
    expect(changes.map(({ QueueUrl, Entries }) => [QueueUrl, Entries?.length])).toEqual([
      ['https://sqs.example.com/requests', 10],
      ['https://sqs.example.com/requests', 2],
      ['https://sqs.example.com/redrive', 1],
    ]);
    expect(changes[0]?.Entries?.slice(0, 3)).toEqual([
      { Id: '0', ReceiptHandle: 'handle-0', VisibilityTimeout: 1 },
      { Id: '1', ReceiptHandle: 'handle-1', VisibilityTimeout: 2 },
      { Id: '2', ReceiptHandle: 'handle-2', VisibilityTimeout: 4 },
    ]);
    expect(urlsAsked).toEqual([
      { QueueName: 'requests', QueueOwnerAWSAccountId: '111122223333' },
      { QueueName: 'redrive', QueueOwnerAWSAccountId: '111122223333' },
    ]);
    await postpone([message(1)]);
    expect(urlsAsked).toHaveLength(2);
    expect(errors).toEqual([]);
  });

  it('postpones none for longer than it has been tried for', async () => {
    const { changes, postpone } = queuesThat();
    await postpone([message(1, 'requests', 20, 1), message(2, 'requests', 20, 30), message(3, 'requests', 20)]);
    expect(changes[0]?.Entries?.map(({ VisibilityTimeout }) => VisibilityTimeout)).toEqual([1, 15, 450]);
  });

  it('keeps a message away for as long as it is told to, however often it was delivered', async () => {
    const { changes, postpone } = queuesThat();
    await postpone([{ ...message(1, 'requests', 9), wait: { least: 60, most: 300 } }, message(2)]);
    expect(changes[0]?.Entries?.map(({ VisibilityTimeout }) => VisibilityTimeout)).toEqual([60, 1]);
  });

  it('does nothing for no messages', async () => {
    const { changes, postpone } = queuesThat();
    await postpone([]);
    expect(changes).toEqual([]);
  });

  it('tells of each message that was not postponed, and goes on', async () => {
    const { changes, errors, postpone } = queuesThat(({ input }) => {
      if (input.QueueUrl?.endsWith('/broken') === true) throw new Error('no connection');
      return { Failed: [{ Id: '1', Code: 'ReceiptHandleIsInvalid', Message: 'gone' }] };
    });
    await postpone([message(1, 'broken'), message(2, 'unknown'), message(3), message(4)]);
    expect(changes).toHaveLength(2);
    expect(errors).toEqual([
      'no connection',
      `SQS knows no URL of ${arn('unknown')}.`,
      'Message message-4 was not postponed: ReceiptHandleIsInvalid: gone',
    ]);
  });
});

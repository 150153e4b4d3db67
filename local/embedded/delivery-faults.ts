import type { Message } from '@aws-sdk/client-sqs';
import type { MessageSource } from './message-source.ts';
import type { SeededRandom } from './seeded-random.ts';

/**
 * What a standard queue may do to messages (Amazon SQS developer guide, "Amazon SQS standard queues": at least once, best-
 * effort ordering), and seldom does: how often it does it here.
 */
export interface DeliveryChances {
  /** Of a message that is delivered, that it is delivered once more soon, maybe to another worker at the same time. */
  readonly duplicate: number;
  /** Of a message, that it comes `lateMilliseconds` later: after others, maybe after its visibility timeout has ended. */
  readonly late: number;
  readonly lateMilliseconds: number;
}

interface Held {
  readonly message: Message;
  readonly due: number;
}

/**
 * A queue's messages with what can happen to them, in a random order. One for all pollers of a mapping: what one of them
 * received, another may get again.
 *
 * @param chances asked for each time, so that they can change
 * @param now milliseconds, on any clock
 */
export function disturbedSource(
  source: MessageSource,
  chances: () => DeliveryChances,
  random: SeededRandom,
  now: () => number,
): MessageSource {
  let held: readonly Held[] = [];

  const takeDue = (maximum: number): Message[] => {
    const due = held.filter((one) => one.due <= now()).slice(0, maximum);
    held = held.filter((one) => !due.includes(one));
    return due.map(({ message }) => message);
  };

  return {
    async receive(maximum, signal) {
      const due = takeDue(maximum);
      if (due.length > 0) return random.shuffled(due);
      const { duplicate, late, lateMilliseconds } = chances();
      const delivered: Message[] = [];
      for (const message of await source.receive(maximum, signal)) {
        if (random.chance(late)) held = [...held, { message, due: now() + lateMilliseconds }];
        else {
          delivered.push(message);
          if (random.chance(duplicate)) held = [...held, { message, due: now() }];
        }
      }
      return random.shuffled(delivered);
    },
    delete: (messages) => source.delete(messages),
  };
}

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type DeliveredRecord,
  deadLetterSenderOf,
  redriveAttributes,
  senderOf,
} from '../../shared/failures/redriven-message.ts';
import type { FailureRecord } from '../../shared/ledger/index.ts';
import { failureRecord } from '../support/failure-record.ts';

const arn = (name: string): string => `arn:aws:sqs:eu-west-1:111122223333:test-${name}`;
const redriveQueue = arn('redrive');

/** The message as SQS delivers it, sent by an operator to `queue` and received from `from`. */
function delivered(
  failure: FailureRecord,
  { queue = redriveQueue, from = queue, ...over }: { queue?: string; from?: string } & Partial<DeliveredRecord> = {},
): DeliveredRecord {
  return {
    messageId: 'sent-again',
    eventSourceARN: from,
    attributes: { SenderId: 'AROAOPERATOR:someone', ...(from === queue ? {} : { DeadLetterQueueSourceArn: queue }) },
    messageAttributes: Object.fromEntries(
      Object.entries(redriveAttributes(failure)).map(([name, { StringValue: stringValue }]) => [name, { stringValue }]),
    ),
    ...over,
  };
}

describe('a redriven message', () => {
  it('has its past with it', () => {
    const failure = failureRecord();
    expect(senderOf(delivered(failure), redriveQueue)).toEqual({
      senderId: failure.sender,
      redriven: {
        originalMessageId: failure.messageId,
        redriveCount: 1,
        resentBy: 'AROAOPERATOR:someone',
        sentAt: failure.sentAt,
        earlierTries: 40,
        firstError: { code: 'SIGNER_UNAVAILABLE', detail: 'The HSM is busy.', at: failure.firstFailedAt },
      },
    });
  });

  it('keeps the first message and sender, and counts, over any number of redrives', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 50 }),
        fc.array(fc.nat(100), { minLength: 1, maxLength: 20 }),
        (at, tries) => {
          const first = failureRecord({ tries: tries[0] ?? 0, firstFailedAt: at * 1_000 });
          let row = first;
          for (const [index, more] of tries.slice(1).entries()) {
            const { senderId, redriven } = senderOf(delivered(row), redriveQueue);
            // As ledger/failures.ts records it.
            row = failureRecord({
              messageId: `message-${index}`,
              sender: senderId,
              originalMessageId: redriven?.originalMessageId,
              redriveCount: redriven?.redriveCount ?? 0,
              tries: more + (redriven?.earlierTries ?? 0),
              sentAt: redriven?.sentAt,
              firstFailedAt: redriven?.firstError?.at,
            });
          }
          const last = senderOf(delivered(row), redriveQueue);
          expect(last.senderId).toBe(first.sender);
          expect(last.redriven).toMatchObject({
            originalMessageId: first.messageId,
            redriveCount: tries.length,
            earlierTries: tries.reduce((sum, each) => sum + each, 0),
            sentAt: first.sentAt,
            firstError: { at: first.firstFailedAt },
          });
        },
      ),
    );
  });

  it('carries only what SQS takes, whatever a detail has in it', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 3_000 }), (firstDetail) => {
        const attributes = redriveAttributes(failureRecord({ firstDetail: `\u0000\ud800${firstDetail}` }));
        expect(Object.keys(attributes).length).toBeLessThanOrEqual(10);
        for (const { DataType, StringValue = '' } of Object.values(attributes)) {
          expect(DataType).toBe('String');
          expect(StringValue).toMatch(/^[\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]{1,1000}$/u);
        }
      }),
    );
  });

  it('of a row that is older than its columns is redriven all the same', () => {
    const bare = failureRecord({ sentAt: undefined, firstCode: '', firstDetail: '', firstFailedAt: undefined });
    expect(senderOf(delivered(bare), redriveQueue)).toMatchObject({
      senderId: bare.sender,
      redriven: { sentAt: undefined, firstError: undefined, redriveCount: 1 },
    });
  });

  it('whose numbers are none is believed in the rest', () => {
    const message = delivered(failureRecord());
    const messageAttributes = {
      ...message.messageAttributes,
      redriveCount: { stringValue: '-1' },
      earlierTries: { stringValue: '1e9' },
      originalSentAt: { stringValue: 'yesterday' },
    };
    expect(senderOf({ ...message, messageAttributes }, redriveQueue)).toMatchObject({
      senderId: 'AROAEXAMPLEROLEID:gateway-1',
      redriven: { redriveCount: 1, earlierTries: 0, sentAt: undefined },
    });
  });
});

describe('a forged one', () => {
  const attested = { senderId: 'AROAOPERATOR:someone' };
  const forged = failureRecord({ sender: 'AROAVICTIM' });

  it('in the requests queue is its sender\u2019s own', () => {
    expect(senderOf(delivered(forged, { queue: arn('requests') }), redriveQueue)).toEqual(attested);
  });

  it('that became a dead letter of the requests queue is its sender\u2019s own', () => {
    const letter = delivered(forged, { queue: arn('requests'), from: arn('dead-letters') });
    expect(deadLetterSenderOf(letter, redriveQueue)).toEqual(attested);
  });

  it('sent straight to the dead-letter queue is its sender\u2019s own', () => {
    expect(deadLetterSenderOf(delivered(forged, { queue: arn('dead-letters') }), redriveQueue)).toEqual(attested);
  });

  it('that names the redrive queue in an attribute of its own is its sender\u2019s own', () => {
    const letter = delivered(forged, { queue: arn('requests'), from: arn('dead-letters') });
    const messageAttributes = { ...letter.messageAttributes, DeadLetterQueueSourceArn: { stringValue: redriveQueue } };
    expect(deadLetterSenderOf({ ...letter, messageAttributes }, redriveQueue)).toEqual(attested);
    const message = { ...delivered(forged, { queue: arn('requests') }), messageAttributes };
    expect(senderOf(message, redriveQueue)).toEqual(attested);
  });

  it('of which SQS says that it was once a dead letter of the redrive queue, in the requests queue, is its sender\u2019s own', () => {
    const attributes = { SenderId: attested.senderId, DeadLetterQueueSourceArn: redriveQueue };
    expect(senderOf(delivered(forged, { queue: arn('requests'), attributes }), redriveQueue)).toEqual(attested);
  });
});

describe('a dead letter of the redrive queue', () => {
  it('is its first sender\u2019s', () => {
    const failure = failureRecord();
    const letter = delivered(failure, { from: arn('dead-letters') });
    expect(deadLetterSenderOf(letter, redriveQueue)).toEqual(senderOf(delivered(failure), redriveQueue));
  });

  it('without attributes is the sender\u2019s who put it there', () => {
    const letter = delivered(failureRecord(), { from: arn('dead-letters'), messageAttributes: {} });
    expect(deadLetterSenderOf(letter, redriveQueue)).toEqual({ senderId: 'AROAOPERATOR:someone' });
  });
});

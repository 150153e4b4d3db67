import type { MessageAttributeValue } from '@aws-sdk/client-sqs';
import type { FailureRecord, FirstError, Redriven } from '../ledger/index.ts';

/** What is needed of an SQS record of a Lambda event. */
export interface DeliveredRecord {
  readonly messageId: string;
  readonly eventSourceARN: string;
  readonly attributes: { readonly SenderId: string; readonly DeadLetterQueueSourceArn?: string | undefined };
  readonly messageAttributes: Readonly<Record<string, { readonly stringValue?: string | undefined }>>;
}

/** Whose request a message is. */
export interface AttestedSender {
  /** As SQS's SenderId attribute; of a redriven message, that of the message that was first sent. */
  readonly senderId: string;
  readonly redriven?: Redriven;
}

/** Characters; a message may have 1 MiB, attributes included (Amazon SQS quotas), and a body here has at most 64 KiB. */
const longestText = 1_000;

/** What a message must carry so that nothing is lost of the failure that it is redriven from; 8 of at most 10 attributes. */
export function redriveAttributes(failure: FailureRecord): Record<string, MessageAttributeValue> {
  const { originalMessageId = failure.messageId, redriveCount, sender, tries, sentAt, failedAt } = failure;
  const firstFailedAt = failure.firstFailedAt ?? failedAt;
  const values: Readonly<Record<string, string>> = {
    originalSenderId: sender,
    originalMessageId,
    redriveCount: String(redriveCount + 1),
    earlierTries: String(tries),
    originalSentAt: sentAt === undefined ? '' : new Date(sentAt).toISOString(),
    firstCode: failure.firstCode,
    firstDetail: failure.firstDetail,
    firstFailedAt: firstFailedAt === undefined ? '' : new Date(firstFailedAt).toISOString(),
  };
  return Object.fromEntries(
    Object.entries(values)
      .filter(([, value]) => value !== '')
      .map(([name, value]) => [name, { DataType: 'String', StringValue: sendable(value) }]),
  );
}

/** SQS refuses a whole message for a character that XML 1.0 does not have (Amazon SQS API reference, SendMessage). */
const sendable = (text: string): string =>
  text
    .slice(0, longestText)
    .toWellFormed()
    .replaceAll(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, '\ufffd');

/**
 * The sender of a message as the issue function gets it. Any producer may put any attribute on a message of the requests
 * queue; those of the redrive queue are believed, since only who may redrive can send to it (deploy/policies.yml). Which
 * queue a record is of, and who sent it, is said by the event: by Lambda, when its poller calls, and by whoever else may
 * invoke the function, which nobody should (docs/deploying.md, "Who is believed").
 */
export const senderOf = (record: DeliveredRecord, redriveQueueArn: string): AttestedSender =>
  attestedSender(record, record.eventSourceARN === redriveQueueArn);

/**
 * The sender of a dead letter. SQS itself says which queue it moved it from: DeadLetterQueueSourceArn cannot be sent, as
 * AWSTraceHeader is the only system attribute that can (Amazon SQS API reference, SendMessage); what holds of the event of
 * `senderOf` holds here. Where an emulator does not say it, the message is taken for whoever sent it last.
 */
export const deadLetterSenderOf = (record: DeliveredRecord, redriveQueueArn: string): AttestedSender =>
  attestedSender(record, record.attributes.DeadLetterQueueSourceArn === redriveQueueArn);

function attestedSender({ attributes, messageAttributes }: DeliveredRecord, isRedriven: boolean): AttestedSender {
  const resentBy = attributes.SenderId;
  const text = (name: string): string | undefined => messageAttributes[name]?.stringValue || undefined;
  const originalSenderId = text('originalSenderId');
  const originalMessageId = text('originalMessageId');
  if (!isRedriven || originalSenderId === undefined || originalMessageId === undefined) return { senderId: resentBy };
  return {
    senderId: originalSenderId,
    redriven: {
      originalMessageId,
      resentBy,
      redriveCount: Math.max(1, countIn(text('redriveCount'))),
      earlierTries: countIn(text('earlierTries')),
      sentAt: timeIn(text('originalSentAt')),
      firstError: firstErrorIn(text),
    },
  };
}

function firstErrorIn(text: (name: string) => string | undefined): FirstError | undefined {
  const [code, detail = '', at] = [text('firstCode'), text('firstDetail'), timeIn(text('firstFailedAt'))];
  return code === undefined || at === undefined ? undefined : { code, detail, at };
}

const countIn = (text = ''): number => (/^\d{1,9}$/.test(text) ? Number(text) : 0);

function timeIn(text = ''): number | undefined {
  const time = Date.parse(text);
  return Number.isNaN(time) ? undefined : time;
}

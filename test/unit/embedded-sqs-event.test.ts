import type { Message } from '@aws-sdk/client-sqs';
import { describe, expect, it } from 'vitest';
import { sqsEvent, succeeded } from '../../local/embedded/sqs-event.ts';

const source = { arn: 'arn:aws:sqs:eu-central-1:000000000000:requests', region: 'eu-central-1' };
const messages: Message[] = ['a', 'b', 'c'].map((id) => ({ MessageId: id, ReceiptHandle: `receipt-${id}` }));
const reported = (payload: unknown): (string | undefined)[] =>
  succeeded(messages, { payload: typeof payload === 'string' ? payload : JSON.stringify(payload) }, true).map(
    ({ MessageId }) => MessageId,
  );

describe('the event of a batch', () => {
  it('has the fields that Lambda documents', () => {
    const event = sqsEvent(
      [
        {
          MessageId: '059f36b4',
          ReceiptHandle: 'AQEB',
          Body: 'Test message.',
          MD5OfBody: 'e4e68fb7bd0e697a0ae8f1bb342846b3',
          MD5OfMessageAttributes: 'd25a6aea',
          Attributes: {
            ApproximateReceiveCount: '1',
            SentTimestamp: '1545082649183',
            SenderId: 'AIDAIENQZJOLO23YVJ4VO',
            ApproximateFirstReceiveTimestamp: '1545082649185',
          },
          MessageAttributes: {
            name: { DataType: 'String', StringValue: 'value' },
            bytes: { DataType: 'Binary', BinaryValue: new Uint8Array([0, 255]) },
          },
        },
      ],
      source,
    );
    expect(event).toEqual({
      Records: [
        {
          messageId: '059f36b4',
          receiptHandle: 'AQEB',
          body: 'Test message.',
          attributes: {
            ApproximateReceiveCount: '1',
            SentTimestamp: '1545082649183',
            SenderId: 'AIDAIENQZJOLO23YVJ4VO',
            ApproximateFirstReceiveTimestamp: '1545082649185',
          },
          messageAttributes: {
            name: { dataType: 'String', stringValue: 'value', stringListValues: [], binaryListValues: [] },
            bytes: { dataType: 'Binary', binaryValue: 'AP8=', stringListValues: [], binaryListValues: [] },
          },
          md5OfBody: 'e4e68fb7bd0e697a0ae8f1bb342846b3',
          md5OfMessageAttributes: 'd25a6aea',
          eventSource: 'aws:sqs',
          eventSourceARN: source.arn,
          awsRegion: 'eu-central-1',
        },
      ],
    });
  });
});

describe('what a batch response means', () => {
  it.each([
    ['null', null],
    ['an empty object', {}],
    ['an empty list', { batchItemFailures: [] }],
    ['a null list', { batchItemFailures: null }],
  ])('%s: every message succeeded', (_, payload) => {
    expect(reported(payload)).toEqual(['a', 'b', 'c']);
  });

  it('names the failed ones: the others succeeded', () => {
    expect(reported({ batchItemFailures: [{ itemIdentifier: 'b' }] })).toEqual(['a', 'c']);
  });

  it.each([
    ['an empty identifier', { batchItemFailures: [{ itemIdentifier: '' }] }],
    ['a null identifier', { batchItemFailures: [{ itemIdentifier: null }] }],
    ['another key', { batchItemFailures: [{ messageId: 'a' }] }],
    [
      'an identifier that is not in the batch',
      { batchItemFailures: [{ itemIdentifier: 'a' }, { itemIdentifier: 'x' }] },
    ],
    ['no list', { batchItemFailures: 'a' }],
    ['no object', 'true'],
  ])('%s: every message failed', (_, payload) => {
    expect(reported(payload)).toEqual([]);
  });

  it('an error: every message failed', () => {
    const error = { errorType: 'Error', errorMessage: 'no' };
    expect(succeeded(messages, { error }, true)).toEqual([]);
    expect(succeeded(messages, { error }, false)).toEqual([]);
  });

  it('counts for nothing where the mapping does not ask for it', () => {
    const payload = JSON.stringify({ batchItemFailures: [{ itemIdentifier: 'b' }] });
    expect(succeeded(messages, { payload }, false)).toEqual(messages);
  });
});

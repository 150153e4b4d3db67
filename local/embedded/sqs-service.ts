import * as z from 'zod';
import type { Answer } from './aws-error.ts';
import { awsError } from './aws-error.ts';
import type { GatewayRequest, Service } from './gateway.ts';
import { Senders, senderIdOf } from './senders.ts';

const sent = z.object({ MessageId: z.string() });
const sentBatch = z.object({ Successful: z.array(sent).optional() });
const received = z.looseObject({
  Messages: z
    .array(
      z.looseObject({
        MessageId: z.string(),
        ReceiptHandle: z.string(),
        Attributes: z.record(z.string(), z.string()).optional(),
      }),
    )
    .optional(),
});
const deleteMessage = z.object({ ReceiptHandle: z.string() });
const deleteMessageBatch = z.object({ Entries: z.array(deleteMessage.extend({ Id: z.string() })) });
const deletedBatch = z.object({ Successful: z.array(z.object({ Id: z.string() })).optional() });

/**
 * SQS as fauxqs does it, with what it lacks: SenderId is that of the access key id that sent the message, a dead letter has a
 * DeadLetterQueueSourceArn, and queue URLs point to the gateway, also when they are what a client calls.
 *
 * @param endpoint the gateway's
 */
export function sqsService(fauxqs: Service, endpoint: string, region: string): Service {
  const senders = new Senders();

  return async (request) => {
    const target = request.headers['x-amz-target'];
    if (typeof target !== 'string') {
      return awsError('query', 400, 'NotImplemented', "The embedded cloud speaks SQS's JSON protocol only.");
    }
    const call = () => fauxqs({ ...request, url: '/' });
    switch (target.replace(/^AmazonSQS\./, '')) {
      case 'SendMessage':
      case 'SendMessageBatch': {
        const origin = { senderId: senderIdOf(request.accessKeyId), queueUrl: queueUrlOf(request) };
        const { answer } = await senders.during(origin, noteIds(call()));
        return answer;
      }
      case 'ReceiveMessage':
        return setOrigins(await call(), senders, queueUrlOf(request), region);
      case 'DeleteMessage':
      case 'DeleteMessageBatch': {
        const answer = await call();
        for (const receiptHandle of deletedBy(request, answer)) senders.forget(receiptHandle);
        return answer;
      }
      case 'CreateQueue':
      case 'GetQueueUrl':
      case 'ListQueues':
        return withQueueUrls(await call(), endpoint);
      default:
        return call();
    }
  };
}

async function noteIds(answered: Promise<Answer>): Promise<{ answer: Answer; messageIds: string[] }> {
  const answer = await answered;
  const content = contentOf(answer);
  const messages = sentBatch.safeParse(content).data?.Successful ?? [];
  const message = sent.safeParse(content).data;
  return { answer, messageIds: [...messages, ...(message === undefined ? [] : [message])].map((one) => one.MessageId) };
}

const addressed = z.object({ QueueUrl: z.string() });

/** Of a request to one queue; what fauxqs refuses may have none. */
function queueUrlOf({ body }: GatewayRequest): string {
  return addressed.safeParse(body.length === 0 ? undefined : JSON.parse(body.toString())).data?.QueueUrl ?? '';
}

/** A queue URL ends in the account id and the queue's name. */
const queueArnOf = (queueUrl: string, region: string): string =>
  ['arn:aws:sqs', region, ...new URL(queueUrl).pathname.split('/').slice(-2)].join(':');

async function setOrigins(answer: Answer, senders: Senders, queueUrl: string, region: string): Promise<Answer> {
  const content = received.safeParse(contentOf(answer)).data;
  if (content?.Messages === undefined) return answer;
  const messages = await Promise.all(
    content.Messages.map(async (message) => {
      const origin = await senders.of(message.MessageId, message.ReceiptHandle);
      // Only where it was asked for: fauxqs has put its own constant there.
      if (origin === undefined || message.Attributes?.['SenderId'] === undefined) return message;
      const isDeadLetter = new URL(origin.queueUrl).pathname !== new URL(queueUrl).pathname;
      return {
        ...message,
        Attributes: {
          ...message.Attributes,
          SenderId: origin.senderId,
          ...(isDeadLetter ? { DeadLetterQueueSourceArn: queueArnOf(origin.queueUrl, region) } : {}),
        },
      };
    }),
  );
  return withContent(answer, { ...content, Messages: messages });
}

/** The receipt handles whose deletion the answer confirms. */
function deletedBy(request: GatewayRequest, answer: Answer): string[] {
  if (answer.status !== 200) return [];
  const asked: unknown = JSON.parse(request.body.toString());
  const batch = deleteMessageBatch.safeParse(asked).data;
  if (batch === undefined) return [deleteMessage.parse(asked).ReceiptHandle];
  const confirmed = new Set(deletedBatch.safeParse(contentOf(answer)).data?.Successful?.map(({ Id }) => Id));
  return batch.Entries.filter(({ Id }) => confirmed.has(Id)).map((one) => one.ReceiptHandle);
}

const queueUrls = z.looseObject({ QueueUrl: z.string().optional(), QueueUrls: z.array(z.string()).optional() });

function withQueueUrls(answer: Answer, endpoint: string): Answer {
  const content = queueUrls.safeParse(contentOf(answer)).data;
  if (content === undefined) return answer;
  const ours = (url: string) => endpoint + new URL(url).pathname;
  const { QueueUrl: one, QueueUrls: many } = content;
  return withContent(answer, {
    ...content,
    ...(one === undefined ? {} : { QueueUrl: ours(one) }),
    ...(many === undefined ? {} : { QueueUrls: many.map(ours) }),
  });
}

function contentOf(answer: Answer): unknown {
  return answer.status === 200 && answer.body.length > 0 ? JSON.parse(answer.body.toString()) : undefined;
}

function withContent(answer: Answer, content: unknown): Answer {
  return { ...answer, body: Buffer.from(JSON.stringify(content)) };
}

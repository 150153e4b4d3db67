import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { CreateTableCommand, waitUntilTableExists } from '@aws-sdk/client-dynamodb';
import type { S3Client } from '@aws-sdk/client-s3';
import { CreateBucketCommand } from '@aws-sdk/client-s3';
import type { SNSClient } from '@aws-sdk/client-sns';
import { CreateTopicCommand } from '@aws-sdk/client-sns';
import type { QueueAttributeName, SQSClient } from '@aws-sdk/client-sqs';
import { CreateQueueCommand } from '@aws-sdk/client-sqs';
import type { Definitions, QueueDefinition } from './definitions.ts';

export interface Clients {
  readonly dynamodb: DynamoDBClient;
  readonly s3: S3Client;
  readonly sns: SNSClient;
  readonly sqs: SQSClient;
}

/** Creates what is defined; resolves when all of it can be used. */
export async function provision(definitions: Definitions, clients: Clients): Promise<void> {
  await Promise.all([
    ...definitions.tables.map(async (table) => {
      await clients.dynamodb.send(new CreateTableCommand(table));
      await waitUntilTableExists(
        { client: clients.dynamodb, minDelay: 0.01, maxDelay: 0.1, maxWaitTime: 10 },
        { TableName: table.TableName },
      );
    }),
    ...definitions.queues.map((queue) =>
      clients.sqs.send(new CreateQueueCommand({ QueueName: queue.QueueName, Attributes: queueAttributes(queue) })),
    ),
    ...definitions.topics.map((topic) => clients.sns.send(new CreateTopicCommand({ Name: topic.TopicName }))),
    ...definitions.buckets.map((bucket) => clients.s3.send(new CreateBucketCommand({ Bucket: bucket.BucketName }))),
  ]);
}

/** CloudFormation's property names are the API's attribute names; their values are text there. */
function queueAttributes(queue: QueueDefinition): Partial<Record<QueueAttributeName, string>> {
  return Object.fromEntries(
    Object.entries(queue)
      .filter(([name]) => name !== 'QueueName')
      .map(([name, value]) => [name, typeof value === 'object' ? JSON.stringify(value) : String(value)]),
  );
}

import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { S3Client } from '@aws-sdk/client-s3';
import { SNSClient } from '@aws-sdk/client-sns';
import { SQSClient } from '@aws-sdk/client-sqs';
import { readDocuments, resolveDefinitions } from '../../local/embedded/definitions.ts';
import { provision } from '../../local/embedded/provision.ts';
import { startDynamoDB } from './dynamodb.ts';

const region = 'eu-west-1';
const prefix = 'test';

export const tables = {
  issuance: `${prefix}-issuance`,
  revocations: `${prefix}-revocations`,
  devices: `${prefix}-devices`,
  senders: `${prefix}-senders`,
  keys: `${prefix}-keys`,
  quotas: `${prefix}-quotas`,
  issuers: `${prefix}-issuers`,
  failures: `${prefix}-failures`,
} as const;

export interface Tables {
  readonly client: DynamoDBClient;
  /** Another client of the same tables, whose `send` a test may wrap. */
  newClient(): DynamoDBClient;
  close(): Promise<void>;
}

/** The tables of deploy/tables.yml, empty, in an emulator of this process; one attempt for each call. */
export async function startTables(): Promise<Tables> {
  const emulator = await startDynamoDB(region);
  const options = {
    region,
    endpoint: emulator.endpoint,
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
    maxAttempts: 1,
  };
  const { resources } = await readDocuments(new URL('../../deploy/', import.meta.url));
  const isTable = (resource: unknown) => (resource as { Type?: unknown }).Type === 'AWS::DynamoDB::Table';
  const { tables: definitions, references } = resolveDefinitions(
    {
      resources: Object.fromEntries(Object.entries(resources).filter(([, resource]) => isTable(resource))),
      functions: {},
    },
    { endpoint: options.endpoint, region, accountId: '000000000000', stage: 'test', parameters: { prefix } },
  );
  const clients: DynamoDBClient[] = [];
  const newClient = () => {
    const client = new DynamoDBClient(options);
    clients.push(client);
    return client;
  };
  const client = newClient();
  await provision(
    { tables: definitions, queues: [], topics: [], buckets: [], functions: [], references },
    { dynamodb: client, s3: new S3Client(options), sns: new SNSClient(options), sqs: new SQSClient(options) },
  );
  return {
    client,
    newClient,
    close: async () => {
      for (const open of clients) open.destroy();
      await emulator.close();
    },
  };
}

import { Readable } from 'node:stream';
import { BatchGetItemCommand, DynamoDBClient, GetItemCommand, UpdateItemCommand } from '@aws-sdk/client-dynamodb';
import { SNSClient } from '@aws-sdk/client-sns';

/** The tables' names, by which what is asked for is told apart. */
export const tables = {
  issuance: 'issuance',
  revocations: 'revocations',
  devices: 'devices',
  senders: 'senders',
  keys: 'keys',
  failures: 'failures',
  quotas: 'quotas',
} as const;

type Keys = readonly Record<string, unknown>[];

/** Every device is registered, no sender is, no key is blocked, nothing was ever issued. */
function itemsOf(table: string, keys: Keys): Record<string, unknown>[] {
  return table === tables.devices ? keys.map((key) => ({ ...key, state: { S: 'active' } })) : [];
}

function responses(requestItems: Readonly<Record<string, { readonly Keys?: Keys | undefined }>>) {
  return Object.fromEntries(
    Object.entries(requestItems).map(([table, { Keys: keys = [] }]) => [table, itemsOf(table, keys)]),
  );
}

/**
 * A DynamoDB that answers at once and keeps nothing, without a client: what is left of issuing is what our own code and
 * the cryptography take.
 */
export function absentDynamoDB(): DynamoDBClient {
  return {
    async send(command: unknown) {
      if (command instanceof BatchGetItemCommand) return { Responses: responses(command.input.RequestItems ?? {}) };
      if (command instanceof UpdateItemCommand || command instanceof GetItemCommand) return {};
      throw new TypeError('The issuing core called something else than it does for a new request.');
    },
  } as unknown as DynamoDBClient;
}

/** What a request handler of the AWS SDK is given of a request. */
interface HttpRequest {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array;
}

/** Answers at once, where the SDK's clients would go to the network: all that they do themselves is done. */
const clientOptions = (answer: (request: HttpRequest, body: string) => string, contentType: string) => ({
  region: 'eu-central-1',
  credentials: { accessKeyId: 'AKIABENCH', secretAccessKey: 'bench' },
  requestHandler: {
    handle: async (request: HttpRequest) => {
      const sent = typeof request.body === 'string' ? request.body : new TextDecoder().decode(request.body);
      const body = answer(request, sent);
      const headers = { 'content-type': contentType };
      return { response: { statusCode: 200, headers, body: Readable.from([Buffer.from(body)]) } };
    },
  },
});

/** The real client of a DynamoDB that answers at once and keeps nothing. */
export function instantDynamoDB(): DynamoDBClient {
  return new DynamoDBClient(
    clientOptions(({ headers }, body) => {
      const operation = headers['x-amz-target']?.split('.').at(-1);
      if (operation === 'UpdateItem' || operation === 'GetItem') return '{}';
      if (operation !== 'BatchGetItem') throw new TypeError(`The issuing core called ${operation}.`);
      const { RequestItems } = JSON.parse(body) as { RequestItems: Record<string, { Keys: Keys }> };
      return JSON.stringify({ Responses: responses(RequestItems), UnprocessedKeys: {} });
    }, 'application/x-amz-json-1.0'),
  );
}

/** The real client of an SNS that takes every PublishBatch. */
export function instantSNS(): SNSClient {
  return new SNSClient(
    clientOptions((_, body) => {
      const ids = [...new URLSearchParams(body)].flatMap(([name, value]) => (name.endsWith('.Id') ? [value] : []));
      const members = ids.map((id) => `<member><Id>${id}</Id><MessageId>${id}</MessageId></member>`).join('');
      return `<PublishBatchResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishBatchResult><Failed/><Successful>${members}</Successful></PublishBatchResult><ResponseMetadata><RequestId>0</RequestId></ResponseMetadata></PublishBatchResponse>`;
    }, 'text/xml'),
  );
}

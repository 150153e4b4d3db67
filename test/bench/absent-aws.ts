import { BatchGetItemCommand, type DynamoDBClient, GetItemCommand, UpdateItemCommand } from '@aws-sdk/client-dynamodb';

/**
 * A DynamoDB that answers at once and keeps nothing: every device is registered, nothing was ever issued, every write is
 * done. What is left of issuing is what the process itself has to do.
 */
export function absentDynamoDB(tables: { readonly devices: string }): DynamoDBClient {
  return {
    async send(command: unknown) {
      if (command instanceof BatchGetItemCommand) {
        const [table = '', { Keys: keys = [] } = {}] = Object.entries(command.input.RequestItems ?? {})[0] ?? [];
        const items = table === tables.devices ? keys.map((key) => ({ ...key, state: { S: 'active' } })) : [];
        return { Responses: { [table]: items } };
      }
      if (command instanceof UpdateItemCommand || command instanceof GetItemCommand) return {};
      throw new TypeError('The issuing core called something else than it does for a new request.');
    },
  } as unknown as DynamoDBClient;
}

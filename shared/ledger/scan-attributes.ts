import { type DynamoDBClient, paginateScan } from '@aws-sdk/client-dynamodb';
import type { Item } from './attributes.ts';
import { storeError } from './store-error.ts';

/**
 * Every row of a small table, such as the issuers', strongly consistent, and of each these attributes alone: a role may be
 * held to them (IAM condition keys dynamodb:Attributes and dynamodb:Select).
 * @param attributes by their placeholder
 * @throws MintmarkError STORE_UNAVAILABLE, STORE_REFUSED
 */
export async function scanAttributes(
  client: DynamoDBClient,
  table: string,
  attributes: Readonly<Record<`#${string}`, string>>,
): Promise<Item[]> {
  const found: Item[] = [];
  const pages = paginateScan(
    { client },
    {
      TableName: table,
      ConsistentRead: true,
      Select: 'SPECIFIC_ATTRIBUTES',
      ProjectionExpression: Object.keys(attributes).join(', '),
      ExpressionAttributeNames: attributes,
    },
  );
  try {
    for await (const { Items: items = [] } of pages) found.push(...items);
  } catch (error) {
    throw storeError(error, `Reading ${table}`);
  }
  return found;
}

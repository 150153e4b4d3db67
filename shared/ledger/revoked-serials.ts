import { type DynamoDBClient, GetItemCommand } from '@aws-sdk/client-dynamodb';
import { type Item, string } from './attributes.ts';
import type { AbandonedSerial } from './row.ts';
import { storeError } from './store-error.ts';

/** The revocations table for who only reads it; who writes it has Revocations. */
export class RevokedSerials {
  readonly #client: DynamoDBClient;
  readonly #table: string;

  constructor(client: DynamoDBClient, table: string) {
    this.#client = client;
    this.#table = table;
  }

  /**
   * Whether a serial number is on its CRL, or will be; strongly consistent.
   * @throws MintmarkError STORE_UNAVAILABLE, STORE_REFUSED
   */
  async isRevoked(serial: AbandonedSerial): Promise<boolean> {
    const command = new GetItemCommand({
      TableName: this.#table,
      Key: keyOfSerial(serial),
      ConsistentRead: true,
      ProjectionExpression: 'serialNumber',
    });
    const { Item: item } = await this.#client.send(command).catch((error: unknown) => {
      throw storeError(error, `Reading ${this.#table}`);
    });
    return item !== undefined;
  }
}

/** The key of a serial number's item. */
export const keyOfSerial = ({ issuerId, crlShard, serialNumber }: AbandonedSerial): Item => ({
  issuerShard: string(`${issuerId}#${crlShard}`),
  serialNumber: string(serialNumber),
});

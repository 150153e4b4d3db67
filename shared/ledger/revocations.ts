import { type DynamoDBClient, UpdateItemCommand } from '@aws-sdk/client-dynamodb';
import { string, timestamp } from './attributes.ts';
import { keyOfSerial, RevokedSerials } from './revoked-serials.ts';
import type { AbandonedSerial } from './row.ts';
import { storeError } from './store-error.ts';

/** CRL shard of a serial number, as its certificate's distribution point names it. */
export const crlShardOf = (serialNumber: string, shardCount: number): number =>
  Number.parseInt(serialNumber.slice(-4), 16) % shardCount;

/** The revocations table: a fact of its own, so that a serial number can be revoked whether or not a row holds it. */
export class Revocations {
  readonly #client: DynamoDBClient;
  readonly #table: string;
  readonly #revoked: RevokedSerials;

  constructor(client: DynamoDBClient, table: string) {
    this.#client = client;
    this.#table = table;
    this.#revoked = new RevokedSerials(client, table);
  }

  /** Whether a serial number is on its CRL, or will be; strongly consistent. */
  isRevoked(serial: AbandonedSerial): Promise<boolean> {
    return this.#revoked.isRevoked(serial);
  }

  /**
   * Puts a serial number on its CRL because its attempt was abandoned: a signature over it may exist. Safe to repeat;
   * the first time and reason stay.
   */
  async revokeAbandoned(serial: AbandonedSerial, now: number): Promise<void> {
    const command = new UpdateItemCommand({
      TableName: this.#table,
      Key: keyOfSerial(serial),
      UpdateExpression: 'SET revokedAt = if_not_exists(revokedAt, :now), reason = if_not_exists(reason, :reason)',
      // CRLReason (RFC 5280 section 5.3.1): the certificate was replaced before anybody had it.
      ExpressionAttributeValues: { ':now': timestamp(now), ':reason': string('superseded') },
    });
    await this.#client.send(command).catch((error: unknown) => {
      throw storeError(error, `Revoking an abandoned serial number in ${this.#table}`);
    });
  }
}

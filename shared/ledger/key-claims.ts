import { ConditionalCheckFailedException, type DynamoDBClient, UpdateItemCommand } from '@aws-sdk/client-dynamodb';
import { MintmarkError } from '../errors.ts';
import { number, timestamp } from './attributes.ts';
import { batchGet } from './batch-get.ts';
import { claimItem, type KeyClaim, keyOfFact, readClaim } from './key-row.ts';
import { storeError } from './store-error.ts';

export type { KeyClaim } from './key-row.ts';

/**
 * How long after its notAfter a claim still stands (milliseconds): two workers whose clocks are less than this apart never
 * have a key live for two devices, nor does a device whose own clock is.
 */
export const claimOutlivesNotAfterBy = 60_000;

/** How often a claim is tried that somebody else's write came before. */
const maximumContention = 4;

/** What the keys table says of whose a key is, for profiles that let no two devices have one; keys as in CompromisedKeys. */
export class KeyClaims {
  readonly #client: DynamoDBClient;
  readonly #table: string;

  constructor(client: DynamoDBClient, table: string) {
    this.#client = client;
    this.#table = table;
  }

  /**
   * Makes a key a device's until the claim's notAfter, by one conditional write: where it is nobody's, the device's own, or
   * another's whose certificate has ended. Of several devices at the same moment exactly one has it. Safe to repeat; the
   * device's own later notAfter stands.
   * @param now milliseconds since the epoch
   * @returns undefined when it is the device's now; else whose it is, and nothing was written
   * @throws MintmarkError STORE_UNAVAILABLE, STORE_REFUSED; INTERNAL for a row that cannot be read
   */
  async claim(spkiSha256: string, claim: KeyClaim, now: number): Promise<KeyClaim | undefined> {
    for (let contention = 0; contention < maximumContention; contention++) {
      if (await this.#write(spkiSha256, claim, now)) return undefined;
      const holder = await this.#holderOf(spkiSha256);
      // What the condition saw has gone meanwhile; it is tried again where neither of these is so.
      if (holder?.deviceId === claim.deviceId && holder.notAfter >= claim.notAfter) return undefined;
      if (holder !== undefined && holder.deviceId !== claim.deviceId && !hasEnded(holder, now)) return holder;
    }
    throw new MintmarkError('STORE_UNAVAILABLE', 'Other workers kept writing the row of the same key.');
  }

  async #write(spkiSha256: string, claim: KeyClaim, now: number): Promise<boolean> {
    const free = claim.notAfter + claimOutlivesNotAfterBy;
    const command = new UpdateItemCommand({
      TableName: this.#table,
      Key: keyOfFact('live', spkiSha256),
      UpdateExpression:
        'SET deviceId = :deviceId, requestId = :requestId, notAfter = :notAfter, claimedAt = :now, expiresAt = :expiresAt',
      // Times compare as text: all are ISO 8601 in UTC, of one length.
      ConditionExpression:
        'attribute_not_exists(factSpkiSha256) OR (deviceId = :deviceId AND notAfter <= :notAfter) OR notAfter < :ended',
      ExpressionAttributeValues: {
        ...Object.fromEntries(Object.entries(claimItem(claim)).map(([name, value]) => [`:${name}`, value])),
        ':now': timestamp(now),
        ':ended': timestamp(now - claimOutlivesNotAfterBy),
        // The table's time to live, in seconds: a row that anybody may take over is as good as none.
        ':expiresAt': number(Math.ceil(free / 1000)),
      },
    });
    try {
      await this.#client.send(command);
      return true;
    } catch (error) {
      if (error instanceof ConditionalCheckFailedException) return false;
      throw storeError(error, `Claiming a key in ${this.#table}`);
    }
  }

  async #holderOf(spkiSha256: string): Promise<KeyClaim | undefined> {
    const item = (await batchGet(this.#client, this.#table, [keyOfFact('live', spkiSha256)]))[0];
    return item === undefined ? undefined : readClaim(item);
  }
}

/** As the condition of the write has it. */
const hasEnded = ({ notAfter }: KeyClaim, now: number): boolean => notAfter < now - claimOutlivesNotAfterBy;

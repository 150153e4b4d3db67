import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { batchGet } from './batch-get.ts';
import { factOf, isCompromised, keyOfFact } from './key-row.ts';

/**
 * What the keys table says of compromised keys, as the issuing path reads it; keys are named by the SHA-256 of their
 * SubjectPublicKeyInfo's DER, in lower-case hex. Who says it, and takes it back, is in key-records.ts.
 */
export class CompromisedKeys {
  readonly #client: DynamoDBClient;
  readonly #table: string;

  constructor(client: DynamoDBClient, table: string) {
    this.#client = client;
    this.#table = table;
  }

  /**
   * Those of these keys that are compromised; strongly consistent, and never from memory: what an operator has blocked, no
   * batch that is read later certifies.
   * @throws MintmarkError STORE_UNAVAILABLE, STORE_REFUSED
   */
  async among(spkiSha256s: Iterable<string>): Promise<ReadonlySet<string>> {
    const distinct = [...new Set(spkiSha256s)];
    const rows = await batchGet(
      this.#client,
      this.#table,
      distinct.map((spkiSha256) => keyOfFact('compromised', spkiSha256)),
    );
    const blocked = new Set(rows.filter(isCompromised).map(factOf));
    return new Set(distinct.filter((spkiSha256) => blocked.has(`compromised#${spkiSha256}`)));
  }
}

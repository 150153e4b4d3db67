import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { DescribeKeyCommand, type KMSClient } from '@aws-sdk/client-kms';
import { type CanaryRecord, type CanarySigner, findCanary, type SigningCanary } from '../cluster/index.ts';
import { asMintmarkError } from '../errors.ts';
import { awsKmsError, isAwsKmsUri, parseAwsKmsUri } from '../signer/index.ts';
import type { GuardedIssuer } from './board.ts';
import type { Canary } from './decide.ts';
import { awayCodes, unsealFailed } from './outages.ts';

export interface CanarySources {
  readonly dynamoDB: DynamoDBClient;
  readonly kms: KMSClient;
  readonly issuersTable: string;
  readonly region: string;
  readonly signer: CanarySigner;
  /** Unseals the canary's PIN, and forgets it. */
  readonly unseal: (record: CanaryRecord) => Promise<void>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** The longest that unsealing, opening and signing may take. */
  readonly signMilliseconds: number;
  /** Why a canary fails, or says nothing. */
  readonly onTrouble: (issuerId: string, detail: string) => void;
}

/**
 * One look's canaries: the HSM's signs once, with its own key and PIN, for all issuers of its cluster; of a key in KMS it
 * is asked whether it is enabled, for a kms:Sign would be a CA's signature.
 */
export class Canaries {
  readonly #sources: CanarySources;
  #record: Promise<CanaryRecord> | undefined;
  #unsealed: Promise<void> | undefined;
  #signed: Promise<SigningCanary> | undefined;

  constructor(sources: CanarySources) {
    this.#sources = sources;
  }

  /** Never throws: a canary that cannot be asked is unknown. */
  async of({ issuerId, signerUri, clusterId, breaker }: GuardedIssuer): Promise<Canary> {
    const trouble = (detail: string) => this.#sources.onTrouble(issuerId, detail);
    try {
      if (isAwsKmsUri(signerUri)) return await this.#describe(signerUri, trouble);
      const { dynamoDB, issuersTable, region, signer, now, signMilliseconds, unseal } = this.#sources;
      this.#record ??= findCanary(dynamoDB, issuersTable, region);
      const record = await this.#record;
      if (record.clusterId !== clusterId) {
        trouble(`The canary is of the cluster ${record.clusterId}, the issuer of ${clusterId}.`);
        return 'unknown';
      }
      // A canary that has its PIN signs on without the key store, for want of which the batches could not.
      if (breaker.reason === unsealFailed) await (this.#unsealed ??= unseal(record));
      this.#signed ??= signer.sign(record, now() + signMilliseconds);
      return verdictOf(await this.#signed, trouble);
    } catch (thrown) {
      const { code, message } = asMintmarkError(thrown);
      trouble(message);
      return code === unsealFailed ? 'sealed' : 'unknown';
    }
  }

  async #describe(signerUri: string, trouble: (detail: string) => void): Promise<Canary> {
    const { keyId } = parseAwsKmsUri(signerUri);
    try {
      const { KeyMetadata: key } = await this.#sources.kms.send(new DescribeKeyCommand({ KeyId: keyId }));
      if (key?.KeyState === 'Enabled') return 'signs';
      trouble(`The key ${keyId} is ${key?.KeyState}.`);
      return 'fails';
    } catch (error) {
      const { code, message } = awsKmsError(error, `Describing the key ${keyId}`);
      trouble(message);
      return code === 'SIGNER_UNAVAILABLE' ? 'fails' : 'unknown';
    }
  }
}

function verdictOf(answer: SigningCanary, trouble: (detail: string) => void): Canary {
  switch (answer.outcome) {
    case 'signed':
      return 'signs';
    case 'wrong':
      trouble("The canary's signature does not verify.");
      return 'fails';
    case 'failed':
      trouble(`${answer.code}: ${answer.detail}`);
      // Of a refused PIN, say, the canary's own trouble.
      if (answer.code === unsealFailed) return 'sealed';
      return awayCodes.some((code) => code === answer.code) ? 'fails' : 'unknown';
  }
}

import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { DescribeKeyCommand, type KMSClient } from '@aws-sdk/client-kms';
import { type CanarySigner, findCanary, type SigningCanary } from '../cluster/index.ts';
import type { ErrorCode } from '../errors.ts';
import { awsKmsError, isAwsKmsUri, parseAwsKmsUri } from '../signer/index.ts';
import type { GuardedIssuer } from './board.ts';
import type { Canary } from './decide.ts';

export interface CanarySources {
  readonly dynamoDB: DynamoDBClient;
  readonly kms: KMSClient;
  readonly issuersTable: string;
  readonly region: string;
  readonly signer: CanarySigner;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** The longest that unsealing, opening and signing may take. */
  readonly signMilliseconds: number;
  /** Why a canary fails, or says nothing. */
  readonly onTrouble: (issuerId: string, detail: string) => void;
}

/**
 * What of an answer is the HSM's being away, and not the canary's own trouble, as SIGNER_PIN_REFUSED is. A PIN that cannot
 * be unsealed is its own, too: environments that have theirs sign on while the key store is away.
 */
const outages: ReadonlySet<string> = new Set<ErrorCode>(['SIGNER_UNAVAILABLE', 'SIGNER_DEADLINE']);

/**
 * One look's canaries: the HSM's signs once, with its own key and PIN, for all issuers of its cluster; of a key in KMS it
 * is asked whether it is enabled, for a kms:Sign would be a CA's signature.
 */
export class Canaries {
  readonly #sources: CanarySources;
  #ofCluster: Promise<{ readonly clusterId?: string; readonly answer: SigningCanary }> | undefined;

  constructor(sources: CanarySources) {
    this.#sources = sources;
  }

  /** Never throws: a canary that cannot be asked is unknown. */
  async of({ issuerId, signerUri, clusterId }: GuardedIssuer): Promise<Canary> {
    const trouble = (detail: string) => this.#sources.onTrouble(issuerId, detail);
    try {
      if (isAwsKmsUri(signerUri)) return await this.#describe(signerUri, trouble);
      this.#ofCluster ??= this.#sign();
      const signed = await this.#ofCluster;
      if (signed.clusterId !== clusterId) {
        trouble(`The canary is of the cluster ${signed.clusterId}, the issuer of ${clusterId}.`);
        return 'unknown';
      }
      return verdictOf(signed.answer, trouble);
    } catch (error) {
      trouble(error instanceof Error ? error.message : String(error));
      return 'unknown';
    }
  }

  async #sign(): Promise<{ readonly clusterId?: string; readonly answer: SigningCanary }> {
    const { dynamoDB, issuersTable, region, signer, now, signMilliseconds } = this.#sources;
    const record = await findCanary(dynamoDB, issuersTable, region);
    return { clusterId: record.clusterId, answer: await signer.sign(record, now() + signMilliseconds) };
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
      return outages.has(answer.code) ? 'fails' : 'unknown';
  }
}

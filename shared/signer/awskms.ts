import { createPublicKey, type KeyObject } from 'node:crypto';
import {
  DescribeKeyCommand,
  GetPublicKeyCommand,
  type KeyMetadata,
  type KMSClient,
  KMSInvalidStateException,
  SignCommand,
  type SigningAlgorithmSpec,
} from '@aws-sdk/client-kms';
import { MintmarkError } from '../errors.ts';
import { awsKmsError } from './awskms-error.ts';
import { type AwsKmsUri, parseAwsKmsUri, regionOf } from './awskms-uri.ts';
import type { SignatureScheme, Signer, SignResult } from './port.ts';
import { refuseDigest, schemeOf } from './scheme.ts';

export interface AwsKmsSignerOptions {
  readonly kms: KMSClient;
  /** `awskms:key-id=...` */
  readonly uri: string;
  /** The issuer certificate's public key; KMS must hold its private key. */
  readonly certificatePublicKey: KeyObject;
  /** Default: ECDSA with the hash of the curve's size, RSA PKCS#1 v1.5 with SHA-256. */
  readonly scheme?: SignatureScheme;
  /** When opening must be done, in milliseconds since the epoch. */
  readonly deadline: number;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /**
   * Told before each repetition of a kms:Sign, which is one signature more that is asked for: AWS's client sends again what
   * had no answer, and KMS may have signed by then.
   */
  readonly onAskedAgain: () => void;
}

/**
 * Asks KMS which key it is and whether it can do what is wanted. The key is one that KMS holds (Origin AWS_KMS). One in
 * a custom key store (Origin AWS_CLOUDHSM) is taken as well, for the day that AWS allows asymmetric keys there; today
 * every such key is symmetric, and the answer says so.
 *
 * @throws MintmarkError SIGNER_MISCONFIGURED (URI, key, permissions, certificate), SIGNER_UNAVAILABLE, SIGNER_DEADLINE
 */
export async function openAwsKmsSigner(options: AwsKmsSignerOptions): Promise<Signer> {
  const { kms, deadline, now, certificatePublicKey } = options;
  const key = parseAwsKmsUri(options.uri);
  await checkRegion(key, kms);
  const scheme = schemeOf(certificatePublicKey, options.scheme);
  checkKey(await describe(kms, key, deadline, now), scheme);
  const { PublicKey: publicKey } = await untilDeadline(
    deadline,
    now,
    `Getting the public key of ${key.keyId}`,
    (abortSignal) => kms.send(new GetPublicKeyCommand({ KeyId: key.keyId }), { abortSignal }),
  );
  if (!isSameKey(publicKey, certificatePublicKey)) {
    throw new MintmarkError('SIGNER_MISCONFIGURED', "The KMS key is not the one in the issuer's certificate.");
  }
  return new OpenAwsKmsSigner(options, key, scheme);
}

async function describe(kms: KMSClient, key: AwsKmsUri, deadline: number, now: () => number): Promise<KeyMetadata> {
  const { KeyMetadata: metadata } = await untilDeadline(
    deadline,
    now,
    `Describing the key ${key.keyId}`,
    (abortSignal) => kms.send(new DescribeKeyCommand({ KeyId: key.keyId }), { abortSignal }),
  );
  if (metadata !== undefined) return metadata;
  throw new MintmarkError('SIGNER_UNAVAILABLE', 'kms:DescribeKey answered without a KeyMetadata.');
}

/** KMS in one Region knows nothing of another's keys, and answers as for one that is not there. */
async function checkRegion({ keyId }: AwsKmsUri, kms: KMSClient): Promise<void> {
  const [own, named] = [await kms.config.region(), regionOf(keyId)];
  if (named === undefined || named === own) return;
  throw new MintmarkError(
    'SIGNER_MISCONFIGURED',
    `The signer URI names a key in ${named}, and this function runs in ${own}: a multi-Region key is named by its id alone (awskms:key-id=mrk-...), which is the replica's in every Region.`,
  );
}

class OpenAwsKmsSigner implements Signer {
  readonly uri: string;
  readonly scheme: SignatureScheme;
  readonly publicKey: KeyObject;

  readonly #kms: KMSClient;
  readonly #key: AwsKmsUri;
  readonly #now: () => number;
  readonly #onAskedAgain: () => void;
  #closed = false;

  constructor(options: AwsKmsSignerOptions, key: AwsKmsUri, scheme: SignatureScheme) {
    this.uri = options.uri;
    this.scheme = scheme;
    this.publicKey = options.certificatePublicKey;
    this.#kms = options.kms;
    this.#key = key;
    this.#now = options.now;
    this.#onAskedAgain = options.onAskedAgain;
  }

  /** All at once: KMS has no operation for several, and a batch of Lambda's is ten. */
  sign(digests: readonly Uint8Array[], deadline: number): Promise<SignResult[]> {
    // Asked at most once for all of them.
    let state: Promise<void> | undefined;
    const check = (): Promise<void> => (state ??= this.#check(deadline));
    return Promise.all(
      digests.map(async (digest): Promise<SignResult> => {
        try {
          return await this.#sign(digest, deadline);
        } catch (error) {
          const reason = isInvalidState(error)
            ? await check().then(
                () => error,
                (found: unknown) => found,
              )
            : error;
          return { error: reason instanceof Error ? reason : new Error(String(reason)) };
        }
      }),
    );
  }

  close(): Promise<void> {
    // The client is its maker's to end, and KMS keeps no session.
    this.#closed = true;
    return Promise.resolve();
  }

  /** @throws MintmarkError that says what the key's state means */
  async #check(deadline: number): Promise<void> {
    checkKey(await describe(this.#kms, this.#key, deadline, this.#now), this.scheme);
  }

  async #sign(digest: Uint8Array, deadline: number): Promise<SignResult> {
    if (this.#closed) throw new MintmarkError('SIGNER_UNAVAILABLE', 'The signer is closed.');
    const refused = refuseDigest(this.scheme.hash, digest);
    if (refused !== undefined) throw refused;
    const command = new SignCommand({
      KeyId: this.#key.keyId,
      Message: digest,
      MessageType: 'DIGEST',
      SigningAlgorithm: signingAlgorithm(this.scheme),
    });
    tellRepetitions(command, this.#onAskedAgain);
    const { Signature: signature } = await untilDeadline(deadline, this.#now, 'kms:Sign', (abortSignal) =>
      this.#kms.send(command, { abortSignal }),
    );
    if (signature === undefined) {
      throw new MintmarkError('SIGNER_UNAVAILABLE', 'kms:Sign answered without a Signature.');
    }
    return { signature };
  }
}

/** Inside the client's retries ("retryMiddleware", of the same step with the priority "high"), where each attempt passes. */
function tellRepetitions(command: SignCommand, onAskedAgain: () => void): void {
  let isRepetition = false;
  command.middlewareStack.add(
    (next) => (args) => {
      if (isRepetition) onAskedAgain();
      isRepetition = true;
      return next(args);
    },
    { name: 'tellRepetitions', step: 'finalizeRequest', priority: 'low' },
  );
}

/** KMS's name of it; its PSS salt is as long as the digest (KMS developer guide, "RSASSA-PSS"), as RFC 4055 has it. */
function signingAlgorithm({ algorithm, hash }: SignatureScheme): SigningAlgorithmSpec {
  const bits = hash.slice('sha'.length) as '256' | '384' | '512';
  switch (algorithm) {
    case 'ecdsa':
      return `ECDSA_SHA_${bits}`;
    case 'rsa-pkcs1-v1_5':
      return `RSASSA_PKCS1_V1_5_SHA_${bits}`;
    case 'rsa-pss':
      return `RSASSA_PSS_SHA_${bits}`;
  }
}

/** Sign says of a key that its state is in the way, and not which it is. */
function isInvalidState(error: unknown): boolean {
  return error instanceof MintmarkError && error.cause instanceof KMSInvalidStateException;
}

/** In which a key can be used: while a multi-Region key is Updating it can (KMS developer guide, "Key states"). */
const usableStates: readonly (string | undefined)[] = ['Enabled', 'Updating'];

/** Which pass by themselves: Unavailable is a key whose key store is not connected. */
const passingStates: readonly (string | undefined)[] = ['Creating', 'Unavailable'];

/** @throws MintmarkError */
function checkKey(metadata: KeyMetadata, scheme: SignatureScheme): void {
  const { KeyId: keyId, KeyUsage: usage, KeyState: state, KeySpec: spec, CustomKeyStoreId: keyStore } = metadata;
  if (usage !== 'SIGN_VERIFY') {
    throw new MintmarkError(
      'SIGNER_MISCONFIGURED',
      keyStore === undefined
        ? `The KMS key ${keyId} has the KeyUsage ${usage}, not SIGN_VERIFY.`
        : `The KMS key ${keyId} is symmetric, as AWS wants every key of a custom key store (${keyStore}) to be, so kms:Sign cannot use it: name a key with Origin AWS_KMS, or sign with a pkcs11: key of the same cluster.`,
    );
  }
  if (!usableStates.includes(state)) {
    const code = passingStates.includes(state) ? 'SIGNER_UNAVAILABLE' : 'SIGNER_MISCONFIGURED';
    throw new MintmarkError(code, `The KMS key ${keyId} is ${state}, not Enabled.`);
  }
  const wanted = signingAlgorithm(scheme);
  if (metadata.SigningAlgorithms?.includes(wanted) !== true) {
    throw new MintmarkError('SIGNER_MISCONFIGURED', `The KMS key ${keyId} (${spec}) cannot sign with ${wanted}.`);
  }
}

/** @param found DER SubjectPublicKeyInfo */
function isSameKey(found: Uint8Array | undefined, wanted: KeyObject): boolean {
  if (found === undefined) return false;
  return createPublicKey({ key: Buffer.from(found), format: 'der', type: 'spki' }).equals(wanted);
}

/**
 * Asks KMS, with the client's own retries, for as long as there is time.
 * @throws MintmarkError SIGNER_DEADLINE, and what awsKmsError makes of an error
 */
async function untilDeadline<Output>(
  deadline: number,
  now: () => number,
  what: string,
  ask: (abortSignal: AbortSignal) => Promise<Output>,
): Promise<Output> {
  const late = (cause?: unknown) =>
    new MintmarkError('SIGNER_DEADLINE', 'KMS did not answer by the deadline.', { cause });
  const left = deadline - now();
  if (left <= 0) throw late();
  const abortSignal = AbortSignal.timeout(Math.min(left, 2 ** 31 - 1));
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  abortSignal.addEventListener('abort', () => reject(abortSignal.reason as Error));
  try {
    // The client hears the signal only when it next asks, not while it waits to.
    return await Promise.race([ask(abortSignal), aborted]);
  } catch (error) {
    if (abortSignal.aborted) throw late(error);
    throw awsKmsError(error, what);
  }
}

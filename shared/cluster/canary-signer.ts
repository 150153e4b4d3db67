import { createHash, verify } from 'node:crypto';
import { asMintmarkError } from '../errors.ts';
import type { Signer } from '../signer/index.ts';
import type { CanaryRecord } from './canary-record.ts';
import type { SigningCanary } from './observation.ts';

export interface CanarySignerOptions {
  /** Unseals the PIN and opens the canary's key; `deadline` in milliseconds since the epoch. */
  readonly openSigner: (record: CanaryRecord, deadline: number) => Promise<Signer>;
  readonly stage: string;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/**
 * What the canary signs: a sentence with the moment in it. It can never be taken for a certificate, CRL or OCSP
 * response: the DER of each TBS begins with 0x30 (SEQUENCE) and this with "M", so no digest that was signed here is one
 * of those, unless the hash is broken. And the key is the canary's own, for which no certificate exists.
 */
export function canaryText(stage: string, clusterId: string, now: number): Buffer {
  return Buffer.from(`Mintmark signing canary, version 1\n${stage}\n${clusterId}\n${new Date(now).toISOString()}\n`);
}

/**
 * Milliseconds for which a PIN that was refused is not sent again, the first time; each further refusal of the same
 * envelope doubles it. CloudHSM locks a user out at more than five wrong logins and counts them without end: until a login
 * is right or an administrator resets the password (AWS CloudHSM User Guide, "login" of CloudHSM CLI). So the number of
 * attempts matters and not how often they come: doubling from an hour, a process makes five in fifteen hours. (There are
 * few: the watch, check-signer while a breaker is not closed, and what Lambda replaces them with.) A password that was
 * reset in the HSM, which also unlocks its user, is noticed within the hour when that is soon after the alarm. Whoever will
 * not wait writes the canary's row anew: another envelope, even of the same PIN, is tried at once.
 */
const firstRefusalStands = 3_600_000;

/** The canary's key as it was opened from its row. */
interface Standing {
  readonly fingerprint: string;
  readonly opened: Promise<Signer>;
  /** How often its PIN was refused. */
  readonly refusals: number;
  /** Milliseconds since the epoch; until then a refusal stands. */
  readonly refusedUntil?: number;
}

/** The canary's key, opened at first need and kept while its row stays the same, as the issue function keeps a CA's. */
export class CanarySigner {
  readonly #options: CanarySignerOptions;
  #standing: Standing | undefined;

  constructor(options: CanarySignerOptions) {
    this.#options = options;
  }

  /**
   * Signs and verifies; what goes wrong is the answer, never thrown.
   * @param deadline milliseconds since the epoch
   */
  async sign(record: CanaryRecord, deadline: number): Promise<SigningCanary> {
    const { now, stage } = this.#options;
    try {
      const standing = await this.#open(record, deadline);
      const signer = await standing.opened;
      const { hash } = signer.scheme;
      const text = canaryText(stage, record.clusterId, now());
      const digest = createHash(hash).update(text).digest();
      const startedAt = now();
      const [result] = await signer.sign([digest], deadline);
      const milliseconds = now() - startedAt;
      if (result === undefined) throw new Error('The signer answered fewer digests than it was given.');
      if ('error' in result) {
        await this.#stopUsingRefused(standing, result.error);
        throw result.error;
      }
      const verifies = verify(hash, text, signer.publicKey, result.signature);
      return verifies ? { outcome: 'signed', milliseconds } : { outcome: 'wrong' };
    } catch (error) {
      const { code, message } = asMintmarkError(error);
      return { outcome: 'failed', code, detail: message };
    }
  }

  async close(): Promise<void> {
    const standing = this.#standing;
    this.#standing = undefined;
    // One that never opened has nothing to close, and its error went to those who asked for it.
    const signer = await standing?.opened.catch(() => undefined);
    await signer?.close();
  }

  /** The opening that succeeded. @throws what opening throws, and what stands of it */
  async #open(record: CanaryRecord, deadline: number): Promise<Standing> {
    const fingerprint = fingerprintOf(record);
    const { now, openSigner } = this.#options;
    const standing = this.#standing?.fingerprint === fingerprint ? this.#standing : undefined;
    const isOver = standing?.refusedUntil !== undefined && now() >= standing.refusedUntil;
    if (standing !== undefined && !isOver) {
      await standing.opened;
      return standing;
    }
    await this.close();
    const refusals = standing?.refusals ?? 0;
    const opened = openSigner(record, deadline);
    const opening: Standing = { fingerprint, opened, refusals };
    this.#standing = opening;
    try {
      await opened;
    } catch (error) {
      if (this.#standing === opening) this.#standing = this.#afterFailure(opening, error);
      throw error;
    }
    // A right login begins the HSM's count anew.
    const right: Standing = { fingerprint, opened, refusals: 0 };
    if (this.#standing === opening) this.#standing = right;
    return right;
  }

  /** A signer that lost its session and was refused when it logged in again does so no more; from then on as if unopened. */
  async #stopUsingRefused(standing: Standing, error: Error): Promise<void> {
    if (!isRefusedPin(error) || this.#standing?.opened !== standing.opened) return;
    const opened = Promise.reject(error);
    // Nobody may ask for it.
    opened.catch(() => undefined);
    this.#standing = this.#afterFailure({ ...standing, opened }, error);
    await (await standing.opened).close();
  }

  /** What is remembered of an opening that failed: nothing but how often its PIN was refused, and since when. */
  #afterFailure(opening: Standing, error: unknown): Standing | undefined {
    const { refusals } = opening;
    const now = this.#options.now();
    if (isRefusedPin(error)) {
      return { ...opening, refusals: refusals + 1, refusedUntil: now + firstRefusalStands * 2 ** refusals };
    }
    return refusals === 0 ? undefined : { ...opening, refusedUntil: now };
  }
}

const isRefusedPin = (error: unknown): boolean => asMintmarkError(error).code === 'SIGNER_PIN_REFUSED';

function fingerprintOf({ clusterId, signerUri, publicKey, sealedPin }: CanaryRecord): string {
  const hash = createHash('sha256');
  for (const part of [clusterId, signerUri, publicKey, sealedPin])
    hash.update(createHash('sha256').update(part).digest());
  return hash.digest('hex');
}

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

/** The canary's key, opened at first need and kept while its row stays the same, as the issue function keeps a CA's. */
export class CanarySigner {
  readonly #options: CanarySignerOptions;
  #standing: { readonly fingerprint: string; readonly opened: Promise<Signer> } | undefined;

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
      const signer = await this.#open(record, deadline);
      const { hash } = signer.scheme;
      const text = canaryText(stage, record.clusterId, now());
      const digest = createHash(hash).update(text).digest();
      const startedAt = now();
      const [result] = await signer.sign([digest], deadline);
      const milliseconds = now() - startedAt;
      if (result === undefined) throw new Error('The signer answered fewer digests than it was given.');
      if ('error' in result) throw result.error;
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

  async #open(record: CanaryRecord, deadline: number): Promise<Signer> {
    const fingerprint = fingerprintOf(record);
    if (this.#standing?.fingerprint === fingerprint) return this.#standing.opened;
    await this.close();
    const opened = this.#options.openSigner(record, deadline);
    this.#standing = { fingerprint, opened };
    try {
      return await opened;
    } catch (error) {
      // A PIN that was refused is not sent again until the row holds another one: every five minutes, it would lock the
      // crypto user out.
      const stands = asMintmarkError(error).code === 'SIGNER_PIN_REFUSED';
      if (!stands && this.#standing?.opened === opened) this.#standing = undefined;
      throw error;
    }
  }
}

function fingerprintOf({ clusterId, signerUri, publicKey, sealedPin }: CanaryRecord): string {
  const hash = createHash('sha256');
  for (const part of [clusterId, signerUri, publicKey, sealedPin])
    hash.update(createHash('sha256').update(part).digest());
  return hash.digest('hex');
}

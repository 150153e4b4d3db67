import { constants, createHash, randomBytes, verify } from 'node:crypto';
import { inspect } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { MintmarkError } from '../../shared/errors.ts';
import type { Signer, SignResult } from '../../shared/signer/port.ts';

/** What can be made to go wrong under the signer; each counts in signatures. */
export interface SignerFaults {
  /** Fails before it signs, in a way that passes, so that the adapter asks again a few times; -1: whenever it is asked. */
  busy(count: number): void;
  /** The session, connection or token is gone; -1: again and again. */
  sessionLost(count: number): void;
  /** Signs, then fails likewise. */
  replyLost(count: number): void;
  /** Signs, with a wrong bit. */
  corrupt(count: number): void;
  /** Signs so much later. */
  slow(count: number, milliseconds: number): void;
  none(): void;
}

export interface SignerUnderTest {
  readonly signer: Signer;
  readonly faults: SignerFaults;
  /** Whether it signs one digest after the other, in their order; otherwise several or all at once. */
  readonly inOrder: boolean;
  /** How many the device signs at a time. */
  readonly atATime: number;
  /** The uri that it was opened with. */
  readonly uri: string;
  /** Digests signed so far, lower-case hex, as the device itself counts them. */
  readonly signedDigests: () => string[];
  /** What must be in no error. */
  readonly secrets: readonly string[];
}

const PLENTY_MILLISECONDS = 10_000;

const soon = (): number => Date.now() + PLENTY_MILLISECONDS;

function digestsOf(signer: Signer, messages: readonly Buffer[]): Uint8Array[] {
  return messages.map((message) => createHash(signer.scheme.hash).update(message).digest());
}

function messages(count: number): Buffer[] {
  return Array.from({ length: count }, () => randomBytes(40));
}

/** The oracle: OpenSSL, by way of node:crypto, hashing the message itself. */
export function isSignatureOf(signer: Signer, message: Buffer, signature: Uint8Array): boolean {
  const { algorithm, hash } = signer.scheme;
  const pss = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST };
  return verify(hash, message, { key: signer.publicKey, ...(algorithm === 'rsa-pss' ? pss : {}) }, signature);
}

/** `signed`, `wrong` (a signature of something else) or the error's code. */
function outcome(signer: Signer, message: Buffer, result: SignResult | undefined): string {
  if (result === undefined) return 'missing';
  if ('signature' in result) return isSignatureOf(signer, message, result.signature) ? 'signed' : 'wrong';
  return result.error instanceof MintmarkError ? result.error.code : `not a MintmarkError: ${result.error.name}`;
}

/** Every obligation of shared/signer/port.ts, for any adapter whose faults can be had on demand. */
export function describeSignerContract(name: string, open: () => Promise<SignerUnderTest>): void {
  describe(`${name} as a signer`, () => {
    let subject: SignerUnderTest;
    let signedBefore: number;

    beforeAll(async () => {
      subject = await open();
    });

    beforeEach(() => {
      signedBefore = subject.signedDigests().length;
    });

    afterEach(() => {
      subject.faults.none();
    });

    afterAll(async () => {
      await subject.signer.close();
    });

    /** What the device signed in this test. */
    const signed = (): string[] => subject.signedDigests().slice(signedBefore);

    /** What comes in an order where there is one, and as a set where there is none. */
    const ordered = (values: readonly string[]): readonly string[] => (subject.inOrder ? values : values.toSorted());

    async function sign(count: number, deadline = soon(), { signer } = subject): Promise<string[]> {
      const asked = messages(count);
      const results = await signer.sign(digestsOf(signer, asked), deadline);
      expect(results).toHaveLength(count);
      for (const result of results) {
        if (!('error' in result)) continue;
        const shown = inspect(result.error, { depth: 10, showHidden: true });
        for (const secret of subject.secrets) expect(shown).not.toContain(secret);
      }
      return asked.map((message, index) => outcome(signer, message, results[index]));
    }

    it('says which key it is', () => {
      expect(subject.signer.uri).toBe(subject.uri);
      for (const secret of subject.secrets) expect(inspect(subject.signer, { depth: 10 })).not.toContain(secret);
    });

    it('answers no digests with nothing', async () => {
      expect(await subject.signer.sign([], soon())).toEqual([]);
      expect(signed()).toEqual([]);
    });

    it.each([1, 100])('signs %i digests, each in its place, each once', async (count) => {
      expect(await sign(count)).toEqual(Array.from({ length: count }, () => 'signed'));
      const digests = digestsOf(subject.signer, messages(count));
      await subject.signer.sign(digests, soon());
      const hex = digests.map((digest) => Buffer.from(digest).toString('hex'));
      expect(ordered(signed().slice(count))).toEqual(ordered(hex));
    });

    it('answers calls that are made at the same time, each with its own', async () => {
      const all = await Promise.all([sign(3), sign(1), sign(5), sign(2)]);
      expect(all.flat()).toEqual(Array.from({ length: 11 }, () => 'signed'));
    });

    it('refuses a digest of another length, that one alone', async () => {
      const { signer } = subject;
      const [message] = messages(1) as [Buffer];
      const [good] = digestsOf(signer, [message]) as [Uint8Array];
      const results = await signer.sign([good.subarray(1), good], soon());
      expect(results.map((result) => outcome(signer, message, result))).toEqual(['INTERNAL', 'signed']);
    });

    it('asks again for the digest that a busy HSM refused, and for no other', async () => {
      subject.faults.busy(1);
      expect(await sign(3)).toEqual(['signed', 'signed', 'signed']);
      expect(signed()).toHaveLength(3);
    });

    it('is unavailable while the HSM stays busy, and works when that is over', async () => {
      subject.faults.busy(-1);
      expect(await sign(2)).toEqual(['SIGNER_UNAVAILABLE', 'SIGNER_UNAVAILABLE']);
      expect(signed()).toEqual([]);
      subject.faults.none();
      expect(await sign(2)).toEqual(['signed', 'signed']);
    });

    it('asks a busy HSM no longer than there is time', async () => {
      subject.faults.busy(-1);
      const deadline = Date.now() + 300;
      const outcomes = await sign(1, deadline);
      expect(['SIGNER_UNAVAILABLE', 'SIGNER_DEADLINE']).toEqual(expect.arrayContaining(outcomes));
      // Its last pause alone is longer.
      expect(Date.now()).toBeLessThan(deadline + 400);
      subject.faults.none();
      await expect.poll(() => sign(1), { timeout: PLENTY_MILLISECONDS }).toEqual(['signed']);
    });

    it('goes on in a new session when the session is lost', async () => {
      subject.faults.sessionLost(1);
      expect(await sign(3)).toEqual(['signed', 'signed', 'signed']);
    });

    it('gives up on a session that is lost again and again, and works when that is over', async () => {
      subject.faults.sessionLost(-1);
      expect(await sign(3)).toEqual(['SIGNER_UNAVAILABLE', 'SIGNER_UNAVAILABLE', 'SIGNER_UNAVAILABLE']);
      subject.faults.none();
      expect(await sign(3)).toEqual(['signed', 'signed', 'signed']);
    });

    it('asks again when it signed and the reply was lost: one signature more than there are answers', async () => {
      subject.faults.replyLost(1);
      expect(await sign(2)).toEqual(['signed', 'signed']);
      expect(signed()).toHaveLength(3);
      expect(new Set(signed()).size).toBe(2);
    });

    it('hands on a wrong signature as it is: the caller verifies', async () => {
      subject.faults.corrupt(1);
      expect(ordered(await sign(2))).toEqual(ordered(['wrong', 'signed']));
    });

    it('answers by the deadline, keeps what was signed before it, and is of use again when the HSM is', async () => {
      expect(await sign(1)).toEqual(['signed']);
      subject.faults.slow(-1, 500);
      const deadline = Date.now() + 1_750;
      const { atATime } = subject;
      const outcomes = await sign(6 * atATime, deadline);
      // All of six rounds would be there 1,250 ms later: whoever has answered by now has not waited for them.
      expect(Date.now()).toBeLessThan(deadline + 1_250);
      const late = outcomes.filter((each) => each === 'SIGNER_DEADLINE');
      expect(outcomes.filter((each) => each === 'signed')).toHaveLength(6 * atATime - late.length);
      expect(late.length).toBeGreaterThanOrEqual(3 * atATime);
      expect(late.length).toBeLessThan(6 * atATime);
      if (subject.inOrder) expect(outcomes.slice(-late.length)).toEqual(late);
      subject.faults.none();
      await expect.poll(() => sign(1), { timeout: PLENTY_MILLISECONDS }).toEqual(['signed']);
    });

    it('begins nothing after the deadline', async () => {
      expect(await sign(2, Date.now() - 1)).toEqual(['SIGNER_DEADLINE', 'SIGNER_DEADLINE']);
      expect(signed()).toEqual([]);
    });

    it('is unavailable after it was closed, which may be repeated', async () => {
      const closed = await open();
      await closed.signer.close();
      await closed.signer.close();
      expect(await sign(2, soon(), closed)).toEqual(['SIGNER_UNAVAILABLE', 'SIGNER_UNAVAILABLE']);
      expect(signed()).toEqual([]);
    });
  });
}

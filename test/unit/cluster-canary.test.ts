import { createHash, createPublicKey, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { createLocalCanary } from '../../local/ca/canary.ts';
import { readInstalled } from '../../local/setup/installed.ts';
import { withToken } from '../../local/softhsm/token.ts';
import type { CanaryRecord } from '../../shared/cluster/canary-record.ts';
import { CanarySigner, canaryText } from '../../shared/cluster/canary-signer.ts';
import { MintmarkError } from '../../shared/errors.ts';
import { ecdsaSignatureToDer } from '../../shared/signer/ecdsa-signature.ts';
import { parsePkcs11Uri } from '../../shared/signer/pkcs11-uri.ts';
import type { Signer, SignResult } from '../../shared/signer/port.ts';

const directory = mkdtempSync(join(tmpdir(), 'mintmark-canary-'));
afterAll(() => rmSync(directory, { recursive: true }));

describe('a local canary', () => {
  const token = { directory: join(directory, 'tokens'), library: readInstalled().softhsm2Library };

  it('has a P-256 key in a token of its own, and a user of its own', () => {
    const canary = createLocalCanary(token, randomBytes);
    expect(parsePkcs11Uri(canary.signerUri)).toEqual({ token: 'canary', object: 'canary', type: 'private' });
    expect(canary.pin).toMatch(/^canary_user:.{32}$/);
    const publicKey = createPublicKey({ key: Buffer.from(canary.publicKey), format: 'der', type: 'spki' });
    expect(publicKey.asymmetricKeyDetails).toEqual({ namedCurve: 'prime256v1' });
    withToken({ ...token, label: 'canary', userPin: canary.pin }, (session) => {
      expect(session.handle.length).toBeGreaterThan(0);
    });
    expect(() => createLocalCanary(token, randomBytes)).toThrow(/There is a token "canary"/);
  });
});

describe('the canary signer', () => {
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const record: CanaryRecord = {
    clusterId: 'cluster-aaaaaaaaaaa',
    customKeyStoreId: 'cks-1',
    ciphertext: Uint8Array.of(1),
    signerUri: 'pkcs11:token=canary;object=canary',
    publicKey: pair.publicKey.export({ type: 'spki', format: 'der' }),
    sealedPin: Uint8Array.of(2),
  };

  /** Each call of the clock is 5 ms after the one before. */
  function clock(): () => number {
    let time = Date.UTC(2026, 10, 22);
    return () => (time += 5);
  }

  /** A signer whose answers are given; counts how often it was opened and closed. */
  function signerAnswering(answerOf: (digest: Uint8Array) => SignResult[]) {
    const counts = { opened: 0, closed: 0 };
    const signer: Signer = {
      uri: record.signerUri,
      scheme: { algorithm: 'ecdsa', hash: 'sha256' },
      publicKey: pair.publicKey,
      sign: ([digest = new Uint8Array()]) => Promise.resolve(answerOf(digest)),
      close: () => {
        counts.closed += 1;
        return Promise.resolve();
      },
    };
    const openSigner = (): Promise<Signer> => {
      counts.opened += 1;
      return Promise.resolve(signer);
    };
    return { counts, canarySigner: new CanarySigner({ openSigner, stage: 'test', now: clock() }) };
  }

  /** node:crypto signs messages, not digests: the text is made again from the clock that the signer was given. */
  const signature = (): Uint8Array => {
    const text = canaryText('test', record.clusterId, Date.UTC(2026, 10, 22) + 5);
    const raw = sign('sha256', text, { key: pair.privateKey, dsaEncoding: 'ieee-p1363' });
    return ecdsaSignatureToDer(raw);
  };

  it('signs a text that says when and where, verifies it, and says how long it took', async () => {
    let digest: Uint8Array | undefined;
    const { canarySigner } = signerAnswering((given) => {
      digest = given;
      return [{ signature: signature() }];
    });
    expect(await canarySigner.sign(record, 0)).toEqual({ outcome: 'signed', milliseconds: 5 });
    const text = 'Mintmark signing canary, version 1\ntest\ncluster-aaaaaaaaaaa\n2026-11-22T00:00:00.005Z\n';
    expect(Buffer.from(digest ?? []).toString('hex')).toBe(createHash('sha256').update(text).digest('hex'));
  });

  it('does not take another signature for its own', async () => {
    const { canarySigner } = signerAnswering(() => [{ signature: signature() }]);
    expect(await canarySigner.sign(record, 0)).toMatchObject({ outcome: 'signed' });
    // The same signature, and a later moment in the text.
    expect(await canarySigner.sign(record, 0)).toEqual({ outcome: 'wrong' });
  });

  it('answers what went wrong', async () => {
    const { canarySigner } = signerAnswering(() => [{ error: new MintmarkError('SIGNER_UNAVAILABLE', 'It is busy.') }]);
    const busy = { outcome: 'failed', code: 'SIGNER_UNAVAILABLE', detail: 'It is busy.' };
    expect(await canarySigner.sign(record, 0)).toEqual(busy);
    expect(await signerAnswering(() => []).canarySigner.sign(record, 0)).toMatchObject({ code: 'INTERNAL' });
  });

  it('is opened once, and anew when its row changed', async () => {
    const { canarySigner, counts } = signerAnswering(() => [{ signature: signature() }]);
    await canarySigner.sign(record, 0);
    await canarySigner.sign({ ...record, ciphertext: Uint8Array.of(9) }, 0);
    expect(counts).toEqual({ opened: 1, closed: 0 });
    await canarySigner.sign({ ...record, sealedPin: Uint8Array.of(3) }, 0);
    expect(counts).toEqual({ opened: 2, closed: 1 });
    await canarySigner.close();
    expect(counts).toEqual({ opened: 2, closed: 2 });
  });

  it.each([
    ['SIGNER_UNAVAILABLE', 2],
    ['PIN_UNSEAL_FAILED', 2],
    ['PIN_UNSEAL_REFUSED', 2],
    ['SIGNER_PIN_REFUSED', 1],
  ] as const)('that could not be opened for %s is tried %i times in two looks', async (code, times) => {
    let opened = 0;
    const openSigner = (): Promise<Signer> => {
      opened += 1;
      return Promise.reject(new MintmarkError(code, 'Why.'));
    };
    const canarySigner = new CanarySigner({ openSigner, stage: 'test', now: clock() });
    for (let look = 0; look < 2; look += 1) {
      expect(await canarySigner.sign(record, 0)).toEqual({ outcome: 'failed', code, detail: 'Why.' });
    }
    expect(opened).toBe(times);
    await canarySigner.close();
  });

  it('sends a refused PIN again after an hour, and then after twice as long, until it is right', async () => {
    const hour = 3_600_000;
    let now = Date.UTC(2026, 10, 22);
    let failure: MintmarkError | undefined = new MintmarkError('SIGNER_PIN_REFUSED', 'Why.');
    const attempts: number[] = [];
    const begun = now;
    const openSigner = (): Promise<Signer> => {
      attempts.push((now - begun) / hour);
      if (failure !== undefined) return Promise.reject(failure);
      return Promise.resolve(wrongSigner);
    };
    const wrongSigner: Signer = {
      uri: record.signerUri,
      scheme: { algorithm: 'ecdsa', hash: 'sha256' },
      publicKey: pair.publicKey,
      sign: async () => [{ signature: Uint8Array.of(1) }],
      close: async () => undefined,
    };
    const canarySigner = new CanarySigner({ openSigner, stage: 'test', now: () => now });
    const lookFor = async (hours: number) => {
      for (let minutes = 0; minutes < hours * 60; minutes += 5) {
        await canarySigner.sign(record, 0);
        now += 5 * 60_000;
      }
    };
    await lookFor(8);
    expect(attempts).toEqual([0, 1, 3, 7]);

    // What is no answer to the PIN counts neither as a refusal nor as a success.
    failure = new MintmarkError('SIGNER_UNAVAILABLE', 'Why.');
    await lookFor(7);
    failure = new MintmarkError('SIGNER_PIN_REFUSED', 'Why.');
    await canarySigner.sign(record, 0);
    expect(attempts).toEqual([0, 1, 3, 7, 15]);
    now += 5 * 60_000;
    failure = new MintmarkError('SIGNER_UNAVAILABLE', 'Why.');
    now += 16 * hour;
    await canarySigner.sign(record, 0);
    await canarySigner.sign(record, 0);
    expect(attempts).toHaveLength(7);
    failure = new MintmarkError('SIGNER_PIN_REFUSED', 'Why.');
    await canarySigner.sign(record, 0);
    await lookFor(31);
    expect(attempts).toHaveLength(8);

    // The password was set to the sealed one.
    failure = undefined;
    await lookFor(2);
    expect(attempts).toHaveLength(9);
    expect(await canarySigner.sign(record, 0)).toEqual({ outcome: 'wrong' });
    expect(attempts).toHaveLength(9);
  });

  it('whose session was lost, and whose PIN was refused then, is closed and opened anew after an hour', async () => {
    const hour = 3_600_000;
    let now = Date.UTC(2026, 10, 22);
    const counts = { opened: 0, closed: 0 };
    let answer: SignResult = { signature: Uint8Array.of(1) };
    const openSigner = async (): Promise<Signer> => {
      counts.opened += 1;
      return {
        uri: record.signerUri,
        scheme: { algorithm: 'ecdsa', hash: 'sha256' },
        publicKey: pair.publicKey,
        sign: async () => [answer],
        close: async () => {
          counts.closed += 1;
        },
      };
    };
    const canarySigner = new CanarySigner({ openSigner, stage: 'test', now: () => now });
    const refused = { outcome: 'failed', code: 'SIGNER_PIN_REFUSED', detail: 'Why.' };
    expect(await canarySigner.sign(record, 0)).toEqual({ outcome: 'wrong' });
    answer = { error: new MintmarkError('SIGNER_PIN_REFUSED', 'Why.') };
    expect(await canarySigner.sign(record, 0)).toEqual(refused);
    answer = { signature: Uint8Array.of(1) };
    now += hour - 1;
    expect(await canarySigner.sign(record, 0)).toEqual(refused);
    expect(counts).toEqual({ opened: 1, closed: 1 });
    now += 1;
    expect(await canarySigner.sign(record, 0)).toEqual({ outcome: 'wrong' });
    expect(counts).toEqual({ opened: 2, closed: 1 });
    // That login was right, so the next refusal is a first one again.
    answer = { error: new MintmarkError('SIGNER_PIN_REFUSED', 'Why.') };
    await canarySigner.sign(record, 0);
    now += hour;
    await canarySigner.sign(record, 0);
    expect(counts.opened).toBe(3);
  });

  it('tries another envelope at once, also one of the same PIN', async () => {
    let opened = 0;
    const openSigner = (): Promise<Signer> => {
      opened += 1;
      return Promise.reject(new MintmarkError('SIGNER_PIN_REFUSED', 'Why.'));
    };
    const canarySigner = new CanarySigner({ openSigner, stage: 'test', now: clock() });
    for (const octet of [1, 2, 2, 3]) await canarySigner.sign({ ...record, sealedPin: Uint8Array.of(octet) }, 0);
    expect(opened).toBe(3);
  });
});

import { createDecipheriv, createHash, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { combine } from 'shamir-secret-sharing';
import { describe, expect, it } from 'vitest';
import { type BreakGlassFacts, makeBreakGlass, maximumShares, openBreakGlass } from '../../cli/break-glass.ts';
import { UsageError } from '../../cli/errors.ts';

const facts: Omit<BreakGlassFacts, 'shares' | 'threshold'> = {
  stage: 'prod',
  issuer: 'devices',
  clusterId: 'cluster-abcdefghijk',
  userName: 'crypto_user',
  madeAt: Date.parse('2026-11-22T12:00:00Z'),
};

const pins = fc
  .string({
    unit: fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code)),
    minLength: 8,
    maxLength: 32,
  })
  .map((password) => `crypto_user:${password}`);

/** So many shares, so many of which open the copy, and an order of all of them. */
const sharings = fc.integer({ min: 2, max: maximumShares }).chain((shares) =>
  fc.record({
    shares: fc.constant(shares),
    threshold: fc.integer({ min: 2, max: shares }),
    order: fc.shuffledSubarray(
      Array.from({ length: shares }, (_, index) => index),
      { minLength: shares },
    ),
  }),
);

const named = (texts: readonly string[]) => texts.map((text, index) => ({ name: `file-${index}`, text }));

const field = (text: string, name: string): string => new RegExp(`^${name}: (.*)$`, 'm').exec(text)?.[1] ?? '';

describe('a break-glass copy', () => {
  it('is opened by any holders that are enough, in any order', async () => {
    await fc.assert(
      fc.asyncProperty(pins, sharings, fc.nat(), async (pin, { shares, threshold, order }, more) => {
        const made = await makeBreakGlass(Buffer.from(pin), { ...facts, shares, threshold }, randomBytes);
        expect(made.shares).toHaveLength(shares);
        const present = order.slice(0, threshold + (more % (shares - threshold + 1)));
        const texts = present.map((index) => made.shares[index] ?? '');
        const position = more % (texts.length + 1);
        const opened = await openBreakGlass(named(texts.toSpliced(position, 0, made.copy)));
        expect(Buffer.from(opened.pin).toString()).toBe(pin);
        expect(opened).toMatchObject({ facts: { ...facts, shares, threshold }, fingerprint: made.fingerprint });
        expect(made.fingerprint).toBe(createHash('sha256').update(made.copy).digest('hex'));
      }),
      { numRuns: 60 },
    );
  });

  it('is opened by one holder less neither here nor by whoever passes the count over', async () => {
    await fc.assert(
      fc.asyncProperty(pins, sharings, async (pin, { shares, threshold, order }) => {
        const made = await makeBreakGlass(Buffer.from(pin), { ...facts, shares, threshold }, randomBytes);
        const texts = order.slice(0, threshold - 1).map((index) => made.shares[index] ?? '');
        await expect(openBreakGlass(named([made.copy, ...texts]))).rejects.toThrow(`It takes ${threshold} shares`);
        if (texts.length < 2) return;

        const data = texts.map((text) => new Uint8Array(Buffer.from(field(text, 'data'), 'base64')));
        const key = await combine(data);
        const ciphertext = Buffer.from(field(made.copy, 'ciphertext'), 'base64');
        const head = made.copy.slice(0, made.copy.indexOf('nonce: '));
        const decryption = createDecipheriv('aes-256-gcm', key, Buffer.from(field(made.copy, 'nonce'), 'base64'))
          .setAAD(Buffer.from(head))
          .setAuthTag(ciphertext.subarray(-16));
        decryption.update(ciphertext.subarray(0, -16));
        expect(() => decryption.final()).toThrow('unable to authenticate data');
      }),
      { numRuns: 60 },
    );
  });

  it('is not opened where a character of any of its files is another', async () => {
    const made = await makeBreakGlass(
      Buffer.from('crypto_user:password'),
      { ...facts, shares: 3, threshold: 2 },
      randomBytes,
    );
    const texts = [made.copy, made.shares[0] ?? '', made.shares[2] ?? ''];
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.nat(), fc.integer({ min: 0x21, max: 0x7e }), async (which, where, code) => {
        const text = texts[which % texts.length] ?? '';
        const at = where % text.length;
        const altered = `${text.slice(0, at)}${String.fromCharCode(code)}${text.slice(at + 1)}`;
        fc.pre(altered !== text);
        const outcome = await openBreakGlass(named(texts.with(which % texts.length, altered))).then(
          // Base64's last character has bits that count for nothing; whatever opens it is what was made.
          ({ pin, facts: read }) => ({ pin: Buffer.from(pin).toString(), read }),
          (error: unknown) => error,
        );
        if (outcome instanceof Error) expect(outcome).toBeInstanceOf(UsageError);
        else {
          expect(outcome).toEqual({ pin: 'crypto_user:password', read: { ...facts, shares: 3, threshold: 2 } });
        }
      }),
      { numRuns: 300 },
    );
  });

  it('holds the PIN nowhere in clear', async () => {
    await fc.assert(
      fc.asyncProperty(pins, async (pin) => {
        const made = await makeBreakGlass(Buffer.from(pin), { ...facts, shares: 3, threshold: 2 }, randomBytes);
        const password = pin.slice(pin.indexOf(':') + 1);
        for (const text of [made.copy, ...made.shares]) {
          for (const secret of [password, Buffer.from(pin).toString('base64'), Buffer.from(password).toString('hex')]) {
            expect(text.includes(secret)).toBe(false);
          }
        }
      }),
      { numRuns: 30 },
    );
  });
});

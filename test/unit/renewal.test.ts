import { createHash } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { refuseRenewal, renewAfterOf, renewalOpensAt } from '../../shared/issuance/renewal.ts';
import { withoutEnd } from '../../shared/issuance/tbs.ts';

const day = 86_400_000;
const notBefore = Date.parse('2026-11-22T12:00:00Z');
const key = Uint8Array.of(1, 2, 3);
const another = Uint8Array.of(1, 2, 4);

/** Valid for `lifetime` milliseconds, the last of its seconds included. */
const lasting = (lifetime: number, serialNumber = '7f000000000000000000800000000000') => ({
  notBefore,
  notAfter: notBefore + lifetime - 1000,
  serialNumber,
  subjectPublicKeyInfo: key,
});

describe('the window', () => {
  it.each([
    [{ windowDays: 30, key: 'either' }, 90 * day, '2027-01-21T12:00:00.000Z'],
    [{ windowPercent: 50, key: 'either' }, 8 * 3_600_000, '2026-11-22T16:00:00.000Z'],
    [{ windowPercent: 100, key: 'either' }, 90 * day, '2026-11-22T12:00:00.000Z'],
    // 29 of 100 has no exact binary fraction.
    [{ windowPercent: 29, key: 'either' }, 100_000, '2026-11-22T12:01:11.000Z'],
    // A third of an hour and a second is no whole number of seconds: it is made shorter.
    [{ windowPercent: 33, key: 'either' }, 3_601_000, '2026-11-22T12:40:13.000Z'],
    [undefined, 90 * day, '2027-01-21T12:00:00.000Z'],
    // The certificate was made shorter, to fit into its issuer's validity.
    [{ windowDays: 30, key: 'either' }, 10 * day, '2026-11-22T12:00:00.000Z'],
  ] as const)('of %o opens, in %i ms of lifetime, at %s', (renewal, lifetime, opensAt) => {
    expect(new Date(renewalOpensAt(renewal, lasting(lifetime))).toISOString()).toBe(opensAt);
  });

  it.each([{ windowDays: 30 }, { windowPercent: 33 }])('lets a renewal in from its first second: %o', (window) => {
    const renewal = { ...window, key: 'either' } as const;
    const live = lasting(90 * day);
    const opensAt = renewalOpensAt(renewal, live);
    expect(() => refuseRenewal(renewal, live, key, opensAt)).not.toThrow();
    for (const now of [opensAt - 1, opensAt - 1000]) {
      expect(() => refuseRenewal(renewal, live, key, now)).toThrow(
        expect.objectContaining({
          code: 'RENEWAL_TOO_EARLY',
          message: expect.stringContaining(new Date(opensAt).toISOString().replace('.000Z', 'Z')),
        }),
      );
    }
  });
});

describe('the key of a renewal', () => {
  const renewing = (rule: 'new' | 'same' | 'either', spki: Uint8Array) => () =>
    refuseRenewal({ windowPercent: 100, key: rule }, lasting(90 * day), spki, notBefore);
  const refusal = expect.objectContaining({ code: 'RENEWAL_KEY_NOT_ALLOWED' });

  it('is another one where it has to be new', () => {
    expect(renewing('new', another)).not.toThrow();
    expect(renewing('new', key)).toThrow(refusal);
  });

  it('is the same where it has to be', () => {
    expect(renewing('same', key)).not.toThrow();
    expect(renewing('same', another)).toThrow(refusal);
  });

  it('is either elsewhere', () => {
    expect(renewing('either', key)).not.toThrow();
    expect(renewing('either', another)).not.toThrow();
  });
});

describe('renewAfterOf', () => {
  const validity = { days: 90, backdateMinutes: 0 } as const;
  const profile = { validity, renewal: { windowDays: 30, key: 'either' } } as const;
  const opensAt = renewalOpensAt(profile.renewal, lasting(90 * day));

  it('says where in the first half of the window by the serial number', () => {
    const at = (serialNumber: string) => renewAfterOf(profile, lasting(90 * day, serialNumber));
    expect(at('7f000000000000000000000000000000')).toBe(opensAt);
    expect(at('7f000000000000000000800000000000')).toBe(opensAt + 7.5 * day);
    expect(at('7f000000000000000000ffffffffffff')).toBe(opensAt + 15 * day - 1000);
  });

  it('is never before the window, never in its second half, and always a whole second', () => {
    fc.assert(
      fc.property(
        fc.option(
          fc.oneof(
            fc.record({ windowDays: fc.integer({ min: 1, max: 400 }), key: fc.constant('new' as const) }),
            fc.record({ windowPercent: fc.integer({ min: 1, max: 100 }), key: fc.constant('new' as const) }),
          ),
          { nil: undefined },
        ),
        fc.integer({ min: 2, max: 3650 * 86_400 }),
        fc.bigInt({ min: 0n, max: 2n ** 127n - 1n }),
        (renewal, seconds, serial) => {
          const certificate = lasting(seconds * 1000, serial.toString(16).padStart(32, '0'));
          const from = renewalOpensAt(renewal, certificate);
          const at = renewAfterOf({ validity, renewal }, certificate) ?? Number.NaN;
          expect(at % 1000).toBe(0);
          expect(at).toBeGreaterThanOrEqual(from);
          expect(at - from).toBeLessThanOrEqual((certificate.notAfter + 1000 - from) / 2);
          if (renewal !== undefined) expect(() => refuseRenewal(renewal, certificate, another, at)).not.toThrow();
        },
      ),
    );
  });

  it('is never before the certificate was issued', () => {
    // Issued 45 minutes after it began, with 15 left: its window has been open for 39 minutes.
    const hour = {
      validity: { hours: 1, backdateMinutes: 45 },
      renewal: { windowPercent: 90, key: 'either' },
    } as const;
    const certificate = lasting(3_600_000, '7f000000000000000000000000000000');
    expect(renewalOpensAt(hour.renewal, certificate)).toBe(certificate.notBefore + 360_000);
    expect(renewAfterOf(hour, certificate)).toBe(certificate.notBefore + 2_700_000);
  });

  it('spreads a fleet evenly', () => {
    const buckets = Array.from({ length: 30 }, () => 0);
    for (let device = 0; device < 10_000; device++) {
      const serialNumber = createHash('sha256').update(`device-${device}`).digest('hex').slice(0, 32);
      const at = renewAfterOf(profile, lasting(90 * day, serialNumber)) ?? Number.NaN;
      const bucket = Math.floor((at - opensAt) / (day / 2));
      buckets[bucket] = (buckets[bucket] ?? 0) + 1;
    }
    // 333 in each half day; five standard deviations of the binomial distribution are 90.
    expect(buckets).toHaveLength(30);
    for (const count of buckets) expect(Math.abs(count - 10_000 / 30)).toBeLessThan(90);
  });

  it('is not said of a certificate without an end', () => {
    expect(renewAfterOf(profile, { ...lasting(day), notAfter: withoutEnd })).toBeUndefined();
    expect(renewAfterOf(profile, { ...lasting(day), notAfter: withoutEnd - 1000 })).toBeDefined();
  });
});

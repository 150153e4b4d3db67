import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { issuableUntil } from '../../shared/issuance/issuable-until.ts';
import { validityOf, withoutEnd } from '../../shared/issuance/tbs.ts';
import { deviceTls } from '../support/profile.ts';

/** Against validityOf, which the issued certificates come from. */

const second = 1000;
const earliest = Date.parse('2000-01-01T00:00:00Z') / second;
const latest = Date.parse('2100-01-01T00:00:00Z') / second;

it("is the last millisecond at which a certificate fits into its issuer's", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: earliest, max: latest }),
      fc.oneof(
        fc.record({ days: fc.integer({ min: 1, max: 3650 }) }),
        fc.record({ hours: fc.integer({ min: 1, max: 48 }) }),
      ),
      fc.integer({ min: 0, max: 30 }),
      (end, lifetime, backdateMinutes) => {
        const issuer = { notBefore: 0, notAfter: end * second };
        const profile = { ...deviceTls, validity: { ...lifetime, backdateMinutes } };
        const until = issuableUntil(profile, issuer);
        expect(validityOf(profile, issuer, until).notAfter).toBeLessThanOrEqual(issuer.notAfter);
        expect(validityOf(profile, issuer, until + 1).notAfter).toBeGreaterThan(issuer.notAfter);
      },
    ),
  );
});

it("is the issuer's own end where certificates are made shorter, and never where they have no end but the issuer has", () => {
  const issuer = { notAfter: latest * second };
  const of = (validity: typeof deviceTls.validity) => issuableUntil({ ...deviceTls, validity }, issuer);
  expect(of({ days: 365, backdateMinutes: 5, beyondIssuer: 'clamp' })).toBe(issuer.notAfter);
  expect(of({ end: 'never', backdateMinutes: 5 })).toBe(Number.NEGATIVE_INFINITY);
  const endless = { ...deviceTls, validity: { end: 'never', backdateMinutes: 5 } } as const;
  expect(issuableUntil(endless, { notAfter: withoutEnd })).toBe(withoutEnd);
});

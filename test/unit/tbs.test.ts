import { describe, expect, it } from 'vitest';
import { newSerialNumber, validityOf } from '../../shared/issuance/tbs.ts';
import { deviceTls } from '../support/profile.ts';

const minute = 60_000;
const day = 86_400_000;
const now = Date.parse('2026-11-22T12:34:56.789Z');

describe('newSerialNumber', () => {
  const drawing = (...draws: readonly (readonly number[])[]) => {
    const left = [...draws];
    return newSerialNumber((count) => {
      expect(count).toBe(16);
      const draw = left.shift();
      if (draw === undefined) throw new Error('drawn too often');
      return Uint8Array.from({ length: count }, (_, index) => draw[index] ?? 0);
    });
  };

  it('clears the top bit, so that the number is positive', () => {
    expect(drawing([0xff, 1])[0]).toBe(0x7f);
    expect(drawing([0x81])[0]).toBe(1);
  });

  it('draws again where the first octet would be zero, so that the number has 16 octets', () => {
    expect([...drawing([0x80, 1], [0, 0xff], [0x42, 7])]).toEqual([0x42, 7, ...Array.from({ length: 14 }, () => 0)]);
  });

  it('leaves the drawn bytes alone', () => {
    const drawn = new Uint8Array(16).fill(0xff);
    newSerialNumber(() => drawn);
    expect(drawn[0]).toBe(0xff);
  });
});

describe('validityOf', () => {
  const profile = { ...deviceTls, validity: { days: 30, backdateMinutes: 10 } };
  const issuer = { notBefore: 0, notAfter: Date.parse('9999-12-31T23:59:59Z') };

  it('is as long as the profile says with both ends in it, from whole seconds', () => {
    const { notBefore, notAfter } = validityOf(profile, issuer, now);
    expect(new Date(notBefore).toISOString()).toBe('2026-11-22T12:24:56.000Z');
    expect(new Date(notAfter).toISOString()).toBe('2026-12-22T12:24:55.000Z');
  });

  it("does not begin before the issuer's, and is as long all the same", () => {
    const young = Date.parse('2026-11-22T12:30:00Z');
    const { notBefore, notAfter } = validityOf(profile, { ...issuer, notBefore: young }, now);
    expect(notBefore).toBe(young);
    expect(notAfter - notBefore + 1000).toBe(30 * day);
    const older = { ...issuer, notBefore: young - 10 * minute };
    expect(validityOf(profile, older, now).notBefore).toBe(Date.parse('2026-11-22T12:24:56Z'));
  });

  it('may be hours, and may have no end', () => {
    const hours = { ...deviceTls, validity: { hours: 6, backdateMinutes: 10 } };
    const short = validityOf(hours, issuer, now);
    expect(short.notAfter - short.notBefore + 1000).toBe(6 * 60 * minute);
    const endless = { ...deviceTls, validity: { end: 'never' as const, backdateMinutes: 10 } };
    expect(new Date(validityOf(endless, issuer, now).notAfter).toISOString()).toBe('9999-12-31T23:59:59.000Z');
  });

  it("ends with the issuer's where the profile clamps, and beyond it where it does not", () => {
    const ending = { ...issuer, notAfter: now + 5 * day };
    expect(validityOf(profile, ending, now).notAfter).toBeGreaterThan(ending.notAfter);
    const clamping = { ...profile, validity: { ...profile.validity, beyondIssuer: 'clamp' as const } };
    expect(validityOf(clamping, ending, now).notAfter).toBe(ending.notAfter);
    expect(validityOf(clamping, issuer, now)).toEqual(validityOf(profile, issuer, now));
  });
});

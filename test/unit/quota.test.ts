import { describe, expect, it } from 'vitest';
import { deviceQuotaOf, endOfDay, exhaustedUntil, notEnded, ofLastDay, ratesOf } from '../../shared/issuance/quota.ts';
import { countsUntilOf } from '../../shared/ledger/device-rows.ts';
import { deviceTls } from '../support/profile.ts';

const now = Date.parse('2026-11-22T12:00:00Z');
const day = 86_400_000;

const row = (notAfter: number, intentAt: number) => ({
  deviceId: 'd',
  requestId: `${notAfter}-${intentAt}`,
  issuerId: 'devices',
  serialNumber: '7f',
  crlShard: 0,
  notAfter,
  intentAt,
});

describe('deviceQuotaOf', () => {
  const limited = { ...deviceTls, quota: { liveCertificatesPerDevice: 2, perDevicePerDay: 5 } };
  const device = { deviceId: 'd', state: 'active' } as const;

  it.each([
    ['none', deviceTls, device, undefined],
    ["the profile's", limited, device, { liveCertificates: 2, perDay: 5 }],
    ["the profile's, of a device that is not registered", limited, undefined, { liveCertificates: 2, perDay: 5 }],
    ["the device's instead", limited, { ...device, maximumLiveCertificates: 7 }, { liveCertificates: 7, perDay: 5 }],
    ["the device's alone", deviceTls, { ...device, maximumLiveCertificates: 0 }, { liveCertificates: 0 }],
    ['none per device', { ...deviceTls, quota: { perHour: 5 } }, device, undefined],
  ])('is %s', (_, profile, registered, expected) => {
    expect(deviceQuotaOf(profile, registered)).toEqual(expected);
  });
});

describe('ratesOf', () => {
  const limited = { ...deviceTls, quota: { perFleetPerHour: 5, perHour: 50 } };
  const inFleet = (fleet: string) => ({ deviceId: 'd', state: 'active', fleet }) as const;
  const scopes = (...given: Parameters<typeof ratesOf>) => ratesOf(...given).map(({ scope }) => scope);

  it('are none of a profile without them', () => expect(ratesOf(deviceTls, inFleet('doors'))).toEqual([]));

  it('counts each fleet by itself, and devices without one as one', () => {
    const all = [inFleet('doors'), inFleet('pumps'), inFleet('no-fleet'), undefined].flatMap((device) =>
      scopes({ ...limited, quota: { perFleetPerHour: 5 } }, device),
    );
    expect(new Set(all).size).toBe(4);
    expect(scopes(limited, inFleet('doors'))).toHaveLength(2);
  });

  it('counts each profile by itself', () => {
    const both = ['device-tls', 'device-tls-2'].flatMap((name) => scopes({ ...limited, name }, inFleet('doors')));
    expect(new Set(both).size).toBe(4);
  });
});

describe('what counts', () => {
  it('has not ended at the second that is its last', () => {
    expect(notEnded([row(now - 1, 0), row(now, 0), row(now + 1, 0)], now).map(({ notAfter }) => notAfter)).toEqual([
      now + 1,
      now,
    ]);
  });

  it('is of the last 24 hours, the first of these milliseconds not among them', () => {
    const rows = [row(0, now - day), row(0, now - day + 1), row(0, now), row(0, now + 5)];
    expect(ofLastDay(rows, now).map(endOfDay)).toEqual([now + 1, now + day, now + day + 5]);
  });

  it('is in the index for as long as it counts for either', () => {
    const until = (notAfter: number, intentAt: number) => countsUntilOf('p', notAfter, intentAt).split('#')[1];
    expect(until(now + 5 * day, now)).toBe('2026-11-27T12:00:00.000Z');
    expect(until(now + 3_600_000, now)).toBe('2026-11-23T12:00:00.000Z');
  });
});

describe('exhaustedUntil', () => {
  it.each([
    [[], 1, undefined],
    [[5], 2, undefined],
    [[5], 1, 5],
    [[5, 9, 7], 3, 5],
    // Two have to end before there are fewer than two.
    [[5, 9, 7], 2, 7],
    [[5, 9, 7], 1, 9],
    [[], 0, Number.POSITIVE_INFINITY],
  ])('of %o with a limit of %i is %s', (ends, limit, expected) => {
    expect(exhaustedUntil(ends, limit)).toBe(expected);
  });
});

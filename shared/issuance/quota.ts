import { type CountedRow, countedDay, type Device, type RateLimit } from '../ledger/index.ts';
import type { Profile } from './profile.ts';

/** What a device may have of a profile's certificates; what is left out has no limit. At least one is there. */
export interface DeviceQuota {
  /** Certificates that have not ended and are not revoked, and open intents. */
  readonly liveCertificates?: number;
  /** Attempts, signed or open, of the last 24 hours. */
  readonly perDay?: number;
}

/** The device's own number of live certificates stands in the place of the profile's, also where the profile has none. */
export function deviceQuotaOf(profile: Profile, device: Device | undefined): DeviceQuota | undefined {
  const liveCertificates = device?.maximumLiveCertificates ?? profile.quota?.liveCertificatesPerDevice;
  const perDay = profile.quota?.perDevicePerDay;
  if (liveCertificates === undefined && perDay === undefined) return undefined;
  return {
    ...(liveCertificates === undefined ? {} : { liveCertificates }),
    ...(perDay === undefined ? {} : { perDay }),
  };
}

/** A rate of a profile, and how it is told of. */
export interface ProfileRate extends RateLimit {
  readonly description: string;
}

/** The rates that a certificate counts against. Devices without a fleet are counted together, as if they were one. */
export function ratesOf(profile: Profile, device: Device | undefined): readonly ProfileRate[] {
  const { perFleetPerHour, perHour } = profile.quota ?? {};
  const fleet = device?.fleet;
  return [
    ...(perFleetPerHour === undefined
      ? []
      : [
          {
            // No profile's name has a "#" in it, so no two scopes are the same text.
            scope: fleet === undefined ? `no-fleet#${profile.name}` : `fleet#${profile.name}#${fleet}`,
            limit: perFleetPerHour,
            description: fleet === undefined ? 'the devices without a fleet' : `the fleet ${fleet}`,
          },
        ]),
    ...(perHour === undefined
      ? []
      : [{ scope: `profile#${profile.name}`, limit: perHour, description: 'all devices together' }]),
  ];
}

/** When an attempt is 24 hours old, which is when it counts for the day no more. */
export const endOfDay = ({ intentAt }: CountedRow): number => intentAt + countedDay;

/** Attempts of the last 24 hours; the boundary itself is out. */
export const ofLastDay = (rows: readonly CountedRow[], now: number): readonly CountedRow[] =>
  rows.filter((row) => endOfDay(row) > now);

/**
 * Those whose certificate has not ended (RFC 5280 section 4.1.2.5: valid through notAfter), the one ending last first, and of
 * several that end last the newest.
 */
export const notEnded = (rows: readonly CountedRow[], now: number): readonly CountedRow[] =>
  rows
    .filter(({ notAfter }) => notAfter >= now)
    .toSorted((one, other) => other.notAfter - one.notAfter || other.intentAt - one.intentAt);

/**
 * When fewer than `limit` of these will be left, where it is that many or more now; Infinity for a limit of 0.
 * @param ends when each stops counting; all of them yet to come
 */
export function exhaustedUntil(ends: readonly number[], limit: number): number | undefined {
  if (ends.length < limit) return undefined;
  return limit === 0 ? Number.POSITIVE_INFINITY : ends.toSorted((one, other) => other - one)[limit - 1];
}

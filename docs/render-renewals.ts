import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { readProfiles } from '../shared/issuance/profile.ts';
import { renewAfterOf, renewalOpensAt } from '../shared/issuance/renewal.ts';
import { newSerialNumber, validityOf } from '../shared/issuance/tbs.ts';

const fleet = 10_000;
const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;
const profileName = 'device-tls-server';

/** When each device of a fleet that was enrolled within one minute comes back, and the window of the first of them. */
interface Renewals {
  readonly opensAt: number;
  readonly endsAt: number;
  readonly times: readonly number[];
}

/**
 * By the code that issues and announces: validity, serial number and renewAfter of each. In the place of random bytes there
 * are SHA-256 digests, so that the plot is the same each time it is made.
 */
export function renewalsOfFleet(): Renewals {
  const profile = readProfiles(new URL('../profiles/', import.meta.url)).get(profileName);
  if (profile === undefined) throw new Error(`There is no profile ${profileName}.`);
  const start = Date.UTC(2026, 10, 22, 12);
  const issuer = { notBefore: start - day, notAfter: start + 3650 * day };
  const certificates = Array.from({ length: fleet }, (_, device) => {
    let draws = 0;
    const digests = (count: number) => createHash('sha256').update(`${device} ${draws++}`).digest().subarray(0, count);
    const serialNumber = Buffer.from(newSerialNumber(digests)).toString('hex');
    return { serialNumber, ...validityOf(profile, issuer, start + Math.floor((device * minute) / fleet)) };
  });
  const [first] = certificates;
  if (first === undefined) throw new Error('The fleet has no device.');
  return {
    opensAt: renewalOpensAt(profile.renewal, first),
    endsAt: first.notAfter + 1000,
    times: certificates.map((certificate) => renewAfterOf(profile, certificate) ?? Number.NaN),
  };
}

/** How many of these times fall into each interval from `from` on. */
export function histogram(times: readonly number[], from: number, interval: number, count: number): readonly number[] {
  const counts = Array.from({ length: count }, () => 0);
  for (const time of times) {
    const index = Math.floor((time - from) / interval);
    counts[index] = (counts[index] ?? 0) + 1;
  }
  return counts;
}

/** docs/renewals.svg. */
export function renderRenewals(): string {
  const { opensAt, endsAt, times } = renewalsOfFleet();
  const days = Math.round((endsAt - opensAt) / day);
  const counts = histogram(times, opensAt, 12 * hour, days * 2);
  const busiestMinute = Math.max(...histogram(times, opensAt, minute, days * 24 * 60));
  const [width, height, left, top, bottom] = [720, 320, 56, 56, 48];
  const plotWidth = width - left - 24;
  const plotHeight = height - top - bottom;
  const highest = Math.ceil(Math.max(...counts) / 100) * 100;
  const x = (index: number) => left + (index * plotWidth) / counts.length;
  const y = (count: number) => top + plotHeight * (1 - count / highest);
  const round = (value: number) => value.toFixed(1);
  const bars = counts.map((count, index) =>
    count === 0
      ? ''
      : `<rect x="${round(x(index))}" y="${round(y(count))}" width="${round(plotWidth / counts.length - 1)}" height="${round(y(0) - y(count))}" fill="#2f6f9f"/>`,
  );
  const horizontal = Array.from({ length: 5 }, (_, index) => (highest * index) / 4).map(
    (count) =>
      `<line x1="${left}" y1="${round(y(count))}" x2="${left + plotWidth}" y2="${round(y(count))}" stroke="#dddddd"/>` +
      `<text x="${left - 8}" y="${round(y(count) + 4)}" text-anchor="end">${count}</text>`,
  );
  const vertical = Array.from({ length: days / 5 + 1 }, (_, index) => index * 5).map(
    (at) => `<text x="${round(x(at * 2))}" y="${height - bottom + 18}" text-anchor="middle">${at}</text>`,
  );
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12" fill="#222222">`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    `<text x="${left}" y="22" font-size="14">renewAfter of ${fleet} devices that were enrolled within one minute (${profileName})</text>`,
    `<text x="${left}" y="40">devices in 12 hours; the busiest minute has ${busiestMinute}, where without jitter one minute would have ${fleet}</text>`,
    ...horizontal,
    ...bars.filter((bar) => bar !== ''),
    ...vertical,
    `<text x="${left + plotWidth / 2}" y="${height - 10}" text-anchor="middle">days after the window opens; the second half is for those that failed</text>`,
    '</svg>',
    '',
  ].join('\n');
}

if (import.meta.main) writeFileSync(new URL('./renewals.svg', import.meta.url), renderRenewals());

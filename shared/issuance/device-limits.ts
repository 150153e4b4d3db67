import { MintmarkError } from '../errors.ts';
import {
  type AbandonReason,
  type CountedRow,
  type CountedRows,
  type Device,
  keyOf,
  type RequestKey,
} from '../ledger/index.ts';
import type { FinishingAuthority } from './authority.ts';
import { readIssuedCertificate, renewableOf } from './issued-certificate.ts';
import type { Profile } from './profile.ts';
import { type DeviceQuota, deviceQuotaOf, endOfDay, exhaustedUntil, notEnded, ofLastDay } from './quota.ts';
import { isTooEarly, type RenewableCertificate, refuseRenewal } from './renewal.ts';
import { readTbsCertificate } from './tbs-reader.ts';

type Looking = Pick<FinishingAuthority, 'deviceRows' | 'ledger' | 'revocations' | 'now'>;

/** A request as its device's limits see it. */
export interface LimitedRequest {
  readonly key: RequestKey;
  readonly profile: Profile;
  readonly device: Device | undefined;
}

/** Twice the highest limit that a profile may name: a device with more rows than these is beyond every limit. */
const maximumRows = 2_000;

/** So many serial numbers are looked up at the same time. */
const lookupsAtATime = 20;

/**
 * Looks at what the device has, before an attempt is recorded. Profiles without quota and renewal cost no read.
 * @param subjectPublicKeyInfo DER, of the CSR
 * @throws MintmarkError RENEWAL_TOO_EARLY, RENEWAL_KEY_NOT_ALLOWED, QUOTA_EXCEEDED; the store's
 */
export async function refuseBeyondDeviceLimits(
  authority: Looking,
  request: LimitedRequest,
  subjectPublicKeyInfo: Uint8Array,
): Promise<void> {
  const { profile, device } = request;
  const quota = deviceQuotaOf(profile, device);
  if (quota === undefined && profile.renewal === undefined) return;
  const now = authority.now();
  const counted = await countedOthers(authority, request, now);
  if (profile.renewal !== undefined) {
    const live = await lastToEnd(authority, counted.rows, now);
    if (live !== undefined) refuseRenewal(profile.renewal, live, subjectPublicKeyInfo, now);
  }
  const exhausted = quota === undefined ? undefined : await exhaustion(authority, counted, quota, now);
  if (exhausted !== undefined) throw new MintmarkError('QUOTA_EXCEEDED', await sentenceOf(authority, exhausted, now));
}

/**
 * Why an intent that stands is one too many, if it is. Asked after it was written and before it is signed, whoever signs it:
 * each worker writes before it reads, so of several whose intents are together too many the last to read sees all of them. So
 * no limit can be passed, and no renewal be had by asking several times at once; and two workers at once may both give way.
 * The key of a renewal is not looked at again.
 * @throws MintmarkError of the store
 */
export async function beyondDeviceLimits(
  authority: Looking,
  request: LimitedRequest,
): Promise<Extract<AbandonReason, 'quota-exceeded' | 'renewal-too-early'> | undefined> {
  const { renewal } = request.profile;
  const quota = deviceQuotaOf(request.profile, request.device);
  if (quota === undefined && renewal === undefined) return undefined;
  const now = authority.now();
  const counted = await countedOthers(authority, request, now);
  if (renewal !== undefined) {
    const live = await lastToEnd(authority, counted.rows, now);
    if (live !== undefined && isTooEarly(renewal, live, now)) return 'renewal-too-early';
  }
  if (quota === undefined) return undefined;
  return (await exhaustion(authority, counted, quota, now)) === undefined ? undefined : 'quota-exceeded';
}

/** The device's rows under the profile, but for the request's own: that is the one more that is asked about. */
async function countedOthers(authority: Looking, { key, profile }: LimitedRequest, now: number): Promise<CountedRows> {
  const { rows, isComplete } = await authority.deviceRows.findCounted(key.deviceId, profile.name, now, maximumRows);
  return { rows: rows.filter((row) => keyOf(row) !== keyOf(key)), isComplete };
}

/** A limit that leaves no place for one more. */
interface Exhaustion {
  /** The beginning of a sentence about it. */
  readonly told: string;
  /** What stops counting by itself; none of these where so much counts that it was not all read. */
  readonly counting?: {
    readonly limit: number;
    readonly rows: readonly CountedRow[];
    /** When a row stops counting, in milliseconds since the epoch. */
    readonly endOf: (row: CountedRow) => number;
  };
}

async function exhaustion(
  authority: Looking,
  { rows, isComplete }: CountedRows,
  { perDay, liveCertificates }: DeviceQuota,
  now: number,
): Promise<Exhaustion | undefined> {
  if (perDay !== undefined) {
    const attempts = ofLastDay(rows, now);
    const told = `The device was given ${perDay} within 24 hours, which is its limit`;
    if (attempts.length >= perDay) return { told, counting: { limit: perDay, rows: attempts, endOf: endOfDay } };
  }
  if (liveCertificates !== undefined) {
    const live = await firstLive(authority, notEnded(rows, now), liveCertificates);
    const told = `The device has ${liveCertificates} live certificates, its limit`;
    const endOf = ({ notAfter }: CountedRow) => notAfter + 1000;
    if (live.length >= liveCertificates) return { told, counting: { limit: liveCertificates, rows: live, endOf } };
  }
  if (isComplete) return undefined;
  return { told: `The device has more than ${maximumRows} certificates, which is beyond every limit` };
}

/**
 * With the time until which there is no place. An open intent may come to nothing, at its signBefore at the latest: nobody is
 * told to come back after the end of a certificate that there is none of. Nor is the answer put off until it is known what
 * the intent came to: with the HSM away that would keep every message of the device in the queue.
 */
async function sentenceOf(authority: Looking, { told, counting }: Exhaustion, now: number): Promise<string> {
  if (counting === undefined) return `${told}.`;
  const { limit, rows, endOf } = counting;
  const signBefores = await signBeforesOf(authority, ofLastDay(rows, now));
  const ends = rows.map((row) => signBefores.get(keyOf(row)) ?? endOf(row));
  const until = exhaustedUntil(ends, limit);
  if (until === undefined || until === Number.POSITIVE_INFINITY) return `${told} for good.`;
  const earliest = signBefores.size > 0 ? ' at the earliest' : '';
  return `${told} until ${new Date(Math.max(until, now)).toISOString()}${earliest}.`;
}

/** Of those that are open intents, by `keyOf`. */
async function signBeforesOf({ ledger }: Looking, rows: readonly CountedRow[]): Promise<ReadonlyMap<string, number>> {
  const standing = await ledger.read(rows);
  const signBefores = new Map<string, number>();
  for (const row of rows) {
    const found = standing.get(keyOf(row));
    if (found?.state === 'intent') signBefores.set(keyOf(row), found.signBefore);
  }
  return signBefores;
}

/** The first `count` of these that are not revoked; the revocations are read only where there are as many. */
async function firstLive(
  { revocations }: Looking,
  rows: readonly CountedRow[],
  count: number,
): Promise<readonly CountedRow[]> {
  if (rows.length < count) return rows;
  const live: CountedRow[] = [];
  for (let start = 0; start < rows.length && live.length < count; start += lookupsAtATime) {
    const some = rows.slice(start, start + lookupsAtATime);
    const revoked = await Promise.all(some.map((row) => revocations.isRevoked(row)));
    live.push(...some.filter((_, index) => revoked[index] === false));
  }
  return live.slice(0, count);
}

/**
 * Of the certificates that have neither ended nor been revoked, the one that ends last; an open intent is the certificate that
 * it will be, or who asks several times at once would get as many. It is the first that is looked at, but for what is revoked.
 */
async function lastToEnd(
  { revocations, ledger }: Looking,
  rows: readonly CountedRow[],
  now: number,
): Promise<RenewableCertificate | undefined> {
  const candidates = notEnded(rows, now);
  let [start, end] = [0, 1];
  while (start < candidates.length) {
    const some = candidates.slice(start, end);
    const revoked = await Promise.all(some.map((row) => revocations.isRevoked(row)));
    const good = some.filter((_, index) => revoked[index] === false);
    const standing = good.length === 0 ? undefined : await ledger.read(good);
    for (const row of good) {
      const found = standing?.get(keyOf(row));
      if (found?.state === 'issued') return readIssuedCertificate(found.certificate);
      if (found?.state !== 'intent') continue;
      return { ...renewableOf(readTbsCertificate(found.tbsCertificate)), signBefore: found.signBefore };
    }
    [start, end] = [end, end + lookupsAtATime];
  }
  return undefined;
}

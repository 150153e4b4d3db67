import { asMintmarkError, MintmarkError } from '../errors.ts';
import type { Reservation } from '../ledger/index.ts';
import type { AuthorisedRequest } from './authorise.ts';
import type { Authority } from './authority.ts';
import { ratesOf } from './quota.ts';
import type { Outcomes } from './settle.ts';
import type { Prepared } from './sign.ts';

/**
 * A place under the profile's hourly limits, for an attempt that is about to be recorded.
 * @throws MintmarkError QUOTA_EXCEEDED; the store's, since what others have taken is not known then
 */
export async function reserveRate(
  { rateBuckets, now }: Pick<Authority, 'rateBuckets' | 'now'>,
  { profile, device }: Pick<AuthorisedRequest, 'profile' | 'device'>,
): Promise<Reservation> {
  const place = await rateBuckets.reserve(ratesOf(profile, device), now());
  if (!('exhausted' in place)) return place;
  const { description, limit } = place.exhausted;
  const until = new Date(place.until).toISOString();
  throw new MintmarkError(
    'QUOTA_EXCEEDED',
    `The profile ${profile.name} gives ${description} ${limit} certificates an hour, and has until ${until}.`,
  );
}

/**
 * Adds what was recorded to the buckets that all environments read. Where that fails, the attempts that were recorded just
 * now are not signed: their messages come again and resume them, and what was not added is added with the next batch.
 * @returns those that may be signed
 */
export async function countRecorded(
  { rateBuckets, now }: Pick<Authority, 'rateBuckets' | 'now'>,
  prepared: readonly Prepared[],
  outcomes: Outcomes,
): Promise<Prepared[]> {
  try {
    await rateBuckets.flush(now());
    return [...prepared];
  } catch (thrown) {
    const error = asMintmarkError(thrown);
    const isUncounted = ({ request, isResumed }: Prepared) =>
      !isResumed && ratesOf(request.profile, request.device).length > 0;
    for (const { request } of prepared.filter(isUncounted)) outcomes.set(request.queued, { kind: 'retry', error });
    return prepared.filter((each) => !isUncounted(each));
  }
}

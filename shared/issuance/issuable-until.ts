import { lifetimeOf, type Profile } from './profile.ts';
import { withoutEnd } from './tbs.ts';

/**
 * The last moment (milliseconds since the epoch, inclusive) at which a certificate by this profile still fits into its issuer's,
 * as validityOf makes it: by then the next issuing CA has to issue. A profile that shortens its certificates fits until the
 * issuer ends.
 * @param issuer milliseconds since the epoch, inclusive
 */
export function issuableUntil({ validity }: Profile, issuer: { readonly notAfter: number }): number {
  const lifetime = lifetimeOf(validity);
  if (validity.beyondIssuer === 'clamp' || issuer.notAfter >= withoutEnd) return issuer.notAfter;
  if (!Number.isFinite(lifetime)) return Number.NEGATIVE_INFINITY;
  // Certificates begin backdated at a whole second, and their last second counts.
  const wholeSecond = Math.floor(issuer.notAfter / 1000) * 1000;
  return Math.min(issuer.notAfter, wholeSecond - lifetime + 1000 + validity.backdateMinutes * 60_000 + 999);
}

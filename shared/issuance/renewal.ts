import { MintmarkError } from '../errors.ts';
import { windowOf } from './profile/schema.ts';
import type { Profile } from './profile.ts';
import { withoutEnd } from './tbs.ts';

type Renewal = NonNullable<Profile['renewal']>;

/** A certificate's validity: milliseconds since the epoch, whole seconds, both inclusive (RFC 5280 section 4.1.2.5). */
interface Validity {
  readonly notBefore: number;
  readonly notAfter: number;
}

/** The certificate that is to be renewed. */
export interface RenewableCertificate extends Validity {
  /** Hex. */
  readonly serialNumber: string;
  /** DER. */
  readonly subjectPublicKeyInfo: Uint8Array;
  /** Of one that is recorded and not signed yet: when it comes to nothing at the latest; milliseconds since the epoch. */
  readonly signBefore?: number;
}

/**
 * The first second at which a certificate may be renewed. Validity includes both of its ends, so a window of 30 days opens
 * 30 days before the first second that is not valid any more. Not before the certificate itself, which may have been made
 * shorter than its profile says. A share of the lifetime is one of this certificate's, rounded down to whole seconds.
 */
export function renewalOpensAt(renewal: Renewal | undefined, { notBefore, notAfter }: Validity): number {
  const end = notAfter + 1000;
  const lifetime = end - notBefore;
  // Of a profile that has none, a third of the lifetime: advice then, and not a rule.
  const window = renewal === undefined ? Math.floor(lifetime / 3) : windowOf(renewal, lifetime);
  return Math.max(notBefore, Math.ceil((end - window) / 1000) * 1000);
}

/**
 * When a device had best come for its next certificate: within the first half of the window, so that a failure leaves the
 * other half; where in it, its serial number says. That is random, so a fleet that was enrolled within a minute is spread
 * evenly over the half; and it is the same whenever it is asked for, with nothing to store.
 * Not before the certificate was issued, though one that was made shorter than its profile says may have its window open by then.
 * @param profile undefined where it is not known
 * @returns milliseconds since the epoch, a whole second; undefined for a certificate without an end
 */
export function renewAfterOf(
  profile: Pick<Profile, 'renewal' | 'validity'> | undefined,
  certificate: Validity & Pick<RenewableCertificate, 'serialNumber'>,
): number | undefined {
  if (certificate.notAfter >= withoutEnd) return undefined;
  const issuedAt = certificate.notBefore + (profile?.validity.backdateMinutes ?? 0) * 60_000;
  const opensAt = Math.max(issuedAt, renewalOpensAt(profile?.renewal, certificate));
  const seconds = Math.max(0, Math.floor((certificate.notAfter + 1000 - opensAt) / 2000));
  // 48 bits: what a number holds exactly.
  const fraction = Number.parseInt(certificate.serialNumber.slice(-12), 16) / 2 ** 48;
  return opensAt + Math.floor(fraction * seconds) * 1000;
}

export const isTooEarly = (renewal: Renewal, live: Validity, now: number): boolean =>
  now < renewalOpensAt(renewal, live);

/**
 * @param live of the device's live certificates and open intents under the profile, the one that ends last
 * @param subjectPublicKeyInfo DER, of the CSR; keys have one encoding each (public-key.ts), so bytes are compared
 * @param now milliseconds since the epoch
 * @throws MintmarkError RENEWAL_TOO_EARLY, RENEWAL_KEY_NOT_ALLOWED
 */
export function refuseRenewal(
  renewal: Renewal,
  live: RenewableCertificate,
  subjectPublicKeyInfo: Uint8Array,
  now: number,
): void {
  if (isTooEarly(renewal, live, now)) throw new MintmarkError('RENEWAL_TOO_EARLY', tooEarly(renewal, live, now));
  const isSame = Buffer.compare(live.subjectPublicKeyInfo, subjectPublicKeyInfo) === 0;
  if (renewal.key === 'new' && isSame) {
    throw new MintmarkError(
      'RENEWAL_KEY_NOT_ALLOWED',
      `The key is that of the certificate ${live.serialNumber}, and the profile asks for a new one at each renewal.`,
    );
  }
  if (renewal.key === 'same' && !isSame) {
    throw new MintmarkError(
      'RENEWAL_KEY_NOT_ALLOWED',
      `The key is not that of the certificate ${live.serialNumber}, and the profile renews with the same key.`,
    );
  }
}

function tooEarly(renewal: Renewal, live: RenewableCertificate, now: number): string {
  const opensAt = told(renewalOpensAt(renewal, live));
  return live.signBefore === undefined
    ? `The device has the certificate ${live.serialNumber} until ${told(live.notAfter)}; it may be renewed from ${opensAt}.`
    : `Another request of the device is about to have the certificate ${live.serialNumber}, which may be renewed from ` +
        `${opensAt}; whether it comes to that is known by ${told(Math.ceil(Math.max(live.signBefore, now) / 1000) * 1000)}.`;
}

/** RFC 3339, whole seconds. */
const told = (time: number): string => new Date(time).toISOString().replace('.000Z', 'Z');

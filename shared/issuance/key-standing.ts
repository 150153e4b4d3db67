import { createHash } from 'node:crypto';
import { MintmarkError } from '../errors.ts';
import type { Device, KeyClaim, KeyClaims } from '../ledger/index.ts';
import type { Profile } from './profile.ts';

/**
 * How a key is called in the keys table and among a device's pinnedKeys: SHA-256, in lower-case hex, of the whole DER of its
 * SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7). CSRs are read so strictly that a key has one such encoding.
 */
export const spkiSha256Of = (subjectPublicKeyInfo: Uint8Array): string =>
  createHash('sha256').update(subjectPublicKeyInfo).digest('hex');

export interface KeyRefusal {
  readonly code: 'KEY_COMPROMISED' | 'KEY_NOT_PINNED';
  readonly detail: string;
}

/**
 * Why a device may have no certificate with this key now; undefined where nothing is in the way.
 * @param device undefined for one that is not registered, and so pins no keys
 */
export function keyRefusal(
  subjectPublicKeyInfo: Uint8Array,
  isCompromised: boolean,
  device: Device | undefined,
): KeyRefusal | undefined {
  if (isCompromised) {
    return { code: 'KEY_COMPROMISED', detail: 'The public key in the CSR is blocked: its private key is compromised.' };
  }
  if (device?.pinnedKeys === undefined) return undefined;
  const spkiSha256 = spkiSha256Of(subjectPublicKeyInfo);
  if (device.pinnedKeys.includes(spkiSha256)) return undefined;
  const detail = `The public key in the CSR (SHA-256 of its SubjectPublicKeyInfo: ${spkiSha256}) is not among the pinnedKeys of the device ${device.deviceId}.`;
  return { code: 'KEY_NOT_PINNED', detail };
}

/**
 * Keeps a key for a device until its certificate ends, where the profile lets no two devices have one key; elsewhere nothing is
 * asked or written. To be the last thing before the intent is written: whoever cannot prove possession, or is refused for
 * anything else, claims nobody's key.
 * @throws MintmarkError KEY_REUSED; those of KeyClaims.claim
 */
export async function claimKey(
  claims: KeyClaims,
  profile: Profile,
  subjectPublicKeyInfo: Uint8Array,
  claim: KeyClaim,
  now: number,
): Promise<void> {
  if (profile.keys.reuse !== 'refused') return;
  const holder = await claims.claim(spkiSha256Of(subjectPublicKeyInfo), claim, now);
  if (holder === undefined) return;
  // Which device that is, is not for the sender to know; `mintmark keys show` tells operators.
  const until = new Date(holder.notAfter).toISOString();
  throw new MintmarkError('KEY_REUSED', `The public key in the CSR is another device's until ${until}.`);
}

import type { AbandonReason, RecordedIntent } from '../ledger/index.ts';
import type { FinishingAuthority } from './authority.ts';
import { beyondDeviceLimits } from './device-limits.ts';
import { keyRefusal, spkiSha256Of } from './key-standing.ts';
import { faultOfRecorded, readRecorded } from './lint.ts';
import type { OpenIssuer } from './open-issuers.ts';
import type { Profile } from './profile.ts';
import { deviceRefusal } from './registration.ts';
import { authoriseSender } from './sender.ts';

/** An intent that was recorded earlier, and who asks for it now. */
export interface OpenRequest {
  readonly intent: RecordedIntent;
  /** The principal: of the message that came again, or of the row. */
  readonly sender: string;
  /**
   * As it is deployed today. It says who may ask and for which devices; what is signed is the TBS as it was recorded,
   * under the profile of that time (the row's profileHash), and never made again.
   */
  readonly profile: Profile;
}

/** What is to become of it. */
export type Resumption =
  | { readonly next: 'sign'; readonly issuer: OpenIssuer }
  | { readonly next: 'abandon'; readonly reason: AbandonReason };

/**
 * The world may have changed since the intent was recorded: device, sender, key, quota, renewal, issuer and revocation are
 * looked at again, past every cache. What is in the row is linted
 * again: who can write to the table shall not thereby choose what is signed.
 * @param deadline of opening the signer, in milliseconds since the epoch
 * @throws MintmarkError SENDER_NOT_ALLOWED, which is for the caller to answer; those of OpenIssuers.open and the store
 */
export async function resume(
  authority: FinishingAuthority,
  { intent, sender, profile }: OpenRequest,
  deadline: number,
): Promise<Resumption> {
  const { deviceId } = intent;
  const tbs = readRecorded(intent);
  if (tbs === undefined) return { next: 'abandon', reason: 'lint-failed' };
  const { subjectPublicKeyInfo } = tbs;
  const [devices, senders, compromised, isRevoked] = await Promise.all([
    authority.devices.findNow([deviceId], authority.now()),
    authority.senders.findNow([sender], authority.now()),
    authority.compromisedKeys.among([spkiSha256Of(subjectPublicKeyInfo)]),
    authority.revocations.isRevoked(intent),
  ]);
  const device = devices.get(deviceId);
  authoriseSender({ principal: sender, sender: senders.get(sender), profile, deviceId, device });
  if (isRevoked) return { next: 'abandon', reason: 'serial-number-revoked' };
  const refusal =
    deviceRefusal(deviceId, profile, device) ?? keyRefusal(subjectPublicKeyInfo, compromised.size > 0, device);
  if (refusal !== undefined) return { next: 'abandon', reason: reasonOf[refusal.code] };
  const beyond = await beyondDeviceLimits(authority, { key: intent, profile, device });
  if (beyond !== undefined) return { next: 'abandon', reason: beyond };
  const issuer = await authority.issuers.openNow(intent.issuerId, deadline);
  const fault = faultOfRecorded(tbs, intent, issuer.tbsIssuer, profile);
  return fault === undefined ? { next: 'sign', issuer } : { next: 'abandon', reason: fault };
}

const reasonOf = {
  DEVICE_UNKNOWN: 'device-unknown',
  DEVICE_BLOCKED: 'device-blocked',
  KEY_COMPROMISED: 'key-compromised',
  KEY_NOT_PINNED: 'key-not-pinned',
} as const;

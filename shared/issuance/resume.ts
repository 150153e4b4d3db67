import type { AbandonReason, RecordedIntent } from '../ledger/index.ts';
import type { FinishingAuthority } from './authority.ts';
import type { CertificationRequest } from './certification-request.ts';
import { beyondDeviceLimits } from './device-limits.ts';
import type { KeyPair } from './key-checks/issuer-key.ts';
import { brokenKeyRules } from './key-rules.ts';
import { keyRefusal, spkiSha256Of } from './key-standing.ts';
import { faultOfRecorded, readRecorded } from './lint.ts';
import type { OpenIssuer } from './open-issuers.ts';
import type { Profile } from './profile.ts';
import { deviceRefusal } from './registration.ts';
import { authoriseSender } from './sender.ts';
import { faultOfGrant } from './still-granted.ts';
import type { TbsCertificate } from './tbs-reader.ts';

/** An intent that was recorded earlier, and who asks for it now. */
export interface OpenRequest {
  readonly intent: RecordedIntent;
  /** The principal: of the message that came again, or of the row. */
  readonly sender: string;
  /**
   * As it is deployed today. It says who may ask, for which devices, names, purposes and of which issuing CA; what is signed is
   * the TBS as it was recorded, under the profile of that time (the row's profileHash), and never made again.
   */
  readonly profile: Profile;
  /** Of the message that came again; undefined where the row is all there is. */
  readonly csr?: CertificationRequest;
}

/** What is to become of it. */
export type Resumption =
  | { readonly next: 'sign'; readonly issuer: OpenIssuer }
  | { readonly next: 'abandon'; readonly reason: AbandonReason };

/**
 * The world may have changed since the intent was recorded: device, sender, key, quota, renewal, issuer and revocation are
 * looked at again, past every cache. What is in the row is linted again, and held to what the device would be granted today:
 * who can write to the table shall not thereby choose for whom, to which key and for what is signed. What nobody can hold it
 * to any more is in docs/exactly-once.md.
 * @param deadline of opening the signer, in milliseconds since the epoch
 * @throws MintmarkError SENDER_NOT_ALLOWED, which is for the caller to answer; those of OpenIssuers.open and the store
 */
export async function resume(
  authority: FinishingAuthority,
  openRequest: OpenRequest,
  deadline: number,
): Promise<Resumption> {
  const { intent, sender, profile } = openRequest;
  const { deviceId } = intent;
  const tbs = readRecorded(intent);
  if (tbs === undefined) return { next: 'abandon', reason: 'lint-failed' };
  const { subjectPublicKeyInfo } = tbs;
  const [devices, senders, compromised, isRevoked, issuerIds, issuersKeys] = await Promise.all([
    authority.devices.findNow([deviceId], authority.now()),
    authority.senders.findNow([sender], authority.now()),
    authority.compromisedKeys.among([spkiSha256Of(subjectPublicKeyInfo)]),
    authority.revocations.isRevoked(intent),
    authority.issuerNames.lastTargets(profile.issuer),
    authority.issuers.keyPairs(),
  ]);
  const device = devices.get(deviceId);
  authoriseSender({ principal: sender, sender: senders.get(sender), profile, deviceId, device });
  if (isRevoked) return { next: 'abandon', reason: 'serial-number-revoked' };
  const refusal =
    deviceRefusal(deviceId, profile, device) ?? keyRefusal(subjectPublicKeyInfo, compromised.size > 0, device);
  if (refusal !== undefined) return { next: 'abandon', reason: reasonOf[refusal.code] };
  const beyond = await beyondDeviceLimits(authority, { key: intent, profile, device });
  if (beyond !== undefined) return { next: 'abandon', reason: beyond };
  if (tbs.notAfter <= authority.now()) return { next: 'abandon', reason: 'validity-ended' };
  if (!issuerIds.includes(intent.issuerId)) return { next: 'abandon', reason: 'no-longer-granted' };
  const issuer = await authority.issuers.openNow(intent.issuerId, deadline);
  const fault =
    faultOfRecorded(tbs, intent, issuer.tbsIssuer, profile) ??
    faultOfKey(tbs, openRequest, issuersKeys) ??
    faultOfGrant({ ...openRequest, tbs, device });
  return fault === undefined ? { next: 'sign', issuer } : { next: 'abandon', reason: fault };
}

/** Nothing but a write to the row makes its key another than the CSR's, or one that no CSR is accepted with. */
function faultOfKey(
  { subjectPublicKeyInfo }: TbsCertificate,
  { intent, profile, csr }: OpenRequest,
  issuersKeys: ReadonlySet<KeyPair>,
): 'lint-failed' | undefined {
  if (csr !== undefined && Buffer.compare(csr.subjectPublicKeyInfo, subjectPublicKeyInfo) !== 0) return 'lint-failed';
  const policy = profile.hash === intent.profileHash ? profile.keys : undefined;
  return brokenKeyRules(subjectPublicKeyInfo, issuersKeys, policy, false).length === 0 ? undefined : 'lint-failed';
}

const reasonOf = {
  DEVICE_UNKNOWN: 'device-unknown',
  DEVICE_BLOCKED: 'device-blocked',
  KEY_COMPROMISED: 'key-compromised',
  KEY_NOT_PINNED: 'key-not-pinned',
} as const;

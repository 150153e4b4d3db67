import { MintmarkError } from '../errors.ts';
import type { Device, RecordedIntent } from '../ledger/index.ts';
import type { CertificationRequest } from './certification-request.ts';
import { brokenOf } from './lint.ts';
import { grantRules, subjectAltNameAsRequested } from './lint-rules.ts';
import { type GrantedNames, grantNames } from './names.ts';
import type { Profile } from './profile.ts';
import type { TbsCertificate } from './tbs-reader.ts';

/** An intent that was recorded earlier, and what its device is granted now. */
export interface RecordedGrant {
  readonly tbs: TbsCertificate;
  readonly intent: RecordedIntent;
  readonly profile: Profile;
  readonly device: Device | undefined;
  /** Of the message that came again; undefined where the row is all there is. */
  readonly csr?: CertificationRequest;
}

/**
 * Why the names and purposes in a TBS that was recorded earlier are not its device's; undefined where they are. With the CSR the
 * names are those that it is granted today, and no others. Without it they are names that some CSR of this device would be
 * granted: nobody knows which ones were asked for. `lint-failed` where neither profile nor registration can have changed, so
 * that somebody wrote to the row.
 */
export function faultOfGrant(recorded: RecordedGrant): 'no-longer-granted' | 'lint-failed' | undefined {
  const { tbs, intent, profile } = recorded;
  const names = namesOf(recorded);
  if (names !== undefined && brokenOf(grantRules, { tbs, profile, names }).length === 0) return undefined;
  const { registered = 'never' } = profile.subjectAltName;
  return profile.hash === intent.profileHash && registered === 'never' ? 'lint-failed' : 'no-longer-granted';
}

/** Undefined where the device is granted none, or not those that are asked for. */
function namesOf({ tbs, intent, profile, device, csr }: RecordedGrant): GrantedNames | undefined {
  const request = csr ?? { subject: [], requestedExtensions: [subjectAltNameAsRequested(tbs)] };
  try {
    return grantNames(profile, intent.deviceId, request, device?.allowedNames);
  } catch (error) {
    if (error instanceof MintmarkError && error.disposition.startsWith('reject')) return undefined;
    throw error;
  }
}

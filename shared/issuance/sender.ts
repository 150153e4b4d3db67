import { MintmarkError } from '../errors.ts';
import type { Device } from '../ledger/index.ts';
import type { Profile } from './profile.ts';

/**
 * The IAM principal behind SQS's SenderId attribute, which IAM authenticates: a user's id as it is, a role's
 * `AROA...:session` without the session, whose name the caller chooses.
 */
export const principalOf = (senderId: string): string => senderId.split(':', 1)[0] ?? senderId;

/** @throws MintmarkError SENDER_NOT_ALLOWED unless the profile, and the device where it says so, list the principal */
export function authoriseSender(principal: string, profile: Profile, device: Device | undefined): void {
  if (profile.allowedSenders !== 'any' && !profile.allowedSenders.includes(principal)) {
    throw new MintmarkError('SENDER_NOT_ALLOWED', `The sender ${principal} may not use the profile ${profile.name}.`);
  }
  if (device?.allowedSenders !== undefined && !device.allowedSenders.includes(principal)) {
    throw new MintmarkError(
      'SENDER_NOT_ALLOWED',
      `The sender ${principal} may not enrol the device ${device.deviceId}.`,
    );
  }
}

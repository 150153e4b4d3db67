import { MintmarkError } from '../errors.ts';
import type { Device, Grant, Sender } from '../ledger/index.ts';
import type { Profile } from './profile.ts';

/**
 * The IAM principal behind SQS's SenderId attribute, which IAM authenticates: a user's id as it is, a role's
 * `AROA...:session` without the session, whose name the caller chooses.
 */
export const principalOf = (senderId: string): string => senderId.split(':', 1)[0] ?? senderId;

/** Who wants a certificate of which profile for which device. */
export interface SenderClaim {
  readonly principal: string;
  /** The principal's row in the senders table; undefined for one that is not registered. */
  readonly sender: Sender | undefined;
  readonly profile: Profile;
  readonly deviceId: string;
  /** Undefined for one that is not registered, which is of no fleet. */
  readonly device: Device | undefined;
}

/**
 * Whoever is registered as a sender is held to the profiles and fleets of that registration; where the profile asks for
 * registered senders, nobody else is let in; where the profile or the device lists principals, it must be among them, too.
 * @throws MintmarkError SENDER_NOT_ALLOWED that says which of these refuses
 */
export function authoriseSender(claim: SenderClaim): void {
  const { principal, sender, profile, deviceId, device } = claim;
  refuseUnlisted(principal, profile);
  if (sender !== undefined) refuseUnregistered(sender, claim);
  else if (profile.allowedSenders === 'registered') {
    throw refusal(principal, `is not registered, and the profile ${profile.name} takes registered senders only`);
  }
  if (device?.allowedSenders !== undefined && !device.allowedSenders.includes(principal)) {
    throw refusal(principal, `is not among the allowedSenders of the device ${deviceId}`);
  }
}

/**
 * The part of `authoriseSender` that takes no table to answer.
 * @throws MintmarkError SENDER_NOT_ALLOWED
 */
export function refuseUnlisted(principal: string, { name, allowedSenders }: Profile): void {
  if (typeof allowedSenders === 'string' || allowedSenders.includes(principal)) return;
  throw refusal(principal, `is not among the allowedSenders of the profile ${name}`);
}

function refuseUnregistered({ fleets, profiles }: Sender, { principal, profile, deviceId, device }: SenderClaim): void {
  if (!isIn(profiles, profile.name)) throw refusal(principal, `is not registered for the profile ${profile.name}`);
  if (fleets === '*') return;
  const fleet = device?.fleet;
  if (fleet === undefined) {
    const ofNone = device === undefined ? 'is not registered' : 'is of none';
    throw refusal(principal, `is registered for certain fleets only, and the device ${deviceId} ${ofNone}`);
  }
  if (!isIn(fleets, fleet))
    throw refusal(principal, `is not registered for the fleet ${fleet} of the device ${deviceId}`);
}

const isIn = (grant: Grant, name: string): boolean => grant === '*' || grant.includes(name);

const refusal = (principal: string, why: string): MintmarkError =>
  new MintmarkError('SENDER_NOT_ALLOWED', `The sender ${principal} ${why}.`);

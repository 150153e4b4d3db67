import type { Device } from '../ledger/index.ts';
import type { Profile } from './profile.ts';

export interface DeviceRefusal {
  readonly code: 'DEVICE_UNKNOWN' | 'DEVICE_BLOCKED';
  readonly detail: string;
}

/** Why a device may have no certificate now; undefined where nothing is in the way. */
export function deviceRefusal(
  deviceId: string,
  profile: Profile,
  device: Device | undefined,
): DeviceRefusal | undefined {
  if (device === undefined && profile.registration === 'required') {
    return { code: 'DEVICE_UNKNOWN', detail: `The device ${deviceId} is not registered.` };
  }
  if (device?.state === 'blocked') return { code: 'DEVICE_BLOCKED', detail: `The device ${deviceId} is blocked.` };
  return undefined;
}

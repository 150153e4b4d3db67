import { defineCommand } from '../command.ts';
import { changeStates } from '../device-states.ts';
import { blockedSince } from '../device-view.ts';

export const command = defineCommand({
  details: [
    'What was rejected with DEVICE_BLOCKED is decided anew when the same request is sent again; nothing is sent by this.',
    'What else the registration says stays. A device that is active is left as it is. Exit code 1 when one is not',
    'registered.',
  ],
  declare: (command) => command.argument('<device-ids...>', 'the devices'),
  run: (session, _, deviceIds) =>
    changeStates(
      session,
      deviceIds,
      (records, deviceId) => records.unblock(deviceId),
      (deviceId, { outcome, before }) =>
        outcome === 'changed'
          ? `${deviceId} is active; it was blocked${blockedSince(before)}`
          : `${deviceId} is active already.`,
      'It takes effect within 60 seconds, for so long functions remember a device.',
    ),
});

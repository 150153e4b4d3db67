import { defineCommand } from '../command.ts';
import { changeStates } from '../device-states.ts';
import { blockedSince } from '../device-view.ts';
import { notEmpty } from '../values.ts';

interface Options {
  readonly reason: string;
}

export const command = defineCommand<Options>({
  details: [
    'Requests of a blocked device are answered with DEVICE_BLOCKED, and decided anew when they are sent again after it is',
    'unblocked. Within a minute no further certificate is issued to it; those that it has are good until they end or are',
    'revoked. A device that is blocked already stays so, with its time and reason. Exit code 1 when one is not registered.',
  ],
  declare: (command) =>
    command
      .argument('<device-ids...>', 'the devices')
      .requiredOption('--reason <text>', 'why; kept in the registration', notEmpty),
  run: (session, { reason }, deviceIds) =>
    changeStates(
      session,
      deviceIds,
      (records, deviceId) => records.block(deviceId, reason, session.now()),
      (deviceId, { outcome, before }) =>
        outcome === 'changed'
          ? `${deviceId} was active and is blocked.`
          : `${deviceId} is blocked already${blockedSince(before)}`,
      'It takes effect within 60 seconds, for so long functions remember a device. Certificates that were issued stay good.',
    ),
});

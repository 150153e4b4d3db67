import { DeviceRecords, type SenderRecord } from '../../shared/ledger/index.ts';
import { table } from '../../shared/terminal/index.ts';
import { defineCommand } from '../command.ts';
import { certificatesOf, type DeviceCertificates } from '../device-certificates.ts';
import { sendersOf } from '../device-senders.ts';
import { describeDevice, deviceJson } from '../device-view.ts';
import { isoTime, shortTime } from '../json.ts';
import { grantText, senderJson } from '../sender-view.ts';

export const command = defineCommand({
  details: [
    'Its registration; its requests by state; the certificates that have neither ended nor been revoked; the registered',
    'senders that may enrol it. Everything is read consistently, past what functions remember for a minute. Exit code 1 when',
    'the device is neither registered nor has rows.',
  ],
  declare: (command) => command.argument('<device-id>', 'the device'),
  run: async (session, _, [deviceId = '']) => {
    const records = new DeviceRecords(await session.clients.dynamoDB(), session.target().tables.devices);
    const record = (await records.get([deviceId])).get(deviceId);
    const device = record !== undefined && 'device' in record ? record.device : undefined;
    const [certificates, senders] = await Promise.all([
      certificatesOf(session, deviceId),
      device === undefined ? undefined : sendersOf(session, device),
    ]);
    const isKnown = record !== undefined || Object.keys(certificates.rows).length > 0;
    return {
      exitCode: isKnown ? 0 : 1,
      json: {
        device: record === undefined ? null : deviceJson(record),
        requests: certificates.rows,
        liveCertificates: certificates.live.map(({ serialNumber, issuerId, profile, requestId, notAfter }) => ({
          serialNumber,
          issuerId,
          profile,
          requestId,
          notAfter: isoTime(notAfter),
        })),
        registeredSenders: senders?.map(senderJson) ?? null,
        othersMay: device === undefined ? null : (device.allowedSenders ?? 'as the profile says'),
      },
      lines: [
        ...(record === undefined ? [`${deviceId} is not registered.`] : describeDevice(record)),
        '',
        ...certificateLines(certificates),
        ...(device === undefined || senders === undefined
          ? []
          : ['', ...senderLines(senders, device.allowedSenders !== undefined)]),
      ],
    };
  },
});

function certificateLines({ rows, live }: DeviceCertificates): string[] {
  const counts = Object.entries(rows).map(([state, count]) => `${count} ${state}`);
  return [
    `Requests: ${counts.length === 0 ? 'none' : counts.join(', ')}.`,
    ...(live.length === 0
      ? ['No live certificate.']
      : table(
          ['LIVE CERTIFICATE', 'ISSUER', 'PROFILE', 'NOT AFTER'],
          live.map(({ serialNumber = '', issuerId = '', profile = '', notAfter }) => [
            serialNumber,
            issuerId,
            profile,
            shortTime(notAfter),
          ]),
        )),
  ];
}

function senderLines(senders: readonly SenderRecord[], isLimited: boolean): string[] {
  const others = isLimited
    ? 'Of the others, those whom its registration lists may enrol it, where a profile lets senders be that are not registered.'
    : 'Others may enrol it where a profile lets senders be that are not registered.';
  if (senders.length === 0) return ['No registered sender may enrol it.', others];
  return [
    ...table(
      ['REGISTERED SENDER', 'PROFILES', 'ARN'],
      senders.map(({ principalId, held, arn }) => [
        principalId,
        typeof held === 'string' ? '' : grantText(held.profiles),
        arn ?? '',
      ]),
    ),
    others,
  ];
}

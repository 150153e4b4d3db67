import type { Device, DeviceRecord } from '../shared/ledger/index.ts';
import { factLines } from './facts.ts';
import { isoTime, shortTime } from './json.ts';

/** A registered device as --json has it; scripts read it, so fields are added, never renamed. */
export function deviceJson(record: DeviceRecord) {
  const { registeredAt, blockedAt, ...rest } =
    'device' in record
      ? record.device
      : {
          deviceId: record.deviceId,
          state: record.state,
          ...record.history,
          problem: `${record.problem.message} Nothing is issued to it.`,
        };
  return {
    ...rest,
    ...(registeredAt === undefined ? {} : { registeredAt: isoTime(registeredAt) }),
    ...(blockedAt === undefined ? {} : { blockedAt: isoTime(blockedAt) }),
  };
}

export const stateOf = (record: DeviceRecord): Device['state'] =>
  'device' in record ? record.device.state : record.state;

export const historyOf = (record: DeviceRecord): Pick<Device, 'registeredAt' | 'blockedAt' | 'blockReason'> =>
  'device' in record ? record.device : record.history;

/** `since <time>: <reason>`, as far as it is known; with a space before it. */
export function blockedSince(record: DeviceRecord): string {
  const { blockedAt, blockReason } = historyOf(record);
  const since = blockedAt === undefined ? '' : ` since ${shortTime(blockedAt)}`;
  return blockReason === undefined ? since : `${since}: ${blockReason}`;
}

export const deviceHead = [
  'DEVICE',
  'STATE',
  'FLEET',
  'SENDERS',
  'KEYS',
  'NAMES',
  'LIVE AT MOST',
  'REGISTERED',
  'NOTE',
];

export function deviceRow(record: DeviceRecord): string[] {
  const { registeredAt, blockReason } = historyOf(record);
  if ('problem' in record) {
    return [record.deviceId, 'unreadable', '', '', '', '', '', shortTime(registeredAt), record.problem.message];
  }
  const { deviceId, state, fleet, allowedSenders, pinnedKeys, allowedNames, maximumLiveCertificates } = record.device;
  const lengths = [allowedSenders, pinnedKeys, allowedNames].map((list) => list?.length);
  return [
    deviceId,
    state,
    fleet ?? '',
    ...[...lengths, maximumLiveCertificates].map((count) => (count === undefined ? '' : String(count))),
    shortTime(registeredAt),
    state === 'blocked' ? (blockReason ?? '') : '',
  ];
}

/** The registration for a person, a line for each thing that it says. */
export function describeDevice(record: DeviceRecord): string[] {
  const { registeredAt } = historyOf(record);
  const state = stateOf(record);
  const common = [
    ['device', record.deviceId],
    ['state', state === 'blocked' ? `blocked${blockedSince(record)}` : state],
    ['registered at', shortTime(registeredAt)],
  ] as const;
  if ('problem' in record) {
    return factLines([...common, ['problem', `${record.problem.message} Nothing is issued to it.`]]);
  }
  const { fleet, allowedSenders, pinnedKeys, allowedNames, maximumLiveCertificates } = record.device;
  return factLines([
    ...common,
    ['fleet', fleet],
    ['allowed senders', listed(allowedSenders)],
    ['pinned keys', listed(pinnedKeys)],
    ['allowed names', listed(allowedNames)],
    ['live certificates', maximumLiveCertificates === undefined ? undefined : `at most ${maximumLiveCertificates}`],
  ]);
}

/** An empty list allows nothing, which is not the same as none. */
const listed = (list: readonly string[] | undefined): string | undefined =>
  list?.length === 0 ? 'none' : list?.join(', ');

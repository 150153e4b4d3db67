import { statedIds } from '../shared/issuance/index.ts';
import type { FailureRecord } from '../shared/ledger/index.ts';
import { factLines } from './facts.ts';
import { isoTime, shortTime } from './json.ts';

/** A failure as --json has it; scripts read it, so fields are added, never renamed. */
export const failureJson = (failure: FailureRecord) => ({
  ...failure,
  failedAt: isoTime(failure.failedAt),
  firstFailedAt: isoTime(failure.firstFailedAt),
  sentAt: isoTime(failure.sentAt),
  redrivenAt: isoTime(failure.redrivenAt),
  dismissedAt: isoTime(failure.dismissedAt),
  claimedUntil: isoTime(failure.claimedUntil),
  /** What the message says, where nobody has seen whether its sender may speak for that device. */
  statedDeviceId: statedIds(failure.body).deviceId ?? null,
});

/** Whose message it is; `isStated` where only the message says so, which anybody may have written. */
export interface FailedDevice {
  readonly deviceId: string;
  readonly isStated: boolean;
}

export function deviceOf({ deviceId, body }: FailureRecord): FailedDevice | undefined {
  if (deviceId !== undefined) return { deviceId, isStated: false };
  const stated = statedIds(body).deviceId;
  return stated === undefined ? undefined : { deviceId: stated, isStated: true };
}

/** The row of the issuance table that the message is about, where it can be read. */
export function requestOf(
  failure: FailureRecord,
): { readonly deviceId: string; readonly requestId: string } | undefined {
  const deviceId = deviceOf(failure)?.deviceId;
  const requestId = failure.requestId ?? statedIds(failure.body).requestId;
  return deviceId === undefined || requestId === undefined ? undefined : { deviceId, requestId };
}

/** For tables, with a question mark behind a device that only the message names. */
export function shownDevice(failure: FailureRecord): string {
  const device = deviceOf(failure);
  return device === undefined ? '' : `${device.deviceId}${device.isStated ? '?' : ''}`;
}

/** What became of it, in a few words. */
function stateOf({ state, redrivenAt, redrivenAs, claimedUntil, dismissedAt, dismissReason }: FailureRecord): string {
  switch (state) {
    case 'failed':
      return claimedUntil === undefined
        ? 'failed; nothing has been done about it'
        : `failed; a redrive has it in hand, until ${shortTime(claimedUntil)} at most`;
    case 'redriven':
      return `redriven at ${shortTime(redrivenAt)} as message ${redrivenAs}`;
    case 'dismissed':
      return `dismissed at ${shortTime(dismissedAt)}: ${dismissReason}`;
  }
}

/** What whoever sent its key has to hear. */
const exposedKey =
  'There was a private key in the message. Who may read the queue may have read it: generate a new key pair, replace it wherever it is used, and revoke what was issued for it (docs/operating.md, "Revoking").';

/**
 * For a person, a line for each thing that is known, and the message last.
 * @param became of its message after it was redriven: a sentence each, oldest first
 */
export function describeFailure(
  failure: FailureRecord,
  cure: string | undefined,
  became: readonly string[] = [],
): string[] {
  const isFirst = failure.firstFailedAt === failure.failedAt;
  const device = deviceOf(failure);
  const facts: (readonly [string, string | number | undefined])[] = [
    ['message id', failure.messageId],
    ['state', stateOf(failure)],
    ...became.map((sentence, index) => [index === 0 ? 'what became of it' : 'then', sentence] as const),
    ['class', failure.failureClass],
    ['code', failure.code],
    ['detail', failure.detail],
    ['what to do', cure],
    ['key exposed', failure.hadPrivateKey ? exposedKey : undefined],
    ['failed at', shortTime(failure.failedAt)],
    ...(isFirst
      ? []
      : ([
          ['first code', failure.firstCode],
          ['first detail', failure.firstDetail],
          ['first failed at', shortTime(failure.firstFailedAt)],
        ] as const)),
    ['sent at', shortTime(failure.sentAt)],
    ['sender', failure.sender],
    ['tries', failure.tries],
    ...(failure.redriveCount === 0
      ? []
      : ([
          ['redriven before', failure.redriveCount === 1 ? 'once' : `${failure.redriveCount} times`],
          ['first failure', failure.originalMessageId],
          ['redriven by', failure.resentBy],
        ] as const)),
    [
      'device',
      device?.isStated === true ? `${device.deviceId}, as the message says; nobody has checked it` : device?.deviceId,
    ],
    ['request id', failure.requestId],
    ['body', `${failure.bodyBytes} bytes, SHA-256 ${failure.bodySha256}${failure.bodyCut ? ', not whole below' : ''}`],
  ];
  return [...factLines(facts), '', ...failure.body.split('\n')];
}

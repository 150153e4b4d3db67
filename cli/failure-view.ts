import type { FailureRecord } from '../shared/ledger/index.ts';
import { isoTime, shortTime } from './json.ts';

/** A failure as --json has it; scripts read it, so fields are added, never renamed. */
export const failureJson = (failure: FailureRecord) => ({
  ...failure,
  failedAt: isoTime(failure.failedAt),
  firstFailedAt: isoTime(failure.firstFailedAt),
  sentAt: isoTime(failure.sentAt),
  redrivenAt: isoTime(failure.redrivenAt),
  dismissedAt: isoTime(failure.dismissedAt),
});

/** What became of it, in a few words. */
function stateOf({ state, redrivenAt, redrivenAs, dismissedAt, dismissReason }: FailureRecord): string {
  switch (state) {
    case 'failed':
      return 'failed; nothing has been done about it';
    case 'redriven':
      return `redriven at ${shortTime(redrivenAt)} as message ${redrivenAs}`;
    case 'dismissed':
      return `dismissed at ${shortTime(dismissedAt)}: ${dismissReason}`;
  }
}

/** For a person, a line for each thing that is known, and the message last. */
export function describeFailure(failure: FailureRecord, cure: string | undefined): string[] {
  const isFirst = failure.firstFailedAt === failure.failedAt;
  const facts: (readonly [string, string | number | undefined])[] = [
    ['message id', failure.messageId],
    ['state', stateOf(failure)],
    ['class', failure.failureClass],
    ['code', failure.code],
    ['detail', failure.detail],
    ['what to do', cure],
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
    ['device', failure.deviceId],
    ['request id', failure.requestId],
    ['body', `${failure.bodyBytes} bytes, SHA-256 ${failure.bodySha256}${failure.bodyCut ? ', not whole below' : ''}`],
  ];
  const told = facts.filter(([, value]) => value !== undefined && value !== '');
  const width = Math.max(...told.map(([what]) => what.length));
  return [...told.map(([what, value]) => `${what.padEnd(width)}  ${value}`), '', ...failure.body.split('\n')];
}

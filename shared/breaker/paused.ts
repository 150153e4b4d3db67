import { MintmarkError } from '../errors.ts';
import type { Wait } from '../queue/index.ts';
import type { BreakerRecord } from './record.ts';

/** Times `pausedSeconds`: the longest wait of a message. */
export const longestPause = 5;

/** An issuer's breaker lets this batch not ask the signer: SIGNER_PAUSED, and how long to stay away. */
export class SignerPausedError extends MintmarkError {
  readonly wait: Wait;
  /** Half-open, and not for longer than a message may wait: other requests are finding out. */
  readonly isBeingTried: boolean;

  /** @param now milliseconds since the epoch */
  constructor(record: BreakerRecord, pausedSeconds: number, now: number) {
    super('SIGNER_PAUSED', sentenceOf(record));
    this.wait = waitOf(record, pausedSeconds, now);
    const lasted = now - (record.since ?? 0);
    this.isBeingTried = record.state === 'half-open' && lasted < longestPause * pausedSeconds * 1000;
  }
}

function sentenceOf({ issuerId, state, held, since, reason, detail }: BreakerRecord): string {
  if (state === 'half-open') return `The signer of ${issuerId} is being tried with a few requests; this one waits.`;
  const from = since === undefined ? '' : ` since ${new Date(since).toISOString()}`;
  const why = reason === undefined ? '' : `: ${reason}${detail === undefined ? '' : ` (${detail})`}`;
  return `The signer of ${issuerId} is paused${from}${held ? ', until an operator resumes it' : ''}${why}`;
}

/**
 * Open: from `pausedSeconds` to five times that, since the canary looks every minute and each try is a delivery, of which
 * a message has few. Half-open: as long as that has lasted, since it is decided within seconds or, where nothing
 * comes of the probes, not soon; in between as long as when open.
 */
export function waitOf({ state, since = 0 }: BreakerRecord, pausedSeconds: number, now: number): Wait {
  const open = { least: pausedSeconds, most: longestPause * pausedSeconds };
  if (state !== 'half-open') return open;
  const lasted = Math.max(0, now - since) / 1000;
  const shortest = pausedSeconds / 12;
  return {
    least: Math.min(open.least, Math.max(shortest, lasted / 2)),
    most: Math.min(open.most, Math.max(3 * shortest, lasted)),
  };
}

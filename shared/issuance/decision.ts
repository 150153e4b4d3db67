import type { IssuedRow, RecordedIntent, RejectedRow, ReopenableRow, StandingRow } from '../ledger/index.ts';

/** What the row that stands under a request id means for a request that arrives under it. */
export type Decision =
  /** Nothing binds: look at the request. */
  | { readonly next: 'evaluate'; readonly standing: ReopenableRow | undefined }
  /** The answer is there already, and stays the same however often it is asked for. */
  | { readonly next: 'answer'; readonly row: IssuedRow | RejectedRow }
  /** An intent is open: sign its TBS, and no other. */
  | { readonly next: 'resume'; readonly intent: RecordedIntent }
  /** An intent is open past its deadline: nobody may sign it any more. */
  | { readonly next: 'abandon'; readonly intent: RecordedIntent }
  /** The request id belongs to another request. */
  | { readonly next: 'conflict' };

/** @param now milliseconds since the epoch */
export function decide(standing: StandingRow | undefined, requestHash: string, now: number): Decision {
  if (standing === undefined) return { next: 'evaluate', standing };
  // A refusal that may be reopened, and never was an intent, holds the request id for nobody: the device may have been
  // unknown then, and the request anybody's.
  if (standing.state === 'rejected' && standing.reopenable && standing.attempt === 0) {
    return { next: 'evaluate', standing };
  }
  if (standing.requestHash !== requestHash) return { next: 'conflict' };
  switch (standing.state) {
    case 'issued':
      return { next: 'answer', row: standing };
    case 'rejected':
      return standing.reopenable ? { next: 'evaluate', standing } : { next: 'answer', row: standing };
    case 'intent':
      return now < standing.signBefore ? { next: 'resume', intent: standing } : { next: 'abandon', intent: standing };
    case 'abandoned':
      return { next: 'evaluate', standing };
  }
}

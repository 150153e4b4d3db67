import type { AbandonedRow, IssuedRow, RecordedIntent, StandingRow } from '../ledger/index.ts';

/** What is owed to a request that the index of open intents names, by its row. */
export type Owed =
  /** An intent that nobody may sign any more. */
  | { readonly owed: 'abandonment'; readonly intent: RecordedIntent }
  /** An intent whose message should have finished it by now. */
  | { readonly owed: 'certificate'; readonly intent: RecordedIntent }
  /** Whoever abandoned it did not get to revoking its serial number, or to saying that it did. */
  | { readonly owed: 'revocation'; readonly row: AbandonedRow }
  /** An earlier run stored its certificate, and did not get to announcing it, or to saying that it did. */
  | { readonly owed: 'announcement'; readonly row: IssuedRow }
  /** An intent so young that whoever recorded it, or the next delivery of its message, is expected to finish it. */
  | { readonly owed: 'patience' }
  /** The index was behind: the row has gone on. */
  | { readonly owed: 'nothing' };

/**
 * Pure.
 * @param now milliseconds since the epoch
 * @param patience how old an intent must be to be finished without its message, in milliseconds
 */
export function owedTo(standing: StandingRow | undefined, now: number, patience: number): Owed {
  switch (standing?.state) {
    case 'intent':
      if (now >= standing.signBefore) return { owed: 'abandonment', intent: standing };
      return now - standing.intentAt < patience ? { owed: 'patience' } : { owed: 'certificate', intent: standing };
    case 'abandoned':
      return standing.isUnsettled === true ? { owed: 'revocation', row: standing } : { owed: 'nothing' };
    case 'issued':
      return standing.isUnsettled === true ? { owed: 'announcement', row: standing } : { owed: 'nothing' };
    case 'rejected':
    case undefined:
      return { owed: 'nothing' };
  }
}

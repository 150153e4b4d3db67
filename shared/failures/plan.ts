import type { FailureRecord } from '../ledger/index.ts';

/** Why a failure's message is not sent again. */
export type Reason =
  /** It has been; whatever became of it, this row has nothing to do with it any more. */
  | 'redriven'
  /** Somebody decided that it needs no answer. */
  | 'dismissed'
  /** The row has not the whole message. It was not readable anyway, or had a private key in it. */
  | 'body-cut'
  /** The row does not say for whom it would be sent: then it would be for whoever redrives it. */
  | 'sender-unknown'
  /** It failed since the redrive began, and may be one that this very redrive has sent. */
  | 'new';

/** @param before milliseconds since the epoch: what failed from then on is left for another redrive */
export function reasonAgainst(failure: FailureRecord, before: number): Reason | undefined {
  if (failure.state !== 'failed') return failure.state;
  if (failure.bodyCut) return 'body-cut';
  if (failure.sender === '') return 'sender-unknown';
  return failure.failedAt !== undefined && failure.failedAt >= before ? 'new' : undefined;
}

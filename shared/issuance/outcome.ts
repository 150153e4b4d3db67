import type { ErrorCode, MintmarkError } from '../errors.ts';
import type { IssuedRow, Redriven } from '../ledger/index.ts';

/** How one delivery of a message ended. Everything but `retry` consumes the message. */
export type Outcome =
  | { readonly kind: 'issued'; readonly row: IssuedRow }
  | { readonly kind: 'rejected'; readonly request: AnsweredRequest; readonly code: string; readonly detail: string }
  | {
      readonly kind: 'failed';
      readonly code: ErrorCode;
      readonly detail: string;
      /** Of a message whose sender may enrol the device; without one there is nobody to tell. */
      readonly request?: AnsweredRequest;
    }
  | {
      readonly kind: 'retry';
      readonly error: MintmarkError;
      /** Why this error could not be kept as the message's first. */
      readonly firstErrorLost?: MintmarkError;
    };

export interface AnsweredRequest {
  readonly deviceId: string;
  readonly requestId: string;
  readonly profile: string;
}

/** One message as SQS delivered it. */
export interface QueuedRequest {
  readonly messageId: string;
  readonly body: string;
  /** SQS's SenderId attribute; of a redriven message, that of the message that was first sent. */
  readonly senderId: string;
  /** Milliseconds since the epoch; of a redriven message, when it was redriven. */
  readonly sentAt: number;
  /** Of a message of the redrive queue. */
  readonly redriven?: Redriven;
  /** This delivery counted, so 1 or more. */
  readonly receiveCount: number;
}

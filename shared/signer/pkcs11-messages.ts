import type { ErrorCode } from '../errors.ts';
import type { ReturnValue } from './pkcs11-return-values.ts';
import type { Pkcs11Uri } from './pkcs11-uri.ts';
import type { SignatureScheme } from './port.ts';

/** What the signer asks of its worker: one request at a time, each ended by exactly one reply. */
export type WorkerRequest = OpenRequest | SignRequest | CloseRequest;

/** Ends in `opened` or `refused`. */
export interface OpenRequest {
  readonly type: 'open';
  /** The PKCS#11 library's path. */
  readonly library: string;
  readonly key: Pkcs11Uri;
  /** UTF-8. Transferred, so that the sender no longer holds it; the worker overwrites it after C_Login. */
  readonly pin: Uint8Array;
  /** C_Finalize first: whatever the library knew of sessions and connections is to be forgotten. */
  readonly restart: boolean;
  /** How many to open, each of which signs one digest at a time; 1 or more. */
  readonly sessions: number;
}

/** Ends in `batch-ended`; before it one `signed` or `not-signed` for each digest that was answered, in any order. */
export interface SignRequest {
  readonly type: 'sign';
  readonly scheme: SignatureScheme;
  readonly digests: readonly Uint8Array[];
  /** No digest is begun later than this after the request arrived. */
  readonly milliseconds: number;
}

/** Ends in `closed`, after which the worker ends. */
export interface CloseRequest {
  readonly type: 'close';
  /** C_Finalize too: no other signer in this process uses the library. */
  readonly finalize: boolean;
}

/** An error on its way between threads: no stack, no cause, nothing that could hold a PIN. */
export interface Failure {
  readonly code: ErrorCode;
  readonly message: string;
  /** Where the library said no. */
  readonly returnValue?: ReturnValue;
}

/** Of one digest, as soon as it is known, so that a hang in the middle of a batch loses nothing before it. */
export type WorkerPart =
  | { readonly type: 'signed'; readonly index: number; readonly signature: Uint8Array }
  | { readonly type: 'not-signed'; readonly index: number; readonly failure: Failure };

/** A digest at which a session, or what is behind it, was gone. */
export interface LostDigest {
  readonly index: number;
  readonly failure: Failure;
}

export type WorkerReply =
  | { readonly type: 'opened' /** DER SubjectPublicKeyInfo */; readonly publicKey: Uint8Array }
  | { readonly type: 'refused'; readonly failure: Failure }
  /** Those of `lost` were not answered, since their sessions went; once one has gone, no digest is begun. */
  | { readonly type: 'batch-ended'; readonly lost: readonly LostDigest[] }
  | { readonly type: 'closed' };

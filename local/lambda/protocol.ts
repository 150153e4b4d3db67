/**
 * What a Lambda execution environment (runtime.ts, a process of its own) and the one that started it say to each
 * other: one JSON object a line over Node's IPC channel (the descriptor named by NODE_CHANNEL_FD, `serialization:
 * 'json'`), so a parent need not be Node.
 */

/** A function's failure, as Lambda answers an Invoke whose FunctionError is set (AWS Lambda, "Understanding retry"). */
export interface FunctionError {
  readonly errorType: string;
  readonly errorMessage: string;
  /** The stack, a line each; Lambda's own failures (timeout, exit) have none. */
  readonly trace?: readonly string[];
}

export interface InvokeMessage {
  readonly type: 'invoke';
  readonly requestId: string;
  readonly invokedFunctionArn: string;
  /** The event, as JSON text. */
  readonly event: string;
  /** Milliseconds left, counted from the arrival of this message. */
  readonly remainingTime: number;
}

export type RuntimeMessage =
  | { readonly type: 'ready' }
  | { readonly type: 'init-error'; readonly error: FunctionError }
  /** `payload` is JSON text; a handler that returns nothing answers `null`. */
  | { readonly type: 'result'; readonly requestId: string; readonly payload: string }
  | { readonly type: 'error'; readonly requestId: string; readonly error: FunctionError }
  /** As `error`, and the process exits: nobody was there to catch it. */
  | { readonly type: 'fatal'; readonly requestId: string; readonly error: FunctionError };

/** An invocation's answer: JSON text, or how it failed. */
export type InvocationOutcome = { readonly payload: string } | { readonly error: FunctionError };

/**
 * The descriptor of the lifeline: a pipe whose other end only the parent holds and never writes to. Its end of file is
 * the parent's death, whatever killed it.
 */
export const lifelineDescriptor = 4;

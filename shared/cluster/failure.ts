import type { Failure, Observed } from './observation.ts';

/** What is thrown by `within` when the time is up. */
export class DeadlineError extends Error {
  constructor(milliseconds: number) {
    super(`No answer within ${milliseconds} ms.`);
    this.name = 'DeadlineError';
  }
}

/** A part that is not there, or not as it must be. */
export class PartError extends Error {
  readonly reason: 'absent' | 'malformed';

  constructor(reason: 'absent' | 'malformed', message: string) {
    super(message);
    this.name = 'PartError';
    this.reason = reason;
  }
}

/**
 * Runs something that must not take longer, whatever it does with the signal: a client that waits between two retries
 * does not look at it.
 */
export async function within<Result>(
  milliseconds: number,
  run: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const controller = new AbortController();
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    reject(new DeadlineError(milliseconds));
    controller.abort();
  }, milliseconds);
  try {
    return await Promise.race([run(controller.signal), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** What a look gave, or why it gave nothing. */
export async function observed<Part>(
  milliseconds: number,
  look: (signal: AbortSignal) => Promise<Part>,
): Promise<Observed<Part>> {
  try {
    return { value: await within(milliseconds, look) };
  } catch (error) {
    return { failure: failureOf(error) };
  }
}

/** Names under which KMS, CloudHSM v2 and DynamoDB say so (their API references, "Common Errors" and each operation's). */
const reasonOfName: Readonly<Record<string, Failure['reason']>> = {
  AccessDeniedException: 'denied',
  AccessDenied: 'denied',
  CloudHsmAccessDeniedException: 'denied',
  ExpiredTokenException: 'denied',
  IncompleteSignatureException: 'denied',
  InvalidClientTokenId: 'denied',
  InvalidSignatureException: 'denied',
  MissingAuthenticationTokenException: 'denied',
  NotAuthorized: 'denied',
  OptInRequired: 'denied',
  UnrecognizedClientException: 'denied',
  CredentialsProviderError: 'denied',
  LimitExceededException: 'throttled',
  ProvisionedThroughputExceededException: 'throttled',
  RequestLimitExceeded: 'throttled',
  Throttling: 'throttled',
  ThrottlingException: 'throttled',
  TooManyRequestsException: 'throttled',
  CloudHsmResourceNotFoundException: 'absent',
  CustomKeyStoreNotFoundException: 'absent',
  NotFoundException: 'absent',
  ResourceNotFoundException: 'absent',
};

const longestDetail = 400;

/** Whatever was thrown while a part was looked at. */
export function failureOf(error: unknown): Failure {
  const name = error instanceof Error ? error.name : 'unknown error';
  const message = error instanceof Error ? error.message : String(error);
  return { reason: reasonOf(error, name), detail: `${name}: ${message}`.slice(0, longestDetail) };
}

function reasonOf(error: unknown, name: string): Failure['reason'] {
  if (error instanceof DeadlineError) return 'deadline';
  if (error instanceof PartError) return error.reason;
  const known = Object.hasOwn(reasonOfName, name) ? reasonOfName[name] : undefined;
  if (known !== undefined) return known;
  // The AWS clients put the answer's status beside the error.
  if (statusOf(error) !== undefined) return 'refused';
  return isNetworkError(error, name) ? 'unreachable' : 'unexpected';
}

/** Node's system errors have a code such as ECONNREFUSED; the AWS clients' own time limits are named. */
function isNetworkError(error: unknown, name: string): boolean {
  if (name === 'TimeoutError' || name === 'AbortError') return true;
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && /^E[A-Z_]+$/.test(error.code);
}

function statusOf(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null || !('$metadata' in error)) return undefined;
  const metadata = error.$metadata;
  if (typeof metadata !== 'object' || metadata === null || !('httpStatusCode' in metadata)) return undefined;
  return typeof metadata.httpStatusCode === 'number' ? metadata.httpStatusCode : undefined;
}

import { setTimeout as delay } from 'node:timers/promises';
import type { ErrorCode } from '../errors.ts';
import type { FailureRecord, FailureRecords, IssuanceRecord, IssuanceRecords } from '../ledger/index.ts';
import type { SentRequest } from './send.ts';

/** How a request ended. */
export type Answer =
  | {
      readonly status: 'issued';
      readonly issuerId: string;
      readonly serialNumber: string;
      readonly certificate: Uint8Array;
    }
  | { readonly status: 'rejected' | 'failed'; readonly code: string; readonly detail: string };

/** A sent request whose answer is waited for. */
export interface Awaited extends SentRequest {
  /** What it was in the ledger before it was sent; undefined: not there, or not looked at, since its id is new. */
  readonly standing?: IssuanceRecord | undefined;
  /** issuance/request-hash.ts; where the id may be another request's. */
  readonly requestHash?: string | undefined;
}

export interface Tables {
  readonly issuance: IssuanceRecords;
  readonly failures: FailureRecords;
}

interface Waiting<Request extends Awaited> {
  readonly onAnswer: (request: Request, answer: Answer) => void;
  /** Ends the waiting, with the answers that there are. */
  readonly until: AbortSignal;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** Between two looks into the tables, in milliseconds: growing while nothing comes, short again when something does. */
const firstInterval = 150;
const longestInterval = 2_000;
const growth = 1.25;

/** A request without a row may be in `failures`, which takes a key for each class and day to find out: seldom looked at. */
const looksPerFailuresLook = 4;

/**
 * Looks for the answers of these requests, in the ledger and in `failures`, until each has one or `until` says stop.
 * @param requests keys must differ
 * @throws MintmarkError STORE_UNAVAILABLE, STORE_REFUSED
 */
export async function waitForAnswers<Request extends Awaited>(
  tables: Tables,
  requests: readonly Request[],
  { onAnswer, until, now }: Waiting<Request>,
): Promise<void> {
  const sentAt = now();
  let open = requests;
  let interval = firstInterval;
  for (let look = 1; open.length > 0 && !until.aborted; look++) {
    const records = new Map((await tables.issuance.get(open)).map((record) => [keyOf(record), record]));
    const failures = look % looksPerFailuresLook === 0 ? await failuresOf(tables.failures, open, sentAt, now()) : [];
    const answers = new Map(
      open.flatMap((request) => {
        const answer =
          answerIn(records.get(keyOf(request)), request) ??
          answerOf(failures.find((one) => one.messageId === request.messageId));
        return answer === undefined ? [] : [[request, answer] as const];
      }),
    );
    for (const [request, answer] of answers) onAnswer(request, answer);
    open = open.filter((request) => !answers.has(request));
    interval = answers.size > 0 ? firstInterval : Math.min(interval * growth, longestInterval);
    if (open.length > 0) await delay(interval, undefined, { signal: until }).catch(ignoreAbort);
  }
}

const keyOf = ({ deviceId, requestId }: { deviceId: string; requestId: string }): string => `${deviceId}/${requestId}`;

/** An aborted delay has done what it was for: the loop looks at the signal itself. */
function ignoreAbort(error: unknown): void {
  if (!(error instanceof Error) || error.name !== 'AbortError') throw error;
}

/** Given up at any time from the sending on, and filed under the day (UTC) of that. */
function failuresOf(
  failures: FailureRecords,
  open: readonly SentRequest[],
  sentAt: number,
  now: number,
): Promise<FailureRecord[]> {
  const days = [...new Set([sentAt, now].map((time) => new Date(time).toISOString().slice(0, 10)))];
  return failures.get(
    open.map(({ messageId }) => messageId),
    days,
  );
}

function answerOf(failure: FailureRecord | undefined): Answer | undefined {
  return failure === undefined ? undefined : { status: 'failed', code: failure.code, detail: failure.detail };
}

/**
 * The answer that a row gives to a request; undefined while it gives none. A rejection that can be reopened, and was
 * there before the request was sent, is the answer to an earlier one: the request is decided anew, and whatever comes of
 * that changes the row.
 */
export function answerIn(record: IssuanceRecord | undefined, request: Awaited): Answer | undefined {
  if (record === undefined || (record.state !== 'issued' && record.state !== 'rejected')) return undefined;
  const { standing, requestHash } = request;
  const isAnotherRequests = requestHash !== undefined && record.requestHash !== requestHash;
  const wasCounted = record.lastConflictAt !== standing?.lastConflictAt;
  const isBeforeIt = record.reopenable === true && record.rejectedAt === standing?.rejectedAt;
  if (isBeforeIt && !(isAnotherRequests && wasCounted)) return undefined;
  if (isAnotherRequests) {
    const detail = `Another request has the id ${record.requestId} of ${record.deviceId}; its answer stands.`;
    return { status: 'rejected', code: 'REQUEST_CONFLICT' satisfies ErrorCode, detail };
  }
  const { issuerId = '', serialNumber = '', certificate, code = '', detail = '' } = record;
  if (record.state === 'rejected') return { status: 'rejected', code, detail };
  return certificate === undefined ? undefined : { status: 'issued', issuerId, serialNumber, certificate };
}

import { setTimeout as delay } from 'node:timers/promises';
import { type ErrorCode, MintmarkError } from '../errors.ts';
import type { FailureRecord, FailureRecords, IssuanceRecord, IssuanceRecords, RequestKey } from '../ledger/index.ts';
import type { SentRequest } from './send.ts';

/** How a request ended. Times in milliseconds since the epoch; undefined where the row does not say them. */
export type Answer =
  | {
      readonly status: 'issued';
      readonly issuerId: string;
      readonly serialNumber: string;
      readonly crlShard: number | undefined;
      readonly certificate: Uint8Array;
      readonly notAfter: number | undefined;
      readonly issuedAt: number | undefined;
      readonly stoodAlready: boolean;
    }
  | {
      readonly status: 'rejected' | 'failed';
      readonly code: string;
      readonly detail: string;
      readonly stoodAlready: boolean;
    };

/** A sent request whose answer is waited for. */
export interface Awaited extends SentRequest {
  /** What it was in the ledger before it was sent; undefined: not there, or not looked at, since its id is new. */
  readonly standing?: IssuanceRecord | undefined;
  /** issuance/request-hash.ts; where the id may be another request's. */
  readonly requestHash?: string | undefined;
}

export interface Tables {
  readonly issuance: Pick<IssuanceRecords, 'get'>;
  readonly failures: Pick<FailureRecords, 'get'>;
}

interface Waiting<Request extends Awaited> {
  readonly onAnswer: (request: Request, answer: Answer) => void;
  /** Each look that failed; the next one is made in its time. */
  readonly onTrouble?: (error: MintmarkError) => void;
  /** Ends the waiting, with the answers that there are. */
  readonly until: AbortSignal;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Ends early, and is fulfilled then, when the signal says so. */
  readonly wait?: (milliseconds: number, until: AbortSignal) => Promise<unknown>;
}

/** Between two looks into the tables, in milliseconds: growing while nothing comes, short again when something does. */
const firstInterval = 150;
const longestInterval = 2_000;
const growth = 1.25;

/**
 * A request without a row may be in `failures`, which takes a key for each class and day to find out: looked at when this
 * many milliseconds have passed since the sending, and then whenever the time since has doubled, or the longest passed.
 */
const firstFailuresLook = 2_000;
const longestBetweenFailuresLooks = 30_000;

/**
 * Looks for the answers of these requests, in the ledger and in `failures`, until each has one or `until` says stop. A
 * store that is unavailable is asked again.
 * @param requests keys must differ
 * @throws MintmarkError STORE_REFUSED
 */
export async function waitForAnswers<Request extends Awaited>(
  tables: Tables,
  requests: readonly Request[],
  { onAnswer, onTrouble, until, now, wait = waitUntil }: Waiting<Request>,
): Promise<void> {
  const sentAt = now();
  let failuresAt = sentAt + firstFailuresLook;
  let open = requests;
  let interval = firstInterval;
  while (open.length > 0 && !until.aborted) {
    const answers = new Map<Request, Answer>();
    try {
      const records = new Map((await tables.issuance.get(open)).map((record) => [rowOf(record), record]));
      for (const request of open) {
        const answer = answerIn(records.get(rowOf(request)), request);
        if (answer !== undefined) answers.set(request, answer);
      }
      const silent = open.filter((request) => !answers.has(request));
      const time = now();
      if (time >= failuresAt && silent.length > 0) {
        const failures = await failuresOf(tables.failures, silent, sentAt, time);
        for (const request of silent) {
          const failure = failures.get(request.messageId);
          if (failure !== undefined) answers.set(request, answerOf(failure));
        }
        failuresAt = time + Math.min(time - sentAt, longestBetweenFailuresLooks);
      }
    } catch (error) {
      if (!(error instanceof MintmarkError) || error.code !== 'STORE_UNAVAILABLE') throw error;
      onTrouble?.(error);
    }
    for (const [request, answer] of answers) onAnswer(request, answer);
    open = open.filter((request) => !answers.has(request));
    interval = answers.size > 0 ? firstInterval : Math.min(interval * growth, longestInterval);
    if (open.length > 0) await wait(interval, until);
  }
}

const waitUntil = (milliseconds: number, until: AbortSignal): Promise<unknown> =>
  delay(milliseconds, undefined, { signal: until }).catch(ignoreAbort);

/** An aborted delay has done what it was for: the loop looks at the signal itself. */
function ignoreAbort(error: unknown): void {
  if (!(error instanceof Error) || error.name !== 'AbortError') throw error;
}

const rowOf = ({ deviceId, requestId }: RequestKey): string => `${deviceId}/${requestId}`;

/** By message id. Given up at any time from the sending on, and filed under the day (UTC) of that. */
async function failuresOf(
  failures: Tables['failures'],
  open: readonly SentRequest[],
  sentAt: number,
  now: number,
): Promise<ReadonlyMap<string, FailureRecord>> {
  const days = [...new Set([sentAt, now].map((time) => new Date(time).toISOString().slice(0, 10)))];
  const found = await failures.get(
    open.map(({ messageId }) => messageId),
    days,
  );
  return new Map(found.map((failure) => [failure.messageId, failure]));
}

const answerOf = ({ code, detail }: FailureRecord): Answer => ({
  status: 'failed',
  code,
  detail,
  stoodAlready: false,
});

/**
 * The answer that a row gives to a request; undefined while it gives none. A rejection that can be reopened, and was
 * there before the request was sent, is the answer to an earlier one: the request is decided anew, and whatever comes of
 * that changes the row.
 */
export function answerIn(record: IssuanceRecord | undefined, request: Awaited): Answer | undefined {
  if (record === undefined) return undefined;
  const { standing, requestHash } = request;
  const isAnotherRequests = requestHash !== undefined && record.requestHash !== requestHash;
  const wasCounted = record.lastConflictAt !== standing?.lastConflictAt;
  // Whatever becomes of the other request, this one has been refused.
  if (isAnotherRequests && wasCounted) return conflictWith(record);
  if (record.state !== 'issued' && record.state !== 'rejected') return undefined;
  if (record.reopenable === true && record.rejectedAt === standing?.rejectedAt) return undefined;
  if (isAnotherRequests) return conflictWith(record);
  const {
    issuerId = '',
    serialNumber = '',
    crlShard,
    certificate,
    notAfter,
    issuedAt,
    code = '',
    detail = '',
  } = record;
  const stoodAlready = standing?.state === record.state && standing.rejectedAt === record.rejectedAt;
  if (record.state === 'rejected') return { status: 'rejected', code, detail, stoodAlready };
  if (certificate === undefined) return undefined;
  return { status: 'issued', issuerId, serialNumber, crlShard, certificate, notAfter, issuedAt, stoodAlready };
}

function conflictWith({ deviceId, requestId }: RequestKey): Answer {
  const detail = `Another request has the id ${requestId} of ${deviceId}; what it was answered stands.`;
  return { status: 'rejected', code: 'REQUEST_CONFLICT' satisfies ErrorCode, detail, stoodAlready: false };
}

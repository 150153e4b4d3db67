import { MintmarkError } from '../shared/errors.ts';
import {
  decodeCsr,
  parseCertificationRequest,
  readMessage,
  requestHashOf,
  unreadableRequestHashOf,
} from '../shared/issuance/index.ts';
import { type FailureRecord, FailureRecords, type IssuanceRecord, IssuanceRecords } from '../shared/ledger/index.ts';
import { daysFrom } from './days.ts';
import { requestOf } from './failure-view.ts';
import { shortTime } from './json.ts';
import type { Session } from './session.ts';

/** What became of a failure's message after it was redriven; as --json has it. */
export interface FailureOutcome {
  /** The message that was sent in its place. */
  readonly messageId: string;
  /**
   * `failed`, `redriven`, `dismissed`: it failed again, and what that row is now. `waiting`: there is no answer.
   * `conflict`: the request id belongs to another request.
   */
  readonly status: FailureRecord['state'] | 'issued' | 'rejected' | 'waiting' | 'conflict';
  readonly code?: string;
  readonly serialNumber?: string;
  readonly sentence: string;
}

/**
 * Follows a failure from one redrive to the next, to what its message is now.
 * @returns one for each redrive, the oldest first; none for a failure that was not redriven
 */
export async function outcomesOf(session: Session, failure: FailureRecord): Promise<FailureOutcome[]> {
  const records = new FailureRecords(await session.clients.dynamoDB(), session.target().tables.failures);
  const outcomes: FailureOutcome[] = [];
  let last: FailureRecord | undefined = failure;
  while (last?.state === 'redriven' && last.redrivenAs !== undefined) {
    const messageId: string = last.redrivenAs;
    const [again]: FailureRecord[] = await records.get([messageId], daysFrom(last.redrivenAt, session.now()));
    outcomes.push(again === undefined ? await answerTo(session, failure, messageId) : failedAgain(again));
    last = again;
  }
  return outcomes;
}

function failedAgain({ messageId, state, code, failedAt, failureClass }: FailureRecord): FailureOutcome {
  const then = {
    failed: 'nothing has been done about that',
    redriven: 'that was redriven',
    dismissed: 'that was dismissed',
  };
  return {
    messageId,
    status: state,
    code,
    sentence: `failed again as message ${messageId} at ${shortTime(failedAt)}: ${code} (${failureClass}); ${then[state]}`,
  };
}

/** Of a message that is no failure, its request's row is the answer. */
async function answerTo(session: Session, failure: FailureRecord, messageId: string): Promise<FailureOutcome> {
  const request = requestOf(failure);
  const issuance = new IssuanceRecords(await session.clients.dynamoDB(), session.target().tables.issuance);
  const [row] = request === undefined ? [] : await issuance.get([request]);
  return answerOf(row, failure.body, messageId);
}

/**
 * What a row of the issuance table says of a message that bears its ids. Pure.
 * @param body the message's
 */
export function answerOf(row: IssuanceRecord | undefined, body: string, messageId: string): FailureOutcome {
  if (row !== undefined && row.requestHash !== hashOf(body) && !isNobodys(row)) {
    const sentence =
      row.state === 'issued'
        ? `the request of this id has a certificate, of another request: ${showCertificate(row)}`
        : `the request id belongs to another request (${row.state}): ${showCertificate(row)}`;
    return { messageId, status: 'conflict', sentence };
  }
  if (row?.state === 'issued') {
    const { serialNumber = '' } = row;
    const sentence = `issued, serial number ${serialNumber}: ${showCertificate(row)}`;
    return { messageId, status: 'issued', serialNumber, sentence };
  }
  if (row?.state === 'rejected' && row.requestHash === hashOf(body)) {
    const { code = '', detail = '' } = row;
    return { messageId, status: 'rejected', code, sentence: `rejected: ${code}: ${detail}` };
  }
  const sentence = `under way as message ${messageId}, without an answer yet: mintmark queue status says whether it waits`;
  return { messageId, status: 'waiting', sentence };
}

const showCertificate = ({ deviceId, requestId }: IssuanceRecord): string =>
  `mintmark certificates show --device ${deviceId} --request-id ${requestId}`;

/** A refusal that holds the request id for nobody (shared/issuance/decision.ts). */
const isNobodys = ({ state, reopenable, attempt }: IssuanceRecord): boolean =>
  state === 'rejected' && reopenable === true && attempt === 0;

/** Of the request in a message, as its row has it; undefined for a message that is none, of which there is no row. */
function hashOf(body: string): string | undefined {
  try {
    const { csr, profile } = readMessage(body);
    return hashOfCsr(csr, profile);
  } catch (error) {
    if (error instanceof MintmarkError) return undefined;
    throw error;
  }
}

function hashOfCsr(csr: string, profile: string): string {
  try {
    return requestHashOf(parseCertificationRequest(decodeCsr(csr)), profile);
  } catch (error) {
    if (error instanceof MintmarkError) return unreadableRequestHashOf(csr, profile);
    throw error;
  }
}

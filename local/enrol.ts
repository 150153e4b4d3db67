import { randomUUID } from 'node:crypto';
import { type Answer as EnrolmentAnswer, sendRequests, waitForAnswers } from '../shared/enrolment/index.ts';
import { FailureRecords, IssuanceRecords } from '../shared/ledger/index.ts';
import type { LocalCloud } from './local-cloud.ts';
import type { Submission } from './submissions.ts';

/** How a submission ended. */
export type Answer =
  | { readonly status: 'issued'; readonly serialNumber: string; readonly certificate: Uint8Array }
  /** `not-sent`: the file was not, whatever is in it. */
  | { readonly status: 'rejected' | 'not-sent'; readonly code: string; readonly detail: string };

export interface Answered {
  readonly submission: Submission;
  readonly requestId: string;
  readonly answer: Answer;
}

const profile = 'device-tls';
/** Without a single new answer for this long (milliseconds) something is wrong with this machine. */
const patience = 600_000;

/**
 * Registers each submission's device, enqueues its CSR and waits for the answer in the ledger, or in `failures`.
 * @returns one for each submission, in their order
 */
export async function enrol(
  local: LocalCloud,
  submissions: readonly Submission[],
  onProgress: (answered: number) => void,
  givenUp: AbortSignal,
): Promise<Answered[]> {
  const answers = new Map<Submission, Answered>();
  const sendable = submissions.filter((submission) => {
    if (submission.refusal === undefined) return true;
    answers.set(submission, {
      submission,
      requestId: randomUUID(),
      answer: { status: 'not-sent', ...submission.refusal },
    });
    return false;
  });
  for (const deviceId of new Set(sendable.map((submission) => submission.deviceId))) {
    await local.devices.register({ deviceId, state: 'active' });
  }
  const requests = sendable.map(({ deviceId, csr }) => ({ requestId: randomUUID(), deviceId, profile, csr }));
  const sent = await sendRequests(local.clients.sqs, local.requestsQueueUrl, requests);
  const waiting = sent.flatMap((request, index) => {
    const submission = sendable[index];
    return submission === undefined ? [] : [{ ...request, submission }];
  });
  onProgress(answers.size);
  const impatience = new AbortController();
  const timer = setTimeout(() => impatience.abort(), patience);
  try {
    await waitForAnswers(tablesOf(local), waiting, {
      onAnswer: ({ submission, requestId }, answer) => {
        answers.set(submission, { submission, requestId, answer: shownAs(answer) });
        onProgress(answers.size);
        timer.refresh();
      },
      until: AbortSignal.any([impatience.signal, givenUp]),
      now: Date.now,
    });
  } finally {
    clearTimeout(timer);
  }
  givenUp.throwIfAborted();
  if (answers.size < submissions.length) {
    throw new Error(`${submissions.length - answers.size} requests have had no answer for ten minutes.`);
  }
  return submissions.flatMap((submission) => answers.get(submission) ?? []);
}

/** results.json and the table have one word for it: what failed was rejected, too, for whoever made the CSR. */
const shownAs = (answer: EnrolmentAnswer): Answer =>
  answer.status === 'issued' ? answer : { ...answer, status: 'rejected' };

function tablesOf({ cloud, clients }: LocalCloud) {
  const refOf = (logicalId: string): string => cloud.resources[logicalId]?.ref ?? '';
  return {
    issuance: new IssuanceRecords(clients.dynamoDB, refOf('IssuanceTable')),
    failures: new FailureRecords(clients.dynamoDB, refOf('FailuresTable')),
  };
}

import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { SendMessageBatchCommand, type SendMessageBatchRequestEntry } from '@aws-sdk/client-sqs';
import { failureClasses } from '../shared/errors.ts';
import { type Failure, keyOf } from '../shared/ledger/index.ts';
import type { LocalCloud } from './local-cloud.ts';
import type { Submission } from './submissions.ts';

/** How a submission ended. */
export type Answer =
  | { readonly status: 'issued'; readonly serialNumber: string; readonly certificate: Uint8Array }
  | { readonly status: 'rejected'; readonly code: string; readonly detail: string };

export interface Answered {
  readonly submission: Submission;
  readonly requestId: string;
  readonly answer: Answer;
}

interface Enqueued {
  readonly submission: Submission;
  readonly requestId: string;
  readonly messageId: string;
}

const profile = 'device-tls';
/** Between two looks into the tables, in milliseconds. */
const lookInterval = 150;
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
): Promise<Answered[]> {
  const answers = new Map<Submission, Answered>();
  const sendable = submissions.filter((submission) => {
    if (submission.refusal === undefined) return true;
    answers.set(submission, {
      submission,
      requestId: randomUUID(),
      answer: { status: 'rejected', ...submission.refusal },
    });
    return false;
  });
  for (const deviceId of new Set(sendable.map((submission) => submission.deviceId))) {
    await local.devices.register({ deviceId, state: 'active' });
  }
  let open = await enqueue(local, sendable);
  let lastAnswer = Date.now();
  for (;;) {
    const before = answers.size;
    for (const answered of await look(local, open)) answers.set(answered.submission, answered);
    open = open.filter(({ submission }) => !answers.has(submission));
    onProgress(answers.size);
    if (open.length === 0) break;
    if (answers.size > before) lastAnswer = Date.now();
    else if (Date.now() - lastAnswer > patience) {
      throw new Error(`${open.length} requests have had no answer for ten minutes.`);
    }
    await delay(lookInterval);
  }
  return submissions.flatMap((submission) => answers.get(submission) ?? []);
}

async function enqueue(local: LocalCloud, submissions: readonly Submission[]): Promise<Enqueued[]> {
  const enqueued: Enqueued[] = [];
  for (const group of groupsForSending(submissions)) {
    const entries: SendMessageBatchRequestEntry[] = group.map(({ requestId, body }) => ({
      Id: requestId,
      MessageBody: body,
    }));
    const command = new SendMessageBatchCommand({ QueueUrl: local.requestsQueueUrl, Entries: entries });
    const { Successful: sent = [], Failed: failed = [] } = await local.clients.sqs.send(command);
    if (failed.length > 0) throw new Error(`SQS refused a message: ${failed[0]?.Code}: ${failed[0]?.Message}`);
    const messageIds = new Map(sent.map((entry) => [entry.Id, entry.MessageId ?? '']));
    for (const { submission, requestId } of group) {
      enqueued.push({ submission, requestId, messageId: messageIds.get(requestId) ?? '' });
    }
  }
  return enqueued;
}

interface Sendable {
  readonly submission: Submission;
  readonly requestId: string;
  readonly body: string;
}

/** A batch takes 10 messages and 1 MiB in all (Amazon SQS quotas). */
function groupsForSending(submissions: readonly Submission[]): Sendable[][] {
  const groups: Sendable[][] = [];
  let bytes = 0;
  for (const submission of submissions) {
    const requestId = randomUUID();
    const { deviceId, csr } = submission;
    const body = JSON.stringify({ version: 1, requestId, deviceId, profile, csr });
    const size = Buffer.byteLength(body);
    const last = groups.at(-1);
    if (last === undefined || last.length === 10 || bytes + size > 1_000_000) {
      groups.push([{ submission, requestId, body }]);
      bytes = size;
    } else {
      last.push({ submission, requestId, body });
      bytes += size;
    }
  }
  return groups;
}

/** The answers that are there now. */
async function look(local: LocalCloud, open: readonly Enqueued[]): Promise<Answered[]> {
  const keys = open.map(({ submission, requestId }) => ({ deviceId: submission.deviceId, requestId }));
  const rows = await local.ledger.read(keys);
  const failures = await failuresNow(local);
  return open.flatMap(({ submission, requestId, messageId }): Answered[] => {
    const row = rows.get(keyOf({ deviceId: submission.deviceId, requestId }));
    if (row?.state === 'issued') {
      const { serialNumber, certificate } = row;
      return [{ submission, requestId, answer: { status: 'issued', serialNumber, certificate } }];
    }
    const refusal = row?.state === 'rejected' ? row : failures.get(messageId);
    if (refusal === undefined) return [];
    const { code, detail } = refusal;
    return [{ submission, requestId, answer: { status: 'rejected', code, detail } }];
  });
}

/** Of every class: under which a failure is filed is the function's to say. Today's and yesterday's (UTC), by message id. */
async function failuresNow(local: LocalCloud): Promise<ReadonlyMap<string, Failure>> {
  const now = Date.now();
  const days = [now, now - 86_400_000].map((time) => new Date(time).toISOString().slice(0, 10));
  const lists = await Promise.all(
    failureClasses.flatMap((failureClass) => days.map((day) => local.failures.list(failureClass, day))),
  );
  return new Map(lists.flat().map((failure) => [failure.messageId, failure]));
}

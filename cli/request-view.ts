import type { Answer } from '../shared/enrolment/index.ts';
import { errorKinds } from '../shared/errors.ts';
import { table } from '../shared/terminal/index.ts';
import { isoTime, shortTime } from './json.ts';

/** A request that was sent, and what became of it. */
export interface SentFile {
  readonly file: string;
  readonly deviceId: string;
  readonly requestId: string;
  readonly messageId: string;
  /** Undefined: nobody waited, or there is none yet. */
  readonly answer: Answer | undefined;
  /** The certificate that stands under this request is on its CRL, or will be. */
  readonly isRevoked: boolean;
  /** When the certificate had best be renewed; milliseconds since the epoch. */
  readonly renewAfter?: number | undefined;
  /** Path of the file that the certificate was written to. */
  readonly certificateFile: string | undefined;
}

/** One request as --json has it; scripts read it, so fields are added, never renamed. */
export interface RequestJson {
  readonly file: string;
  readonly deviceId: string;
  readonly requestId: string;
  readonly messageId: string;
  /** `sent`: nobody waited; `waiting`: there is no answer yet. */
  readonly status: 'sent' | 'waiting' | Answer['status'];
  readonly serialNumber?: string;
  readonly issuedAt?: string | undefined;
  readonly notAfter?: string | undefined;
  readonly renewAfter?: string | undefined;
  /** The answer was there before the request was sent this time: it was sent before, and is the same. */
  readonly stoodAlready?: boolean;
  /** Why the certificate is of no use any more. */
  readonly problem?: Problem;
  readonly certificateFile?: string;
  readonly code?: string;
  readonly detail?: string;
  readonly cure?: string;
}

type Problem = 'revoked' | 'expired';

interface View {
  readonly now: number;
  readonly unanswered: 'sent' | 'waiting';
  /** The option that makes another request of the same CSR. */
  readonly anew: string;
}

export function problemOf({ answer, isRevoked }: SentFile, now: number): Problem | undefined {
  if (answer?.status !== 'issued') return undefined;
  if (isRevoked) return 'revoked';
  // Validity is inclusive (RFC 5280 section 4.1.2.5).
  return answer.notAfter !== undefined && now > answer.notAfter ? 'expired' : undefined;
}

export function requestJson(sent: SentFile, { now, unanswered, anew }: View): RequestJson {
  const { file, deviceId, requestId, messageId, answer, certificateFile } = sent;
  const common = { file, deviceId, requestId, messageId };
  if (answer === undefined) return { ...common, status: unanswered };
  const { status, stoodAlready } = answer;
  if (status === 'issued') {
    const problem = problemOf(sent, now);
    return {
      ...common,
      status,
      serialNumber: answer.serialNumber,
      issuedAt: isoTime(answer.issuedAt),
      notAfter: isoTime(answer.notAfter),
      ...(sent.renewAfter === undefined || problem !== undefined ? {} : { renewAfter: isoTime(sent.renewAfter) }),
      stoodAlready,
      ...(problem === undefined ? {} : { problem, cure: `Ask for a new certificate with ${anew}.` }),
      ...(certificateFile === undefined ? {} : { certificateFile }),
    };
  }
  const kinds: Readonly<Record<string, { readonly cure: string }>> = errorKinds;
  const cures = [
    kinds[answer.code]?.cure,
    stoodAlready ? `It was answered so before: once what is wrong is mended elsewhere, ask again with ${anew}.` : '',
  ];
  const cure = cures.filter(Boolean).join(' ');
  return { ...common, status, code: answer.code, detail: answer.detail, cure, stoodAlready };
}

export function requestLines(sent: readonly SentFile[], view: View): string[] {
  const requests = sent.map((one) => requestJson(one, view));
  const rows = requests.map((one, index) => {
    const answer = sent[index]?.answer;
    return [
      one.deviceId,
      one.requestId,
      one.problem ?? one.status,
      one.serialNumber ?? one.code ?? '',
      shortTime(answer?.status === 'issued' ? answer.notAfter : undefined),
      one.certificateFile ?? '',
    ];
  });
  const told = requests.flatMap((one, index) => sentenceOf(one, sent[index]?.answer));
  return [
    ...table(['DEVICE', 'REQUEST', 'STATUS', 'SERIAL NUMBER OR CODE', 'NOT AFTER', 'CERTIFICATE'], rows),
    '',
    ...told,
    ...(told.length > 0 ? [''] : []),
    countsOf(requests),
    ...(requests.some(({ status, stoodAlready }) => status === 'issued' && stoodAlready === true)
      ? [`For a new certificate of the same CSR: ${view.anew}`]
      : []),
    ...(view.unanswered === 'sent'
      ? ['What becomes of them: the same command with --wait, or mintmark certificates list']
      : []),
  ];
}

function sentenceOf({ file, detail, problem, cure }: RequestJson, answer: Answer | undefined): string[] {
  if (problem !== undefined && answer?.status === 'issued') {
    const what = problem === 'revoked' ? 'is revoked' : `expired at ${shortTime(answer.notAfter)}`;
    return [`${file}: The certificate of this request, issued at ${shortTime(answer.issuedAt)}, ${what}. ${cure}`];
  }
  return detail === undefined ? [] : [`${file}: ${detail} ${cure}`.trim()];
}

/** `3 issued (2 of them before this), 1 rejected` */
function countsOf(requests: readonly RequestJson[]): string {
  const states = ['issued', 'rejected', 'failed', 'waiting', 'sent'] as const;
  const counts = states.flatMap((status) => {
    const those = requests.filter((one) => one.status === status);
    if (those.length === 0) return [];
    const before = those.filter(({ stoodAlready }) => stoodAlready === true).length;
    return `${those.length} ${status}${before === 0 ? '' : ` (${before} of them before this)`}`;
  });
  return counts.join(', ');
}

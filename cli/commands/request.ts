import { X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import { GetQueueUrlCommand } from '@aws-sdk/client-sqs';
import { type Answer, type Awaited, sendRequests, waitForAnswers } from '../../shared/enrolment/index.ts';
import { errorKinds } from '../../shared/errors.ts';
import { certificatePem } from '../../shared/issuance/index.ts';
import {
  FailureRecords,
  IssuanceRecords,
  type IssuerCertificates,
  readIssuerCertificates,
} from '../../shared/ledger/index.ts';
import { prepareOutputFolder, writeWhole } from '../../shared/output-folder.ts';
import { Progress, table } from '../../shared/terminal/index.ts';
import { defineCommand, type ExitCode } from '../command.ts';
import { type FileRequest, readRequests } from '../enrolment-files.ts';
import { UsageError } from '../errors.ts';
import type { Session } from '../session.ts';
import { countTo, notEmpty } from '../values.ts';

interface Options {
  readonly device?: string;
  readonly requestId?: string;
  readonly profile: string;
  readonly wait?: true;
  readonly timeout: number;
  readonly out?: string;
}

interface Sent extends Awaited {
  readonly file: string;
}

/** One request as --json has it; scripts read it, so fields are added, never renamed. */
interface RequestJson {
  readonly file: string;
  readonly deviceId: string;
  readonly requestId: string;
  readonly messageId: string;
  /** `sent`: nobody waited; `waiting`: there is no answer yet. */
  readonly status: 'sent' | 'waiting' | Answer['status'];
  readonly serialNumber?: string;
  /** Path of the file that the certificate was written to. */
  readonly certificateFile?: string;
  readonly code?: string;
  readonly detail?: string;
  readonly cure?: string;
}

export const command = defineCommand<Options>({
  details: [
    'Each file holds one CSR, PEM or DER; its name without the extension is the device id, which must be registered. The',
    'request id follows from the CSR and the profile: the same command again goes on with the same requests and makes no',
    'second certificate. For another certificate from the same CSR, give another --request-id.',
  ],
  declare: (command) =>
    command
      .argument('<file...>', 'CSRs')
      .option('--device <id>', 'with one file: the device id', notEmpty)
      .option('--request-id <id>', 'with one file: the request id', notEmpty)
      .option('--profile <name>', 'the profile, one of profiles/*.yaml', notEmpty, 'device-tls')
      .option('--wait', 'wait for the answers')
      .option('--timeout <seconds>', 'wait so long at most', countTo(86_400), 300)
      .option(
        '--out <folder>',
        'wait, and write each certificate with its chain to <folder>/<device id>.pem',
        notEmpty,
      ),
  run: async (session, options, files) => {
    if (files.length > 1 && (options.device !== undefined || options.requestId !== undefined)) {
      const which = options.device === undefined ? '--request-id' : '--device';
      throw new UsageError(`${which} goes with one file, and there are ${files.length}.`, 'Send them one at a time.');
    }
    const requests = readRequests(files, options);
    if (options.out !== undefined) prepareFolder(options.out);
    const { tables } = session.target();
    const dynamoDB = await session.clients.dynamoDB();
    const issuance = new IssuanceRecords(dynamoDB, tables.issuance);
    // What is there before, so that an old rejection is not taken for the new answer.
    const standing = await issuance.get(requests);
    const sent = await send(session, requests);
    const waiting = sent.map(
      (one): Sent => ({
        ...one,
        standing: standing.find(({ deviceId, requestId }) => deviceId === one.deviceId && requestId === one.requestId),
      }),
    );
    const isWaiting = options.wait === true || options.out !== undefined;
    if (!isWaiting) return result(waiting, new Map(), new Map(), { exitCode: 0, unanswered: 'sent' });

    const failures = new FailureRecords(dynamoDB, tables.failures);
    const answers = await waitFor(session, { issuance, failures }, waiting, options.timeout);
    const issuers = options.out === undefined ? [] : await readIssuerCertificates(dynamoDB, tables.issuers);
    const written = options.out === undefined ? new Map() : writeCertificates(session, options.out, answers, issuers);
    const allIssued = waiting.every((one) => answers.get(one)?.status === 'issued');
    const exitCode = session.interrupted.aborted ? 130 : allIssued ? 0 : 1;
    return result(waiting, answers, written, { exitCode, unanswered: 'waiting' });
  },
});

function prepareFolder(folder: string): void {
  try {
    prepareOutputFolder(folder);
  } catch (cause) {
    const { code } = (cause as Error).cause as NodeJS.ErrnoException;
    throw new UsageError(`${folder} cannot be written to (${code}).`, 'Name a folder with --out.', { cause });
  }
}

async function send(session: Session, requests: readonly FileRequest[]): Promise<Sent[]> {
  const sqs = await session.clients.sqs();
  const { requestsQueue } = session.target();
  const { QueueUrl: url = '' } = await sqs
    .send(new GetQueueUrlCommand({ QueueName: requestsQueue }))
    .catch((cause: unknown) => {
      throw new Error(`Looking for the queue ${requestsQueue}`, { cause });
    });
  const sent = await sendRequests(sqs, url, requests);
  return sent.map((one, index): Sent => {
    const { file = '', requestHash } = requests[index] ?? {};
    return { ...one, file, requestHash };
  });
}

async function waitFor(
  session: Session,
  tables: { readonly issuance: IssuanceRecords; readonly failures: FailureRecords },
  waiting: readonly Sent[],
  seconds: number,
): Promise<ReadonlyMap<Sent, Answer>> {
  const answers = new Map<Sent, Answer>();
  const progress = new Progress(session.stderr, waiting.length, 'answered');
  progress.show(0);
  await waitForAnswers(tables, waiting, {
    onAnswer: (one, answer) => {
      answers.set(one, answer);
      progress.show(answers.size);
    },
    until: AbortSignal.any([session.interrupted, AbortSignal.timeout(seconds * 1_000)]),
    now: () => session.now(),
  });
  progress.end();
  const open = waiting.length - answers.size;
  if (open > 0) {
    const why = session.interrupted.aborted ? 'Interrupted' : `After ${seconds} s`;
    session.note(
      `${why}: ${open} of ${waiting.length} without an answer, neither in the issuance table nor in the failures. ` +
        'The same command again goes on waiting; mintmark health says what is in the way.',
    );
  }
  return answers;
}

/** The certificate, then the issuing CA's and what is above it but for the root, which is for each side to have. */
function writeCertificates(
  session: Session,
  folder: string,
  answers: ReadonlyMap<Sent, Answer>,
  issuers: readonly IssuerCertificates[],
): ReadonlyMap<Sent, string> {
  const written = new Map<Sent, string>();
  for (const [one, answer] of answers) {
    if (answer.status !== 'issued') continue;
    const issuer = issuers.find(({ issuerId }) => issuerId === answer.issuerId);
    if (issuer?.certificate === undefined) {
      session.note(
        `The issuers table has no certificate of ${answer.issuerId}: ${one.deviceId}.pem is without a chain.`,
      );
    }
    const chain = [issuer?.certificate ?? [], ...(issuer?.chain ?? [])].flat().filter((der) => !isSelfSigned(der));
    const path = join(folder, `${one.deviceId}.pem`);
    writeWhole(path, [answer.certificate, ...chain].map(certificatePem).join(''));
    written.set(one, path);
  }
  return written;
}

function isSelfSigned(der: Uint8Array): boolean {
  const certificate = new X509Certificate(der);
  return certificate.checkIssued(certificate);
}

function result(
  sent: readonly Sent[],
  answers: ReadonlyMap<Sent, Answer>,
  written: ReadonlyMap<Sent, string>,
  { exitCode, unanswered }: { readonly exitCode: ExitCode; readonly unanswered: 'sent' | 'waiting' },
) {
  const requests = sent.map((one): RequestJson => {
    const { file, deviceId, requestId, messageId } = one;
    const common = { file, deviceId, requestId, messageId };
    const answer = answers.get(one);
    if (answer === undefined) return { ...common, status: unanswered };
    if (answer.status === 'issued') {
      const path = written.get(one);
      const { status, serialNumber } = answer;
      return { ...common, status, serialNumber, ...(path === undefined ? {} : { certificateFile: path }) };
    }
    const kinds: Readonly<Record<string, { readonly cure: string }>> = errorKinds;
    const { status, code, detail } = answer;
    return { ...common, status, code, detail, cure: kinds[code]?.cure ?? '' };
  });
  const count = (status: RequestJson['status']) => requests.filter((one) => one.status === status).length;
  const states = ['issued', 'rejected', 'failed', 'waiting', 'sent'] as const;
  const counts = states.filter((status) => count(status) > 0).map((status) => `${count(status)} ${status}`);
  const rows = requests.map((one) => [
    one.deviceId,
    one.requestId,
    one.status,
    one.serialNumber ?? one.code ?? '',
    one.certificateFile ?? '',
  ]);
  const refused = requests.filter(({ code }) => code !== undefined);
  return {
    exitCode,
    json: { requests },
    lines: [
      ...table(['DEVICE', 'REQUEST', 'STATUS', 'SERIAL NUMBER OR CODE', 'CERTIFICATE'], rows),
      '',
      ...refused.flatMap(({ file, detail, cure }) => [`${file}: ${detail} ${cure}`.trim()]),
      ...(refused.length > 0 ? [''] : []),
      counts.join(', '),
      ...(unanswered === 'sent'
        ? ['What becomes of them: the same command with --wait, or mintmark certificates list']
        : []),
    ],
  };
}

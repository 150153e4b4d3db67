import { GetQueueUrlCommand } from '@aws-sdk/client-sqs';
import { InvalidArgumentError } from 'commander';
import { type Answer, type Awaited, isFleetName, sendRequests, waitForAnswers } from '../../shared/enrolment/index.ts';
import { MintmarkError } from '../../shared/errors.ts';
import {
  FailureRecords,
  type IssuanceRecord,
  IssuanceRecords,
  type RequestKey,
  Revocations,
  readIssuerCertificates,
} from '../../shared/ledger/index.ts';
import { Progress } from '../../shared/terminal/index.ts';
import {
  type Chain,
  certificatePath,
  chainsOf,
  noChain,
  prepareCertificateFiles,
  writeCertificate,
} from '../certificate-files.ts';
import { defineCommand, type ExitCode, type Result } from '../command.ts';
import { type FileRequest, readRequests } from '../enrolment-files.ts';
import { UsageError } from '../errors.ts';
import { type RenewalAdvice, renewalAdvice } from '../renew-after.ts';
import { problemOf, requestJson, requestLines, type SentFile } from '../request-view.ts';
import type { Session } from '../session.ts';
import { countTo, notEmpty } from '../values.ts';

interface Options {
  readonly device?: string;
  readonly requestId?: string;
  readonly again?: string;
  readonly profile: string;
  readonly fleet?: string;
  readonly wait?: true;
  readonly timeout: number;
  readonly out?: string;
}

interface Sent extends Awaited {
  readonly file: string;
}

export const command = defineCommand<Options>({
  details: [
    'Each file holds one CSR, PEM or DER; its name without the extension is the device id, which must be registered. All of',
    'them are read first, and where one is no CSR nothing is sent, with what is wrong a line for each (exit code 2). The request',
    'id follows from the CSR and the profile: the same command again goes on with the same requests, makes no',
    'second certificate, and gives the one that there is, however old; exit code 1 when it has expired or was revoked. For',
    'another certificate of the same CSRs, name it with --again. --out overwrites certificates and nothing else.',
  ],
  declare: (command) =>
    command
      .argument('<file...>', 'CSRs')
      .option('--device <id>', 'with one file: the device id', notEmpty)
      .option('--request-id <id>', 'with one file: the request id', notEmpty)
      .option('--again <label>', 'another request of the same CSRs for each label, such as renewal-2027', notEmpty)
      .option('--profile <name>', 'the profile, one of profiles/*.yaml', notEmpty, 'device-tls')
      .option(
        '--fleet <name>',
        'the fleet that these are of: one that sends very many keeps no other waiting',
        fleetName,
      )
      .option('--wait', 'wait for the answers')
      .option('--timeout <seconds>', 'wait so long at most', countTo(86_400), 300)
      .option(
        '--out <folder>',
        'wait, and write each certificate with its chain to <folder>/<device id>.pem',
        notEmpty,
      ),
  run: async (session, options, files) => {
    refuseMixture(options, files);
    const requests = readRequests(files, options);
    if (options.out !== undefined) prepareCertificateFiles(options.out, requests);
    const isWaiting = options.wait === true || options.out !== undefined;
    const { tables } = session.target();
    const dynamoDB = await session.clients.dynamoDB();
    const issuance = new IssuanceRecords(dynamoDB, tables.issuance);
    // All that is read besides the answers is read before anything is sent: what fails then fails with nothing done.
    const chains =
      options.out === undefined ? undefined : chainsOf(await readIssuerCertificates(dynamoDB, tables.issuers));
    const standing = byKey(await issuance.get(requests));
    const revoked = isWaiting
      ? await revokedAmong(new Revocations(dynamoDB, tables.revocations), [...standing.values()])
      : new Set();

    const sent = await send(session, requests, options.fleet);
    const waiting = sent.map((one): Sent => ({ ...one, standing: standing.get(keyOf(one)) }));
    const answers = new Map<Sent, Answer>();
    const written = new Map<Sent, string>();
    const advice = isWaiting ? renewalAdvice() : undefined;
    const fileOf = (one: Sent): SentFile => ({
      file: one.file,
      deviceId: one.deviceId,
      requestId: one.requestId,
      messageId: one.messageId,
      answer: answers.get(one),
      isRevoked: one.standing !== undefined && revoked.has(one.standing),
      renewAfter: renewAfterOf(advice, options.profile, answers.get(one)),
      certificateFile: written.get(one),
    });
    const view = {
      unanswered: isWaiting ? ('waiting' as const) : ('sent' as const),
      anew: options.requestId === undefined ? '--again <label>' : 'another --request-id',
    };
    if (!isWaiting) return result(waiting.map(fileOf), { ...view, now: session.now(), exitCode: 0 });

    const write = options.out === undefined ? undefined : writerTo(session, options.out, chains ?? new Map());
    const failures = new FailureRecords(dynamoDB, tables.failures);
    const error = await waitFor(session, { issuance, failures }, waiting, options.timeout, (one, answer) => {
      answers.set(one, answer);
      // A certificate that is of no use takes nobody's place.
      if (answer.status !== 'issued' || problemOf(fileOf(one), session.now()) !== undefined) return;
      const path = write?.(one, answer);
      if (path !== undefined) written.set(one, path);
    });
    const ended = waiting.map(fileOf);
    const now = session.now();
    const isGood = (one: SentFile) =>
      one.answer?.status === 'issued' &&
      problemOf(one, now) === undefined &&
      (write === undefined || one.certificateFile !== undefined);
    const exitCode = session.interrupted.aborted ? 130 : error !== undefined ? 2 : ended.every(isGood) ? 0 : 1;
    return result(ended, { ...view, now, exitCode, error });
  },
});

function renewAfterOf(
  advice: RenewalAdvice | undefined,
  profile: string,
  answer: Answer | undefined,
): number | undefined {
  return answer?.status === 'issued' ? advice?.(profile, answer.certificate) : undefined;
}

function fleetName(text: string): string {
  if (!isFleetName(text)) {
    throw new InvalidArgumentError('A fleet has a name of 1 to 128 letters, digits and punctuation marks, no spaces.');
  }
  return text;
}

function refuseMixture({ device, requestId, again }: Options, files: readonly string[]): void {
  if (files.length > 1 && (device !== undefined || requestId !== undefined)) {
    const which = device === undefined ? '--request-id' : '--device';
    throw new UsageError(`${which} goes with one file, and there are ${files.length}.`, 'Send them one at a time.');
  }
  if (requestId !== undefined && again !== undefined) {
    throw new UsageError('--again makes a request id, and --request-id names one.', 'Give one of them.');
  }
}

const keyOf = ({ deviceId, requestId }: RequestKey): string => `${deviceId}/${requestId}`;

const byKey = (records: readonly IssuanceRecord[]): ReadonlyMap<string, IssuanceRecord> =>
  new Map(records.map((record) => [keyOf(record), record]));

/** So many serial numbers are looked up at the same time. */
const lookupsAtATime = 20;

/** Those of the certificates that are revoked. */
async function revokedAmong(
  revocations: Revocations,
  records: readonly IssuanceRecord[],
): Promise<ReadonlySet<IssuanceRecord>> {
  const found = new Set<IssuanceRecord>();
  for (let start = 0; start < records.length; start += lookupsAtATime) {
    await Promise.all(
      records.slice(start, start + lookupsAtATime).map(async (record) => {
        const { state, issuerId, serialNumber, crlShard } = record;
        if (state !== 'issued' || issuerId === undefined || serialNumber === undefined || crlShard === undefined)
          return;
        if (await revocations.isRevoked({ issuerId, serialNumber, crlShard })) found.add(record);
      }),
    );
  }
  return found;
}

async function send(session: Session, requests: readonly FileRequest[], fleet: string | undefined): Promise<Sent[]> {
  const sqs = await session.clients.sqs();
  const { requestsQueue } = session.target();
  const { QueueUrl: url = '' } = await sqs
    .send(new GetQueueUrlCommand({ QueueName: requestsQueue }))
    .catch((cause: unknown) => {
      throw new Error(`Looking for the queue ${requestsQueue}`, { cause });
    });
  const sent = await sendRequests(sqs, url, requests, { fleet }).catch((error: unknown) => {
    // With a cause it is AWS that did not do as it was told, which explain.ts knows more about.
    if (!(error instanceof MintmarkError) || error.cause !== undefined) throw error;
    const cure = 'The same command again sends all of them, and makes no second certificate.';
    throw new UsageError(`${error.message.replace(/\.?$/, '.')}`, cure, { cause: error });
  });
  return sent.map((one, index): Sent => {
    const { file = '', requestHash } = requests[index] ?? {};
    return { ...one, file, requestHash };
  });
}

/** @returns what ended the waiting before its time; the answers until then have been handed on */
async function waitFor(
  session: Session,
  tables: { readonly issuance: IssuanceRecords; readonly failures: FailureRecords },
  waiting: readonly Sent[],
  seconds: number,
  onAnswer: (one: Sent, answer: Answer) => void,
): Promise<ReturnType<Session['explain']> | undefined> {
  let answered = 0;
  let trouble: MintmarkError | undefined;
  let error: ReturnType<Session['explain']> | undefined;
  const progress = new Progress(session.stderr, waiting.length, 'answered');
  progress.show(0);
  try {
    await waitForAnswers(tables, waiting, {
      onAnswer: (one, answer) => {
        onAnswer(one, answer);
        answered += 1;
        progress.show(answered);
      },
      onTrouble: (problem) => {
        trouble = problem;
      },
      until: AbortSignal.any([session.interrupted, AbortSignal.timeout(seconds * 1_000)]),
      now: () => session.now(),
    });
  } catch (thrown) {
    error = session.explain(thrown);
  }
  progress.end();
  const open = waiting.length - answered;
  if (error !== undefined) session.note(`mintmark: ${error.message} ${error.cure}`);
  else if (open > 0) {
    const why = session.interrupted.aborted ? 'Interrupted' : `After ${seconds} s`;
    const looked = trouble === undefined ? '' : ` The last look that failed: ${session.explain(trouble).message}`;
    session.note(
      `${why}: ${open} of ${waiting.length} without an answer, neither in the issuance table nor in the failures.` +
        `${looked} The same command again goes on waiting; mintmark queue status says whether something is in the way.`,
    );
  }
  return error;
}

type Write = (one: Sent, answer: Answer & { readonly status: 'issued' }) => string | undefined;

/** Writes each certificate as it comes, and tells of a chain's trouble once. */
function writerTo(session: Session, folder: string, chains: ReadonlyMap<string, Chain>): Write {
  const told = new Set<string>();
  return (one, { certificate, issuerId }) => {
    const chain = chains.get(issuerId) ?? noChain(issuerId);
    if (chain.problem !== undefined && !told.has(issuerId)) session.note(chain.problem);
    told.add(issuerId);
    const path = certificatePath(folder, one);
    const problem = writeCertificate(path, certificate, chain);
    if (problem === undefined) return path;
    session.note(`${path}: ${problem} The certificate is in the issuance table: mintmark certificates export`);
    return undefined;
  };
}

function result(
  sent: readonly SentFile[],
  {
    exitCode,
    error,
    ...view
  }: Parameters<typeof requestJson>[1] & {
    readonly exitCode: ExitCode;
    readonly error?: ReturnType<Session['explain']> | undefined;
  },
): Result {
  return {
    exitCode,
    json: { requests: sent.map((one) => requestJson(one, view)), ...(error === undefined ? {} : { error }) },
    lines: requestLines(sent, view),
  };
}

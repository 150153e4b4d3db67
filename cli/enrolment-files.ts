import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { parse } from 'node:path';
import { type EnrolmentRequest, messageBody, readCsrFile } from '../shared/enrolment/index.ts';
import { MintmarkError } from '../shared/errors.ts';
import { decodeCsr, parseCertificationRequest, readMessage, requestHashOf } from '../shared/issuance/index.ts';
import { type FileProblem, UsageError } from './errors.ts';

export interface FileRequest extends EnrolmentRequest {
  /** As given. */
  readonly file: string;
  readonly requestHash: string;
}

interface Options {
  readonly device?: string;
  readonly requestId?: string;
  /** Makes another request of the same CSR. */
  readonly again?: string;
  readonly profile: string;
}

/** So many problems are told at once. */
const maximumProblems = 100;

/**
 * The requests in files, one in each. Everything that can be found out here is, and nothing is enqueued unless every file is
 * a CSR: files that were meant for another command are so more often than not. What a profile refuses is for the issuing side
 * to say, which alone knows the profiles that are deployed.
 *
 * @throws UsageError that names every file that cannot be sent
 */
export function readRequests(files: readonly string[], options: Options): FileRequest[] {
  const requests = new Map<string, FileRequest>();
  const problems: FileProblem[] = [];
  for (const file of files) {
    try {
      const request = readRequest(file, options);
      const twin = requests.get(request.deviceId);
      if (twin !== undefined) {
        throw new UsageError(`It is for the device ${request.deviceId}, as ${twin.file} is.`, 'Send one of them.');
      }
      requests.set(request.deviceId, request);
    } catch (error) {
      if (!(error instanceof UsageError || error instanceof MintmarkError)) throw error;
      problems.push({ file, problem: error.message, cure: error.cure });
    }
  }
  if (problems.length === 0) return [...requests.values()];
  throw nothingSent(problems, files.length);
}

/**
 * @param problems one at least
 * @param files how many were to be sent
 */
export function nothingSent(problems: readonly FileProblem[], files: number): UsageError {
  const [first, ...others] = problems;
  if (first !== undefined && others.length === 0) {
    return new UsageError(`Nothing was sent. ${first.file}: ${first.problem}`, first.cure);
  }
  const more = problems.length > maximumProblems ? `, of which the first ${maximumProblems} are told` : '';
  return new UsageError(
    `Nothing was sent: ${problems.length} of ${files} files are in the way of all${more}.`,
    'Mend them or leave them out, and type the same again.',
    { problems: problems.slice(0, maximumProblems) },
  );
}

function readRequest(file: string, { device, requestId, again, profile }: Options): FileRequest {
  if (!existsSync(file)) throw new UsageError('There is no such file.', 'Name files with a CSR each, in PEM or DER.');
  const read = readCsrFile(file);
  if (read.kind === 'folder') throw new UsageError('This is a folder.', 'Name the files in it.');
  if (read.kind === 'refused') throw new UsageError(read.detail, 'Name files with a CSR each, in PEM or DER.');
  const requestHash = requestHashOf(parseCertificationRequest(decodeCsr(read.csr)), profile);
  const request = {
    file,
    requestId: requestId ?? derivedId(requestHash, again),
    deviceId: device ?? parse(file).name,
    profile,
    csr: read.csr,
    requestHash,
  };
  // What the issuing side would find wrong with the message, found before it is sent.
  readMessage(messageBody(request));
  return request;
}

/**
 * The same request gets the same id, so that whoever types it again goes on with it and makes no second one; with another
 * label it is another request.
 */
function derivedId(requestHash: string, label: string | undefined): string {
  const whole =
    label === undefined ? requestHash : createHash('sha256').update(`${requestHash}\n${label}`).digest('hex');
  return whole.slice(0, 32);
}

import { join, parse } from 'node:path';
import { certificatePem } from '../shared/issuance/index.ts';
import { writeWhole } from '../shared/output-folder.ts';
import type { Answered } from './enrol.ts';
import type { LocalCloud } from './local-cloud.ts';

/** One entry of results.json; scripts read it, so fields are added and never renamed. */
interface Result {
  readonly file: string;
  readonly deviceId: string;
  readonly requestId: string;
  /** `not-sent`: a file that was left where it is, such as a private key. */
  readonly status: 'issued' | 'rejected' | 'not-sent';
  readonly serialNumber?: string;
  readonly code?: string;
  readonly detail?: string;
}

/**
 * Writes `<stem>.pem` (leaf, then issuing CA) for every certificate, root.pem and results.json. Where two files would
 * have one name (a.csr and a.pem, or a device called root), the later one's is its whole file name with .pem, and .pem
 * again until nothing else has the name.
 * @param folder as `prepareOutputFolder` left it
 * @returns the certificates' file names
 */
export function writeResults(
  folder: string,
  answers: readonly Answered[],
  { issuingCertificate, rootCertificate }: Pick<LocalCloud, 'issuingCertificate' | 'rootCertificate'>,
): ReadonlyMap<Answered, string> {
  const taken = new Set(['root.pem']);
  const files = new Map<Answered, string>();
  writeWhole(join(folder, 'root.pem'), certificatePem(rootCertificate));
  for (const answered of answers) {
    if (answered.answer.status !== 'issued') continue;
    const { file } = answered.submission;
    let name = `${parse(file).name}.pem`;
    if (taken.has(name)) name = `${file}.pem`;
    while (taken.has(name)) name = `${name}.pem`;
    taken.add(name);
    files.set(answered, name);
    writeWhole(join(folder, name), certificatePem(answered.answer.certificate) + certificatePem(issuingCertificate));
  }
  writeWhole(join(folder, 'results.json'), `${JSON.stringify(answers.map(resultOf), null, 2)}\n`);
  return files;
}

function resultOf({ submission: { file, deviceId }, requestId, answer }: Answered): Result {
  return answer.status === 'issued'
    ? { file, deviceId, requestId, status: answer.status, serialNumber: answer.serialNumber }
    : { file, deviceId, requestId, status: answer.status, code: answer.code, detail: answer.detail };
}

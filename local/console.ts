import { X509Certificate } from 'node:crypto';
import { join, relative } from 'node:path';
import type { Answered } from './enrol.ts';
import type { LocalCloud } from './local-cloud.ts';

/** Progress on one line of a terminal; in a file or a pipe, a line whenever a tenth is done. */
export class Progress {
  readonly #stream: NodeJS.WriteStream;
  readonly #total: number;
  #shown = -1;

  constructor(stream: NodeJS.WriteStream, total: number) {
    this.#stream = stream;
    this.#total = total;
  }

  show(answered: number): void {
    const step = this.#stream.isTTY ? answered : Math.floor((answered * 10) / Math.max(1, this.#total));
    if (step === this.#shown) return;
    this.#shown = step;
    const width = 30;
    const filled = this.#total === 0 ? width : Math.round((answered / this.#total) * width);
    const bar = `${'#'.repeat(filled)}${'.'.repeat(width - filled)}`;
    this.#stream.write(
      `${this.#stream.isTTY ? '\r' : ''}${bar} ${answered}/${this.#total} answered${this.#stream.isTTY ? '' : '\n'}`,
    );
  }

  end(): void {
    if (this.#stream.isTTY) this.#stream.write('\n');
  }
}

/**
 * Where everything is.
 * @param logs where the functions' are, in words
 */
export function describeCloud(local: LocalCloud, logs: string): string {
  const { cloud } = local;
  const lines: [string, string][] = [
    ['AWS endpoint', cloud.endpoint],
    ['KMS, CloudHSM', `${local.stubEndpoint} (SoftHSM2 stub)`],
    ['requests queue', local.requestsQueueUrl],
    ['issuance table', cloud.resources.IssuanceTable?.ref ?? ''],
    ["functions' log", logs],
  ];
  const variables = Object.entries({
    ...cloud.environment,
    // The AWS CLI's version 1 and boto3 read the Region from here alone.
    AWS_DEFAULT_REGION: cloud.environment.AWS_REGION,
    MINTMARK_REQUESTS_QUEUE: local.requestsQueueUrl,
  }).map(([name, value]) => `  export ${name}=${value}`);
  return [
    'The local cloud is up.',
    ...lines.map(([name, value]) => `  ${name.padEnd(16)}${value}`),
    'For the AWS tools, in another terminal:',
    ...variables,
    '',
  ].join('\n');
}

/** Rejections are explained one by one up to here; results.json has them all. */
const explainedRejections = 20;

/** The issuance table's rows of these requests, why what was rejected was, and where the certificates are. */
export function describeAnswers(
  answers: readonly Answered[],
  files: ReadonlyMap<Answered, string>,
  folder: string,
): string {
  if (answers.length === 0) return '\nThere was no file to issue for.';
  const rows = answers.map((answered): string[] => {
    const { submission, answer } = answered;
    const device = printable(submission.deviceId);
    if (answer.status === 'rejected') return [device, 'rejected', answer.code, '', ''];
    const certificate = shownPath(join(folder, files.get(answered) ?? ''));
    return [device, 'issued', answer.serialNumber, describeCertificate(answer.certificate), certificate];
  });
  const rejected = answers.flatMap(({ submission, answer }) =>
    answer.status === 'rejected' ? [`${printable(submission.file)}: ${answer.detail}`] : [],
  );
  return [
    '',
    ...table(['DEVICE', 'STATE', 'SERIAL NUMBER OR CODE', 'KEY', 'CERTIFICATE'], rows),
    '',
    ...rejected.slice(0, explainedRejections),
    ...(rejected.length > explainedRejections ? [`... and ${rejected.length - explainedRejections} more`] : []),
    ...(rejected.length > 0 ? ['What each code means and what to do: docs/errors.md', ''] : []),
    `${answers.length - rejected.length} issued and verified, ${rejected.length} rejected; ` +
      `${shownPath(join(folder, 'results.json'))} has every answer, ${shownPath(join(folder, 'root.pem'))} is what to trust.`,
  ].join('\n');
}

function describeCertificate(der: Uint8Array): string {
  const { publicKey, validTo } = new X509Certificate(der);
  const details = publicKey.asymmetricKeyDetails;
  const size = details?.namedCurve ?? details?.modulusLength ?? '';
  return `${`${publicKey.asymmetricKeyType} ${size}`.trim()}, until ${new Date(validTo).toISOString().slice(0, 10)}`;
}

/** Relative where that is below this folder, else as it is. */
function shownPath(path: string): string {
  const fromHere = relative(process.cwd(), path);
  return fromHere.startsWith('..') ? path : fromHere;
}

/** A file's name may hold anything: what moves a terminal's cursor is not shown, nor what breaks the table. */
function printable(text: string): string {
  const shown = text.replaceAll(/\p{C}/gu, '?');
  return shown.length > 40 ? `${shown.slice(0, 37)}...` : shown;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  return [head, ...rows].map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

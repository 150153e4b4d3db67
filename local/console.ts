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

/** Where everything is. */
export function describeCloud(local: LocalCloud, log: string): string {
  const { cloud } = local;
  const lines: [string, string][] = [
    ['AWS endpoint', cloud.endpoint],
    ['KMS, CloudHSM', `${local.stubEndpoint} (SoftHSM2 stub)`],
    ['requests queue', local.requestsQueueUrl],
    ['issuance table', cloud.resources.IssuanceTable?.ref ?? ''],
    ["functions' log", relative(process.cwd(), log)],
  ];
  const variables = Object.entries(cloud.environment).map(([name, value]) => `  export ${name}=${value}`);
  return [
    'The local cloud is up.',
    ...lines.map(([name, value]) => `  ${name.padEnd(16)}${value}`),
    'For the AWS tools, in another terminal:',
    ...variables,
    '',
  ].join('\n');
}

/** The issuance table's rows of these requests, and where the certificates are. */
export function describeAnswers(
  answers: readonly Answered[],
  files: ReadonlyMap<Answered, string>,
  folder: string,
): string {
  const shown = relative(process.cwd(), folder) || '.';
  const rows = answers.map((answered): string[] => {
    const { submission, answer } = answered;
    if (answer.status === 'rejected') return [submission.deviceId, 'rejected', answer.code, '', ''];
    const { publicKey, validTo } = new X509Certificate(answer.certificate);
    const details = publicKey.asymmetricKeyDetails;
    const size = details?.namedCurve ?? details?.modulusLength ?? '';
    const key = `${publicKey.asymmetricKeyType} ${size}`.trim();
    const until = new Date(validTo).toISOString().slice(0, 10);
    return [
      submission.deviceId,
      'issued',
      answer.serialNumber,
      `${key}, until ${until}`,
      join(shown, files.get(answered) ?? ''),
    ];
  });
  const issued = answers.filter(({ answer }) => answer.status === 'issued').length;
  return [
    '',
    ...table(['DEVICE', 'STATE', 'SERIAL NUMBER OR CODE', 'KEY', 'CERTIFICATE'], rows),
    '',
    `${issued} issued and verified, ${answers.length - issued} rejected; ${join(shown, 'results.json')} has every answer, ${join(shown, 'root.pem')} is what to trust.`,
  ].join('\n');
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

import { X509Certificate } from 'node:crypto';
import { join, relative } from 'node:path';
import { printable, table } from '../shared/terminal/index.ts';
import type { Answered } from './enrol.ts';
import { type LocalCloud, stage } from './local-cloud.ts';

/**
 * Where everything is.
 * @param logs where the functions' are, in words
 */
export function describeCloud(local: LocalCloud, logs: string): string {
  const { cloud } = local;
  const lines: [string, string][] = [
    ['AWS endpoint', cloud.endpoint],
    ['KMS, CloudHSM', `${local.stubEndpoint} (SoftHSM2 stub)`],
    ['CA key', local.signerUri],
    ['requests queue', local.requestsQueueUrl],
    ['issuance table', cloud.resources.IssuanceTable?.ref ?? ''],
    ["functions' log", logs],
    // What is written there goes wrong (local/pkcs11-shim/README.md); a key in KMS has the stub's faults alone.
    ...(local.signerUri.startsWith('pkcs11:') ? [['HSM faults', local.shim.faults] satisfies [string, string]] : []),
  ];
  const variables = Object.entries({
    ...cloud.environment,
    // The AWS CLI's version 1 and boto3 read the Region from here alone.
    AWS_DEFAULT_REGION: cloud.environment.AWS_REGION,
    MINTMARK_REQUESTS_QUEUE: local.requestsQueueUrl,
    MINTMARK_STAGE: stage,
  }).map(([name, value]) => `  export ${name}=${value}`);
  return [
    'The local cloud is up.',
    ...lines.map(([name, value]) => `  ${name.padEnd(16)}${value}`),
    'For npx mintmark and the AWS tools, in another terminal:',
    ...variables,
    '',
  ].join('\n');
}

/** A file's name may hold anything, and any number of it. */
const longestName = 40;

/** Refusals are explained one by one up to here; results.json has them all. */
const explainedRefusals = 20;

/** The issuance table's rows of these requests, why others were refused or not sent, and where the certificates are. */
export function describeAnswers(
  answers: readonly Answered[],
  files: ReadonlyMap<Answered, string>,
  folder: string,
): string {
  if (answers.length === 0) return '\nThere was no file to issue for.';
  const rows = answers.map((answered): string[] => {
    const { submission, answer } = answered;
    const names = [printable(submission.file, longestName), printable(submission.deviceId, longestName)];
    if (answer.status !== 'issued') return [...names, answer.status, answer.code, '', ''];
    const certificate = shownPath(join(folder, files.get(answered) ?? ''));
    return [...names, 'issued', answer.serialNumber, describeCertificate(answer.certificate), certificate];
  });
  const refusals = answers.flatMap(({ submission, answer }) =>
    answer.status === 'issued' ? [] : [`${printable(submission.file, longestName)}: ${answer.detail}`],
  );
  const count = (status: Answered['answer']['status']) =>
    answers.filter(({ answer }) => answer.status === status).length;
  const notSent = count('not-sent');
  return [
    '',
    ...table(['FILE', 'DEVICE', 'STATE', 'SERIAL NUMBER OR CODE', 'KEY', 'CERTIFICATE'], rows),
    '',
    ...refusals.slice(0, explainedRefusals),
    ...(refusals.length > explainedRefusals ? [`... and ${refusals.length - explainedRefusals} more`] : []),
    ...(refusals.length > 0 ? ['What each code means and what to do: docs/errors.md', ''] : []),
    `${count('issued')} issued and verified, ${count('rejected')} rejected${notSent === 0 ? '' : `, ${notSent} not sent`}; ` +
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

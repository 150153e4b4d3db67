import { X509Certificate } from 'node:crypto';
import { type Stats, statSync } from 'node:fs';
import { join } from 'node:path';
import { certificatePem } from '../shared/issuance/index.ts';
import type { IssuerCertificates } from '../shared/ledger/index.ts';
import { writeWhole } from '../shared/output-folder.ts';
import { type FileRequest, nothingSent } from './enrolment-files.ts';
import type { FileProblem } from './errors.ts';
import { certificatesInPem, prepareFolder, problemOfTarget } from './output-files.ts';

/** The files that `request --out` writes: a certificate each, with its chain. */

export const certificatePath = (folder: string, { deviceId }: { readonly deviceId: string }): string =>
  join(folder, `${deviceId}.pem`);

/**
 * Finds out, before anything is sent, that every certificate has a place of its own, and that none is where a key, a CSR
 * or anything else is kept.
 * @throws UsageError
 */
export function prepareCertificateFiles(folder: string, requests: readonly FileRequest[]): void {
  prepareFolder(folder);
  const inputs = new Map(requests.map(({ file }) => [identityOf(statSync(file)), file]));
  const targets = new Map<string, string>();
  const problems: FileProblem[] = [];
  for (const request of requests) {
    const path = certificatePath(folder, request);
    const problem =
      problemOfInput(path, inputs) ??
      problemOfTarget(path, certificatesInPem) ??
      problemOfTwin(targets.get(path.toLowerCase()));
    targets.set(path.toLowerCase(), path);
    if (problem !== undefined) problems.push({ file: path, problem, cure: 'Name another folder with --out.' });
  }
  if (problems.length > 0) throw nothingSent(problems, requests.length);
}

/** The same file, whatever its path. */
const identityOf = ({ dev, ino }: Stats): string => `${dev}/${ino}`;

function problemOfInput(path: string, inputs: ReadonlyMap<string, string>): string | undefined {
  const stats = statSync(path, { throwIfNoEntry: false });
  const file = stats === undefined ? undefined : inputs.get(identityOf(stats));
  return file === undefined ? undefined : `The certificate would be written over the CSR in ${file}.`;
}

/** Some file systems take two such names for one. */
const problemOfTwin = (twin: string | undefined): string | undefined =>
  twin === undefined ? undefined : `It differs from ${twin} in capital letters only.`;

/** The chain that goes with each issuing CA's certificates, and what is wrong with it. */
export interface Chain {
  /** PEM; the issuing CA's and what is above it but for the root, which is for each side to have. */
  readonly pem: string;
  /** A sentence; undefined where nothing is. */
  readonly problem: string | undefined;
}

/** By issuer id. */
export function chainsOf(issuers: readonly IssuerCertificates[]): ReadonlyMap<string, Chain> {
  return new Map(issuers.map((issuer) => [issuer.issuerId, chainOf(issuer)]));
}

function chainOf({ issuerId, certificate, chain }: IssuerCertificates): Chain {
  if (certificate === undefined) return noChain(issuerId);
  const kinds = [certificate, ...chain].map((der) => ({ der, kind: kindOf(der) }));
  const unreadable = kinds.filter(({ kind }) => kind === 'unreadable').length;
  return {
    pem: kinds.flatMap(({ der, kind }) => (kind === 'issued' ? certificatePem(der) : [])).join(''),
    problem:
      unreadable === 0
        ? undefined
        : `The issuers table has ${unreadable} certificates of ${issuerId} and its chain that cannot be read: left out.`,
  };
}

export const noChain = (issuerId: string): Chain => ({
  pem: '',
  problem: `The issuers table has no certificate of ${issuerId}: its certificates are written without a chain.`,
});

function kindOf(der: Uint8Array): 'self-signed' | 'issued' | 'unreadable' {
  try {
    const certificate = new X509Certificate(der);
    return certificate.checkIssued(certificate) ? 'self-signed' : 'issued';
  } catch {
    // What is wrong with it is for openssl to say; the chain's other certificates are of use without it.
    return 'unreadable';
  }
}

/** @returns why the file was not written, a sentence; undefined when it was */
export function writeCertificate(path: string, certificate: Uint8Array, chain: Chain): string | undefined {
  // What has come to be there while the answer was waited for.
  const problem = problemOfTarget(path, certificatesInPem);
  if (problem !== undefined) return problem;
  try {
    writeWhole(path, certificatePem(certificate) + chain.pem);
    return undefined;
  } catch (error) {
    return `It cannot be written (${(error as NodeJS.ErrnoException).code}).`;
  }
}

import { X509Certificate } from 'node:crypto';
import { lstatSync, readFileSync, type Stats, statSync } from 'node:fs';
import { join } from 'node:path';
import { certificatePem } from '../shared/issuance/index.ts';
import type { IssuerCertificates } from '../shared/ledger/index.ts';
import { prepareOutputFolder, writeWhole } from '../shared/output-folder.ts';
import { type FileProblem, type FileRequest, nothingSent } from './enrolment-files.ts';
import { UsageError } from './errors.ts';

/** The files that `request --out` writes: certificates, and nothing else is ever overwritten. */

export const certificatePath = (folder: string, { deviceId }: { readonly deviceId: string }): string =>
  join(folder, `${deviceId}.pem`);

/**
 * Finds out, before anything is sent, that every certificate has a place of its own, and that none is where a key, a CSR
 * or anything else is kept.
 * @throws UsageError
 */
export function prepareCertificateFiles(folder: string, requests: readonly FileRequest[]): void {
  try {
    prepareOutputFolder(folder);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new UsageError(`${folder} cannot be written to (${code}).`, 'Name a folder with --out.', { cause });
  }
  const inputs = new Map(requests.map(({ file }) => [identityOf(statSync(file)), file]));
  const targets = new Map<string, string>();
  const problems: FileProblem[] = [];
  for (const request of requests) {
    const path = certificatePath(folder, request);
    const problem =
      problemOfInput(path, inputs) ?? problemOfContent(path) ?? problemOfTwin(targets.get(path.toLowerCase()));
    targets.set(path.toLowerCase(), path);
    if (problem !== undefined) problems.push({ file: path, problem, cure: 'Name another folder with --out.' });
  }
  if (problems.length > 0) throw nothingSent(problems);
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

/** PEM of certificates (RFC 7468 section 5), with nothing before, between or after them but white space. */
const onlyCertificates = /^\s*(?:-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----\s*)*$/;

/** Far above any chain. */
const longestChain = 1_048_576;

/** Why what is at this path must not be overwritten, a sentence; undefined for certificates, and where nothing is. */
export function problemOfContent(path: string): string | undefined {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return undefined;
  if (!stats.isFile()) return 'It is there already, and is no plain file.';
  try {
    if (stats.size <= longestChain && onlyCertificates.test(readFileSync(path, 'latin1'))) return undefined;
  } catch (error) {
    return `It is there already, and cannot be read (${(error as NodeJS.ErrnoException).code}).`;
  }
  return 'It is there already, and holds something else than certificates.';
}

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
  const problem = problemOfContent(path);
  if (problem !== undefined) return problem;
  try {
    writeWhole(path, certificatePem(certificate) + chain.pem);
    return undefined;
  } catch (error) {
    return `It cannot be written (${(error as NodeJS.ErrnoException).code}).`;
  }
}

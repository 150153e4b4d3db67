import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inject } from 'vitest';
import type { GoJudges, PythonJudges } from '../../local/judges/install.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

/** What a linter has to say against a certificate, or about it. */
export interface Finding {
  readonly judge: 'zlint' | 'pkilint' | 'pkilint chain';
  /** As the linter has it. */
  readonly severity: string;
  /** The lint's name. */
  readonly code: string;
  readonly message: string;
}

const { go, python } = inject('judges');

/** What the name of a suite that needs the judge ends with, and why it is skipped, where it is. */
export const withoutGo = go.kind === 'installed' ? undefined : ` (skipped: ${go.sentence})`;
export const withoutPython = python.kind === 'installed' ? undefined : ` (skipped: ${python.sentence})`;

export function goJudges(): GoJudges {
  if (go.kind !== 'installed') throw new Error(go.sentence);
  return go;
}

function pythonJudges(): PythonJudges {
  if (python.kind !== 'installed') throw new Error(python.sentence);
  return python;
}

/** zlint's sources that are RFCs on certificates; the others are of the web's and S/MIME's own rules. */
const sources = ['RFC3279', 'RFC5280', 'RFC5480', 'RFC5891', 'RFC8813'];

function files(certificates: readonly Uint8Array[]): string[] {
  const folder = temporaryFolder('judged');
  return certificates.map((der, index) => {
    const path = join(folder, `${index}.cer`);
    writeFileSync(path, der);
    return path;
  });
}

/** @returns of each certificate (DER), in its place, what zlint finds */
export function zlint(certificates: readonly Uint8Array[]): Finding[][] {
  const args = ['-format', 'der', '-includeSources', sources.join(','), ...files(certificates)];
  const lines = execFileSync(goJudges().zlint, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
    .trim()
    .split('\n');
  if (lines.length !== certificates.length) throw new Error(`zlint judged ${lines.length} of ${certificates.length}`);
  return lines.map((line) => {
    const results = Object.entries(JSON.parse(line) as Record<string, { result: string; details?: string }>);
    // It judged at all: one that knows none of the lints would find nothing.
    if (!results.some(([, { result }]) => result === 'pass')) throw new Error(`zlint applied no lint: ${line}`);
    return results
      .filter(([, { result }]) => !['pass', 'NA', 'NE'].includes(result))
      .map(([code, { result, details = '' }]) => ({
        judge: 'zlint' as const,
        severity: result,
        code,
        message: details,
      }));
  });
}

function runPython(script: string, input: unknown): unknown {
  const path = fileURLToPath(new URL(`./python/${script}`, import.meta.url));
  const options = { input: JSON.stringify(input), encoding: 'utf8', maxBuffer: 2 ** 26 } as const;
  return JSON.parse(execFileSync(pythonJudges().python, ['-W', 'ignore', path], options));
}

interface PkilintReport {
  readonly results: readonly {
    readonly finding_descriptions: readonly {
      readonly severity: string;
      readonly code: string;
      readonly message: string | null;
    }[];
  }[];
}

function pkilint(judge: Finding['judge'], input: readonly { certificate: string; issuer: string | null }[]) {
  return (runPython('lint.py', input) as PkilintReport[]).map(({ results }) =>
    results.flatMap((result) =>
      result.finding_descriptions.map(
        ({ severity, code, message }): Finding => ({ judge, severity, code, message: message ?? '' }),
      ),
    ),
  );
}

/** @returns of each certificate (DER), in its place, what pkilint finds */
export const pkilintCertificates = (certificates: readonly Uint8Array[]): Finding[][] =>
  pkilint(
    'pkilint',
    files(certificates).map((certificate) => ({ certificate, issuer: null })),
  );

/** @returns of each certificate and its issuer's (DER) what pkilint finds amiss between the two */
export function pkilintChains(pairs: readonly (readonly [certificate: Uint8Array, issuer: Uint8Array])[]): Finding[][] {
  const certificates = files(pairs.map(([certificate]) => certificate));
  const issuers = files(pairs.map(([, issuer]) => issuer));
  const input = certificates.map((certificate, index) => ({ certificate, issuer: issuers[index] ?? null }));
  return pkilint('pkilint chain', input);
}

export interface Path {
  readonly certificate: Uint8Array;
  readonly issuing: Uint8Array;
  readonly root: Uint8Array;
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** The DNS name of a server; a client without. */
  readonly server?: string;
}

/** What pyca/cryptography read in a certificate whose path it validated; else why it did not. */
export type PathVerdict =
  | {
      /** 32 upper-case hexadecimal digits. */
      readonly serialNumber: string;
      /** RFC 4514. */
      readonly subject: string;
      readonly subjectAltName: readonly string[];
      readonly publicKey: string;
      /** Subjects from the certificate to the root. */
      readonly path: readonly string[];
    }
  | { readonly refused: string };

export function pycaVerdicts(paths: readonly Path[]): PathVerdict[] {
  const base64 = (der: Uint8Array) => Buffer.from(der).toString('base64');
  const input = paths.map(({ certificate, issuing, root, at, server = null }) => ({
    certificate: base64(certificate),
    issuing: base64(issuing),
    root: base64(root),
    at: Math.floor(at / 1000),
    server,
  }));
  return runPython('verify.py', input) as PathVerdict[];
}

import { X509Certificate } from 'node:crypto';
import { closeSync, lstatSync, openSync, readFileSync, readSync } from 'node:fs';
import { prepareOutputFolder } from '../shared/output-folder.ts';
import { UsageError } from './errors.ts';

/**
 * What `--out` may overwrite, for every command that has one: nothing, an empty file, and what the same command wrote there
 * before. A file of any other content may be the only copy of a private key.
 */

/** What a command writes into a file, so that it is known again. */
export interface FileKind {
  /** As in "holds something else than certificates". */
  readonly what: string;
  /** Whether a file that is not empty is one of these, read as far as it takes. */
  readonly isSuch: (path: string) => boolean;
}

/** Of one line of JSON, CSV or PEM that these commands write; what is longer is none of theirs. */
const longestLine = 1_048_576;

/** PEM of certificates (RFC 7468 section 5), with nothing before, between or after them but white space. */
export const certificatesInPem: FileKind = {
  what: 'certificates',
  isSuch: (path) => {
    let isInside = false;
    const isOfCertificate = (line: string): boolean => {
      const text = line.trim();
      if (!isInside && text === '-----BEGIN CERTIFICATE-----') isInside = true;
      else if (isInside && text === '-----END CERTIFICATE-----') isInside = false;
      else return isInside ? /^[A-Za-z0-9+/=]*$/.test(text) : text === '';
      return true;
    };
    return everyLine(path, isOfCertificate) && !isInside;
  },
};

export const certificateInDer: FileKind = {
  what: 'one certificate',
  isSuch: (path) => {
    if (lstatSync(path).size > longestLine) return false;
    const content = readFileSync(path);
    try {
      return new X509Certificate(content).raw.equals(content);
    } catch {
      // What OpenSSL's parser says of it helps nobody: it is none.
      return false;
    }
  },
};

/** JSON lines, each an object with these fields at least. */
export const jsonLines = (what: string, fields: readonly string[]): FileKind => ({
  what,
  isSuch: (path) => everyLine(path, (line) => hasFields(line, fields)),
});

/** @param head how each such file begins */
export const beginningWith = (what: string, head: string): FileKind => ({
  what,
  isSuch: (path) => readHead(path, Buffer.byteLength(head)) === head,
});

/** Why what is at this path must not be overwritten, a sentence; undefined where it may, and where nothing is. */
export function problemOfTarget(path: string, { what, isSuch }: FileKind): string | undefined {
  try {
    const stats = lstatSync(path, { throwIfNoEntry: false });
    if (stats === undefined) return undefined;
    if (!stats.isFile()) return 'It is there already, and is no plain file.';
    if (stats.size === 0 || isSuch(path)) return undefined;
  } catch (error) {
    return `It is there already, and cannot be read (${(error as NodeJS.ErrnoException).code}).`;
  }
  return `It is there already, and holds something else than ${what}.`;
}

/**
 * @param named what `--out` names
 * @throws UsageError for what must not be overwritten
 */
export function refuseTarget(path: string, kind: FileKind, named: 'file' | 'folder' = 'file'): void {
  const problem = problemOfTarget(path, kind);
  if (problem !== undefined) throw new UsageError(`${path}: ${problem}`, `Name another ${named} with --out.`);
}

/** The folder that `--out` names, made where it is not there. @throws UsageError where nothing can be written into it */
export function prepareFolder(folder: string): void {
  try {
    prepareOutputFolder(folder);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new UsageError(`${folder} cannot be written to (${code}).`, 'Name a folder with --out.', { cause });
  }
}

function hasFields(line: string, fields: readonly string[]): boolean {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null && fields.every((field) => Object.hasOwn(value, field));
  } catch {
    // No JSON, whatever else it is.
    return false;
  }
}

function readHead(path: string, length: number): string {
  const file = openSync(path, 'r');
  try {
    const head = Buffer.alloc(length);
    return head.toString('utf8', 0, readSync(file, head, 0, length, 0));
  } finally {
    closeSync(file);
  }
}

/** Whether all lines of a file pass, looked at until one does not: a file of any length fits. */
function everyLine(path: string, isOurs: (line: string) => boolean): boolean {
  const file = openSync(path, 'r');
  const chunk = Buffer.alloc(65_536);
  let rest = '';
  try {
    for (;;) {
      const length = readSync(file, chunk, 0, chunk.length, null);
      if (length === 0) return rest === '' || isOurs(rest);
      const lines = (rest + chunk.toString('latin1', 0, length)).split('\n');
      rest = lines.pop() ?? '';
      if (rest.length > longestLine || !lines.every(isOurs)) return false;
    }
  } finally {
    closeSync(file);
  }
}

import { readFileSync, statSync } from 'node:fs';
import { spkiSha256Of } from '../shared/issuance/index.ts';
import { UsageError } from './errors.ts';
import { readKeyMaterial } from './key-material.ts';

/** A key as it was named, by a file or by itself. */
export interface NamedKey {
  readonly spkiSha256: string;
  /** Undefined for one that was named by its SHA-256. */
  readonly file: string | undefined;
}

/** How the commands about keys declare what they are given. */
export const keysArgument = [
  '<keys...>',
  'files with certificates, CSRs, public or private keys (PEM or DER); or the SHA-256 of a SubjectPublicKeyInfo (64 hex digits)',
] as const;

/** Far above every certificate's file; a list of keys may be long. */
const maximumBytes = 16 * 1024 * 1024;

/** So many problems are told at once. */
const maximumProblems = 10;

/**
 * The keys that are meant, each once. A file may hold several; one whose name is 64 hex digits is named with its folder.
 * @param note hears of what was passed over
 * @throws UsageError that names every argument that is none, so that nothing is done by halves
 */
export function keysNamed(args: readonly string[], note: (line: string) => void): NamedKey[] {
  const named = new Map<string, NamedKey>();
  const problems: { readonly told: string; readonly cure: string }[] = [];
  for (const arg of args) {
    try {
      for (const key of keysOf(arg, note)) if (!named.has(key.spkiSha256)) named.set(key.spkiSha256, key);
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      problems.push({ told: `${arg}: ${error.message}`, cure: error.cure });
    }
  }
  if (problems.length === 0) return [...named.values()];
  const shown = problems.slice(0, maximumProblems);
  const more = problems.length > shown.length ? [`and ${problems.length - shown.length} more.`] : [];
  throw new UsageError(
    [...shown.map(({ told }) => told), ...more].join(' '),
    [...new Set(shown.map(({ cure }) => cure))].join(' '),
  );
}

/** For a sentence. */
export const nameOf = ({ spkiSha256, file }: NamedKey): string =>
  file === undefined ? spkiSha256 : `${spkiSha256} (${file})`;

function keysOf(arg: string, note: (line: string) => void): NamedKey[] {
  if (/^[0-9a-f]{64}$/i.test(arg)) return [{ spkiSha256: arg.toLowerCase(), file: undefined }];
  const content = contentOf(arg);
  try {
    const { publicKeys, caCertificates } = readKeyMaterial(content);
    if (caCertificates > 0) {
      note(`mintmark: ${arg}: passed over ${caCertificates} CA certificate${caCertificates === 1 ? '' : 's'}.`);
    }
    return publicKeys.map((publicKey) => ({ spkiSha256: spkiSha256Of(publicKey), file: arg }));
  } finally {
    // It may be a private key.
    content.fill(0);
  }
}

function contentOf(file: string): Buffer {
  const cure = 'Name files with a key in them, or the SHA-256 of a SubjectPublicKeyInfo in 64 hex digits.';
  try {
    const stats = statSync(file);
    // Reading a pipe or a device may never end.
    if (!stats.isFile()) throw new UsageError('It is not a file.', cure);
    if (stats.size > maximumBytes) throw new UsageError(`It has ${stats.size} bytes, more than 16 MiB.`, cure);
    return readFileSync(file);
  } catch (error) {
    if (error instanceof UsageError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    const problem = code === 'ENOENT' ? 'There is no such file.' : `It cannot be read: ${code ?? String(error)}.`;
    throw new UsageError(problem, cure, { cause: error });
  }
}

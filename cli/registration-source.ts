import { createReadStream, createWriteStream, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { type FileFormat, fileFormats } from '../shared/devices/index.ts';
import { UsageError } from './errors.ts';

/** A file that can be read as often as it takes. */
export interface RegistrationSource {
  /** As it is told of. */
  readonly name: string;
  readonly format: FileFormat;
  readonly read: () => AsyncIterable<Uint8Array>;
  /** Removes what was written to read it twice. */
  readonly close: () => void;
}

/**
 * The file that is meant. It is read twice, to be checked and to be imported: stdin and pipes, which cannot be, go into a
 * file of the temporary folder first, that only this user can read.
 * @param file `-` is stdin
 * @throws UsageError
 */
export async function openRegistrations(
  file: string,
  format: FileFormat | undefined,
  signal: AbortSignal,
): Promise<RegistrationSource> {
  const found = format ?? formatOf(file);
  if (file !== '-' && isRegularFile(file)) {
    return { name: file, format: found, read: () => createReadStream(file), close: () => {} };
  }
  const folder = mkdtempSync(join(tmpdir(), 'mintmark-devices-'));
  const copy = join(folder, 'registrations');
  const close = () => rmSync(folder, { recursive: true, force: true });
  try {
    const input = file === '-' ? process.stdin : createReadStream(file);
    await pipeline(input, createWriteStream(copy, { mode: 0o600 }), { signal });
  } catch (error) {
    close();
    throw error;
  }
  return { name: file === '-' ? 'stdin' : file, format: found, read: () => createReadStream(copy), close };
}

function formatOf(file: string): FileFormat {
  const found = fileFormats.find((format) => extname(file).toLowerCase() === `.${format}`);
  if (found !== undefined) return found;
  throw new UsageError(
    `${file === '-' ? 'stdin' : file} does not say what it is.`,
    `Say it with --format ${fileFormats.join(' or --format ')}; a file that ends in .${fileFormats.join(' or .')} is that.`,
  );
}

function isRegularFile(file: string): boolean {
  try {
    const stats = statSync(file);
    if (stats.isDirectory()) throw new UsageError(`${file}: This is a folder.`, 'Name a file.');
    return stats.isFile();
  } catch (error) {
    if (error instanceof UsageError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    const problem = code === 'ENOENT' ? 'There is no such file.' : `It cannot be read: ${code ?? String(error)}.`;
    throw new UsageError(`${file}: ${problem}`, 'Name a file with the registrations, or - for stdin.', {
      cause: error,
    });
  }
}

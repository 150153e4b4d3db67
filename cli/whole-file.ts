import { renameSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { UsageError } from './errors.ts';
import { type FileKind, refuseTarget } from './output-files.ts';

/**
 * Into a file, which is there when it is whole.
 * @param kind what the chunks make, which alone is overwritten
 * @throws UsageError for a file that cannot, or must not be written; whatever the chunks throw
 */
export async function writeWholeFile(
  path: string,
  kind: FileKind,
  chunks: AsyncIterable<string | Uint8Array>,
): Promise<void> {
  refuseTarget(path, kind);
  const unfinished = `${path}.${process.pid}`;
  try {
    // Opened before anything is read: a stream that opens its file by itself may do so after it was given up.
    const file = await open(unfinished, 'w');
    await pipeline(chunks, file.createWriteStream());
    // What has come to be there meanwhile.
    refuseTarget(path, kind);
    renameSync(unfinished, path);
  } catch (cause) {
    rmSync(unfinished, { force: true });
    const { code, syscall } = cause as NodeJS.ErrnoException;
    if (syscall !== 'open' && syscall !== 'rename' && syscall !== 'write') throw cause;
    throw new UsageError(`${path} cannot be written (${code}).`, 'Name another file with --out.', { cause });
  }
}

import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Makes the folder that results go to, and proves that they can: nobody should learn after a thousand certificates
 * that there is no place for them.
 * @throws Error one sentence, that names --out
 */
export function prepareOutputFolder(folder: string): void {
  const proof = join(folder, `.mintmark-${process.pid}`);
  try {
    mkdirSync(folder, { recursive: true });
    writeFileSync(proof, '');
    rmSync(proof);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new Error(`The certificates cannot be written to ${folder} (${code}): name a folder with --out.`, { cause });
  }
}

/** A reader sees the old file or the new one, never half of it. */
export function writeWhole(path: string, content: string): void {
  const unfinished = `${path}.${process.pid}`;
  writeFileSync(unfinished, content);
  renameSync(unfinished, path);
}

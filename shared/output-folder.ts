import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Makes the folder that results go to, and proves that they can: nobody should learn after a thousand certificates
 * that there is no place for them.
 * @throws NodeJS.ErrnoException what the file system says
 */
export function prepareOutputFolder(folder: string): void {
  const proof = join(folder, `.mintmark-${process.pid}`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(proof, '');
  rmSync(proof);
}

/**
 * A reader sees the old file or the new one, never half of it.
 * @throws NodeJS.ErrnoException what the file system says
 */
export function writeWhole(path: string, content: string): void {
  const unfinished = `${path}.${process.pid}`;
  try {
    writeFileSync(unfinished, content);
    renameSync(unfinished, path);
  } catch (error) {
    rmSync(unfinished, { force: true });
    throw error;
  }
}

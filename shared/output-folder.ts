import { mkdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/**
 * Makes the folder that results go to, and proves that they can: nobody should learn after a thousand certificates
 * that there is no place for them.
 * @throws NodeJS.ErrnoException what the file system says
 */
export function prepareOutputFolder(folder: string): void {
  const proof = join(folder, `.mintmark-${process.pid}`);
  makeFolder(folder);
  writeFileSync(proof, '');
  rmSync(proof);
}

/**
 * With those above it. Node's own `recursive` asks again without end where the folder above is there and yet answers
 * ENOENT, as /proc does (Node 24), and as a folder does that is removed meanwhile.
 */
function makeFolder(folder: string): void {
  if (isFolder(folder)) return;
  const above = dirname(folder);
  if (above !== folder) makeFolder(above);
  try {
    mkdirSync(folder);
  } catch (error) {
    // Another process may have made it at the same moment.
    if (!isFolder(folder)) throw error;
  }
}

const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;

/**
 * A reader sees the old file or the new one, never half of it.
 * @throws NodeJS.ErrnoException what the file system says
 */
export function writeWhole(path: string, content: string | Uint8Array): void {
  const unfinished = `${path}.${process.pid}`;
  try {
    writeFileSync(unfinished, content);
    renameSync(unfinished, path);
  } catch (error) {
    rmSync(unfinished, { force: true });
    throw error;
  }
}

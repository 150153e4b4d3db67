import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const folders: string[] = [];

/** Made while a test file runs, and gone after it (test/tidy-up.ts). */
export function temporaryFolder(name: string): string {
  const folder = mkdtempSync(join(tmpdir(), `mintmark-${name}-`));
  folders.push(folder);
  return folder;
}

export function removeTemporaryFolders(): void {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
}

import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, rmSync, statSync, writeSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { BreakGlassFacts, BreakGlassTexts, NamedText } from './break-glass.ts';
import { UsageError } from './errors.ts';

/** What is larger is none of ours. */
const largest = 16_384;

/** Files that were written, and a way back. */
export interface WrittenBreakGlass {
  readonly copy: string;
  readonly shares: readonly string[];
  readonly remove: () => void;
}

/**
 * The copy and a file for each holder, which only this user can read, and none over one that is there.
 * @throws UsageError where one cannot be written; then none is left
 */
export function writeBreakGlass(
  folder: string,
  { stage, issuer, userName, shares }: BreakGlassFacts,
  texts: BreakGlassTexts,
): WrittenBreakGlass {
  const stem = join(folder, `pin-${stage}-${issuer.replace('#', '')}-${userName}-${texts.fingerprint.slice(0, 8)}`);
  const copy = `${stem}.copy.txt`;
  const named = texts.shares.map((text, index) => [`${stem}.share-${index + 1}-of-${shares}.txt`, text] as const);
  const written: string[] = [];
  const remove = () => written.forEach((path) => rmSync(path, { force: true }));
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    for (const [path, text] of [[copy, texts.copy] as const, ...named]) writeNew(path, text, written);
  } catch (cause) {
    remove();
    const { code } = cause as NodeJS.ErrnoException;
    throw new UsageError(
      `The break-glass copy cannot be written to ${folder} (${code}).`,
      'Name a folder that you can write to with --break-glass; nothing was sealed.',
      { cause },
    );
  }
  return { copy, shares: named.map(([path]) => path), remove };
}

/** On the disk before anything depends on it: the PIN may be changed because there is this copy. */
function writeNew(path: string, text: string, written: string[]): void {
  const file = openSync(path, 'wx', 0o600);
  written.push(path);
  try {
    writeSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** @throws UsageError */
export function readBreakGlassFile(path: string): NamedText {
  try {
    if (statSync(path).size > largest) throw new UsageError(`${path} is too large to be one.`, 'Name another file.');
    return { name: basename(path), text: readFileSync(path, 'utf8') };
  } catch (cause) {
    if (cause instanceof UsageError) throw cause;
    const { code } = cause as NodeJS.ErrnoException;
    throw new UsageError(`${path} cannot be read (${code}).`, 'Name the copy and its shares.', { cause });
  }
}

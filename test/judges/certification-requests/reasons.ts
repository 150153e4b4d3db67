import { readFileSync } from 'node:fs';
import type { Divergence } from './divergences.ts';

/** A row of one of the tables in docs/csr.md. */
export interface Reason extends Divergence {
  readonly why: string;
  readonly source: string;
}

/** The cells of the table in a section of docs/csr.md, without its head. */
function rowsUnder(heading: string): string[][] {
  const text = readFileSync(new URL('../../../docs/csr.md', import.meta.url), 'utf8');
  const section = text.split(/^## /m).find((part) => part.startsWith(`${heading}\n`)) ?? '';
  const rows = section.split('\n').filter((line) => line.startsWith('| '));
  if (rows.length < 2) throw new Error(`docs/csr.md has no table under ${heading}`);
  return rows.slice(1).map((row) =>
    row
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

/** Column by column; `message` is a pattern in backquotes, of which `*` stands for any text. */
export function readReasons(): Reason[] {
  const ours = rowsUnder('Refused here, taken by both').map((cells) => ['Mintmark', ...cells]);
  const theirs = rowsUnder('Taken here, refused by one').map(([by = '', ...cells]) => [by, '`-`', ...cells]);
  return [...ours, ...theirs].map((cells) => {
    const [by, code, where, message, why, source] = cells.map((cell) => cell.replace(/^`(.*)`$/, '$1'));
    if (!by || !code || !where || !message || !why || !source || cells.length !== 6) {
      throw new Error(`docs/csr.md: six cells are needed, each with something: ${cells.join(' | ')}`);
    }
    return { by, code, where, message, why, source } as Reason;
  });
}

export function explains(reason: Reason, divergence: Divergence): boolean {
  const pattern = reason.message.split('*').map((text) => text.replace(/[\\^$.?+()[\]{}]/g, '\\$&'));
  return (
    reason.by === divergence.by &&
    reason.code === divergence.code &&
    reason.where === divergence.where &&
    new RegExp(`^${pattern.join('.*')}$`, 's').test(divergence.message)
  );
}

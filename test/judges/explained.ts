import { readFileSync } from 'node:fs';
import type { Finding } from './judges.ts';

/** A row of the table in docs/certificates.md. */
export interface Explanation {
  readonly judge: string;
  readonly severity: string;
  readonly code: string;
  /** `*` stands for letters, digits and `.`, `_`, `~`, `:`, `/`, `-`; empty for any message. */
  readonly message: string;
  readonly why: string;
}

/** The cells of the table in a section of docs/certificates.md, without its head. */
function rowsUnder(heading: string): string[][] {
  const text = readFileSync(new URL('../../docs/certificates.md', import.meta.url), 'utf8');
  const section = text.split(/^## /m).find((part) => part.startsWith(`${heading}\n`)) ?? '';
  const rows = section.split('\n').filter((line) => line.startsWith('| '));
  if (rows.length < 2) throw new Error(`docs/certificates.md has no table under ${heading}`);
  return rows.slice(1).map((row) =>
    row
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

/** The rows of the table under "What the judges find". */
export function readExplanations(): Explanation[] {
  return rowsUnder('What the judges find').map((cells) => {
    const [judge = '', severity = '', code = '', message = '', why = ''] = cells.map((cell) =>
      cell.replace(/^`(.*)`$/, '$1'),
    );
    if ([judge, severity, code, why].includes('')) {
      throw new Error(`docs/certificates.md: a cell is empty: ${cells.join(' | ')}`);
    }
    return { judge, severity, code, message, why };
  });
}

/** By object identifier, whether critical. */
export type Extensions = Readonly<Record<string, boolean>>;

/** What the table under "What each holds" says of each kind of certificate. */
export function readExtensions(): Readonly<Record<'device' | 'issuing' | 'root', Extensions>> {
  const rows = rowsUnder('What each holds');
  const column = (index: number): Extensions =>
    Object.fromEntries(
      rows
        .filter((cells) => cells[index] !== '-')
        .map((cells) => [/`(.+)`/.exec(cells[0] ?? '')?.[1] ?? '', cells[index] === 'critical']),
    );
  return { device: column(1), issuing: column(2), root: column(3) };
}

export function explains(explanation: Explanation, finding: Finding): boolean {
  const pattern = explanation.message.split('*').map((text) => text.replace(/[\\^$.|?+()[\]{}]/g, '\\$&'));
  return (
    explanation.judge === finding.judge &&
    explanation.severity === finding.severity &&
    explanation.code === finding.code &&
    (explanation.message === '' || new RegExp(`^${pattern.join('[A-Za-z0-9._~:/-]*')}$`).test(finding.message))
  );
}

/** A field of a CSV record, and where it begins: characters from 1 on. */
export interface Cell {
  readonly text: string;
  readonly column: number;
}

export type CsvRecord = { readonly cells: readonly Cell[] } | { readonly problem: string; readonly column: number };

/**
 * One record of RFC 4180 on one line: no field of a registration holds a line break, so a quote that is not closed is
 * found on its own line.
 */
export function readCsvRecord(line: string): CsvRecord {
  const cells: Cell[] = [];
  let at = 0;
  for (;;) {
    const column = at + 1;
    if (line[at] === '"') {
      const quoted = /"((?:[^"]|"")*)"/y;
      quoted.lastIndex = at;
      const [whole, text = ''] = quoted.exec(line) ?? [];
      if (whole === undefined) return { problem: 'The quote that begins here is not closed on this line.', column };
      at += whole.length;
      cells.push({ text: text.replaceAll('""', '"'), column });
    } else {
      const comma = line.indexOf(',', at);
      const text = line.slice(at, comma < 0 ? undefined : comma);
      const quote = text.indexOf('"');
      if (quote >= 0) {
        return {
          problem:
            'There is a quote inside a field; a field with quotes is quoted as a whole, and its quotes are doubled.',
          column: at + quote + 1,
        };
      }
      cells.push({ text, column });
      at += text.length;
    }
    if (at === line.length) return { cells };
    if (line[at] !== ',')
      return { problem: 'After a quoted field a comma is expected, or the end of the line.', column: at + 1 };
    at += 1;
  }
}

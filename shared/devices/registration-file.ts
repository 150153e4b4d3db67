import { type Cell, type CsvRecord, readCsvRecord } from './csv-record.ts';
import { linesOf } from './lines.ts';
import {
  isListField,
  isRegistrationField,
  type Registration,
  type RegistrationField,
  readRegistration,
  registrationFields,
  removal,
} from './registration.ts';

export const fileFormats = ['csv', 'jsonl'] as const;

export type FileFormat = (typeof fileFormats)[number];

/** Something wrong with a file, and where. */
export interface FileProblem {
  /** From 1 on, as the character in the line is. */
  readonly line: number;
  readonly column?: number;
  readonly field?: string;
  /** A sentence; with what was expected. */
  readonly problem: string;
}

/** What a line of a file says, or what is wrong with it. */
export type FileEntry =
  | { readonly line: number; readonly registration: Registration }
  | { readonly line: number; readonly problems: readonly FileProblem[] };

/** What a line says; undefined where it says nothing. */
type ReadLine = (text: string, line: number) => FileEntry | undefined;

/**
 * The registrations in a file, line by line, so that a file of any length takes the memory of one line. A line that is
 * wrong hides no other, but for a CSV file's header, without which no line means anything.
 */
export async function* registrationsIn(
  chunks: AsyncIterable<Uint8Array>,
  format: FileFormat,
): AsyncGenerator<FileEntry, void, undefined> {
  let read: ReadLine | undefined = format === 'jsonl' ? readJsonLine : undefined;
  for await (const one of linesOf(chunks)) {
    const line = one.number;
    if ('problem' in one) yield wrong({ line, problem: one.problem });
    else if (read !== undefined) {
      const entry = read(one.text, line);
      if (entry !== undefined) yield entry;
    } else {
      const header = readHeader(one.text);
      if ('problems' in header) yield header;
      else read = header.read;
    }
    if (read === undefined) return;
  }
}

const wrong = (...problems: readonly [FileProblem, ...FileProblem[]]): FileEntry => ({
  line: problems[0].line,
  problems,
});

const known = registrationFields.join(', ');

/** What names that are not fields here are about. */
const elsewhere: Readonly<Record<string, string>> = {
  state: 'a device is blocked and unblocked by commands of their own, not by an import',
  blockedAt: 'a device is blocked by a command of its own, not by an import',
  blockReason: 'a device is blocked by a command of its own, not by an import',
  registeredAt: 'it is when the device is first imported',
};

/** As it may be told: it may be anything. */
const shownField = (name: string): string => name.slice(0, 80);

function unknownField(name: string): string {
  const reason = Object.hasOwn(elsewhere, name) ? elsewhere[name] : undefined;
  const shown = JSON.stringify(name.length > 80 ? `${name.slice(0, 77)}...` : name);
  return reason === undefined
    ? `There is no field ${shown}; expected: ${known}.`
    : `${shown} is no field here: ${reason}.`;
}

/** The first line of a CSV file: names of fields, each once, deviceId among them. */
function readHeader(text: string): { readonly read: ReadLine } | (FileEntry & { readonly problems: unknown }) {
  const record = readCsvRecord(text);
  if ('problem' in record) return { line: 1, problems: [{ line: 1, ...record }] };
  const problems: FileProblem[] = [];
  const fields: RegistrationField[] = [];
  for (const { text: name, column } of record.cells) {
    if (!isRegistrationField(name)) {
      problems.push({ line: 1, column, field: shownField(name), problem: headerProblem(name) });
    } else if (fields.includes(name))
      problems.push({ line: 1, column, field: name, problem: 'The field is named twice.' });
    else fields.push(name);
  }
  if (problems.length === 0 && !fields.includes('deviceId')) {
    problems.push({
      line: 1,
      column: 1,
      field: 'deviceId',
      problem: `The first line does not name it; expected: ${known}.`,
    });
  }
  return problems.length > 0
    ? { line: 1, problems }
    : { read: (line, number) => readCsvLine(readCsvRecord(line), fields, number) };
}

const headerProblem = (name: string): string =>
  `${unknownField(name)}${/[;\t]/.test(name) ? ' Fields are separated by commas.' : ''} The first line names the fields.`;

function readCsvLine(record: CsvRecord, fields: readonly RegistrationField[], line: number): FileEntry | undefined {
  if ('problem' in record) return wrong({ line, ...record });
  const { cells } = record;
  if (cells.length === 1 && cells[0]?.text === '') return undefined;
  if (cells.length !== fields.length) {
    const problem = `The line has ${counted(cells.length)}; expected: ${fields.length}, as the first line names them.`;
    return wrong({ line, column: cells[Math.min(cells.length - 1, fields.length)]?.column ?? 1, problem });
  }
  const values = Object.fromEntries(fields.map((field, index) => [field, cellValue(field, cells[index]?.text ?? '')]));
  return entryOf(values, line, (field) => columnOf(cells, fields, field));
}

const counted = (count: number): string => (count === 1 ? '1 field' : `${count} fields`);

function columnOf(cells: readonly Cell[], fields: readonly RegistrationField[], field: RegistrationField) {
  const column = cells[fields.indexOf(field)]?.column;
  return column === undefined ? {} : { column };
}

/** An empty cell says nothing; a list's members are separated by spaces. */
function cellValue(field: RegistrationField, text: string): unknown {
  if (text === '') return undefined;
  if (text === removal && field !== 'deviceId') return null;
  if (isListField(field)) return text.split(' ').filter((member) => member !== '');
  return field === 'maximumLiveCertificates' && /^\d{1,9}$/.test(text) ? Number(text) : text;
}

function readJsonLine(text: string, line: number): FileEntry | undefined {
  if (text.trim() === '') return undefined;
  const parsed = parseJson(text);
  if (parsed instanceof SyntaxError) {
    // The parser's own message quotes the line, which may be anything; where it failed is all that is taken from it.
    const position = /at position (\d+)/.exec(parsed.message)?.[1];
    const column = position === undefined ? {} : { column: Number(position) + 1 };
    return wrong({ line, ...column, problem: 'The line is not JSON; expected: one object on each line.' });
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    return wrong({ line, column: 1, problem: `The line is no JSON object; expected: one with ${known}.` });
  }
  const members = membersOf(text);
  const unknown = members.filter(({ name }) => !isRegistrationField(name));
  if (unknown.length > 0) {
    return {
      line,
      problems: unknown.map(({ name, column }) => ({
        line,
        column,
        field: shownField(name),
        problem: unknownField(name),
      })),
    };
  }
  const entry = entryOf(parsed, line, (field) => valueColumnOf(members, field));
  // JSON.parse takes the last of two equal ones, other readers the first.
  const twice = members.find(({ name }, index) => members.slice(0, index).some((before) => before.name === name));
  if ('registration' in entry && twice !== undefined) {
    const { name: field, column } = twice;
    return wrong({ line, column, field, problem: 'The field is there twice; expected: each once.' });
  }
  return entry;
}

interface Member {
  readonly name: string;
  readonly column: number;
  readonly valueColumn: number;
}

/** The members of an object in JSON that is well-formed. */
function membersOf(text: string): Member[] {
  const members: Member[] = [];
  let depth = 0;
  // Each string whole, so that no bracket or name begins inside one; only names have a colon behind them.
  for (const { 0: whole, 1: name, 2: colon, index } of text.matchAll(/("(?:[^"\\]|\\.)*")(\s*:\s*)?|[{}[\]]/g)) {
    if (name === undefined) depth += whole === '{' || whole === '[' ? 1 : -1;
    else if (depth === 1 && colon !== undefined) {
      members.push({ name: JSON.parse(name) as string, column: index + 1, valueColumn: index + whole.length + 1 });
    }
  }
  return members;
}

/** Where the device id is missing, the object itself. */
const valueColumnOf = (members: readonly Member[], field: RegistrationField): { readonly column: number } => ({
  column: members.find(({ name }) => name === field)?.valueColumn ?? 1,
});

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return error;
    throw error;
  }
}

function entryOf(
  values: Parameters<typeof readRegistration>[0],
  line: number,
  place: (field: RegistrationField) => { readonly column?: number },
): FileEntry {
  const read = readRegistration(values);
  if ('registration' in read) return { line, registration: read.registration };
  return {
    line,
    problems: read.problems.map(({ field, problem }) => ({ line, ...place(field), field, problem })),
  };
}

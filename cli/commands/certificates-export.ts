import type { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { IssuanceRecord } from '../../shared/ledger/index.ts';
import { certificateJson, pemOf } from '../certificate-view.ts';
import { defineCommand, type ExitCode, type Result } from '../command.ts';
import { csvLine } from '../csv.ts';
import { UsageError } from '../errors.ts';
import type { Explanation } from '../explain.ts';
import { interruptible } from '../interruptible.ts';
import { isoTime, jsonText } from '../json.ts';
import { declareSelection, type SelectionOptions, select, selectionDetails } from '../selection.ts';
import type { Session } from '../session.ts';
import { countTo, notEmpty, oneOf } from '../values.ts';
import { writeWholeFile } from '../whole-file.ts';

interface Options extends SelectionOptions {
  readonly format: Format;
  readonly out?: string;
  readonly limit?: number;
}

type Format = 'pem' | 'der' | 'jsonl' | 'csv' | 'json';

/** What is written before the first row, for each row, between two and after the last; and when there is no last. */
interface Writer {
  readonly before?: string;
  /** undefined for a row that has no place in this format. */
  readonly row: (record: IssuanceRecord) => string | Uint8Array | undefined;
  readonly between?: string;
  readonly after?: string;
  readonly afterError?: (explanation: Explanation) => string;
}

const csvColumns = {
  deviceId: (record) => record.deviceId,
  requestId: (record) => record.requestId,
  state: (record) => record.state,
  serialNumber: (record) => record.serialNumber,
  issuerId: (record) => record.issuerId,
  notBefore: (record) => isoTime(record.notBefore),
  notAfter: (record) => isoTime(record.notAfter),
  issuedAt: (record) => isoTime(record.issuedAt),
  rejectedAt: (record) => isoTime(record.rejectedAt),
  code: (record) => record.code,
  profile: (record) => record.profile,
  profileHash: (record) => record.profileHash,
  requestHash: (record) => record.requestHash,
  sender: (record) => record.sender,
} as const satisfies Record<string, (record: IssuanceRecord) => string | undefined>;

const rowJson = (record: IssuanceRecord): string =>
  jsonText({ ...certificateJson(record), certificate: pemOf(record) ?? null });

const writers: Readonly<Record<Format, Writer>> = {
  pem: { row: pemOf },
  der: { row: (record) => record.certificate },
  jsonl: { row: (record) => `${rowJson(record)}\n` },
  csv: {
    before: `${csvLine(Object.keys(csvColumns))}\r\n`,
    row: (record) => `${csvLine(Object.values(csvColumns).map((column) => column(record)))}\r\n`,
  },
  json: {
    before: '{"certificates":[',
    row: rowJson,
    between: ',\n',
    after: ']}\n',
    afterError: (error) => `],\n"error":${jsonText(error)}}\n`,
  },
};

export const command = defineCommand<Options>({
  details: [
    'PEM holds every certificate that is selected, DER exactly one; JSON lines and CSV hold every row, and JSON lines the',
    'certificates too. With --json it is one object, {"certificates": [...]}, with {"error": {...}} in it too when not all',
    'could be read. A file is there when it is whole. Exit code 1 when there was nothing to write.',
    ...selectionDetails,
  ],
  declare: (command) =>
    declareSelection(command)
      .addOption(oneOf('--format <format>', 'what to write', ['pem', 'der', 'jsonl', 'csv']).default('pem'))
      .option('--out <file>', 'write into this file instead of stdout', notEmpty)
      .option('--limit <count>', 'at most so many', countTo(Number.MAX_SAFE_INTEGER)),
  run: async (session, options) => {
    const format = session.isJson ? 'json' : options.format;
    if (format === 'der' && options.out === undefined && session.stdout.isTTY) {
      throw new UsageError('DER is nothing for a terminal.', 'Write it into a file with --out.');
    }
    const { records, selection, matches } = await select(session, options);
    const rowsRead = interruptible(records.find(selection), session.interrupted);
    const found = matching(rowsRead, matches, options.limit);
    const writer = writers[format];
    // Before anything is written: there is nothing between two certificates in DER.
    const rows = format === 'der' ? await onlyOne(found) : found;
    let written = 0;
    const chunks = chunksOf(rows, writer, () => {
      written += 1;
    });
    if (options.out === undefined) {
      const cut = await writeOut(session, chunks, writer);
      if (cut !== undefined) return cut;
    } else {
      await writeWholeFile(options.out, chunks);
    }
    session.note(`${written} written${options.out === undefined ? '' : ` to ${options.out}`}`);
    const exitCode: ExitCode = written === 0 ? 1 : 0;
    return session.isJson && options.out !== undefined
      ? { exitCode, json: { written, file: options.out }, lines: [] }
      : { exitCode, written: true };
  },
});

async function* matching(
  found: AsyncIterable<{ readonly record: IssuanceRecord }>,
  matches: (record: IssuanceRecord) => boolean,
  limit = Number.POSITIVE_INFINITY,
): AsyncGenerator<IssuanceRecord, void, undefined> {
  let count = 0;
  for await (const { record } of found) {
    if (!matches(record)) continue;
    yield record;
    count += 1;
    if (count === limit) return;
  }
}

async function onlyOne(records: AsyncIterable<IssuanceRecord>): Promise<IssuanceRecord[]> {
  const certificates: IssuanceRecord[] = [];
  for await (const record of records) {
    if (record.certificate !== undefined) certificates.push(record);
    if (certificates.length > 1) {
      throw new UsageError(
        'More than one certificate is selected, and a DER file holds one.',
        'Name it with --serial, or use --format pem.',
      );
    }
  }
  return certificates;
}

async function* chunksOf(
  records: AsyncIterable<IssuanceRecord> | Iterable<IssuanceRecord>,
  { before, row, between, after }: Writer,
  onWritten: () => void,
): AsyncGenerator<string | Uint8Array, void, undefined> {
  if (before !== undefined) yield before;
  let isFirst = true;
  for await (const record of records) {
    const chunk = row(record);
    if (chunk === undefined) continue;
    if (!isFirst && between !== undefined) yield between;
    isFirst = false;
    onWritten();
    yield chunk;
  }
  if (after !== undefined) yield after;
}

/**
 * Into stdout, where what was written stays: after an error the format is ended as one that holds it, if it can.
 * @returns how the command ends then
 */
async function writeOut(
  session: Session,
  chunks: AsyncIterable<string | Uint8Array>,
  { afterError }: Writer,
): Promise<Result | undefined> {
  let error: { readonly thrown: unknown } | undefined;
  const whole = async function* () {
    try {
      yield* chunks;
    } catch (thrown) {
      error = { thrown };
      if (afterError !== undefined) yield afterError(session.explain(thrown));
    }
  };
  await pipeline(whole(), session.stdout as Writable, { end: false });
  if (error === undefined) return undefined;
  if (afterError === undefined) throw error.thrown;
  const { message, cure } = session.explain(error.thrown);
  session.note(`mintmark: ${message} ${cure}`.trim());
  return { exitCode: session.interrupted.aborted ? 130 : 2, written: true };
}

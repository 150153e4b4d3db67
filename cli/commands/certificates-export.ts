import type { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { IssuanceRecord, PlacedRecord } from '../../shared/ledger/index.ts';
import { certificateJson, pemOf } from '../certificate-view.ts';
import { defineCommand, type ExitCode, type Result } from '../command.ts';
import { csvLine } from '../csv.ts';
import { cursorOf, findAfter } from '../cursor.ts';
import { UsageError } from '../errors.ts';
import type { Explanation } from '../explain.ts';
import { interruptible } from '../interruptible.ts';
import { isoTime, jsonText } from '../json.ts';
import { beginningWith, certificateInDer, certificatesInPem, type FileKind, jsonLines } from '../output-files.ts';
import { declareSelection, type SelectionOptions, select, selectionDetails } from '../selection.ts';
import type { Session } from '../session.ts';
import { countTo, notEmpty, oneOf } from '../values.ts';
import { writeWholeFile } from '../whole-file.ts';

interface Options extends SelectionOptions {
  readonly format: Format;
  readonly out?: string;
  readonly limit?: number;
  readonly cursor?: string;
}

type Format = 'pem' | 'der' | 'jsonl' | 'csv' | 'json';

/** What is written before the first row, for each row, between two and after the last; and when there is no last. */
interface Writer {
  /** What a file of this format is, and may take the place of. */
  readonly kind: FileKind;
  readonly before?: string;
  /** undefined for a row that has no place in this format. */
  readonly row: (record: IssuanceRecord) => string | Uint8Array | undefined;
  readonly between?: string;
  /** @param cursor where there is more than was asked for */
  readonly after?: (cursor: string | undefined) => string;
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

const csvHead = `${csvLine(Object.keys(csvColumns))}\r\n`;
const jsonHead = '{"certificates":[';

const writers: Readonly<Record<Format, Writer>> = {
  pem: { kind: certificatesInPem, row: pemOf },
  der: { kind: certificateInDer, row: (record) => record.certificate },
  jsonl: {
    kind: jsonLines('rows that this command exported', ['deviceId', 'requestId', 'certificate']),
    row: (record) => `${rowJson(record)}\n`,
  },
  csv: {
    kind: beginningWith('rows that this command exported', csvHead),
    before: csvHead,
    row: (record) => `${csvLine(Object.values(csvColumns).map((column) => column(record)))}\r\n`,
  },
  json: {
    kind: beginningWith('rows that this command exported', jsonHead),
    before: jsonHead,
    row: rowJson,
    between: ',\n',
    after: (cursor) => `],\n"cursor":${jsonText(cursor ?? null)}}\n`,
    afterError: (error) => `],\n"error":${jsonText(error)}}\n`,
  },
};

export const command = defineCommand<Options>({
  details: [
    'PEM holds every certificate that is selected, DER exactly one; JSON lines and CSV hold every row, and JSON lines the',
    'certificates too. With --json it is one object, {"certificates": [...], "cursor": ...}, with "error" in the cursor\'s place',
    'when not all could be read. A file is there when it is whole, and takes the place of an earlier export and of nothing else.',
    'With --limit it says whether there is more, with a cursor to go on from. Exit code 1 when there was nothing to write.',
    ...selectionDetails,
  ],
  declare: (command) =>
    declareSelection(command)
      .addOption(oneOf('--format <format>', 'what to write', ['pem', 'der', 'jsonl', 'csv']).default('pem'))
      .option('--out <file>', 'write into this file instead of stdout', notEmpty)
      .option('--limit <count>', 'write at most so many', countTo(Number.MAX_SAFE_INTEGER))
      .option('--cursor <cursor>', 'go on where one with --limit ended', notEmpty),
  run: async (session, options) => {
    const format = session.isJson ? 'json' : options.format;
    if (format === 'der' && options.out === undefined && session.stdout.isTTY) {
      throw new UsageError('DER is nothing for a terminal.', 'Write it into a file with --out.');
    }
    const { records, selection, matches } = await select(session, options);
    const rowsRead = findAfter((after) => records.find(selection, { after }), options.cursor);
    const found = matching(interruptible(rowsRead, session.interrupted), matches);
    const writer = writers[format];
    // Before anything is written: there is nothing between two certificates in DER.
    const rows = format === 'der' ? await onlyOne(found, options.limit) : found;
    const progress: Progress = { written: 0, cursor: undefined };
    const chunks = chunksOf(rows, writer, options.limit, progress);
    if (options.out === undefined) {
      const cut = await writeOut(session, chunks, writer);
      if (cut !== undefined) return cut;
    } else {
      await writeWholeFile(options.out, writer.kind, chunks);
    }
    const { written, cursor } = progress;
    const more = cursor === undefined ? '' : `, and there are more: the same with --cursor ${cursor}`;
    session.note(`${written} written${options.out === undefined ? '' : ` to ${options.out}`}${more}`);
    const exitCode: ExitCode = written === 0 ? 1 : 0;
    return session.isJson && options.out !== undefined
      ? { exitCode, json: { written, file: options.out, cursor: cursor ?? null }, lines: [] }
      : { exitCode, written: true };
  },
});

async function* matching(
  found: AsyncIterable<PlacedRecord>,
  matches: (record: IssuanceRecord) => boolean,
): AsyncGenerator<PlacedRecord, void, undefined> {
  for await (const one of found) if (matches(one.record)) yield one;
}

/** The first, and the next one too where the limit shuts it out: so that there is more can be told. */
async function onlyOne(found: AsyncIterable<PlacedRecord>, limit: number | undefined): Promise<PlacedRecord[]> {
  const certificates: PlacedRecord[] = [];
  for await (const one of found) {
    if (one.record.certificate !== undefined) certificates.push(one);
    if (certificates.length < 2) continue;
    if (limit === 1) break;
    throw new UsageError(
      'More than one certificate is selected, and a DER file holds one.',
      'Name it with --serial, or use --format pem.',
    );
  }
  return certificates;
}

interface Progress {
  written: number;
  /** Of the last one written, where there is more than was asked for. */
  cursor: string | undefined;
}

/** Counts what is written, not what is read: a row may have no place in the format. */
async function* chunksOf(
  found: AsyncIterable<PlacedRecord> | Iterable<PlacedRecord>,
  { before, row, between, after }: Writer,
  limit: number | undefined,
  progress: Progress,
): AsyncGenerator<string | Uint8Array, void, undefined> {
  if (before !== undefined) yield before;
  let last: PlacedRecord | undefined;
  for await (const one of found) {
    const chunk = row(one.record);
    if (chunk === undefined) continue;
    if (progress.written === limit && last !== undefined) {
      progress.cursor = cursorOf(last.position);
      break;
    }
    if (last !== undefined && between !== undefined) yield between;
    last = one;
    progress.written += 1;
    yield chunk;
  }
  if (after !== undefined) yield after(progress.cursor);
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

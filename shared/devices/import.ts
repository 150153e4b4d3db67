import { isDeepStrictEqual } from 'node:util';
import { MintmarkError } from '../errors.ts';
import type { DeviceRecord, DeviceRecords, DeviceTerms, TermChanges } from '../ledger/index.ts';
import type { Registration } from './registration.ts';
import type { FileEntry } from './registration-file.ts';

/** What becomes of a registration of a device that is registered already, with other terms. */
export const existingChoices = ['update', 'skip', 'refuse'] as const;

export type Existing = (typeof existingChoices)[number];

/** `unchanged`: it stood as the file has it. `skipped` and `refused`: it stands otherwise, and stays so. */
export const importOutcomes = ['registered', 'updated', 'unchanged', 'skipped', 'refused'] as const;

export type ImportOutcome = (typeof importOutcomes)[number];

/** How a line of a file ended. */
export interface ImportedDevice {
  readonly line: number;
  readonly deviceId: string;
  readonly outcome: ImportOutcome;
  /** It was blocked, and is: an import changes no state. */
  readonly isBlocked: boolean;
  /** Of a refused one, a sentence. */
  readonly reason?: string;
}

/** What a pause between two tries is made of. */
export interface ImportBackoff {
  /** From 0 to 1, 1 excluded. */
  readonly random: () => number;
  /** Milliseconds; resolves early where nothing more is to be done. */
  readonly wait: (milliseconds: number) => Promise<unknown>;
}

export interface ImportOptions {
  readonly records: Pick<DeviceRecords, 'get' | 'register' | 'changeTerms'>;
  readonly existing: Existing;
  /** Reads and decides, and writes nothing. */
  readonly isDryRun: boolean;
  /** Told of devices as they end, some at a time. */
  readonly onImported: (devices: readonly ImportedDevice[]) => void;
  readonly backoff: ImportBackoff;
  /** Ends the import; what has begun is finished. */
  readonly until: AbortSignal;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** Read with one BatchGetItem and written at the same time; by so many lanes: at most 48 calls are open. */
const devicesAtATime = 12;
const lanes = 4;

/** Throttled so often, each time after a longer pause, an import ends; it has taken about 15 seconds then. */
const maximumTries = 10;

/** Milliseconds, before the second try; doubled with each. */
const firstPause = 50;
const longestPause = 5_000;

/**
 * Registers what a checked file says. There is no state of an import but the table: a device that stands as the file has
 * it costs a read and no write, so an import that was interrupted goes on where the same one is started again, also
 * on another machine and whatever has happened in between. A device is registered where there is none, and changed where
 * there is one; who was overtaken in that decides anew. Only the terms that stand otherwise are written: of two imports that
 * change one term of a device at the same time, the last to write it is what stands.
 * @throws MintmarkError STORE_UNAVAILABLE, STORE_REFUSED; what was told until then has been done
 * @throws FileChanged for an entry with problems, which a checked file has not
 */
export async function importRegistrations(entries: AsyncIterable<FileEntry>, options: ImportOptions): Promise<void> {
  const stop = new AbortController();
  const until = AbortSignal.any([options.until, stop.signal]);
  const chunks = chunksOf(entries);
  const lane = async (): Promise<void> => {
    try {
      while (!until.aborted) {
        const next = await chunks.next();
        if (next.done === true) return;
        options.onImported(await importChunk(next.value, options));
      }
    } catch (error) {
      stop.abort();
      throw error;
    }
  };
  try {
    const ends = await Promise.allSettled(Array.from({ length: lanes }, lane));
    const failed = ends.find((end) => end.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  } finally {
    await chunks.return();
  }
}

/** A file that was checked has an entry that cannot have been in it then. */
export class FileChanged extends Error {
  readonly line: number;

  constructor(line: number) {
    super(`Line ${line} of the file has changed since it was checked.`);
    this.name = 'FileChanged';
    this.line = line;
  }
}

interface Placed {
  readonly line: number;
  readonly registration: Registration;
}

async function* chunksOf(entries: AsyncIterable<FileEntry>): AsyncGenerator<readonly Placed[], void, undefined> {
  let chunk: Placed[] = [];
  for await (const entry of entries) {
    if ('problems' in entry) throw new FileChanged(entry.line);
    chunk.push(entry);
    if (chunk.length < devicesAtATime) continue;
    yield chunk;
    chunk = [];
  }
  if (chunk.length > 0) yield chunk;
}

async function importChunk(chunk: readonly Placed[], options: ImportOptions): Promise<ImportedDevice[]> {
  const { records } = options;
  // Twice in one chunk only where the file has changed since it was checked, which a read of DynamoDB would not take.
  const deviceIds = [...new Set(chunk.map(({ registration }) => registration.deviceId))];
  const standing = await withoutThrottling(() => records.get(deviceIds), options);
  return Promise.all(
    chunk.map(async ({ line, registration }) => ({
      line,
      ...(await importOne(registration, standing.get(registration.deviceId), options)),
    })),
  );
}

async function importOne(
  registration: Registration,
  first: DeviceRecord | undefined,
  options: ImportOptions,
): Promise<Omit<ImportedDevice, 'line'>> {
  const { deviceId } = registration;
  const { records, existing, isDryRun, now } = options;
  let standing = first;
  for (;;) {
    const decision = decide(registration, standing, existing);
    const isBlocked = standing !== undefined && isBlockedRecord(standing);
    const { write, ...end } = decision;
    if (write === undefined || isDryRun) return { deviceId, isBlocked, ...end };
    const isDone = await withoutThrottling(
      () =>
        'terms' in write
          ? records.register(deviceId, write.terms, now())
          : records.changeTerms(deviceId, write.changes),
      options,
    );
    if (isDone) return { deviceId, isBlocked, ...end };
    standing = (await withoutThrottling(() => records.get([deviceId]), options)).get(deviceId);
  }
}

const isBlockedRecord = (record: DeviceRecord): boolean =>
  ('device' in record ? record.device.state : record.state) === 'blocked';

interface Decision extends Pick<ImportedDevice, 'outcome' | 'reason'> {
  readonly write?: { readonly terms: DeviceTerms } | { readonly changes: TermChanges };
}

/** What is to be done with a registration, given the row that stands. */
export function decide(registration: Registration, standing: DeviceRecord | undefined, existing: Existing): Decision {
  if (standing === undefined) return { outcome: 'registered', write: { terms: withoutRemovals(registration.terms) } };
  // What stands there may restrict the device in a way that is not understood here.
  if ('problem' in standing) return { outcome: 'refused', reason: standing.problem.message };
  const changes = changesOf(registration.terms, standing.device);
  const names = Object.keys(changes);
  if (names.length === 0) return { outcome: 'unchanged' };
  switch (existing) {
    case 'update':
      return { outcome: 'updated', write: { changes } };
    case 'skip':
      return { outcome: 'skipped' };
    case 'refuse':
      return { outcome: 'refused', reason: `It is registered with another ${names.join(', ')}.` };
  }
}

const withoutRemovals = (terms: TermChanges): DeviceTerms =>
  Object.fromEntries(Object.entries(terms).filter(([, term]) => term !== null));

/** Those of the terms that stand otherwise; in a list the order says nothing. */
function changesOf(terms: TermChanges, device: DeviceTerms): TermChanges {
  const stands = (name: string, term: unknown): boolean =>
    isDeepStrictEqual(comparable(term ?? undefined), comparable(device[name as keyof DeviceTerms]));
  return Object.fromEntries(Object.entries(terms).filter(([name, term]) => !stands(name, term)));
}

const comparable = (term: unknown): unknown => (Array.isArray(term) ? (term as string[]).toSorted() : term);

/**
 * The same call again, after a pause with full jitter, while DynamoDB throttles it: the client's own three tries are made
 * for a moment's trouble, and a new table takes minutes to take on more.
 */
async function withoutThrottling<Answer>(
  call: () => Promise<Answer>,
  { backoff: { random, wait }, until }: Pick<ImportOptions, 'backoff' | 'until'>,
): Promise<Answer> {
  for (let tries = 1; ; tries++) {
    try {
      return await call();
    } catch (error) {
      if (!isThrottling(error) || tries === maximumTries || until.aborted) throw error;
    }
    await wait(random() * Math.min(longestPause, firstPause * 2 ** (tries - 1)));
  }
}

const throttling = new Set(['ProvisionedThroughputExceededException', 'ThrottlingException', 'RequestLimitExceeded']);

/** Also keys that DynamoDB leaves unprocessed, which has no cause. */
const isThrottling = (error: unknown): boolean =>
  error instanceof MintmarkError &&
  error.code === 'STORE_UNAVAILABLE' &&
  (error.cause === undefined || (error.cause instanceof Error && throttling.has(error.cause.name)));

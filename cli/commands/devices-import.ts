import { setTimeout as delay } from 'node:timers/promises';
import {
  type CheckedFile,
  checkFile,
  type Existing,
  existingChoices,
  FileChanged,
  type FileFormat,
  fileFormats,
  type ImportedDevice,
  type ImportOutcome,
  importOutcomes,
  importRegistrations,
  registrationFields,
  registrationsIn,
} from '../../shared/devices/index.ts';
import { DeviceRecords } from '../../shared/ledger/index.ts';
import { Progress, table } from '../../shared/terminal/index.ts';
import { defineCommand, type Result } from '../command.ts';
import { UsageError } from '../errors.ts';
import type { Explanation } from '../explain.ts';
import { interruptible } from '../interruptible.ts';
import { openRegistrations, type RegistrationSource } from '../registration-source.ts';
import type { Session } from '../session.ts';
import { oneOf } from '../values.ts';

interface Options {
  readonly format?: FileFormat;
  readonly existing: Existing;
  readonly dryRun?: true;
}

export const command = defineCommand<Options>({
  details: [
    `Of each device the fields ${registrationFields.join(', ')}, of which only deviceId must be there. CSV: the first line`,
    'names the fields; lists are separated by spaces; an empty cell says nothing, and - takes away what is registered. JSON',
    'lines: an object on each line, lists as arrays; null takes away. What a file says nothing of stays as it is registered.',
    'Pinned keys are the SHA-256 of the SubjectPublicKeyInfo in hex.',
    'The whole file is checked before anything is written. Safe to repeat, and to interrupt: what stands already as the file',
    'has it is left alone, so the same command goes on where it ended. A device that is blocked stays so. A device that is new',
    'counts at once, a change within a minute. Exit code 1 when a device was refused, 2 when the file is wrong.',
  ],
  declare: (command) =>
    command
      .argument('<file>', 'a .csv or .jsonl file, or - for stdin')
      .addOption(oneOf('--format <format>', 'what the file is, where its name does not say it', fileFormats))
      .addOption(
        oneOf('--existing <choice>', 'what becomes of a device that is registered otherwise', existingChoices).default(
          'update',
        ),
      )
      .option('--dry-run', 'write nothing; say what would be written'),
  run: async (session, options, [file = '']) => {
    const source = await openRegistrations(file, options.format, session.interrupted);
    try {
      const checked = await checkFile(interruptible(source.read(), session.interrupted), source.format).catch(
        (error: unknown) => {
          throw unreadable(source, error);
        },
      );
      if (checked.problemCount > 0) return refuseFile(session, source, checked);
      return await importFile(session, source, checked.devices, options);
    } finally {
      source.close();
    }
  },
});

/** What the file system says of a file that could be found. */
function unreadable({ name }: RegistrationSource, error: unknown): unknown {
  const { code, syscall } = error as NodeJS.ErrnoException;
  if (syscall === undefined) return error;
  return new UsageError(`${name}: It cannot be read: ${code}.`, 'Name a file that can be read.', { cause: error });
}

function refuseFile(session: Session, { name }: RegistrationSource, { problems, problemCount }: CheckedFile): Result {
  const count = problemCount === 1 ? 'One thing is wrong' : `${problemCount} things are wrong`;
  const error: Explanation = {
    message: `${count} in ${name}; nothing was written.`,
    cure: 'Mend what is named on stdout, by line and field, then run the same again.',
  };
  session.note(`mintmark: ${error.message} ${error.cure}`);
  const rows = problems.map(({ line, column, field, problem }) => [
    String(line),
    column === undefined ? '' : String(column),
    field ?? '',
    problem,
  ]);
  const more = problemCount - problems.length;
  return {
    exitCode: 2,
    json: { error, problems, problemCount },
    lines: [
      ...table(['LINE', 'COLUMN', 'FIELD', 'WHAT IS WRONG'], rows),
      ...(more > 0 ? [`and ${more} more after these.`] : []),
    ],
  };
}

/** So many refusals are told one by one. */
const toldRefusals = 1_000;

class Tally {
  readonly counts: Record<ImportOutcome, number> = { registered: 0, updated: 0, unchanged: 0, skipped: 0, refused: 0 };
  readonly refusals: ImportedDevice[] = [];
  done = 0;
  blocked = 0;

  add(devices: readonly ImportedDevice[]): void {
    for (const device of devices) {
      this.done += 1;
      this.counts[device.outcome] += 1;
      if (device.isBlocked) this.blocked += 1;
      if (device.outcome === 'refused' && this.refusals.length < toldRefusals) this.refusals.push(device);
    }
  }
}

async function importFile(
  session: Session,
  source: RegistrationSource,
  devices: number,
  { existing, dryRun }: Options,
): Promise<Result> {
  const { interrupted } = session;
  const isDryRun = dryRun === true;
  const records = new DeviceRecords(await session.clients.dynamoDB(), session.target().tables.devices);
  const progress = new Progress(session.stderr, devices, isDryRun ? 'compared' : 'imported');
  const tally = new Tally();
  const wait = (milliseconds: number) =>
    delay(milliseconds, undefined, { signal: interrupted }).catch((error: unknown) => {
      if (!interrupted.aborted) throw error;
    });
  let error: Explanation | undefined;
  progress.show(0);
  try {
    await importRegistrations(registrationsIn(source.read(), source.format), {
      records,
      existing,
      isDryRun,
      onImported: (ended) => {
        tally.add(ended);
        progress.show(tally.done);
      },
      backoff: { random: Math.random, wait },
      until: interrupted,
      now: () => session.now(),
    });
  } catch (thrown) {
    error = explained(session, source, thrown);
  } finally {
    progress.end();
  }
  if (error !== undefined && !interrupted.aborted) session.note(`mintmark: ${error.message} ${error.cure}`);
  return report(session, source, { devices, isDryRun, existing, tally, error });
}

function explained(session: Session, { name }: RegistrationSource, thrown: unknown): Explanation {
  if (!(thrown instanceof FileChanged)) return session.explain(thrown);
  return {
    message: `${name}: line ${thrown.line} is another one than when the file was checked.`,
    cure: 'Let nothing write into it, and run the same again.',
  };
}

interface Imported {
  readonly devices: number;
  readonly isDryRun: boolean;
  readonly existing: Existing;
  readonly tally: Tally;
  readonly error: Explanation | undefined;
}

function report(
  session: Session,
  { name }: RegistrationSource,
  { devices, isDryRun, existing, tally, error }: Imported,
): Result {
  const { counts, refusals, blocked, done } = tally;
  const open = devices - done;
  const exitCode = session.interrupted.aborted ? 130 : error !== undefined ? 2 : counts.refused > 0 ? 1 : 0;
  const told = importOutcomes.map((outcome) => `${counts[outcome]} ${outcome}`).join(', ');
  const more = counts.refused - refusals.length;
  return {
    exitCode,
    json: {
      file: name,
      dryRun: isDryRun,
      existing,
      devices,
      ...counts,
      effectiveWithinSeconds: counts.updated > 0 && !isDryRun ? 60 : 0,
      blocked,
      open,
      refusals: refusals.map(({ line, deviceId, reason }) => ({ line, deviceId, reason })),
      ...(error === undefined ? {} : { error }),
    },
    lines: [
      ...(refusals.length === 0
        ? []
        : [
            ...table(
              ['LINE', 'DEVICE', 'WHY IT IS REFUSED'],
              refusals.map(({ line, deviceId, reason = '' }) => [String(line), deviceId, reason]),
            ),
            ...(more > 0 ? [`and ${more} more after these.`] : []),
            '',
          ]),
      `${isDryRun ? 'It would be: ' : ''}${told}.`,
      ...(blocked > 0
        ? [`${blocked} of them ${blocked === 1 ? 'is' : 'are'} blocked, and an import leaves that so.`]
        : []),
      ...(counts.updated > 0 && !isDryRun
        ? ['What was changed takes effect within 60 seconds, for so long functions remember a device.']
        : []),
      ...(open > 0 ? [`${open} of ${devices} not looked at: the same command goes on with them.`] : []),
    ],
  };
}

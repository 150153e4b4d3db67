import { fileURLToPath } from 'node:url';
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { type CheckedRow, type Profile, type RelintRequirements, relintIssuers } from '../../shared/issuance/index.ts';
import {
  CompromisedKeys,
  type IssuanceSelection,
  RevokedSerials,
  readIssuerCertificates,
  readItemCount,
} from '../../shared/ledger/index.ts';
import { Progress } from '../../shared/terminal/index.ts';
import { defineCommand, type ExitCode } from '../command.ts';
import { cursorOf, findAfter } from '../cursor.ts';
import { UsageError } from '../errors.ts';
import { readNamedProfiles } from '../profile-files.ts';
import { problemLine } from '../profile-view.ts';
import { RelintRun } from '../relint-run.ts';
import { findingFormats, findingJson, findingLines, tallyJson, tallyLines } from '../relint-view.ts';
import { declareCertificates, type SelectionOptions, select } from '../selection.ts';
import type { Session } from '../session.ts';
import { notEmpty, oneOf } from '../values.ts';
import { writeWholeFile } from '../whole-file.ts';

interface Options extends Omit<SelectionOptions, 'status' | 'abandoned'> {
  readonly profile?: string;
  readonly expired?: true;
  readonly profiles?: string;
  readonly out?: string;
  readonly format: keyof typeof findingFormats;
  readonly cursor?: string;
}

/** As many findings are shown; --out has all, so that no table is too large for memory. */
const shownFindings = 1_000;

/** The checkout's, which are taken for those that are deployed. */
const checkedOut = fileURLToPath(new URL('../../profiles/', import.meta.url));

export const command = defineCommand<Options>({
  details: [
    'Each certificate is held to what it would be held to if it were issued now: the rules of lint, those of its profile where',
    'that is the very one of today, the checks of its key, the blocked keys; and to its row and the signature of its issuer.',
    'Expired ones are passed over unless --expired is given, and broken ones that are revoked. Without --device, --serial or',
    '--expires the whole table is read. Ctrl-C ends it with what was found so far, and with a cursor to go on from. Exit code 1',
    'when a certificate is broken, or when there is none of the device or serial number that was asked for.',
  ],
  declare: (command) =>
    declareCertificates(command)
      .option('--profile <name>', 'made by this profile', notEmpty)
      .option('--expired', 'also those that have ended')
      .option('--profiles <folder>', 'the profiles that are deployed; without it, those of this checkout', notEmpty)
      .option('--out <file>', 'write what is broken into this file', notEmpty)
      .addOption(oneOf('--format <format>', 'of the file', Object.keys(findingFormats)).default('jsonl'))
      .option('--cursor <cursor>', 'go on where one ended', notEmpty),
  run: async (session, options) => {
    const profiles = readProfiles(options.profiles ?? checkedOut);
    if (options.profile !== undefined) requireKnown(options.profile, profiles);
    const dynamoDB = await session.clients.dynamoDB();
    const requirements = await readRequirements(session, dynamoDB, profiles, options);
    const { records, selection, matches } = await select(session, options);
    const progress = await progressOf(session, dynamoDB, selection);
    const run = new RelintRun({
      rows: findAfter((after) => records.find(selection, { after }), options.cursor),
      matches: (record) => matches(record) && (options.profile === undefined || record.profile === options.profile),
      requirements,
      interrupted: session.interrupted,
      onRead: (rows) => progress?.show(rows),
    });
    const shown = await collect(run, options).finally(() => progress?.end());
    const { tally, isInterrupted, last } = run;
    const cursor = isInterrupted ? (last === undefined ? options.cursor : cursorOf(last)) : undefined;
    // A row that a cursor lies behind may have been what was asked for.
    const isNothing = tally.rows === 0 && !isInterrupted && options.cursor === undefined;
    const found: ExitCode = tally.broken > 0 || (isNothing && isOfOne(options)) ? 1 : 0;
    const unshown = tally.broken - shown.length;
    return {
      exitCode: isInterrupted ? 130 : found,
      json: {
        stage: session.target().stage,
        ...tallyJson(tally),
        findings: shown.map(findingJson),
        notListed: unshown,
        file: options.out ?? null,
        complete: !isInterrupted,
        cursor: cursor ?? null,
      },
      lines: [
        ...findingLines(shown),
        ...(unshown > 0 && options.out === undefined ? [`and ${unshown} more; --out <file> has all of them.`, ''] : []),
        ...(isNothing ? ['There is no such certificate.', ''] : []),
        ...tallyLines(tally),
        ...(options.out === undefined ? [] : ['', fileLine(options.out, tally.broken)]),
        ...(isInterrupted ? ['', goOn(cursor)] : []),
      ],
    };
  },
});

const fileLine = (file: string, broken: number): string =>
  broken === 0 ? `Nothing is broken: ${file} holds no finding.` : `What is broken is in ${file}.`;

/** Of a device or serial number that there is not, nothing found is no good news; a profile, an issuer or a day may have none. */
const isOfOne = ({ device, serial }: Options): boolean => device !== undefined || serial !== undefined;

const goOn = (cursor: string | undefined): string =>
  cursor === undefined
    ? 'Interrupted before anything was checked.'
    : `Interrupted. The others: the same with --cursor ${cursor}`;

/** @throws UsageError for profiles that could not be deployed */
function readProfiles(folder: string): ReadonlyMap<string, Profile> {
  const { profiles, problems } = readNamedProfiles([folder]);
  if (problems.length > 0) {
    const told = problems.map(problemLine).join('; ');
    throw new UsageError(
      `The profiles are not in order: ${told}.`,
      'Name the folder that is deployed with --profiles.',
    );
  }
  return new Map(profiles.map(({ profile }) => [profile.name, profile]));
}

/** @throws UsageError for a profile that there is not: with a slip of the finger all would be well */
function requireKnown(profile: string, profiles: ReadonlyMap<string, Profile>): void {
  if (profiles.has(profile)) return;
  throw new UsageError(
    `There is no profile ${profile}.`,
    `The profiles are: ${[...profiles.keys()].join(', ')}. Of one that is deployed no more, name a folder that has it with --profiles.`,
  );
}

/** @throws UsageError for an issuer that there is not */
async function readRequirements(
  session: Session,
  dynamoDB: DynamoDBClient,
  profiles: ReadonlyMap<string, Profile>,
  { issuer, expired }: Options,
): Promise<RelintRequirements> {
  const { tables } = session.target();
  const rows = await readIssuerCertificates(dynamoDB, tables.issuers);
  if (issuer !== undefined && !rows.some(({ issuerId }) => issuerId === issuer)) {
    const names = rows.map(({ issuerId }) => issuerId).join(', ');
    throw new UsageError(`There is no issuer ${issuer}.`, `The issuers are: ${names === '' ? 'none' : names}.`);
  }
  const { issuers, unusable } = relintIssuers(rows);
  for (const { issuerId, problem } of unusable) {
    session.note(`The issuer ${issuerId} counts as unknown: ${problem}`);
  }
  const compromisedKeys = new CompromisedKeys(dynamoDB, tables.keys);
  const revokedSerials = new RevokedSerials(dynamoDB, tables.revocations);
  return {
    issuers,
    profiles,
    compromisedAmong: (spkiSha256s) => compromisedKeys.among(spkiSha256s),
    isRevoked: (serial) => revokedSerials.isRevoked(serial),
    withExpired: expired === true,
    now: () => session.now(),
  };
}

/**
 * Of the whole table, whose size is known nearly: DynamoDB counts its rows every six hours or so.
 * @returns undefined where nobody knows how far it goes
 */
async function progressOf(
  session: Session,
  dynamoDB: DynamoDBClient,
  { by }: IssuanceSelection,
): Promise<Pick<Progress, 'show' | 'end'> | undefined> {
  if (by !== 'nothing') return undefined;
  const total = await readItemCount(dynamoDB, session.target().tables.issuance);
  if (total === 0) return undefined;
  const progress = new Progress(session.stderr, total, 'rows read');
  return { show: (rows) => progress.show(Math.min(rows, total)), end: () => progress.end() };
}

/** @returns the findings to be shown: none where they go into a file */
async function collect(run: RelintRun, { out, format }: Options): Promise<readonly CheckedRow[]> {
  if (out !== undefined) {
    await writeWholeFile(out, findingFormats[format].kind, linesOf(run, format));
    return [];
  }
  const shown: CheckedRow[] = [];
  for await (const finding of run.findings()) if (shown.length < shownFindings) shown.push(finding);
  return shown;
}

async function* linesOf(run: RelintRun, format: Options['format']): AsyncGenerator<string, void, undefined> {
  const { head, line } = findingFormats[format];
  if (head !== '') yield head;
  for await (const finding of run.findings()) yield line(finding);
}

import { InvalidArgumentError } from 'commander';
import { isFleetName } from '../../shared/enrolment/index.ts';
import { type Grant, type SenderRecord, SenderRecords } from '../../shared/ledger/index.ts';
import { defineCommand } from '../command.ts';
import { type DeployedProfilesOptions, declareDeployedProfiles } from '../deployed-profiles.ts';
import { UsageError } from '../errors.ts';
import { askIam } from '../iam-principal.ts';
import { type PrincipalArn, senderNamed } from '../sender-name.ts';
import { rowsOfSender } from '../sender-rows.ts';
import { describeSender, grantText, senderJson } from '../sender-view.ts';
import { warningsOnGrants } from '../sender-warnings.ts';
import type { Session } from '../session.ts';
import { notEmpty } from '../values.ts';

interface Options extends DeployedProfilesOptions {
  readonly fleet?: readonly string[];
  readonly allFleets?: true;
  readonly profile?: readonly string[];
  readonly allProfiles?: true;
  readonly note?: string;
}

export const command = defineCommand<Options>({
  details: [
    'Whoever is registered is held to it by every profile: to these profiles, and to devices of these fleets; a device',
    "without a fleet is enrolled by those registered for all. The ARN is resolved to IAM's unique id, since that is what SQS",
    "attests of a sender, without a role's session; of a role in another account, which these credentials cannot look up,",
    'give the id. Adding again replaces fleets and profiles by what is said, and the note where one is given. A new sender',
    'counts at once, a change within a minute. Warned of: profiles that are not among those that are read, and fleets that no',
    'device is of.',
  ],
  declare: (command) =>
    declareDeployedProfiles(command)
      .argument('<sender>', "a role's or user's ARN, the ARN of a role's session, or the id of one")
      .option('--fleet <name>', 'may enrol devices of this fleet; may be repeated', collected(fleetName))
      .option('--all-fleets', 'may enrol devices of every fleet, and those of none')
      .option('--profile <name>', 'may use this profile; may be repeated', collected(profileName))
      .option('--all-profiles', 'may use every profile')
      .option('--note <text>', 'for whoever asks later', notEmpty),
  run: async (session, options, [sender = '']) => {
    const grants = {
      fleets: grantOf('fleet', options.fleet, options.allFleets),
      profiles: grantOf('profile', options.profile, options.allProfiles),
    };
    const warnings = await warningsOnGrants(session, options, grants);
    const { principalId, arn } = await identify(session, sender);
    const records = new SenderRecords(await session.clients.dynamoDB(), session.target().tables.senders);
    const before = await records.add({ principalId, arn, ...grants, note: options.note }, session.now());
    await noteEarlierIds(session, records, principalId, arn);
    const row = await records.get(principalId);
    if (row === undefined) throw new UsageError(`${principalId} was removed at the same moment.`, 'Add it again.');
    const changes = changesOf(before, row);
    const change = before === undefined ? 'added' : changes.length > 0 ? 'changed' : 'unchanged';
    return {
      // An attribute that this command does not know keeps the row from being read, and stays.
      exitCode: typeof row.held === 'string' ? 1 : 0,
      json: { change, changes, sender: senderJson(row), warnings },
      lines: [
        `${principalId} is ${change === 'added' ? 'registered' : change}.`,
        ...changes.map(({ what, from, to }) => `  ${what}: ${from ?? 'none'} is now ${to}`),
        ...describeSender(row),
        ...(warnings.length === 0 ? [] : ['', ...warnings]),
      ],
    };
  },
});

/** A parser for an option that may be repeated, its values in order and each once. */
const collected =
  (parse: (text: string) => string) =>
  (text: string, earlier: readonly string[] = []): string[] =>
    [...new Set([...earlier, parse(text)])].sort();

function fleetName(text: string): string {
  if (text === '*') throw new InvalidArgumentError('For every fleet, say --all-fleets.');
  if (isFleetName(text)) return text;
  throw new InvalidArgumentError('A fleet has a name of 1 to 128 letters, digits and punctuation marks, no spaces.');
}

function profileName(text: string): string {
  if (text === '*') throw new InvalidArgumentError('For every profile, say --all-profiles.');
  if (/^[a-z0-9][a-z0-9-]{0,62}$/.test(text)) return text;
  throw new InvalidArgumentError('A profile has a name of at most 63 small letters, digits and hyphens.');
}

/** @throws UsageError unless names are given, or all of them: nobody gets all by leaving something out */
function grantOf(what: 'fleet' | 'profile', names: readonly string[] | undefined, all: true | undefined): Grant {
  if (names !== undefined && all !== undefined) {
    throw new UsageError(`--${what} and --all-${what}s exclude each other.`, 'Give one of them.');
  }
  if (all === true) return '*';
  if (names !== undefined) return names;
  throw new UsageError(`It is not said for which ${what}s.`, `Give --${what} for each, or --all-${what}s.`);
}

/** @throws UsageError where IAM does not know the ARN */
async function identify(
  session: Session,
  sender: string,
): Promise<{ readonly principalId: string; readonly arn: string | undefined }> {
  const named = senderNamed(sender);
  if (named.by === 'id') {
    if (named.note !== undefined) session.note(named.note);
    return { principalId: named.principalId, arn: undefined };
  }
  const answer = await askIam(await session.clients.iam(), named, session.interrupted);
  if (answer.found === 'principal') {
    if (named.path === undefined)
      session.note(`The session is one of the role ${answer.arn}; any of its sessions counts.`);
    return { principalId: answer.principalId, arn: answer.arn };
  }
  throw notFound(named, answer.found === 'another' ? answer.arn : undefined);
}

function notFound({ kind, name, arn }: PrincipalArn, other: string | undefined): UsageError {
  const message =
    other === undefined
      ? `The account of these credentials has no ${kind} ${name}.`
      : `The ${kind} ${name} in the account of these credentials is ${other}, and not ${arn}.`;
  const query = kind === 'role' ? 'get-role --role-name' : 'get-user --user-name';
  const id = kind === 'role' ? 'Role.RoleId' : 'User.UserId';
  return new UsageError(
    message,
    `Check the ARN; of a ${kind} in another account, give the id that there is the answer to: aws iam ${query} ${name} --query ${id}.`,
  );
}

/** A role that was deleted and made again leaves a row behind that nobody can send as. */
async function noteEarlierIds(
  session: Session,
  records: SenderRecords,
  principalId: string,
  arn: string | undefined,
): Promise<void> {
  if (arn === undefined) return;
  const rows = await rowsOfSender(records, senderNamed(arn), session.interrupted);
  for (const { principalId: earlier } of rows) {
    if (earlier === principalId) continue;
    session.note(
      `${earlier} is registered under the same ARN, which has another id since: mintmark senders remove ${earlier}`,
    );
  }
}

interface Change {
  readonly what: 'fleets' | 'profiles' | 'ARN' | 'note';
  /** Null where there was none, or none that could be read. */
  readonly from: string | null;
  readonly to: string;
}

function changesOf(before: SenderRecord | undefined, after: SenderRecord): Change[] {
  if (before === undefined) return [];
  const [from, to] = [textsOf(before), textsOf(after)];
  return (['fleets', 'profiles', 'ARN', 'note'] as const).flatMap((what) => {
    const now = to[what];
    return now === undefined || now === from[what] ? [] : [{ what, from: from[what] ?? null, to: now }];
  });
}

const textsOf = ({ held, arn, note }: SenderRecord): Readonly<Record<Change['what'], string | undefined>> => ({
  fleets: typeof held === 'string' ? undefined : grantText(held.fleets),
  profiles: typeof held === 'string' ? undefined : grantText(held.profiles),
  ARN: arn,
  note,
});

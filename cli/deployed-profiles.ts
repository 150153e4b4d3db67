import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import { describeProblem, type Profile } from '../shared/issuance/index.ts';
import { UsageError } from './errors.ts';
import { readNamedProfiles } from './profile-files.ts';
import type { Session } from './session.ts';
import { notEmpty } from './values.ts';

const usualFolder = 'profiles';

export interface DeployedProfilesOptions {
  readonly profiles?: string;
}

export const declareDeployedProfiles = (command: Command): Command =>
  command.option(
    '--profiles <folder>',
    'the profiles as they are deployed; without it the folder profiles, if it is there',
    notEmpty,
  );

/**
 * The profiles that the stage is taken to be deployed with: no AWS service tells them.
 * @param unsaid what is not said without them
 * @returns undefined, and a note, where none were named and there is no folder of the usual name
 * @throws UsageError for a profile that cannot be read
 */
export function readDeployedProfiles(
  session: Session,
  { profiles: folder }: DeployedProfilesOptions,
  unsaid = 'what they ask of an issuer',
): readonly Profile[] | undefined {
  if (folder === undefined && !existsSync(usualFolder)) {
    session.note(`No profiles are read, so nothing is said of ${unsaid}: name their folder with --profiles.`);
    return undefined;
  }
  const { profiles, problems } = readNamedProfiles([folder ?? usualFolder]);
  const [first] = problems;
  if (first !== undefined) {
    throw new UsageError(`${describeProblem(first)}.`, 'Mend it: mintmark profiles check says what else there is.');
  }
  return profiles.map(({ profile }) => profile);
}

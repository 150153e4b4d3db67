import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import {
  fileNameProblem,
  type Profile,
  ProfileError,
  type ProfileProblem,
  readProfile,
} from '../shared/issuance/index.ts';
import { UsageError } from './errors.ts';

export interface ProfileFile {
  /** As given, or found in a folder that was given. */
  readonly file: string;
  readonly yaml: string;
  readonly profile: Profile;
}

export interface ReadProfiles {
  readonly profiles: readonly ProfileFile[];
  readonly problems: readonly ProfileProblem[];
}

/**
 * The profiles in files, and in the `*.yaml` of folders: a deployment takes those of one folder, each in a file of its name.
 * @throws UsageError where there is nothing to read
 */
export function readNamedProfiles(paths: readonly string[]): ReadProfiles {
  const profiles: ProfileFile[] = [];
  const problems: ProfileProblem[] = [];
  for (const file of paths.flatMap(filesOf)) {
    try {
      const yaml = readText(file);
      const profile = readProfile(file, yaml);
      profiles.push({ file, yaml, profile });
      const misnamed = fileNameProblem(file, yaml, profile);
      if (misnamed !== undefined) problems.push(misnamed);
    } catch (error) {
      if (!(error instanceof ProfileError)) throw error;
      problems.push(...error.problems);
    }
  }
  return { profiles, problems };
}

function filesOf(path: string): readonly string[] {
  if (!isFolder(path)) return [path];
  const found = readdirSync(path).filter((name) => name.endsWith('.yaml'));
  if (found.length > 0) return found.toSorted().map((name) => join(path, name));
  throw new UsageError(`The folder ${path} holds no profile.`, 'Name a folder with *.yaml in it, or a file.');
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch (error) {
    throw unreadable(path, error);
  }
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw unreadable(file, error);
  }
}

const unreadable = (path: string, error: unknown): UsageError =>
  new UsageError(
    `${path} cannot be read: ${error instanceof Error ? error.message : String(error)}.`,
    'Name profiles, or folders of them; without a name it is the folder profiles.',
    { cause: error },
  );

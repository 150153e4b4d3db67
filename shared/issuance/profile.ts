import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { type Document, isMap, isNode, isScalar, LineCounter, parseDocument } from 'yaml';
import type * as z from 'zod';
import { MintmarkError } from '../errors.ts';
import { type ProfileContents, profileSchema } from './profile/schema.ts';

export { lifetimeOf } from './profile/schema.ts';
export {
  type AttributeType,
  attributeTypes,
  extendedKeyUsages,
  ignorableExtensions,
  keyUsageBits,
  upperBounds,
} from './profile/vocabulary.ts';

/** What may be issued; `hash` is the SHA-256 of the file's bytes in hex and goes into every row made under it. */
export type Profile = Readonly<ProfileContents> & { readonly hash: string };

/** What is wrong with a profile's file, and where. */
export interface ProfileProblem {
  readonly file: string;
  /** From 1; what the file as a whole is wrong about has neither. */
  readonly line?: number;
  readonly column?: number;
  /** Such as `validity.days`. */
  readonly field?: string;
  readonly message: string;
}

/** CONFIGURATION_INVALID, with every problem of every file that was read. */
export class ProfileError extends MintmarkError {
  readonly problems: readonly ProfileProblem[];

  constructor(problems: readonly ProfileProblem[]) {
    super('CONFIGURATION_INVALID', problems.map(describeProblem).join('; '));
    this.problems = problems;
  }
}

/** As compilers write it: `device-tls.yaml:6:9: validity.days: ...`. */
export function describeProblem({ file, line, column, field, message }: ProfileProblem): string {
  const place = line === undefined ? file : `${file}:${line}:${column}`;
  return [place, ...(field === undefined ? [] : [field]), message].join(': ');
}

/**
 * One profile from its YAML text.
 * @param file what the text is called in problems
 * @throws ProfileError that lists every problem of the file
 */
export function readProfile(file: string, yaml: string): Profile {
  const lines = new LineCounter();
  const document = parseDocument(yaml, { lineCounter: lines });
  const mistakes = [...document.errors, ...document.warnings];
  if (mistakes.length > 0) {
    throw new ProfileError(
      mistakes.map(({ code, message, pos }) => ({
        file,
        ...placeOf(lines, pos[0]),
        message:
          code === 'DUPLICATE_KEY'
            ? `the field ${/^[^:\n]*/.exec(yaml.slice(pos[0]))?.[0].trim()} is there twice`
            : // The parser's messages go on with the place, and a picture of it.
              message.replace(/ at line \d+, column \d+:?(\n[^]*)?$/, ''),
      })),
    );
  }
  const value = valueOf(file, document);
  if (!isMapping(value)) {
    throw new ProfileError([
      { file, line: 1, column: 1, field: 'the file', message: 'is no profile: fields such as `name: device-tls` are' },
    ]);
  }
  const result = profileSchema.safeParse(value, { error: inSentences });
  if (!result.success) {
    throw new ProfileError(
      result.error.issues.flatMap((issue) =>
        // What a list of keys is wrong about is each key by itself.
        (issue.code === 'unrecognized_keys' ? issue.keys : [undefined]).map((key) => ({
          file,
          ...placeOf(lines, offsetOf(document, issue.path, key)),
          field: issue.path.join('.') || 'the file',
          message: key === undefined ? issue.message : `Unrecognized key: "${key}"`,
        })),
      ),
    );
  }
  return { ...result.data, hash: createHash('sha256').update(yaml).digest('hex') };
}

const isMapping = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Where the schema has no sentence of its own. */
const inSentences: z.core.$ZodErrorMap = ({ code, input }) =>
  (code === 'invalid_type' || code === 'invalid_value') && input === undefined ? 'is missing' : undefined;

const placeOf = (lines: LineCounter, offset: number): { line: number; column: number } => {
  const { line, col } = lines.linePos(offset);
  return { line, column: col };
};

/** Where a field of a profile stands in its text, as a problem has it; where it is not there, what is nearest round it. */
export function placeOfField(yaml: string, path: readonly PropertyKey[]): Pick<Required<ProfileProblem>, Place> {
  const lines = new LineCounter();
  const document = parseDocument(yaml, { lineCounter: lines });
  return { ...placeOf(lines, offsetOf(document, path, undefined)), field: path.join('.') || 'the file' };
}

type Place = 'line' | 'column' | 'field';

/** A file is named after its profile, so that whoever reads of one finds the other. */
export function fileNameProblem(file: string, yaml: string, { name }: Profile): ProfileProblem | undefined {
  if (basename(file) === `${name}.yaml`) return undefined;
  return { file, ...placeOfField(yaml, ['name']), message: `the profile is ${name}; the file must be ${name}.yaml` };
}

function valueOf(file: string, document: Document): unknown {
  try {
    return document.toJS();
  } catch (error) {
    // Aliases are resolved only now, and one may stand for nothing.
    throw new ProfileError([{ file, message: error instanceof Error ? error.message : String(error) }]);
  }
}

/** Where a value stands, or one of its keys; of what is not there, where the nearest thing round it stands. */
function offsetOf(document: Document, path: readonly PropertyKey[], key: string | undefined): number {
  for (let depth = path.length; depth >= 0; depth--) {
    const node = document.getIn(path.slice(0, depth), true);
    if (!isNode(node)) continue;
    const pair =
      key === undefined || !isMap(node)
        ? undefined
        : node.items.find((item) => isScalar(item.key) && item.key.value === key);
    const place = isScalar(pair?.key) ? pair.key.range : node.range;
    return place?.[0] ?? 0;
  }
  return 0;
}

/**
 * Every `*.yaml` of a folder, by profile name.
 * @throws ProfileError that lists every problem of every file at once
 */
export function readProfiles(folder: URL): ReadonlyMap<string, Profile> {
  const profiles = new Map<string, Profile>();
  const problems: ProfileProblem[] = [];
  for (const file of readdirSync(folder)
    .filter((name) => name.endsWith('.yaml'))
    .sort()) {
    try {
      const yaml = readFileSync(new URL(file, folder), 'utf8');
      const profile = readProfile(file, yaml);
      const misnamed = fileNameProblem(file, yaml, profile);
      if (misnamed !== undefined) problems.push(misnamed);
      profiles.set(profile.name, profile);
    } catch (error) {
      if (!(error instanceof ProfileError)) throw error;
      problems.push(...error.problems);
    }
  }
  if (profiles.size === 0 && problems.length === 0) {
    problems.push({ file: 'profiles', message: 'no profile is deployed: profiles/*.yaml is empty' });
  }
  if (problems.length > 0) throw new ProfileError(problems);
  return profiles;
}

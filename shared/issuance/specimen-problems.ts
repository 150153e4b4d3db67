import { describeProblem, type Profile, type ProfileProblem, placeOfField } from './profile.ts';
import { keyKindsOf, SpecimenError, type SpecimenRefusal, specimenOf } from './specimen.ts';

/** A profile, and the text that it was read from. */
export interface ProfileSource {
  /** What the text is called in problems. */
  readonly file: string;
  readonly yaml: string;
  readonly profile: Profile;
}

/**
 * What keeps a device from getting a certificate of a profile, with any kind of key that it allows: each kind is tried, which
 * takes the making of a key, and of an RSA key tenths of a second.
 * @param now milliseconds since the epoch
 */
export function specimenProblems(
  { file, yaml, profile }: ProfileSource,
  deviceId: string,
  now: number,
  randomBytes: (count: number) => Uint8Array,
): readonly ProfileProblem[] {
  const kinds = keyKindsOf(profile);
  const found = new Map<string, { readonly problem: ProfileProblem; readonly keys: string[] }>();
  for (const kind of kinds) {
    for (const { path, message } of refusalsOf(() => specimenOf(profile, deviceId, kind, now, randomBytes))) {
      const problem = { file, ...placeOfField(yaml, path), message };
      const known = found.get(describeProblem(problem));
      if (known === undefined) found.set(describeProblem(problem), { problem, keys: [kind.name] });
      else known.keys.push(kind.name);
    }
  }
  return [...found.values()].map(({ problem, keys }) => {
    const withKeys = keys.length === kinds.length ? '' : ` with a key of ${keys.join(' or ')}`;
    return { ...problem, message: `no certificate for the device id ${deviceId}${withKeys}: ${problem.message}` };
  });
}

function refusalsOf(make: () => unknown): readonly SpecimenRefusal[] {
  try {
    make();
    return [];
  } catch (error) {
    if (error instanceof SpecimenError) return error.refusals;
    throw error;
  }
}

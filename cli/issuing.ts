import { issuableUntil, type Profile } from '../shared/issuance/index.ts';
import type { IssuerName } from '../shared/ledger/index.ts';

/** Who issues by which name, and what that means for an issuing CA. Pure. */

/** The id of the issuer that a name leads to, as issuing resolves it: without a row it is an id itself. */
export const targetOf = (name: string, names: readonly IssuerName[]): string =>
  names.find((each) => each.name === name)?.target ?? name;

/** The names that lead to an issuer. */
export const namesOf = (issuerId: string, names: readonly IssuerName[]): string[] =>
  names.filter(({ target }) => target === issuerId).map(({ name }) => name);

/** The profiles whose certificates an issuer signs. */
export const profilesOf = (
  issuerId: string,
  names: readonly IssuerName[],
  profiles: readonly Profile[],
): readonly Profile[] => profiles.filter(({ issuer }) => targetOf(issuer, names) === issuerId);

/** The profiles whose certificates would not fit into an issuer's that begins to issue, or goes on, at this moment. */
export const profilesBeyond = (
  profiles: readonly Profile[],
  issuer: { readonly notAfter: number },
  now: number,
): readonly Profile[] => profiles.filter((profile) => issuableUntil(profile, issuer) < now);

/**
 * By when the next issuing CA has to issue in this one's place: the last moment at which each of these profiles' certificates
 * fits. Milliseconds since the epoch; undefined where there are no profiles, -Infinity where one's never fit.
 */
export const rollBy = (profiles: readonly Profile[], issuer: { readonly notAfter: number }): number | undefined =>
  profiles.length === 0 ? undefined : Math.min(...profiles.map((profile) => issuableUntil(profile, issuer)));

import { fileURLToPath } from 'node:url';
import { DerError } from '../shared/asn1/index.ts';
import { readIssuedCertificate, renewAfterOf } from '../shared/issuance/index.ts';
import { readNamedProfiles } from './profile-files.ts';

/**
 * When a certificate had best be renewed, by the profile of that name in this checkout, which is taken for the one that is
 * deployed; milliseconds since the epoch.
 * @returns undefined for a profile that is not here or cannot be read, and for what is no certificate: whoever shows it says so
 */
export type RenewalAdvice = (profile: string | undefined, certificate: Uint8Array) => number | undefined;

/** @param folder with the profiles; a broken one is for `mintmark profiles check` to tell of */
export function renewalAdvice(folder: URL = new URL('../profiles/', import.meta.url)): RenewalAdvice {
  const { profiles } = readNamedProfiles([fileURLToPath(folder)]);
  const byName = new Map(profiles.map(({ profile }) => [profile.name, profile]));
  return (name, certificate) => {
    const profile = name === undefined ? undefined : byName.get(name);
    if (profile === undefined) return undefined;
    try {
      return renewAfterOf(profile, readIssuedCertificate(certificate));
    } catch (error) {
      if (error instanceof DerError) return undefined;
      throw error;
    }
  };
}

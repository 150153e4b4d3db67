import { MintmarkError } from '../errors.ts';
import type { Authority } from './authority.ts';
import type { OpenIssuer } from './open-issuers.ts';
import type { Profile } from './profile.ts';

/**
 * The issuing CA of a profile's new certificates, with its signer open. Which one its name leads to is asked before anything
 * of that CA's own, its breaker among it: so one whose signer is away is switched from like any other. What is known of the
 * name may be a minute old: where it leads to a CA that has been retired since, it is read again, and the request goes on.
 * @param deadline milliseconds since the epoch
 * @throws MintmarkError CONFIGURATION_INVALID, and what opening an issuer throws
 */
export async function openIssuerOf(
  { issuerNames, issuers, now }: Pick<Authority, 'issuerNames' | 'issuers' | 'now'>,
  { issuer: name }: Profile,
  deadline: number,
): Promise<OpenIssuer> {
  const issuerId = await issuerNames.resolve(name, now());
  try {
    return await issuers.open(issuerId, deadline);
  } catch (error) {
    if (!(error instanceof MintmarkError) || error.code !== 'ISSUER_NOT_ACTIVE') throw error;
    const issuerIdNow = await issuerNames.resolveNow(name, now());
    if (issuerIdNow === issuerId) throw error;
    return issuers.open(issuerIdNow, deadline);
  }
}

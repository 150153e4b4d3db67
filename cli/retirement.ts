import type { Profile } from '../shared/issuance/index.ts';
import { type IssuanceRecords, type IssuerName, issuerNameSettling } from '../shared/ledger/index.ts';
import { namesOf, profilesOf } from './issuing.ts';
import { shortTime } from './json.ts';

/** So many open intents are counted, and no more. */
const mostCounted = 1_000;

/** Why an issuer is not to be retired yet, as its names have it; sentences. Pure. */
export function reasonsInNames(
  issuerId: string,
  names: readonly IssuerName[],
  profiles: readonly Profile[] | undefined,
  now: number,
): string[] {
  const leading = namesOf(issuerId, names);
  const naming = (profilesOf(issuerId, names, profiles ?? []) ?? []).filter(({ issuer }) => issuer === issuerId);
  const isById = naming.length > 0 && !leading.includes(issuerId);
  const recent = names.flatMap(({ name, target, recentTargets }) => {
    const until = Math.max(...recentTargets.flatMap((one) => (one.issuerId === issuerId ? one.until : [])));
    return target !== issuerId && now - until < issuerNameSettling ? [{ name, until }] : [];
  });
  return [
    ...leading.map((name) => `The name ${name} leads to it${unusedHint(name, profiles)}.`),
    ...(isById ? [`Profiles name it by its id: ${naming.map(({ name }) => name).join(', ')}.`] : []),
    ...(profiles === undefined ? ['No profiles were read, and they may name it by its id.'] : []),
    ...recent.map(
      ({ name, until }) =>
        `The name ${name} led to it a moment ago, and may be remembered so until ${shortTime(until + issuerNameSettling)}.`,
    ),
  ];
}

const unusedHint = (name: string, profiles: readonly Profile[] | undefined): string =>
  profiles === undefined || profiles.some(({ issuer }) => issuer === name)
    ? ''
    : `, and no profile has that name: mintmark issuers deactivate ${name}`;

/** Open intents of an issuer: what a CA that is retired would leave to be abandoned. @returns a sentence where there are any */
export async function reasonInIntents(issuerId: string, records: IssuanceRecords): Promise<string[]> {
  let count = 0;
  for await (const { record } of records.find({ by: 'openIntent' })) {
    if (record.state === 'intent' && record.issuerId === issuerId) count++;
    if (count === mostCounted) break;
  }
  if (count === 0) return [];
  const many = count === mostCounted ? `At least ${count}` : count;
  return [
    `${many} open intents are of it, and are to be signed or abandoned first (mintmark certificates list --status intent).`,
  ];
}

import type { Profile } from '../shared/issuance/index.ts';
import { type IssuanceRecords, type IssuerName, issuerNameLifetime } from '../shared/ledger/index.ts';
import { namesOf, profilesOf } from './issuing.ts';
import { shortTime } from './json.ts';

/** Twice what a name may be remembered: clocks differ, and what was begun by it is to be signed. */
const settling = 2 * issuerNameLifetime;

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
  const recent = names.filter(
    ({ target, previousTarget, activatedAt = 0 }) =>
      target !== issuerId && previousTarget === issuerId && now - activatedAt < settling,
  );
  return [
    ...leading.map((name) => `The name ${name} leads to it.`),
    ...(isById ? [`Profiles name it by its id: ${naming.map(({ name }) => name).join(', ')}.`] : []),
    ...(profiles === undefined ? ['No profiles were read, and they may name it by its id.'] : []),
    ...recent.map(
      ({ name, activatedAt = 0 }) =>
        `The name ${name} led to it a moment ago, and may be remembered so until ${shortTime(activatedAt + settling)}.`,
    ),
  ];
}

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

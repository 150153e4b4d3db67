import { DeviceRecords, type Grant } from '../shared/ledger/index.ts';
import { type DeployedProfilesOptions, readDeployedProfiles } from './deployed-profiles.ts';
import { interruptible } from './interruptible.ts';
import type { Session } from './session.ts';

/** Devices that are looked at for one of each fleet; so many cost some hundred read units. */
const lookedAt = 10_000;

export interface Grants {
  readonly fleets: Grant;
  readonly profiles: Grant;
}

/** What may be a slip of the finger in what a sender is let do, sentences: a name of a profile or fleet that nothing has. */
export async function warningsOnGrants(
  session: Session,
  options: DeployedProfilesOptions,
  { fleets, profiles }: Grants,
): Promise<string[]> {
  return [
    ...(profiles === '*' ? [] : onProfiles(session, options, profiles)),
    ...(fleets === '*' ? [] : await onFleets(session, fleets)),
  ];
}

function onProfiles(session: Session, options: DeployedProfilesOptions, named: readonly string[]): string[] {
  const profiles = readDeployedProfiles(session, options, 'whether there are such profiles');
  if (profiles === undefined) return [];
  const known = profiles.map(({ name }) => name);
  const unknown = named.filter((name) => !known.includes(name));
  return unknown.length === 0
    ? []
    : [`Of the profiles that were read (${known.join(', ')}) none is called ${unknown.join(' or ')}.`];
}

/** In no order, so that of a large fleet one device comes soon; nothing is said where there are more devices than are looked at. */
async function onFleets(session: Session, named: readonly string[]): Promise<string[]> {
  const records = new DeviceRecords(await session.clients.dynamoDB(), session.target().tables.devices);
  const missing = new Set(named);
  let read = 0;
  for await (const { record } of interruptible(records.find({ pageSize: 1_000 }), session.interrupted)) {
    if ('device' in record && record.device.fleet !== undefined) missing.delete(record.device.fleet);
    read += 1;
    if (missing.size === 0 || read === lookedAt) break;
  }
  if (missing.size === 0 || read === lookedAt) return [];
  return [`No device is registered of the fleet ${[...missing].join(' or ')}.`];
}

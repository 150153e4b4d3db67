import { type Device, type SenderRecord, SenderRecords } from '../shared/ledger/index.ts';
import { interruptible } from './interruptible.ts';
import type { Session } from './session.ts';

/**
 * The registered senders that may enrol a device: those whose fleets it is in, and that its registration lists where it
 * lists any. Who has no row in the senders table is not among them: of those the profile decides.
 */
export async function sendersOf(session: Session, device: Device): Promise<SenderRecord[]> {
  const records = new SenderRecords(await session.clients.dynamoDB(), session.target().tables.senders);
  const found: SenderRecord[] = [];
  for await (const { sender } of interruptible(records.list(), session.interrupted)) {
    if (mayEnrol(sender, device)) found.push(sender);
  }
  return found;
}

/** As shared/issuance/sender.ts decides it, but for the profile, which a request names. */
export function mayEnrol({ principalId, held }: SenderRecord, { fleet, allowedSenders }: Device): boolean {
  if (typeof held === 'string') return false;
  const isInFleet = held.fleets === '*' || (fleet !== undefined && held.fleets.includes(fleet));
  return isInFleet && (allowedSenders === undefined || allowedSenders.includes(principalId));
}

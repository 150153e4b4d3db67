import type { RecordedIntent, StandingRow } from '../ledger/index.ts';
import type { Authority } from './authority.ts';

/**
 * Gives an attempt up. A signature over its TBS may exist, or be on its way, so the serial number is revoked as if one
 * did. When another worker was first, its write stands.
 */
export async function abandon(authority: Authority, intent: RecordedIntent): Promise<void> {
  const abandoned = await authority.ledger.abandon(intent, authority.now());
  if (abandoned.done) await revokeAbandoned(authority, abandoned.row);
}

/** Safe to repeat, and repeated wherever an abandoned attempt is met: whoever abandoned it may have died before this. */
export async function revokeAbandoned(authority: Authority, standing: StandingRow | undefined): Promise<void> {
  for (const serial of standing?.abandonedSerialNumbers ?? []) {
    await authority.revocations.revokeAbandoned(serial, authority.now());
  }
}

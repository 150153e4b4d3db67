import type { AbandonedRow, AbandonReason, RecordedIntent, StandingRow } from '../ledger/index.ts';
import type { FinishingAuthority } from './authority.ts';

type Abandoning = Pick<FinishingAuthority, 'ledger' | 'revocations' | 'now'>;

/**
 * Gives an attempt up. A signature over its TBS may exist, or be on its way, so the serial number is revoked as if one
 * did.
 * @returns false when another worker was first: its write stands
 */
export async function abandon(authority: Abandoning, intent: RecordedIntent, reason: AbandonReason): Promise<boolean> {
  const abandoned = await authority.ledger.abandon(intent, reason, authority.now());
  if (abandoned.done) await settleAbandoned(authority, abandoned.row);
  return abandoned.done;
}

/**
 * The second half of `abandon`: not before the attempt is abandoned, or its certificate could be stored after it was
 * revoked. Whoever died in between left a row that reconciliation finds.
 */
export async function settleAbandoned(authority: Abandoning, row: AbandonedRow): Promise<void> {
  await revokeAbandoned(authority, row);
  await authority.ledger.settle(row);
}

/**
 * Safe to repeat, and repeated wherever an abandoned attempt is met: whoever abandoned it may have died before this. Only the
 * last can be owed it: no attempt is recorded after another, and no rejection, before this was done for the other.
 */
export async function revokeAbandoned(authority: Abandoning, standing: StandingRow | undefined): Promise<void> {
  const last = standing?.state === 'abandoned' ? standing.abandonedSerialNumbers.at(-1) : undefined;
  if (last !== undefined) await authority.revocations.revokeAbandoned(last, authority.now());
}

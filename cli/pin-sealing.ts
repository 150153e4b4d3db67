import { Breakers } from '../shared/breaker/index.ts';
import type { PinSeal, SealedPin } from '../shared/ledger/index.ts';
import type { PinPurpose, SealingKey } from '../shared/signer/index.ts';
import type { BreakGlassPlan, MadeBreakGlass } from './break-glass-options.ts';
import { UsageError } from './errors.ts';
import { shortTime } from './json.ts';
import { type GivenPin, requireAgreed } from './pin-input.ts';
import { homeRegion } from './pin-targets.ts';
import { requireOwnCluster, sealWith } from './sealing-keys.ts';
import type { Session } from './session.ts';

/** What sealing and rotating a PIN have in common. */

/** An envelope that was made now. */
export type Sealed = SealedPin & { readonly seal: PinSeal };

/**
 * In the stage's own Region the key is in the issuer's cluster, whatever is said of copies.
 * @param restoredFrom the cluster that this one was made from a backup of: what KMS says of a key whose key store has moved with
 *   it is not documented, and nobody restores for the second time because of that
 * @throws UsageError
 */
export async function requireClusters(
  session: Session,
  keys: readonly SealingKey[],
  clusterId: string,
  copies: readonly string[] = [],
  restoredFrom = clusterId,
): Promise<void> {
  const home = await homeRegion(session);
  for (const key of keys) {
    const isHome = key.region === home;
    const also = [restoredFrom, ...(isHome ? [] : copies)];
    requireOwnCluster(key, { clusterId, also, mayBeCopy: !isHome });
  }
}

/** What is to be done in one Region, in words. */
export const planLine = ({ region, arn, clusterId }: SealingKey, before: SealedPin | undefined): string =>
  `  ${region}: sealed with ${arn}, in ${clusterId}; ${beforeText(before)}`;

function beforeText(before: SealedPin | undefined): string {
  if (before === undefined) return 'none is there yet';
  if (before.seal === undefined) return 'in place of one whose user is not written down';
  return `in place of that of ${before.seal.userName}, sealed ${shortTime(before.seal.sealedAt)}`;
}

export const glassLines = (plan: BreakGlassPlan | undefined): string[] =>
  plan === undefined
    ? []
    : [`  break-glass copy in ${plan.folder}, opened by ${plan.threshold} of ${plan.shares} shares`];

/** Tells what is to be done, and asks. @throws UsageError where it is not wanted */
export async function agree(session: Session, isAgreed: boolean, lines: readonly string[]): Promise<void> {
  for (const line of lines) session.note(line);
  await requireAgreed(session, isAgreed);
}

/** @throws UsageError, and what the KMS client throws */
export async function sealOne(
  session: Session,
  key: SealingKey,
  pin: GivenPin,
  purpose: PinPurpose,
  now: number,
): Promise<Sealed> {
  const envelope = await sealWith(session, key, pin.bytes, purpose);
  const { arn: keyArn, clusterId } = key;
  return { envelope, seal: { userName: pin.userName, keyArn, clusterId, sealedAt: now } };
}

/** By Region. @throws as sealOne */
export async function sealAll(
  session: Session,
  keys: readonly SealingKey[],
  pin: GivenPin,
  purpose: PinPurpose,
  now: number,
): Promise<Record<string, Sealed>> {
  const sealed = keys.map(async (key) => [key.region, await sealOne(session, key, pin, purpose, now)] as const);
  return Object.fromEntries(await Promise.all(sealed));
}

/**
 * @param made is taken away where nothing was written: it would be taken for a copy of what stands there. Where DynamoDB did
 *   not answer, it may be one, and stays
 * @throws UsageError where somebody was faster; what `write` throws
 */
export async function writing(made: MadeBreakGlass | undefined, write: () => Promise<boolean>): Promise<void> {
  if (await write()) return;
  made?.remove();
  throw new UsageError(
    'The PINs in the row have changed since this looked; nothing was written.',
    'Look at mintmark pin status, and decide anew.',
  );
}

/** What a new envelope has to be followed by where a PIN was refused. */
export async function notesOnBreaker(session: Session, issuerId: string): Promise<string[]> {
  const breakers = new Breakers(await session.clients.dynamoDB(), session.target().tables.issuers);
  const { state, isPinDoubtful, held } = await breakers.read(issuerId);
  if (state === 'closed' || isPinDoubtful !== true) return [];
  return [
    `A PIN was refused before, so ${issuerId} is ${held ? 'held' : 'paused'}: mintmark queue resume --issuer ${issuerId} has this one tried, with one login.`,
  ];
}

import { asMintmarkError, MintmarkError } from '../errors.ts';
import { type IssuanceLedger, type IssuedRow, keyOf, type RecordedIntent } from '../ledger/index.ts';
import type { AuthorisedRequest } from './authorise.ts';
import type { Authority, FinishingAuthority } from './authority.ts';
import type { OpenIssuer } from './open-issuers.ts';
import { type Outcomes, outcomeOf } from './settle.ts';

/** A recorded intent that is to be signed now, and who signs it. */
export interface Signable {
  readonly intent: RecordedIntent;
  readonly issuer: OpenIssuer;
  /** It was recorded earlier, so that its TBS may have been signed before. */
  readonly isResumed: boolean;
}

/** One for a message, which is answered with what comes of it. */
export interface Prepared extends Signable {
  readonly request: AuthorisedRequest;
}

/** [2], as IssuanceLedger has it. */
export type Store = IssuanceLedger['storeCertificate'];

/** Signs what a batch of messages asks for. */
export async function sign(
  authority: Authority,
  prepared: readonly Prepared[],
  deadline: number,
  outcomes: Outcomes,
): Promise<void> {
  const results = await signAndStore(authority, prepared, deadline, (intent, certificate, now) =>
    authority.ledger.storeCertificate(intent, certificate, now),
  );
  for (const [index, { request }] of prepared.entries()) {
    const result = results[index];
    outcomes.set(
      request.queued,
      result?.status === 'fulfilled' ? { kind: 'issued', row: result.value.row } : outcomeOf(result?.reason),
    );
  }
}

export interface Signed {
  readonly row: IssuedRow;
  /** False when another worker's certificate was stored first and is the answer. */
  readonly isOurs: boolean;
}

/** Signs recorded intents, each issuer's in one call to its signer, and stores the certificates; results in their order. */
export async function signAndStore(
  authority: FinishingAuthority,
  signables: readonly Signable[],
  deadline: number,
  store: Store,
): Promise<PromiseSettledResult<Signed>[]> {
  const byIssuer = Map.groupBy(signables, ({ issuer }) => issuer);
  const results = new Map<Signable, PromiseSettledResult<Signed>>();
  await Promise.all(
    [...byIssuer].map(async ([issuer, group]) => {
      const settled = await signGroup(authority, issuer, group, deadline, store);
      for (const [index, signable] of group.entries())
        results.set(signable, settled[index] ?? { status: 'rejected', reason: passedOver() });
    }),
  );
  return signables.map((signable) => results.get(signable) ?? { status: 'rejected', reason: passedOver() });
}

async function signGroup(
  authority: FinishingAuthority,
  issuer: OpenIssuer,
  group: readonly Signable[],
  deadline: number,
  store: Store,
): Promise<PromiseSettledResult<Signed>[]> {
  const certifying = issuer.certify(
    group.map(({ intent }) => intent.tbsCertificate),
    deadline,
  );
  const counts = { made: 0, stored: 0, repeated: 0, wrong: 0 };
  const settled = await Promise.allSettled(
    group.map(async ({ intent, isResumed }, index) => {
      const certified = (await certifying)[index] ?? { error: passedOver() };
      const isWrong = 'error' in certified && asMintmarkError(certified.error).code === 'SIGNATURE_WRONG';
      const isMade = isWrong || 'certificate' in certified;
      if (isWrong) counts.wrong++;
      if (isMade) counts.made++;
      if (isMade && isResumed) counts.repeated++;
      if ('error' in certified) throw certified.error;
      const signed = await stored(authority, intent, certified.certificate, store);
      if (signed.isOurs) counts.stored++;
      return signed;
    }),
  );
  if (counts.made > 0) authority.onSigned({ issuerId: issuer.tbsIssuer.issuerId, ...counts });
  return settled;
}

/** Whoever stores first wins; the loser's signature is thrown away and the stored certificate is the answer. */
async function stored(
  authority: FinishingAuthority,
  intent: RecordedIntent,
  certificate: Uint8Array,
  store: Store,
): Promise<Signed> {
  const written = await store(intent, certificate, authority.now());
  if (written.done) return { row: written.row, isOurs: true };
  const standing = (await authority.ledger.read([intent])).get(keyOf(intent));
  if (standing?.state === 'issued' && standing.requestHash === intent.requestHash) {
    return { row: standing, isOurs: false };
  }
  throw new MintmarkError('STORE_UNAVAILABLE', 'The intent was given up while its certificate was being signed.');
}

const passedOver = (): MintmarkError => new MintmarkError('INTERNAL', 'An intent was passed over.');

import { asMintmarkError, MintmarkError } from '../errors.ts';
import { type IssuanceLedger, type IssuedRow, keyOf, type RecordedIntent } from '../ledger/index.ts';
import type { AuthorisedRequest } from './authorise.ts';
import type { FinishingAuthority } from './authority.ts';
import type { Certified } from './certify.ts';
import type { OpenIssuer } from './open-issuers.ts';
import type { SignaturesMade } from './signature-counts.ts';

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

/**
 * Tells of each step before the next one that a process may not live to tell of: what is asked for before the signer is
 * asked, what it made before [2]. A process that dies in between has told of no less than was signed, and of every
 * signature whose certificate is stored.
 */
async function signGroup(
  authority: FinishingAuthority,
  issuer: OpenIssuer,
  group: readonly Signable[],
  deadline: number,
  store: Store,
): Promise<PromiseSettledResult<Signed>[]> {
  const { issuerId } = issuer.tbsIssuer;
  authority.onSigned({ issuerId, requested: group.length });
  const certified = await certifyAll(issuer, group, deadline);
  const made = madeOf(certified);
  if (made.made > 0) authority.onSigned({ issuerId, ...made });
  const settled = await Promise.allSettled(
    certified.map(async ({ intent, answer }) => {
      if ('error' in answer) throw answer.error;
      return storeOrFollow(authority, intent, answer.certificate, store);
    }),
  );
  const stored = settled.filter((result) => result.status === 'fulfilled' && result.value.isOurs).length;
  if (stored > 0) authority.onSigned({ issuerId, stored });
  return settled;
}

/** What a signer answered for an intent. */
interface Answered extends Signable {
  readonly answer: Certified;
}

/** An answer for each, in their order, whatever the signer does. */
async function certifyAll(issuer: OpenIssuer, group: readonly Signable[], deadline: number): Promise<Answered[]> {
  const tbsCertificates = group.map(({ intent }) => intent.tbsCertificate);
  try {
    const answers = await issuer.certify(tbsCertificates, deadline);
    return group.map((signable, index) => ({ ...signable, answer: answers[index] ?? { error: passedOver() } }));
  } catch (thrown) {
    const error = asMintmarkError(thrown);
    return group.map((signable) => ({ ...signable, answer: { error } }));
  }
}

function madeOf(certified: readonly Answered[]): SignaturesMade {
  const wrong = certified.filter(({ answer }) => isWrong(answer)).length;
  const made = certified.filter(({ answer }) => 'certificate' in answer || isWrong(answer));
  return { made: made.length, repeated: made.filter(({ isResumed }) => isResumed).length, wrong };
}

/** The only error after which a signature was made. */
const isWrong = (answer: Certified): boolean =>
  'error' in answer && asMintmarkError(answer.error).code === 'SIGNATURE_WRONG';

/** Whoever stores first wins; the loser's signature is thrown away and the stored certificate is the answer. */
async function storeOrFollow(
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

import { MintmarkError } from '../errors.ts';
import { keyOf } from '../ledger/index.ts';
import type { Authority } from './authority.ts';
import { assembleCertificate, digestOf } from './certificate.ts';
import type { OpenIssuer } from './open-issuers.ts';
import type { Outcome } from './outcome.ts';
import type { Prepared } from './prepare.ts';
import { type Outcomes, outcomeOf, settleAll } from './settle.ts';

/** Signs recorded intents, each issuer's in one call to its signer, and stores the certificates. */
export async function sign(
  authority: Authority,
  prepared: readonly Prepared[],
  deadline: number,
  outcomes: Outcomes,
): Promise<void> {
  const byIssuer = Map.groupBy(prepared, ({ issuer }) => issuer);
  await Promise.all([...byIssuer].map(([issuer, group]) => signGroup(authority, issuer, group, deadline, outcomes)));
}

async function signGroup(
  authority: Authority,
  issuer: OpenIssuer,
  group: readonly Prepared[],
  deadline: number,
  outcomes: Outcomes,
): Promise<void> {
  const { scheme } = issuer.signer;
  const signing = issuer.signer.sign(
    group.map(({ intent }) => digestOf(intent.tbsCertificate, scheme)),
    deadline,
  );
  const stored = await settleAll(
    group.map((entry, index) => ({ ...entry, index })),
    ({ request }) => request.queued,
    outcomes,
    async ({ request, intent, index }) => {
      const result = (await signing)[index];
      if (result === undefined) throw new MintmarkError('INTERNAL', 'The signer answered with too few signatures.');
      if ('error' in result) throw result.error;
      const certificate = assembleCertificate(
        intent.tbsCertificate,
        result.signature,
        scheme,
        issuer.tbsIssuer.certificate.publicKey,
      );
      return { request, outcome: await store(authority, { request, intent, issuer }, certificate) };
    },
  );
  for (const { request, outcome } of stored) outcomes.set(request.queued, outcome);
}

/** Whoever stores first wins; the loser's signature is thrown away and the stored certificate is the answer. */
async function store(authority: Authority, { intent }: Prepared, certificate: Uint8Array): Promise<Outcome> {
  const written = await authority.ledger.storeCertificate(intent, certificate, authority.now());
  if (written.done) return { kind: 'issued', row: written.row };
  const standing = (await authority.ledger.read([intent])).get(keyOf(intent));
  if (standing?.state === 'issued' && standing.requestHash === intent.requestHash)
    return { kind: 'issued', row: standing };
  return outcomeOf(
    new MintmarkError('STORE_UNAVAILABLE', 'The intent was given up while its certificate was being signed.'),
  );
}

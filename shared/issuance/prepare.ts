import { asMintmarkError, MintmarkError } from '../errors.ts';
import { keyOf, type RecordedIntent, type ReopenableRow, type StandingRow } from '../ledger/index.ts';
import { abandon, revokeAbandoned } from './abandon.ts';
import type { AuthorisedRequest } from './authorise.ts';
import type { Authority } from './authority.ts';
import { decide } from './decision.ts';
import { beyondDeviceLimits, type LimitedRequest, refuseBeyondDeviceLimits } from './device-limits.ts';
import { openIssuerOf } from './issuer-of-profile.ts';
import { type KeyPair, keyPairOfIssuer, refuseIssuersKey } from './key-checks/issuer-key.ts';
import { claimKey, keyRefusal, spkiSha256Of } from './key-standing.ts';
import { type LintedTbsCertificate, lint } from './lint.ts';
import { type GrantedNames, grantNames } from './names.ts';
import type { OpenIssuer } from './open-issuers.ts';
import type { Outcome } from './outcome.ts';
import type { Profile } from './profile.ts';
import { verifyProofOfPossession } from './proof-of-possession.ts';
import { checkPublicKey, readPublicKey } from './public-key.ts';
import { deviceQuotaOf } from './quota.ts';
import { countRecorded, reserveRate } from './rates.ts';
import { deviceRefusal } from './registration.ts';
import { type Resumption, resume } from './resume.ts';
import { type Outcomes, settleAll } from './settle.ts';
import type { Prepared } from './sign.ts';
import { newSerialNumber, validityOf } from './tbs.ts';
import { Turns } from './turns.ts';

/** How often a request is looked at again because another worker wrote its row in between. */
const maximumContention = 4;

/**
 * Attempts after which a request is not tried any more. One is given up after signBeforeSeconds, 15 minutes unless the stage says
 * otherwise, so an outage would have to last four days, with the request tried all the while. So many have place in a row
 * (ledger/issuance.ts).
 */
const maximumAbandoned = 400;

/**
 * Takes each request as far as an intent that stands in the ledger, or to its outcome.
 * @param requests no two of one key
 */
export async function prepare(
  authority: Authority,
  requests: readonly AuthorisedRequest[],
  deadline: number,
  outcomes: Outcomes,
): Promise<Prepared[]> {
  const rows = authority.ledger.read(requests.map(({ identity }) => identity));
  const turns = new Turns();
  const prepared = await settleAll(
    requests,
    ({ queued }) => queued,
    outcomes,
    (request) =>
      turns.take(turnOf(request), async () => {
        const standing = (await rows).get(keyOf(request.identity));
        return { request, step: await lastStep(authority, request, standing, deadline) };
      }),
  );
  const toSign: Prepared[] = [];
  for (const { request, step } of prepared) {
    if ('kind' in step) outcomes.set(request.queued, step);
    else toSign.push(step);
  }
  return countRecorded(authority, toSign, outcomes);
}

/** Requests of a device that has limits see one another's intents, and none is given up for one beside it. */
const turnOf = ({ identity, profile, device }: AuthorisedRequest): string | undefined =>
  deviceQuotaOf(profile, device) === undefined && profile.renewal === undefined
    ? undefined
    : `${profile.name}#${identity.deviceId}`;

/** As often as other workers write the row in between. */
async function lastStep(
  authority: Authority,
  authorised: AuthorisedRequest,
  read: StandingRow | undefined,
  deadline: number,
): Promise<Exclude<Step, 'row-changed'>> {
  const { identity } = authorised;
  let request = authorised;
  let standing = read;
  for (let contention = 0; contention < maximumContention; contention++) {
    const step = await nextStep(authority, request, standing, deadline);
    if (step !== 'row-changed') return step;
    // Whatever changed the row, what was known of device and key may be as old as the row that was read.
    standing = (await authority.ledger.read([identity])).get(keyOf(identity));
    const devices = await authority.devices.findNow([identity.deviceId], authority.now());
    const isKeyCompromised = await isCompromised(authority, request.csr);
    request = { ...request, device: devices.get(identity.deviceId), isKeyCompromised };
  }
  throw new MintmarkError('STORE_UNAVAILABLE', 'Other workers kept writing the same row.');
}

async function isCompromised({ compromisedKeys }: Authority, csr: AuthorisedRequest['csr']): Promise<boolean> {
  if (csr instanceof MintmarkError) return false;
  return (await compromisedKeys.among([spkiSha256Of(csr.subjectPublicKeyInfo)])).size > 0;
}

type Step = Prepared | Outcome | 'row-changed';

async function nextStep(
  authority: Authority,
  request: AuthorisedRequest,
  standing: StandingRow | undefined,
  deadline: number,
): Promise<Step> {
  const decision = decide(standing, request.identity.requestHash, authority.now());
  switch (decision.next) {
    case 'answer':
      return decision.row.state === 'issued' ? { kind: 'issued', row: decision.row } : rejected(request, decision.row);
    case 'conflict': {
      await authority.ledger.countConflict(request.identity, authority.now());
      const detail = `The request id ${request.identity.requestId} belongs to another request of this device.`;
      return rejected(request, { code: 'REQUEST_CONFLICT', detail });
    }
    case 'abandon':
      await abandon(authority, decision.intent, 'deadline-passed');
      return 'row-changed';
    case 'resume':
      return resumed(authority, request, decision.intent, deadline);
    case 'evaluate':
      return evaluate(authority, request, decision.standing, deadline);
  }
}

/** A sender who may not ask for it any more is thrown, which ends the message; giving up abandons the intent. */
async function resumed(
  authority: Authority,
  request: AuthorisedRequest,
  intent: RecordedIntent,
  deadline: number,
): Promise<Step> {
  const { identity, profile, csr } = request;
  // No intent is recorded of a CSR that cannot be read: its request hash was written to the row by somebody else.
  const resumption: Resumption =
    csr instanceof MintmarkError
      ? { next: 'abandon', reason: 'lint-failed' }
      : await resume(authority, { intent, sender: identity.sender, profile, csr }, deadline);
  if (resumption.next === 'sign') return { request, intent, issuer: resumption.issuer, isResumed: true };
  await abandon(authority, intent, resumption.reason);
  return 'row-changed';
}

/** A request that nothing binds yet: to an intent, or to its rejection. */
async function evaluate(
  authority: Authority,
  request: AuthorisedRequest,
  standing: ReopenableRow | undefined,
  deadline: number,
): Promise<Step> {
  await revokeAbandoned(authority, standing);
  try {
    refuseBeyondAttempts(standing);
    const granted = examine(request);
    await refuseBeyondDeviceLimits(authority, limitedOf(request), granted.subjectPublicKeyInfo);
    const recorded = await record(authority, request, granted, standing, deadline);
    if (recorded === 'row-changed') return recorded;
    const beyond = await beyondDeviceLimits(authority, limitedOf(request));
    if (beyond === undefined) return recorded;
    await abandon(authority, recorded.intent, beyond);
    return 'row-changed';
  } catch (thrown) {
    const error = asMintmarkError(thrown);
    if (!error.disposition.startsWith('reject')) throw error;
    const refused = { ...request.identity, profileHash: request.profile.hash };
    const written = await authority.ledger.reject(refused, standing, error, authority.now());
    return written.done ? rejected(request, written.row) : 'row-changed';
  }
}

/** @throws MintmarkError ATTEMPTS_EXHAUSTED: no answer to the request, which nothing need be wrong with */
function refuseBeyondAttempts(standing: ReopenableRow | undefined): void {
  if ((standing?.abandonedSerialNumbers.length ?? 0) < maximumAbandoned) return;
  throw new MintmarkError('ATTEMPTS_EXHAUSTED', `Its last ${maximumAbandoned} attempts were given up.`);
}

const limitedOf = ({ identity, profile, device }: AuthorisedRequest): LimitedRequest => ({
  key: identity,
  profile,
  device,
});

/** [1], with a place under the profile's hourly limits. */
async function record(
  authority: Authority,
  request: AuthorisedRequest,
  granted: Granted,
  standing: ReopenableRow | undefined,
  deadline: number,
): Promise<Prepared | 'row-changed'> {
  const { identity, profile } = request;
  const place = await reserveRate(authority, request);
  let isRecorded = false;
  try {
    // Not before the request is found good: what is refused is answered, HSM or no HSM.
    const issuer = await openIssuerOf(authority, profile, deadline);
    const issuersKeys = await authority.issuers.keyPairs();
    const linted = toBeSigned(authority, profile, granted, issuer, issuersKeys);
    const now = authority.now();
    const { deviceId, requestId } = identity;
    const claim = { deviceId, requestId, notAfter: linted.notAfter };
    await claimKey(authority.keyClaims, profile, granted.subjectPublicKeyInfo, claim, now);
    const signBefore = now + authority.signBeforeSeconds * 1000;
    // One whose reply is lost may be: it counts.
    isRecorded = true;
    const written = await authority.ledger.recordIntent(identity, standing, linted, signBefore, now);
    isRecorded = written.done;
    return written.done ? { request, intent: written.row, issuer, isResumed: false } : 'row-changed';
  } finally {
    if (isRecorded) place.keep();
    else place.release();
  }
}

/** What of a request goes into its certificate. */
interface Granted {
  readonly names: GrantedNames;
  readonly subjectPublicKeyInfo: Uint8Array;
}

/**
 * Cheap looks before expensive ones: registration, encoding, the key's size, the signature's arithmetic; then the names.
 * @throws MintmarkError with a rejection's code
 */
function examine({ csr, device, identity, profile, isKeyCompromised }: AuthorisedRequest): Granted {
  const refusal = deviceRefusal(identity.deviceId, profile, device);
  if (refusal !== undefined) throw new MintmarkError(refusal.code, refusal.detail);
  if (csr instanceof MintmarkError) throw csr;
  checkPublicKey(csr.publicKey, profile.keys);
  const ofKey = keyRefusal(csr.subjectPublicKeyInfo, isKeyCompromised, device);
  if (ofKey !== undefined) throw new MintmarkError(ofKey.code, ofKey.detail);
  verifyProofOfPossession(csr);
  return {
    names: grantNames(profile, identity.deviceId, csr, device?.allowedNames),
    subjectPublicKeyInfo: csr.subjectPublicKeyInfo,
  };
}

/**
 * The TBS of a new attempt.
 * @throws MintmarkError KEY_BELONGS_TO_ISSUER, ISSUER_EXPIRES_TOO_SOON, LINT_FAILED
 */
function toBeSigned(
  authority: Authority,
  profile: Profile,
  granted: Granted,
  issuer: OpenIssuer,
  issuersKeys: ReadonlySet<KeyPair>,
): LintedTbsCertificate {
  const { certificate, issuerId } = issuer.tbsIssuer;
  const key = readPublicKey(granted.subjectPublicKeyInfo);
  refuseIssuersKey(key, issuersKeys);
  // One that was added within the minute is not among them yet.
  refuseIssuersKey(key, new Set([keyPairOfIssuer(certificate.publicKey) ?? '']));
  const now = authority.now();
  const { notBefore, notAfter } = validityOf(profile, certificate, now);
  if (notAfter > certificate.notAfter || notAfter <= now) {
    const end = new Date(certificate.notAfter).toISOString();
    throw new MintmarkError(
      'ISSUER_EXPIRES_TOO_SOON',
      `The issuer ${issuerId} ends on ${end}, before its certificates would.`,
    );
  }
  const variables = { serialNumber: newSerialNumber(authority.randomBytes), notBefore, notAfter, ...granted };
  return lint(issuer.templateOf(profile)(variables), issuer.tbsIssuer, profile, variables);
}

function rejected({ identity }: AuthorisedRequest, { code, detail }: { code: string; detail: string }): Outcome {
  const { deviceId, requestId, profile } = identity;
  return { kind: 'rejected', request: { deviceId, requestId, profile }, code, detail };
}

import { asMintmarkError, MintmarkError } from '../errors.ts';
import { keyOf, type RecordedIntent, type StandingRow } from '../ledger/index.ts';
import type { AuthorisedRequest } from './authorise.ts';
import type { Authority } from './authority.ts';
import { decide } from './decision.ts';
import { isStillOfIssuer, type LintedTbsCertificate, lint } from './lint.ts';
import { grantNames } from './names.ts';
import type { OpenIssuer } from './open-issuers.ts';
import type { Outcome } from './outcome.ts';
import { verifyProofOfPossession } from './proof-of-possession.ts';
import { checkPublicKey } from './public-key.ts';
import { authoriseSender } from './sender.ts';
import { type Outcomes, settleAll } from './settle.ts';
import { newSerialNumber, validityOf } from './tbs.ts';

/** An intent that is to be signed now, and who signs it. */
export interface Prepared {
  readonly request: AuthorisedRequest;
  readonly intent: RecordedIntent;
  readonly issuer: OpenIssuer;
}

/** How often a request is looked at again because another worker wrote its row in between. */
const maximumContention = 4;

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
  const prepared = await settleAll(
    requests,
    ({ queued }) => queued,
    outcomes,
    async (authorised) => {
      let request = authorised;
      let standing = (await rows).get(keyOf(request.identity));
      for (let contention = 0; contention < maximumContention; contention++) {
        const step = await nextStep(authority, request, standing, deadline);
        if (step !== 'row-changed') return { request: authorised, step };
        // Whatever changed the row, what was known of the device may be as old as the row that was read.
        const { identity } = request;
        standing = (await authority.ledger.read([identity])).get(keyOf(identity));
        const devices = await authority.devices.findNow([identity.deviceId], authority.now());
        request = { ...request, device: devices.get(identity.deviceId) };
      }
      throw new MintmarkError('STORE_UNAVAILABLE', 'Other workers kept writing the same row.');
    },
  );
  const toSign: Prepared[] = [];
  for (const { request, step } of prepared) {
    if ('kind' in step) outcomes.set(request.queued, step);
    else toSign.push(step);
  }
  return toSign;
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
      return abandon(authority, decision.intent);
    case 'resume':
      return resume(authority, request, decision.intent, deadline);
    case 'evaluate':
      return evaluate(authority, request, standing, deadline);
  }
}

/** The world may have changed since the intent was recorded: device and issuer are read again, past every cache. */
async function resume(
  authority: Authority,
  request: AuthorisedRequest,
  intent: RecordedIntent,
  deadline: number,
): Promise<Step> {
  const { deviceId } = intent;
  const device = (await authority.devices.findNow([deviceId], authority.now())).get(deviceId);
  authoriseSender(request.identity.sender, request.profile, device);
  if (deviceRefusal(request, device) !== undefined) return abandon(authority, intent);
  const issuer = await authority.issuers.openNow(intent.issuerId, deadline);
  if (!isStillOfIssuer(intent.tbsCertificate, issuer.tbsIssuer)) return abandon(authority, intent);
  return { request, intent, issuer };
}

/** A signature over the TBS may exist, or be on its way: the serial number is revoked as if one did. */
async function abandon(authority: Authority, intent: RecordedIntent): Promise<Step> {
  const abandoned = await authority.ledger.abandon(intent, authority.now());
  if (abandoned.done) await revokeAbandoned(authority, abandoned.row);
  return 'row-changed';
}

/** Safe to repeat, and repeated wherever an abandoned attempt is met: whoever abandoned it may have died before this. */
async function revokeAbandoned(authority: Authority, standing: StandingRow | undefined): Promise<void> {
  for (const serial of standing?.abandonedSerialNumbers ?? []) {
    await authority.revocations.revokeAbandoned(serial, authority.now());
  }
}

/** A request that nothing binds yet: to an intent, or to its rejection. */
async function evaluate(
  authority: Authority,
  request: AuthorisedRequest,
  standing: StandingRow | undefined,
  deadline: number,
): Promise<Step> {
  await revokeAbandoned(authority, standing);
  try {
    refuseIfUnfit(request);
    const issuer = await authority.issuers.open(request.profile.issuer, deadline);
    const linted = toBeSigned(authority, request, issuer);
    const now = authority.now();
    const signBefore = now + authority.signBeforeSeconds * 1000;
    const written = await authority.ledger.recordIntent(request.identity, standing, linted, signBefore, now);
    return written.done ? { request, intent: written.row, issuer } : 'row-changed';
  } catch (thrown) {
    const error = asMintmarkError(thrown);
    if (!error.disposition.startsWith('reject')) throw error;
    const written = await authority.ledger.reject(request.identity, standing, error, authority.now());
    return written.done ? rejected(request, written.row) : 'row-changed';
  }
}

/**
 * Cheap looks before expensive ones: registration, encoding, then the key's size, then the signature's arithmetic.
 * @throws MintmarkError with a rejection's code
 */
function refuseIfUnfit({ csr, device, identity, profile }: AuthorisedRequest): void {
  const refusal = deviceRefusal({ identity, profile }, device);
  if (refusal !== undefined) throw refusal;
  if (csr instanceof MintmarkError) throw csr;
  checkPublicKey(csr.publicKey, profile.keys);
  verifyProofOfPossession(csr);
}

function deviceRefusal(
  { identity, profile }: Pick<AuthorisedRequest, 'identity' | 'profile'>,
  device: AuthorisedRequest['device'],
): MintmarkError | undefined {
  if (device === undefined && profile.registration === 'required') {
    return new MintmarkError('DEVICE_UNKNOWN', `The device ${identity.deviceId} is not registered.`);
  }
  if (device?.state === 'blocked') {
    return new MintmarkError('DEVICE_BLOCKED', `The device ${identity.deviceId} is blocked.`);
  }
  return undefined;
}

/** The TBS of a new attempt. */
function toBeSigned(authority: Authority, request: AuthorisedRequest, issuer: OpenIssuer): LintedTbsCertificate {
  const { csr, identity, profile } = request;
  if (csr instanceof MintmarkError) throw csr;
  const names = grantNames(profile, identity.deviceId, csr);
  const { certificate, issuerId } = issuer.tbsIssuer;
  const { notBefore, notAfter } = validityOf(profile, certificate.notBefore, authority.now());
  if (notAfter > certificate.notAfter) {
    const end = new Date(certificate.notAfter).toISOString();
    throw new MintmarkError(
      'ISSUER_EXPIRES_TOO_SOON',
      `The issuer ${issuerId} ends on ${end}, before its certificates would.`,
    );
  }
  const variables = {
    serialNumber: newSerialNumber(authority.randomBytes),
    notBefore,
    notAfter,
    names,
    subjectPublicKeyInfo: csr.subjectPublicKeyInfo,
  };
  return lint(issuer.templateOf(profile)(variables), issuer.tbsIssuer, profile, variables);
}

function rejected({ identity }: AuthorisedRequest, { code, detail }: { code: string; detail: string }): Outcome {
  const { deviceId, requestId, profile } = identity;
  return { kind: 'rejected', request: { deviceId, requestId, profile }, code, detail };
}

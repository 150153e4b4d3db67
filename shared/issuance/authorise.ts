import { MintmarkError } from '../errors.ts';
import type { Device, RequestIdentity } from '../ledger/index.ts';
import type { Authority } from './authority.ts';
import { type CertificationRequest, decodeCsr, parseCertificationRequest } from './certification-request.ts';
import { spkiSha256Of } from './key-standing.ts';
import { readMessage } from './message.ts';
import type { QueuedRequest } from './outcome.ts';
import type { Profile } from './profile.ts';
import { requestHashOf, unreadableRequestHashOf } from './request-hash.ts';
import { authoriseSender, principalOf, refuseUnlisted } from './sender.ts';
import { type Outcomes, settleAll } from './settle.ts';

/** A message that could be read, from a sender who may enrol the device that it names. */
export interface AuthorisedRequest {
  readonly queued: QueuedRequest;
  readonly identity: RequestIdentity;
  readonly profile: Profile;
  /** Undefined for a device that is not registered. */
  readonly device: Device | undefined;
  /** The CSR, or the refusal that its encoding has earned. */
  readonly csr: CertificationRequest | MintmarkError;
  /** Whether operators have blocked the CSR's key. */
  readonly isKeyCompromised: boolean;
}

/**
 * Reads a batch of messages and asks whether their senders may enrol their devices. Until that is answered nothing is
 * written under a device id, or any sender could use up another device's request ids.
 */
export async function authorise(
  authority: Authority,
  batch: readonly QueuedRequest[],
  outcomes: Outcomes,
): Promise<AuthorisedRequest[]> {
  const read = await settleAll(
    batch,
    (queued) => queued,
    outcomes,
    (queued) => ({ queued, ...readRequest(authority, queued) }),
  );
  const deviceIds = read.map(({ message }) => message.deviceId);
  const principals = read.map(({ sender }) => sender);
  const now = authority.now();
  const keys = read.flatMap(({ spkiSha256 }) => spkiSha256 ?? []);
  const registered = Promise.all([
    authority.devices.find(deviceIds, now),
    authority.senders.find(principals, now),
    authority.compromisedKeys.among(keys),
  ]);
  return settleAll(
    read,
    ({ queued }) => queued,
    outcomes,
    async ({ queued, message, profile, sender, csr, spkiSha256 }) => {
      const { deviceId, requestId } = message;
      const [devices, senders, compromised] = await registered;
      const device = devices.get(deviceId);
      authoriseSender({ principal: sender, sender: senders.get(sender), profile, deviceId, device });
      const requestHash =
        csr instanceof MintmarkError
          ? unreadableRequestHashOf(message.csr, profile.name)
          : requestHashOf(csr, profile.name);
      const identity = { deviceId, requestId, requestHash, profile: profile.name, sender };
      const isKeyCompromised = spkiSha256 !== undefined && compromised.has(spkiSha256);
      return { queued, identity, profile, device, csr, isKeyCompromised };
    },
  );
}

/** The message and its profile, from a sender whom the profile may allow; there is no answer without one. */
function readRequest(authority: Authority, queued: QueuedRequest) {
  const message = readMessage(queued.body);
  const profile = authority.profiles.get(message.profile);
  if (profile === undefined) throw new MintmarkError('PROFILE_UNKNOWN', `There is no profile ${message.profile}.`);
  const sender = principalOf(queued.senderId);
  refuseUnlisted(sender, profile);
  const csr = readCsr(message.csr);
  const spkiSha256 = csr instanceof MintmarkError ? undefined : spkiSha256Of(csr.subjectPublicKeyInfo);
  return { message, profile, sender, csr, spkiSha256 };
}

function readCsr(csr: string): CertificationRequest | MintmarkError {
  try {
    return parseCertificationRequest(decodeCsr(csr));
  } catch (error) {
    if (error instanceof MintmarkError) return error;
    throw error;
  }
}

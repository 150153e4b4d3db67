import { MintmarkError } from '../errors.ts';
import type { Device, RequestIdentity } from '../ledger/index.ts';
import type { Authority } from './authority.ts';
import { type CertificationRequest, decodeCsr, parseCertificationRequest } from './certification-request.ts';
import { readMessage } from './message.ts';
import type { QueuedRequest } from './outcome.ts';
import type { Profile } from './profile.ts';
import { requestHashOf, unreadableRequestHashOf } from './request-hash.ts';
import { authoriseSender, principalOf } from './sender.ts';
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
  const registered = authority.devices.find(deviceIds, authority.now());
  return settleAll(
    read,
    ({ queued }) => queued,
    outcomes,
    async ({ queued, message, profile, sender }) => {
      const device = (await registered).get(message.deviceId);
      authoriseSender(sender, profile, device);
      const csr = readCsr(message.csr);
      const requestHash =
        csr instanceof MintmarkError
          ? unreadableRequestHashOf(message.csr, profile.name)
          : requestHashOf(csr, profile.name);
      const { deviceId, requestId } = message;
      const identity = { deviceId, requestId, requestHash, profile: profile.name, sender };
      return { queued, identity, profile, device, csr };
    },
  );
}

/** The message and its profile, from a sender whom the profile allows; there is no answer without one. */
function readRequest(authority: Authority, queued: QueuedRequest) {
  const message = readMessage(queued.body);
  const profile = authority.profiles.get(message.profile);
  if (profile === undefined) throw new MintmarkError('PROFILE_UNKNOWN', `There is no profile ${message.profile}.`);
  const sender = principalOf(queued.senderId);
  authoriseSender(sender, profile, undefined);
  return { message, profile, sender };
}

function readCsr(csr: string): CertificationRequest | MintmarkError {
  try {
    return parseCertificationRequest(decodeCsr(csr));
  } catch (error) {
    if (error instanceof MintmarkError) return error;
    throw error;
  }
}

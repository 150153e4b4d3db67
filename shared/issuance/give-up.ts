import { SignerPausedError } from '../breaker/index.ts';
import { MintmarkError } from '../errors.ts';
import { keyOf } from '../ledger/index.ts';
import { abandon } from './abandon.ts';
import type { AuthorisedRequest } from './authorise.ts';
import type { Authority } from './authority.ts';
import { keepFirstErrors } from './keep-first-errors.ts';
import type { Outcome, QueuedRequest } from './outcome.ts';
import { type Outcomes, settleAll } from './settle.ts';

/** How often a row is looked at again because another worker wrote it before the intent in it could be abandoned. */
const maximumContention = 4;

interface Failing {
  readonly queued: QueuedRequest;
  readonly request: AuthorisedRequest | undefined;
  readonly code: Extract<Outcome, { kind: 'failed' }>['code'];
  readonly detail: string;
}

/**
 * What failed, and what has been tried for too long, becomes a row in `failures`; until it is one, it is tried again.
 * An intent that is still open for it is abandoned first: nobody will come to finish it.
 * @param authorised those of the batch that have a device to answer to
 */
export async function giveUp(
  authority: Authority,
  batch: readonly QueuedRequest[],
  authorised: readonly AuthorisedRequest[],
  outcomes: Outcomes,
): Promise<void> {
  const now = authority.now();
  const requests = new Map(authorised.map((request) => [request.queued, request]));
  const failing = batch.flatMap((queued): Failing[] => {
    const outcome = outcomes.get(queued);
    const request = requests.get(queued);
    if (outcome?.kind === 'failed') return [{ queued, request, code: outcome.code, detail: outcome.detail }];
    const isTooOld = now - queued.sentAt >= authority.giveUpAfterSeconds * 1000;
    if (outcome?.kind !== 'retry' || !isTooOld || onlyWaited(queued, outcome.error)) return [];
    return [{ queued, request, code: outcome.error.code, detail: outcome.error.message }];
  });
  const failed = await settleAll(
    failing,
    ({ queued }) => queued,
    outcomes,
    async ({ queued, request, code, detail }) => {
      const isAnswered = request !== undefined && (await settleIntent(authority, request));
      if (isAnswered && outcomes.get(queued)?.kind === 'retry') return undefined;
      const { messageId, senderId, body, receiveCount, sentAt, redriven } = queued;
      await authority.failures.record({
        code,
        detail,
        messageId,
        sender: senderId,
        ...(request === undefined
          ? {}
          : { deviceId: request.identity.deviceId, requestId: request.identity.requestId }),
        body,
        tries: receiveCount,
        sentAt,
        failedAt: now,
        ...(redriven === undefined ? {} : { redriven }),
      });
      // Of a request that has its answer the device is not told another.
      return { queued, answerable: isAnswered ? undefined : request?.identity, code, detail };
    },
  );
  for (const { queued, answerable, code, detail } of failed.filter((entry) => entry !== undefined)) {
    outcomes.set(queued, {
      kind: 'failed',
      code,
      detail,
      ...(answerable === undefined ? {} : { request: answerable }),
    });
  }
  await keepFirstErrors(authority.failures, batch, outcomes, now);
}

/**
 * A message that was paused with its queue has got old without being tried: when the signer is there again, or a few
 * requests try whether it is, that is no reason to give it up.
 */
function onlyWaited({ receiveCount }: QueuedRequest, error: MintmarkError): boolean {
  return error instanceof SignerPausedError && (error.isBeingTried || receiveCount === 1);
}

/**
 * Abandons an intent that is still open. What stands decides, and not what was read: where another worker wrote first, its
 * row is looked at, which may be the certificate.
 * @returns whether the request has its answer: then only the telling of it failed, and that is tried again, however old
 *   the message is
 * @throws MintmarkError STORE_UNAVAILABLE where others keep writing the row
 */
async function settleIntent(authority: Authority, { identity }: AuthorisedRequest): Promise<boolean> {
  for (let contention = 0; contention < maximumContention; contention++) {
    const standing = (await authority.ledger.read([identity])).get(keyOf(identity));
    if (standing?.requestHash !== identity.requestHash) return false;
    if (standing.state !== 'intent') return standing.state === 'issued' || standing.state === 'rejected';
    if (await abandon(authority, standing, 'given-up')) return false;
  }
  throw new MintmarkError(
    'STORE_UNAVAILABLE',
    'Other workers kept writing the row of a request that was to be given up.',
  );
}

import { keyOf } from '../ledger/index.ts';
import type { AuthorisedRequest } from './authorise.ts';

/**
 * A message that came back this often may be one that kills its function; it goes alone and last. In an outage of all
 * issuers the event source mapping is paused, and messages come back only for the batch that tries by itself every quarter
 * of an hour, two or three times each: after two or three hours they are suspects. Where one of several is away its messages
 * come back every three minutes or so, and are suspects after an hour. They are worked off one by one then
 * (docs/capacity.md), which costs time and nothing else.
 */
export const suspectReceiveCount = 20;

/**
 * Requests in the rounds they are worked in, one after another. No round has two requests of one key, so a second
 * delivery meets the first one's row. A message that has come back often goes into a round of its own at the end:
 * should it kill the function, its neighbours have their certificates.
 */
export function roundsOf(requests: readonly AuthorisedRequest[]): readonly (readonly AuthorisedRequest[])[] {
  const rounds: Map<string, AuthorisedRequest>[] = [];
  const suspects: AuthorisedRequest[] = [];
  for (const request of requests) {
    if (request.queued.receiveCount >= suspectReceiveCount) {
      suspects.push(request);
      continue;
    }
    const key = keyOf(request.identity);
    const round = rounds.find((candidate) => !candidate.has(key));
    if (round === undefined) rounds.push(new Map([[key, request]]));
    else round.set(key, request);
  }
  return [...rounds.map((round) => [...round.values()]), ...suspects.map((suspect) => [suspect])];
}

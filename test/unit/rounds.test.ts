import { describe, expect, it } from 'vitest';
import type { AuthorisedRequest } from '../../shared/issuance/authorise.ts';
import { roundsOf } from '../../shared/issuance/rounds.ts';

/** `name` is device/request; the rest of a request does not matter here. */
const request = (name: string, receiveCount = 1): AuthorisedRequest => {
  const [deviceId, requestId] = name.split('/');
  return {
    identity: { deviceId, requestId },
    queued: { messageId: name, receiveCount },
  } as unknown as AuthorisedRequest;
};
const rounds = (...requests: readonly AuthorisedRequest[]): string[][] =>
  roundsOf(requests).map((round) => round.map(({ queued }) => queued.messageId));

describe('roundsOf', () => {
  it('puts different requests into one round, in their order', () => {
    expect(rounds(request('a/1'), request('b/1'), request('a/2'))).toEqual([['a/1', 'b/1', 'a/2']]);
    expect(rounds()).toEqual([]);
  });

  it('has no two of one key in a round', () => {
    expect(rounds(request('a/1'), request('a/1'), request('b/1'), request('a/1'))).toEqual([
      ['a/1', 'b/1'],
      ['a/1'],
      ['a/1'],
    ]);
  });

  it('does not take two keys for one because their parts join to the same text', () => {
    expect(rounds(request('a/b1'), request('ab/1'))).toHaveLength(1);
  });

  it('has what came back twenty times or more last and alone', () => {
    const all = [request('a/1', 20), request('b/1', 19), request('c/1', 50), request('b/1'), request('d/1')];
    expect(rounds(...all)).toEqual([['b/1', 'd/1'], ['b/1'], ['a/1'], ['c/1']]);
  });

  it('loses no request', () => {
    const all = Array.from({ length: 40 }, (_, index) => request(`${index % 7}/1`, (index % 23) + 1));
    expect(roundsOf(all).flat()).toHaveLength(all.length);
    expect(new Set(roundsOf(all).flat())).toEqual(new Set(all));
  });
});

import { describe, expect, it } from 'vitest';
import { paceOf } from '../../shared/failures/pace.ts';
import { reasonAgainst } from '../../shared/failures/plan.ts';
import { failureRecord } from '../support/failure-record.ts';

describe('reasonAgainst', () => {
  const failedAt = Date.parse('2026-11-22T14:00:00Z');
  it.each([
    ['a failure', {}, undefined],
    ['one that was redriven', { state: 'redriven' }, 'redriven'],
    ['one that was dismissed', { state: 'dismissed' }, 'dismissed'],
    ['one without its whole message', { bodyCut: true }, 'body-cut'],
    ['one that was dismissed, without its whole message', { state: 'dismissed', bodyCut: true }, 'dismissed'],
    ['one without a sender', { sender: '' }, 'sender-unknown'],
    ['one without a time', { failedAt: undefined }, undefined],
    ['one of just before', { failedAt }, undefined],
    ['one of since then', { failedAt: failedAt + 1 }, 'new'],
  ] as const)('%s', (_, over, reason) => {
    expect(reasonAgainst(failureRecord({ failedAt, ...over }), failedAt + 1)).toBe(reason);
  });
});

describe('paceOf', () => {
  /** A clock that only waiting moves. */
  function paced(perSecond: number) {
    let now = 1_000_000;
    const waits: number[] = [];
    const pace = paceOf(
      perSecond,
      () => now,
      async (milliseconds) => {
        waits.push(milliseconds);
        now += milliseconds;
      },
    );
    return { pace, waits, pass: (milliseconds: number) => (now += milliseconds), now: () => now };
  }

  it('waits between batches for as long as they take at that rate', async () => {
    const { pace, waits } = paced(20);
    for (let batch = 0; batch < 4; batch++) await pace(10);
    expect(waits).toEqual([500, 500, 500]);
  });

  it('counts the time that sending takes, and makes up for none', async () => {
    const { pace, waits, pass } = paced(10);
    await pace(10);
    pass(400);
    await pace(10);
    pass(5_000);
    await pace(10);
    await pace(5);
    await pace(5);
    expect(waits).toEqual([600, 1_000, 500]);
  });
});

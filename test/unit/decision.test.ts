import { describe, expect, it } from 'vitest';
import { decide } from '../../shared/issuance/decision.ts';
import type { StandingRow } from '../../shared/ledger/issuance.ts';

const now = Date.parse('2026-11-22T12:00:00Z');
const hash = 'a'.repeat(64);
const common = {
  deviceId: 'd',
  requestId: 'r',
  requestHash: hash,
  profile: 'p',
  attempt: 1,
  abandonedSerialNumbers: [],
};
const serial = { issuerId: 'devices', serialNumber: '01', crlShard: 0 };
const intent = (signBefore: number) =>
  ({
    ...common,
    ...serial,
    state: 'intent',
    tbsCertificate: Uint8Array.of(),
    profileHash: '',
    notAfter: now,
    signBefore,
  }) as unknown as StandingRow;
const issued: StandingRow = { ...common, ...serial, state: 'issued', certificate: Uint8Array.of() };
const rejected = (reopenable: boolean): StandingRow => ({
  ...common,
  state: 'rejected',
  code: 'KEY_TOO_SMALL',
  detail: '',
  reopenable,
});
const abandoned: StandingRow = { ...common, state: 'abandoned' };

describe('decide', () => {
  it.each<readonly [string, StandingRow | undefined, string]>([
    ['no row', undefined, 'evaluate'],
    ['an issued one', issued, 'answer'],
    ['a final rejection', rejected(false), 'answer'],
    ['a reopenable rejection', rejected(true), 'evaluate'],
    ['an abandoned attempt', abandoned, 'evaluate'],
    ['an intent with a millisecond left', intent(now + 1), 'resume'],
    ['an intent whose time has come', intent(now), 'abandon'],
    ['an intent long past', intent(0), 'abandon'],
  ])('%s', (_, standing, next) => {
    const decision = decide(standing, hash, now);
    expect(decision.next).toBe(next);
    if ('row' in decision) expect(decision.row).toBe(standing);
    if ('intent' in decision) expect(decision.intent).toBe(standing);
  });

  it('is a conflict for another request, whatever stands', () => {
    for (const standing of [issued, rejected(false), rejected(true), abandoned, intent(now + 1), intent(0)]) {
      expect(decide(standing, 'b'.repeat(64), now)).toEqual({ next: 'conflict' });
    }
  });
});

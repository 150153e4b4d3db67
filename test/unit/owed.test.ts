import { describe, expect, it } from 'vitest';
import { owedTo } from '../../shared/issuance/owed.ts';
import type { StandingRow } from '../../shared/ledger/issuance.ts';

const now = Date.parse('2026-11-22T12:00:00Z');
const minute = 60_000;
const patience = 3 * minute;
const common = {
  deviceId: 'd',
  requestId: 'r',
  requestHash: 'a'.repeat(64),
  profile: 'p',
  attempt: 1,
  abandonedSerialNumbers: [],
};
const serial = { issuerId: 'devices', serialNumber: '01', crlShard: 0 };

const intent = (intentAt: number, signBefore: number): StandingRow =>
  ({
    ...common,
    ...serial,
    state: 'intent',
    tbsCertificate: Uint8Array.of(),
    profileHash: '',
    sender: 's',
    notAfter: now,
    intentAt,
    signBefore,
  }) as unknown as StandingRow;
const issued = { ...common, ...serial, state: 'issued', certificate: Uint8Array.of() } as const;
const abandoned = { ...common, state: 'abandoned', abandonReason: 'deadline-passed' } as const;
const rejected = { ...common, state: 'rejected', code: 'KEY_INVALID', detail: '', reopenable: true } as const;

describe('what is owed to a request that the index of open intents names', () => {
  it.each([
    ['an intent of this moment', intent(now, now + 15 * minute), 'patience'],
    ['an intent that is nearly old enough', intent(now - patience + 1, now + 12 * minute), 'patience'],
    ['an intent that is old enough', intent(now - patience, now + 12 * minute), 'certificate'],
    ['an intent whose deadline is a millisecond away', intent(now - 15 * minute, now + 1), 'certificate'],
    ['an intent at its deadline', intent(now - 15 * minute, now), 'abandonment'],
    ['an intent long past it', intent(now - 86_400_000, now - 85_000_000), 'abandonment'],
    ['a young intent past a deadline that is short', intent(now - 2, now - 1), 'abandonment'],
    ['an intent of another clock, from the future', intent(now + minute, now + 16 * minute), 'patience'],
    [
      'an abandoned attempt whose revocation may be missing',
      { ...abandoned, isUnsettled: true as const },
      'revocation',
    ],
    ['an abandoned attempt', abandoned, 'nothing'],
    ['a certificate that nobody may have been told of', { ...issued, isUnsettled: true as const }, 'announcement'],
    ['a certificate', issued, 'nothing'],
    ['a rejection', rejected, 'nothing'],
    ['no row', undefined, 'nothing'],
  ] as const)('%s', (_, row, owed) => {
    expect(owedTo(row, now, patience).owed).toBe(owed);
  });
});

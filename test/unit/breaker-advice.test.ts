import { describe, expect, it } from 'vitest';
import { breakerFindings } from '../../cli/breaker-findings.ts';
import { adviceOn, breakerJson } from '../../cli/breakers.ts';
import { laterTries } from '../../cli/pins-in-doubt.ts';
import { absentRecord, type BreakerRecord } from '../../shared/breaker/record.ts';
import { errorKinds } from '../../shared/errors.ts';

/** What an operator is told of a breaker whose PIN was refused, whatever became of the breaker since. */

const record = (issuerId: string, over: Partial<BreakerRecord> = {}): BreakerRecord => ({
  ...absentRecord(issuerId),
  ...over,
});

const open: readonly (readonly [string, Partial<BreakerRecord>])[] = [
  ['held for it', { state: 'open', held: true, reason: 'SIGNER_PIN_REFUSED' }],
  ['paused over it', { state: 'open', held: true, reason: 'OPERATOR', detail: 'New HSMs' }],
  ['open, the signer being away since', { state: 'open', reason: 'SIGNER_UNAVAILABLE' }],
];
const halfOpen: readonly (readonly [string, Partial<BreakerRecord>])[] = [
  ['resumed', { state: 'half-open', reason: 'SIGNER_PIN_REFUSED' }],
  ['resumed after a pause over it', { state: 'half-open', reason: 'OPERATOR' }],
];
const inDoubt = (over: Partial<BreakerRecord>) => record('devices', { ...over, isPinDoubtful: true });

describe('a PIN in doubt', () => {
  it.each([...open, ...halfOpen])('of a breaker that is %s is told, with what a try costs, and critical', (_, over) => {
    const advice = adviceOn(inDoubt(over), false) ?? '';
    expect(advice.match(/PIN was refused, and is in doubt/g)).toHaveLength(1);
    expect(advice).toContain('locking the crypto user out');
    expect(adviceOn(record('devices', over), false)).not.toContain('is in doubt');
    expect(breakerJson(inDoubt(over))).toMatchObject({ pinDoubtful: true });
    expect(breakerJson(record('devices', over))).toMatchObject({ pinDoubtful: false });
    const [finding] = breakerFindings({ records: [inDoubt(over)], unreadable: [], inKms: new Set() });
    expect(finding).toMatchObject({ severity: 'critical', observed: expect.stringMatching(/, PIN in doubt$/) });
    expect(finding?.sentence).toContain(advice);
  });

  it.each(open)('of a breaker that is %s is to be mended before anything else', (_, over) => {
    const advice = adviceOn(inDoubt(over), false) ?? '';
    const [before, after, ...others] = advice.split(errorKinds.SIGNER_PIN_REFUSED.cure);
    expect(others).toEqual([]);
    expect(before).not.toContain('queue resume');
    expect(after).toMatch(over.held ? /mintmark queue resume/ : / when the signer is back and takes the PIN\.$/);
  });

  it.each(halfOpen)('of a breaker that is %s is tried by the next request, whenever one comes', (_, over) => {
    const advice = adviceOn(inDoubt(over), false);
    expect(advice).toContain('The next request tries it: until one comes it stays half-open.');
    expect(advice).toContain('mintmark queue pause --issuer devices.');
  });
});

describe('of several PINs in doubt', () => {
  const held = (issuerId: string, over: Partial<BreakerRecord> = {}) =>
    record(issuerId, { state: 'open', held: true, isPinDoubtful: true, ...over });
  const clusters = new Map([
    ['a', 'one'],
    ['b', 'one'],
    ['c', 'one'],
    ['d', 'two'],
  ]);
  const later = (...records: readonly BreakerRecord[]) => Object.fromEntries(laterTries(records, clusters));

  it('the first by id of each cluster is tried', () => {
    expect(later(held('c'), held('d'), held('b'), held('a'))).toEqual({ b: 'a', c: 'a' });
  });

  it('none is where one is being tried already', () => {
    expect(later(held('a'), held('b', { state: 'half-open', held: false }))).toEqual({ a: 'b' });
    const tried = { state: 'half-open', held: false } as const;
    expect(later(held('a', tried), held('b', tried), held('c'))).toEqual({ c: 'a' });
  });

  it('those whose cluster nobody knows are taken for one', () => {
    expect(later(held('x'), held('y'), held('a'))).toEqual({ y: 'x' });
  });

  it('a breaker that is open for another reason waits for none', () => {
    expect(later(held('b'), record('a', { state: 'open' }), record('c', { state: 'open', held: true }))).toEqual({});
  });
});

import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { breakerFindings } from '../../cli/breaker-findings.ts';
import { adviceOn, adviceOnUnreadable } from '../../cli/breakers.ts';
import { overtakenLines } from '../../cli/commands/failures-redrive.ts';
import { takePage } from '../../cli/cursor.ts';
import { planFor, plannedOf } from '../../cli/failure-plan.ts';
import {
  declareFailureSelection,
  type FailureSelection,
  filtersOf,
  leftOut,
  mismatchesOf,
  requireNamed,
} from '../../cli/failure-selection.ts';
import { FailureCounts, newestFailures } from '../../cli/failure-survey.ts';
import { describeFailure, failureJson, requestOf, shownDevice } from '../../cli/failure-view.ts';
import { absentRecord, type BreakerRecord } from '../../shared/breaker/record.ts';
import { type FailureClass, failureClasses } from '../../shared/errors.ts';
import type { FailureRecord, FailureState } from '../../shared/ledger/index.ts';
import { failureRecord } from '../support/failure-record.ts';

/** As it is typed. */
function selectionOf(...args: readonly string[]): FailureSelection {
  const command = declareFailureSelection(new Command().exitOverride().configureOutput({ writeErr: () => {} }));
  return command.parse(args, { from: 'user' }).opts();
}

describe('the selection of failures', () => {
  it('takes several of each, and drops none', () => {
    const selection = selectionOf('--class', 'bug', '--code', 'internal', '--class', 'Store', '--sender', 'AROAX');
    expect(selection).toEqual({ class: ['bug', 'store'], code: ['INTERNAL'], sender: ['AROAX'] });
    expect(filtersOf(selection, ['failed'])).toBe(
      ' with --class bug --class store --code INTERNAL --sender AROAX --state failed',
    );
    expect(filtersOf({})).toBe('');
  });

  it.each([
    [['--class', 'x'], /Allowed choices are transient-exhausted/],
    [['--code', 'NOPE'], /There is no such code; docs\/errors\.md has them all\.$/],
    [['--code', 'signer'], /Is it SIGNER_UNAVAILABLE, /],
    [['--code', ''], /There is no such code/],
    [['--device', ''], /It is empty/],
  ])('refuses %j', (args, message) => {
    expect(() => selectionOf(...args)).toThrow(message);
  });

  it('is named by any of them, and by a day', () => {
    expect(() => requireNamed(selectionOf(), [], 'sent')).toThrow('It is not said which failures are meant.');
    for (const args of [
      ['--class', 'bug'],
      ['--device', 'x'],
      ['--until', '2026-11-22'],
    ]) {
      expect(() => requireNamed(selectionOf(...args), [], 'sent'), args[0]).not.toThrow();
    }
    expect(() => requireNamed(selectionOf(), ['message'], 'sent')).not.toThrow();
  });

  it.each<[string, string[], Partial<FailureRecord>, string[]]>([
    ['one of several', ['--class', 'bug', '--class', 'store'], { failureClass: 'store' }, []],
    ['another class', ['--class', 'bug'], { failureClass: 'store' }, ['class']],
    [
      'two of them',
      ['--class', 'bug', '--code', 'INTERNAL'],
      { failureClass: 'store', code: 'STORE_REFUSED' },
      ['class', 'code'],
    ],
    ['a sender without its session', ['--sender', 'AROAX'], { sender: 'AROAX:gateway' }, []],
    ['a sender with its session', ['--sender', 'AROAX:gateway'], { sender: 'AROAX:gateway' }, []],
    ['a sender whose id begins alike', ['--sender', 'AROAX'], { sender: 'AROAXY:gateway' }, ['sender']],
    ['a device', ['--device', 'door-7'], { deviceId: 'door-7' }, []],
    [
      'a device of the message alone',
      ['--device', 'door-7'],
      { deviceId: undefined, body: '{"deviceId":"door-7"}' },
      [],
    ],
    [
      'another than the one that was checked',
      ['--device', 'door-8'],
      { deviceId: 'door-7', body: '{"deviceId":"door-8"}' },
      ['device'],
    ],
  ])('%s', (_, args, over, mismatches) => {
    expect(mismatchesOf(selectionOf(...args), failureRecord(over))).toEqual(mismatches);
  });

  it('says of one that was named by its id which option leaves it out', () => {
    const failure = failureRecord({ messageId: 'm', failureClass: 'signer', code: 'PIN_UNSEAL_FAILED' });
    expect(leftOut(failure, ['class', 'code'])).toBe(
      'm is of the class signer, with the code PIN_UNSEAL_FAILED: the options leave it out.',
    );
  });
});

describe('what somebody else was faster with', () => {
  const failure = failureRecord({ messageId: 'm' });
  const overtaken = (state: FailureState, messageId?: string) => ({
    kind: 'overtaken' as const,
    failure,
    state,
    ...(messageId === undefined ? {} : { messageId }),
  });

  it('is told by its number, unless it was sent', () => {
    expect(overtakenLines([overtaken('dismissed'), overtaken('dismissed'), overtaken('failed')])).toEqual([
      '2 dismissed by somebody else meanwhile.',
      expect.stringMatching(/^1 in the hands of another redrive/),
    ]);
  });

  it.each([
    ['failed', /another redrive had taken it over; a second message has the first one's answer\.$/],
    ['redriven', /another redrive had sent it, too; a second message has the first one's answer\.$/],
    ['dismissed', /somebody had dismissed it\. It will be answered all the same: revoke /],
  ] as const)('and was sent is told with what %s means for it', (state, sentence) => {
    const [line = '', ...more] = overtakenLines([overtaken(state, 'n')]);
    expect(line).toMatch(/^m was sent as message n, but so late that /);
    expect(line).toMatch(sentence);
    expect(more).toEqual([]);
  });
});

describe('a plan', () => {
  async function* each(failures: readonly FailureRecord[]) {
    yield* failures;
  }

  it('is of rows, and tells of every id that was named', async () => {
    const rows = [
      failureRecord({ messageId: 'twice', classDay: 'bug#2026-11-22', failureClass: 'bug' }),
      failureRecord({ messageId: 'twice', classDay: 'bug#2026-11-21', failureClass: 'bug' }),
      failureRecord({ messageId: 'done', classDay: 'bug#2026-11-22', failureClass: 'bug', state: 'redriven' }),
      failureRecord({ messageId: 'other', classDay: 'store#2026-11-22', failureClass: 'store' }),
    ];
    const plan = await planFor(each(rows), { class: ['bug'] }, ['twice', 'done', 'other', 'nowhere'], ({ state }) =>
      state === 'failed' ? undefined : state,
    );
    expect([...plan.meant.values()]).toEqual(['twice', 'twice']);
    expect(plan.counts.byCode).toEqual([{ class: 'bug', code: 'SIGNER_PAUSED', count: 2 }]);
    expect(Object.fromEntries(plan.left)).toEqual({ redriven: 1 });
    expect(plan.leftOut).toEqual(['other is of the class store: the options leave it out.']);
    expect(plan.unknown).toEqual(['nowhere']);
    const planned: string[] = [];
    for await (const { classDay } of plannedOf(each(rows), plan)) planned.push(classDay);
    expect(planned).toEqual(['bug#2026-11-22', 'bug#2026-11-21']);
  });
});

describe('the newest failures', () => {
  const days = ['2026-11-22', '2026-11-21', '2026-11-20'];
  const rows = days.flatMap((day) =>
    (['bug', 'store'] as const).flatMap((failureClass, classIndex) =>
      Array.from({ length: 150 }, (_, index) => {
        // In the table they are in order of message ids, which says nothing of their age.
        const second = ((index * 7_919) % 150) * 2 + classIndex;
        return failureRecord({
          classDay: `${failureClass}#${day}`,
          failureClass,
          code: failureClass === 'bug' ? 'INTERNAL' : 'STORE_REFUSED',
          messageId: `${failureClass}-${String(index).padStart(3, '0')}`,
          failedAt: Date.parse(`${day}T10:00:00Z`) + second * 1_000,
        });
      }),
    ),
  );
  const asked: string[] = [];
  const records = {
    async *find(classes: readonly FailureClass[], of: readonly string[]) {
      asked.push(...of);
      for (const failure of rows) {
        const [failureClass = '', day = ''] = failure.classDay.split('#');
        if (classes.includes(failureClass as FailureClass) && of.includes(day)) {
          yield { failure, position: { partition: failure.classDay, key: {} } };
        }
      }
    },
  };
  const newest = rows.toSorted((one, other) => (other.failedAt ?? 0) - (one.failedAt ?? 0));

  it('are the newest, of all classes, and every one that matches is counted', async () => {
    const counts = new FailureCounts();
    const found = await newestFailures(records, failureClasses, days, {
      matches: () => true,
      most: 20,
      count: (failure) => counts.add(failure),
    });
    expect(found.map(({ failure }) => failure)).toEqual(newest.slice(0, 20));
    expect(counts.total).toBe(900);
    expect(counts.byCode).toEqual([
      { class: 'bug', code: 'INTERNAL', count: 450 },
      { class: 'store', code: 'STORE_REFUSED', count: 450 },
    ]);
  });

  it.each([[1], [7], [299], [300], [301], [1_000]])('by pages of %i are all of them, each once', async (limit) => {
    const seen: FailureRecord[] = [];
    let cursor: string | undefined;
    do {
      const page = await takePage(
        async function* ({ after }) {
          yield* await newestFailures(records, failureClasses, days, { matches: () => true, most: limit + 1, after });
        },
        { limit, cursor },
        () => true,
      );
      seen.push(...page.page.map(({ failure }) => failure));
      cursor = page.cursor;
      if (limit === 1 && seen.length > 20) break;
    } while (cursor !== undefined);
    expect(seen).toEqual(limit === 1 ? newest.slice(0, seen.length) : newest);
  });

  it('read no older day than they need', async () => {
    asked.length = 0;
    await newestFailures(records, ['bug'], days, { matches: () => true, most: 10 });
    expect(asked).toEqual(['2026-11-22']);
  });

  it('refuse a place on no day of theirs', async () => {
    const after = { partition: '2026-01-01', key: {} };
    await expect(newestFailures(records, ['bug'], days, { matches: () => true, most: 1, after })).rejects.toMatchObject(
      {
        code: 'CONFIGURATION_INVALID',
      },
    );
  });
});

describe('a failure, as it is shown', () => {
  const stated = failureRecord({
    deviceId: undefined,
    requestId: undefined,
    body: '{"deviceId":"door-9","requestId":"r"}',
  });

  it('has the device that its message names, with a mark', () => {
    expect(shownDevice(stated)).toBe('door-9?');
    expect(shownDevice(failureRecord({ body: '{"deviceId":"door-9"}' }))).toBe('door-7');
    expect(shownDevice(failureRecord({ deviceId: undefined, body: 'no JSON' }))).toBe('');
    expect(failureJson(stated)).toMatchObject({ deviceId: undefined, statedDeviceId: 'door-9' });
    expect(describeFailure(stated, undefined).join('\n')).toContain(
      'door-9, as the message says; nobody has checked it',
    );
    expect(requestOf(stated)).toEqual({ deviceId: 'door-9', requestId: 'r' });
  });

  it('says that a private key was exposed, and only where there was one', () => {
    const text = (over: Partial<FailureRecord>) => describeFailure(failureRecord(over), undefined).join('\n');
    expect(text({ hadPrivateKey: true, bodyCut: true })).toMatch(/^key exposed .*generate a new key pair/m);
    expect(text({ bodyCut: true })).not.toContain('key exposed');
  });

  it('says that a redrive has it in hand', () => {
    const claimedUntil = Date.parse('2026-11-22T14:05:00Z');
    expect(describeFailure(failureRecord({ claimedBy: 'run', claimedUntil }), undefined)[1]).toMatch(
      /^state +failed; a redrive has it in hand, until 2026-11-22T14:05:00Z at most$/,
    );
  });
});

describe('breakers, as health tells of them', () => {
  const record = (over: Partial<BreakerRecord>): BreakerRecord => ({ ...absentRecord('devices'), ...over });
  const findings = (...records: readonly BreakerRecord[]) =>
    breakerFindings({ records, unreadable: [], inKms: new Set() }).map(({ severity, observed }) => [
      severity,
      observed,
    ]);

  it.each<[string, Partial<BreakerRecord>, string[] | undefined]>([
    ['closed', {}, undefined],
    ['open', { state: 'open', reason: 'SIGNER_UNAVAILABLE' }, ['critical', 'open']],
    ['held for a PIN', { state: 'open', held: true, reason: 'SIGNER_PIN_REFUSED' }, ['critical', 'open, held']],
    ['held by an operator', { state: 'open', held: true, reason: 'OPERATOR' }, ['warning', 'open, held']],
    ['half-open', { state: 'half-open', reason: 'SIGNER_UNAVAILABLE' }, ['warning', 'half-open']],
  ])('%s', (_, over, finding) => {
    expect(findings(record(over))).toEqual(finding === undefined ? [] : [finding]);
  });

  it('one that cannot be read is critical, and every sentence says where to look', () => {
    const openedAt = Date.parse('2026-11-22T10:00:00Z');
    const [open, unreadable] = breakerFindings({
      records: [record({ state: 'open', reason: 'SIGNER_UNAVAILABLE', detail: 'No HSM answers.', openedAt })],
      unreadable: [{ issuerId: 'others', message: 'The row is none.' }],
      inKms: new Set(),
    });
    expect(open?.sentence).toMatch(
      /^Requests have waited since 2026-11-22T10:00:00Z \(SIGNER_UNAVAILABLE, No HSM answers\)\. .*Look: mintmark queue status\.$/,
    );
    expect(unreadable).toMatchObject({ severity: 'critical', subject: 'others', observed: 'unreadable' });
    expect(adviceOnUnreadable({ issuerId: 'others', message: 'The row is none.' })).toMatch(
      /^others: The row is none\. .*forgets whether its PIN is in doubt: .*make sure of the sealed PIN first\./,
    );
  });

  it('speaks of KMS where the key is there', () => {
    const open = record({ state: 'open', reason: 'SIGNER_UNAVAILABLE' });
    expect(adviceOn(open, true)).toContain('kms:Sign');
    expect(adviceOn(open, true)).not.toContain('CloudHSM');
    expect(adviceOn(open, false)).toContain('CloudHSM');
    expect(adviceOn(record({}), true)).toBeUndefined();
  });
});

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { metricsIn } from '../../local/embedded/embedded-metrics.ts';
import { Canaries } from '../../shared/breaker/canaries.ts';
import {
  type Canary,
  messagesAreOfUse,
  needsCanary,
  probeFor,
  probesOf,
  type Step,
  stepFor,
} from '../../shared/breaker/decide.ts';
import { type Mapping, mappingChanges } from '../../shared/breaker/mappings.ts';
import { SignerPausedError, waitOf } from '../../shared/breaker/paused.ts';
import {
  absentRecord,
  type BreakerRecord,
  type BreakerTransition,
  breakerKey,
  conditionOf,
  issuerOfBreakerKey,
  readBreaker,
  transitions,
} from '../../shared/breaker/record.ts';
import { breakerAnnouncement, breakerMetrics, measureBreakers, transitionLine } from '../../shared/breaker/tell.ts';
import { breakerTimes } from '../../shared/breaker/times.ts';
import type { SigningCanary } from '../../shared/cluster/observation.ts';
import { MintmarkError } from '../../shared/errors.ts';

const start = Date.parse('2026-11-22T12:00:00Z');
const minute = 60_000;
const times = breakerTimes(60);

const record = (over: Partial<BreakerRecord>): BreakerRecord => ({
  ...absentRecord('devices'),
  revision: 4,
  since: start,
  ...over,
});
const open = record({ state: 'open', reason: 'SIGNER_UNAVAILABLE', detail: 'CKR_DEVICE_REMOVED' });
const held = record({ state: 'open', held: true, reason: 'OPERATOR' });
const halfOpen = record({ state: 'half-open', probesLeft: 2 });
const exhausted = record({ state: 'half-open', probesLeft: 0 });
const resumed = record({ state: 'half-open', probesLeft: 1, triedBy: 'operator', reason: 'OPERATOR' });
const resumedAndTried = record({ ...resumed, probesLeft: 0, probedAt: start });
const unaided = record({ state: 'half-open', probesLeft: 0, triedBy: 'gate', probedAt: start });
const second = 1_000;
const closed = record({ state: 'closed' });

describe('the table of transitions', () => {
  it('makes each condition from the states that it may come from', () => {
    expect(conditionOf('halfOpen')).toBe('(#state = :open AND revision = :revision AND held = :false)');
    expect(conditionOf('countFailure')).toBe(
      'attribute_not_exists(issuerId) OR (#state = :closed AND revision = :revision)',
    );
  });

  it('names the revision that it was decided on, but where there is no record', () => {
    for (const name of Object.keys(transitions) as BreakerTransition[]) {
      for (const condition of conditionOf(name).split(' OR ')) {
        expect(condition, name).toMatch(/^attribute_not_exists\(issuerId\)$|revision = :revision/);
      }
    }
  });

  it('leaves open by way of half-open alone', () => {
    const fromOpen = Object.values(transitions).filter(({ from }) => from.some((origin) => origin.startsWith('open')));
    expect(new Set(fromOpen.map(({ to }) => to))).toEqual(new Set(['open', 'half-open']));
    const closing = Object.values(transitions).filter(
      ({ from, to }) => to === 'closed' && from.some((origin) => !/^(absent|closed)/.test(origin)),
    );
    expect(closing.map(({ from }) => from)).toEqual([['half-open']]);
  });
});

describe('a record', () => {
  it('has a key that no issuer can have, and is found by it', () => {
    expect(breakerKey('devices')).toBe('#breaker#devices');
    expect(issuerOfBreakerKey('#breaker#devices')).toBe('devices');
    for (const other of ['devices', '#canary#eu-central-1', '#mappings'])
      expect(issuerOfBreakerKey(other)).toBeUndefined();
  });

  it('that is none is named', () => {
    expect(() => readBreaker('devices', { state: { S: 'open' } })).toThrow(
      'The row #breaker#devices is none of a breaker: A stored row has no number attribute "revision".',
    );
  });

  it('in a state that this code does not know is open', () => {
    expect(readBreaker('devices', { state: { S: 'ajar' }, revision: { N: '7' } })).toMatchObject({ state: 'open' });
  });
});

describe('stepFor', () => {
  it.each<[BreakerRecord, Canary, boolean, number, Step]>([
    [closed, 'fails', true, 0, 'leave'],
    [open, 'fails', true, 60 * minute, 'leave'],
    [open, 'signs', true, 0, 'half-open'],
    [open, 'signs', false, 0, 'half-open'],
    // Without a canary it is time that says it.
    [open, 'unknown', true, 5 * minute - 1, 'leave'],
    [open, 'unknown', true, 5 * minute, 'half-open'],
    // In an outage of the whole cluster the canary's PIN cannot be unsealed either.
    [open, 'sealed', true, 60 * minute, 'leave'],
    [held, 'signs', true, 60 * minute, 'leave'],
    [held, 'unknown', false, 60 * minute, 'leave'],
    [halfOpen, 'signs', true, 0, 'leave'],
    [halfOpen, 'signs', false, 0, 'close'],
    [halfOpen, 'unknown', false, 0, 'close'],
    [halfOpen, 'fails', false, 0, 'open'],
    [halfOpen, 'sealed', true, 60 * minute, 'leave'],
    [exhausted, 'sealed', true, 0, 'give-probes'],
    [exhausted, 'signs', true, 0, 'give-probes'],
    [exhausted, 'unknown', true, 0, 'give-probes'],
    [exhausted, 'fails', true, 0, 'open'],
    [exhausted, 'signs', false, 0, 'close'],
    [{ ...exhausted, triedBy: 'check-signer', probedAt: start }, 'signs', true, second, 'give-probes'],
    // Whom an operator lets try, and who tries by itself, is not overruled by the canary.
    [resumed, 'fails', true, 0, 'leave'],
    [resumed, 'fails', false, 60 * minute, 'leave'],
    [resumed, 'unknown', true, 60 * minute, 'leave'],
    [resumed, 'signs', false, 0, 'close'],
    [resumedAndTried, 'fails', true, 89 * second, 'leave'],
    [resumedAndTried, 'signs', true, 89 * second, 'leave'],
    [unaided, 'fails', true, 89 * second, 'leave'],
    [unaided, 'unknown', false, 89 * second, 'leave'],
    // A probe that has said nothing for so long says nothing any more.
    [resumedAndTried, 'fails', true, 90 * second, 'open'],
    [resumedAndTried, 'unknown', true, 90 * second, 'give-probes'],
    [resumedAndTried, 'signs', false, 90 * second, 'close'],
    [unaided, 'fails', true, 90 * second, 'open'],
    [unaided, 'signs', true, 90 * second, 'give-probes'],
    // After a refused PIN one batch at a time.
    [{ ...resumedAndTried, isPinDoubtful: true }, 'signs', true, 89 * second, 'leave'],
    [{ ...resumedAndTried, isPinDoubtful: true }, 'signs', false, 90 * second, 'give-probes'],
    [{ ...exhausted, probedAt: start, isPinDoubtful: true }, 'signs', true, 89 * second, 'leave'],
    // The canary's PIN says nothing of the issuer's.
    [{ ...halfOpen, isPinDoubtful: true }, 'signs', false, 0, 'leave'],
    [{ ...exhausted, isPinDoubtful: true }, 'signs', false, 0, 'give-probes'],
    // What waits may be another issuer's, for ever.
    [halfOpen, 'signs', true, 5 * minute - 1, 'leave'],
    [halfOpen, 'signs', true, 5 * minute, 'close'],
    [resumed, 'signs', true, 5 * minute, 'close'],
    [halfOpen, 'unknown', true, 60 * minute, 'leave'],
    [{ ...halfOpen, probedAt: start }, 'signs', true, 60 * minute, 'leave'],
    [{ ...halfOpen, isPinDoubtful: true }, 'signs', true, 60 * minute, 'leave'],
  ])('%o, %s, waiting %s, after %i ms: %5$s', (breaker, canary, waits, lasted, step) => {
    expect(stepFor(breaker, canary, waits, start + lasted, times)).toBe(step);
  });

  it('gives one probe where the probe decides, and three where the canary let them try', () => {
    expect([open, exhausted, resumedAndTried, unaided].map(probesOf)).toEqual([3, 3, 1, 1]);
    for (const breaker of [open, exhausted]) expect(probesOf({ ...breaker, isPinDoubtful: true })).toBe(1);
  });

  it.each([
    [30, 1],
    [180, 10],
  ])('an outage of %i minutes whose canary cannot unseal its PIN is tried %i times', (minutes, tries) => {
    let breaker = open;
    let tried = 0;
    for (let now = start; now <= start + minutes * minute; now += minute) {
      // A batch finds that the signer is away before the next look.
      if (breaker.state === 'half-open') breaker = { ...open, since: now };
      const step = stepFor(breaker, 'sealed', true, now, times);
      const isTried = step === 'half-open' || probeFor(breaker, now, times) === 'unaided';
      if (!isTried) continue;
      tried++;
      breaker = { ...exhausted, triedBy: 'gate', since: now, probedAt: now };
    }
    expect(tried).toBe(tries);
  });

  it('counts in looks of check-signer, and waits for a probe as long as a function may run that takes one', () => {
    const deploy = (file: string) =>
      parse(readFileSync(new URL(`../../deploy/${file}`, import.meta.url), 'utf8')) as Record<string, unknown>;
    const { checkSignerSeconds } = deploy('parameters.yml')['default'] as { readonly checkSignerSeconds: number };
    const functions = Object.values(deploy('functions.yml')) as readonly {
      readonly timeout: number;
      readonly environment: object;
      readonly events: object[];
    }[];
    const asking = functions.filter(({ environment }) => 'CHECK_SIGNER_SECONDS' in environment);
    expect(asking).toHaveLength(3);
    const { probeLasts } = breakerTimes(checkSignerSeconds);
    for (const { timeout } of asking) expect(timeout * second).toBeLessThan(probeLasts);
    expect(asking.flatMap(({ events }) => events)).toContainEqual({ schedule: 'rate(1 minute)' });
    expect(checkSignerSeconds).toBe(60);
  });

  it('has all of its times shorter where check-signer looks more often', () => {
    const compressed = breakerTimes(2);
    for (const [name, time] of Object.entries(times)) expect(compressed[name as keyof typeof times]).toBe(time / 30);
    expect(times.probeLasts).toBe(90 * second);
  });

  it.each<[BreakerRecord, number, ReturnType<typeof probeFor>]>([
    [halfOpen, 0, 'given'],
    [halfOpen, 60 * minute, 'given'],
    [exhausted, 15 * minute, undefined],
    [exhausted, 15 * minute + 1, 'unaided'],
    [{ ...exhausted, probedAt: start + minute }, 16 * minute, undefined],
    [{ ...exhausted, probedAt: start + minute }, 16 * minute + 1, 'unaided'],
    [open, 15 * minute, undefined],
    [open, 15 * minute + 1, 'unaided'],
    [held, 600 * minute, undefined],
    [closed, 600 * minute, undefined],
  ])('a batch that meets %o after %i ms has a probe: %s', (breaker, lasted, probe) => {
    expect(probeFor(breaker, start + lasted, times)).toBe(probe);
  });

  it('asks no canary while all is well, or an operator holds it', () => {
    expect([closed, held, open, halfOpen].map(needsCanary)).toEqual([false, false, true, true]);
  });

  it('stops the queue when nobody can be issued to, and only then', () => {
    expect(messagesAreOfUse([open, held], start, times)).toBe(false);
    for (const one of [[], [open, closed], [open, halfOpen]]) expect(messagesAreOfUse(one, start, times)).toBe(true);
  });

  it('keeps the queue going for the batch that is to try by itself, but not for one that is held', () => {
    const due = start + 15 * minute + 1;
    expect(messagesAreOfUse([open, held], due - 1, times)).toBe(false);
    expect(messagesAreOfUse([open, held], due, times)).toBe(true);
    expect(messagesAreOfUse([held], due, times)).toBe(false);
  });
});

describe('the event source mappings', () => {
  const mapping = (uuid: string, state: string): Mapping => ({ uuid, state, eventSourceArn: `arn:${uuid}` });
  const changes = (wanted: 'paused' | 'running', paused: readonly string[], ...mappings: readonly Mapping[]) =>
    mappingChanges(mappings, new Set(paused), wanted).map(({ mapping: { uuid }, to }) => `${uuid} ${to}`);

  it('are paused where they are enabled, also again', () => {
    const all = [
      mapping('a', 'Enabled'),
      mapping('b', 'Disabled'),
      mapping('c', 'Disabling'),
      mapping('d', 'Creating'),
    ];
    expect(changes('paused', [], ...all)).toEqual(['a paused']);
    expect(changes('paused', ['a'], ...all)).toEqual(['a paused']);
  });

  it('are resumed where they were paused here, when Lambda is done with them', () => {
    expect(changes('running', ['a', 'c'], mapping('a', 'Disabled'), mapping('b', 'Disabled'))).toEqual(['a resumed']);
    expect(changes('running', ['c'], mapping('c', 'Disabling'))).toEqual([]);
    // Enabled, but not struck out: the look that resumed it died.
    expect(changes('running', ['c'], mapping('c', 'Enabled'))).toEqual(['c resumed']);
    expect(changes('running', [], mapping('c', 'Enabled'))).toEqual([]);
  });
});

describe('how long a message that was turned away waits', () => {
  it('one to five minutes while it is open', () => {
    expect(waitOf(open, 60, start + 90 * minute)).toEqual({ least: 60, most: 300 });
  });

  it('while a few try, a little, and longer the longer nothing comes of it', () => {
    const waits = [0, 10_000, minute, 10 * minute, 60 * minute].map((lasted) => waitOf(halfOpen, 60, start + lasted));
    expect(waits).toEqual([
      { least: 5, most: 15 },
      { least: 5, most: 15 },
      { least: 30, most: 60 },
      { least: 60, most: 300 },
      { least: 60, most: 300 },
    ]);
  });

  it('is said with why, and by whom it can be ended', () => {
    expect(new SignerPausedError(open, 60, start)).toMatchObject({
      code: 'SIGNER_PAUSED',
      disposition: 'retry',
      message:
        'The signer of devices is paused since 2026-11-22T12:00:00.000Z: SIGNER_UNAVAILABLE (CKR_DEVICE_REMOVED)',
    });
    expect(new SignerPausedError(held, 60, start).message).toContain('until an operator resumes it: OPERATOR');
    expect(new SignerPausedError(halfOpen, 60, start).message).toContain('is being tried');
  });
});

it('other requests try for a message while a half-open breaker is young, and then nobody does', () => {
  const isBeingTried = (breaker: BreakerRecord, lasted: number) =>
    new SignerPausedError(breaker, 60, start + lasted).isBeingTried;
  expect([0, 5 * minute - 1, 5 * minute].map((lasted) => isBeingTried(halfOpen, lasted))).toEqual([true, true, false]);
  expect(isBeingTried(open, 0)).toBe(false);
});

describe('what is told', () => {
  const event = { from: 'closed', to: 'open', held: false, revision: 5, at: start } as const;

  it('names the issuer, the change and what to do', () => {
    expect(breakerAnnouncement('devices', { ...event, reason: 'SIGNER_DEADLINE', detail: 'Late.' })).toEqual({
      version: 1,
      type: 'breaker.opened',
      issuerId: 'devices',
      from: 'closed',
      to: 'open',
      held: false,
      revision: 5,
      at: '2026-11-22T12:00:00.000Z',
      reason: 'SIGNER_DEADLINE',
      detail: 'Late.',
      cure: expect.stringContaining('HSM'),
    });
    expect(breakerAnnouncement('devices', { ...event, reason: 'OPERATOR' }).cure).toContain('mintmark queue resume');
    expect(breakerAnnouncement('devices', { ...event, from: 'half-open', to: 'closed' })).not.toHaveProperty('cure');
  });

  it('is counted by a line of the log, whichever it is', () => {
    const counted = (['closed', 'open', 'half-open'] as const).flatMap((to) =>
      metricsIn(transitionLine('check-signer', 'prod', breakerAnnouncement('devices', { ...event, to }), start)),
    );
    const common = { namespace: 'Mintmark/prod', dimensions: { Stage: 'prod' }, timestamp: start, unit: 'Count' };
    expect(counted).toEqual([
      { ...common, name: breakerMetrics.closed, value: 1 },
      { ...common, name: breakerMetrics.opened, value: 1 },
      { ...common, name: breakerMetrics.halfOpened, value: 1 },
    ]);
  });

  it('in gauges is told even when they are 0, and what cannot be read counts as open', () => {
    const values = (...all: Parameters<typeof measureBreakers>) => measureBreakers(...all).map(({ value }) => value);
    expect(measureBreakers([closed], 0).map(({ name }) => name)).toEqual([breakerMetrics.open, breakerMetrics.held]);
    expect(values([closed], 0)).toEqual([0, 0]);
    expect(values([open, held, halfOpen, closed], 0)).toEqual([3, 1]);
    expect(values([closed], 1)).toEqual([1, 0]);
  });
});

describe('canaries', () => {
  const issuer = { issuerId: 'devices', signerUri: 'pkcs11:object=ca', clusterId: 'cluster-a', breaker: open };
  const inKms = {
    issuerId: 'kms',
    signerUri: 'awskms:key-id=arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab',
    breaker: open,
  };
  const text = (value: string) => ({ S: value });
  const bytes = { B: new Uint8Array([1]) };
  const row = {
    clusterId: text('cluster-a'),
    customKeyStoreId: text('cks-1'),
    ciphertext: bytes,
    signerUri: text('pkcs11:object=canary'),
    publicKey: bytes,
    sealedPin: bytes,
  };

  interface World {
    readonly stored?: boolean;
    readonly key?: object | Error;
    readonly sealed?: boolean;
  }

  function canaries(answer: SigningCanary, { stored = true, key = {}, sealed = false }: World = {}) {
    const troubles: string[] = [];
    let signed = 0;
    let unsealed = 0;
    const sources: unknown = {
      dynamoDB: { send: async () => (stored ? { Item: row } : {}) },
      kms: {
        send: async () => {
          if (key instanceof Error) throw key;
          return { KeyMetadata: key };
        },
      },
      signer: {
        sign: async () => {
          signed++;
          return answer;
        },
      },
      unseal: async () => {
        unsealed++;
        if (sealed) throw new MintmarkError('PIN_UNSEAL_FAILED', 'KMS does not answer.');
      },
      issuersTable: 'issuers',
      region: 'eu-west-1',
      now: () => start,
      signMilliseconds: 1_000,
      onTrouble: (_: string, detail: string) => troubles.push(detail),
    };
    const all = new Canaries(sources as ConstructorParameters<typeof Canaries>[0]);
    return { of: all.of.bind(all), troubles, signed: () => signed, unsealed: () => unsealed };
  }
  const failed = (code: string): SigningCanary => ({ outcome: 'failed', code, detail: 'Why.' });

  it.each<[SigningCanary, Canary]>([
    [{ outcome: 'signed', milliseconds: 3 }, 'signs'],
    [{ outcome: 'wrong' }, 'fails'],
    [failed('SIGNER_UNAVAILABLE'), 'fails'],
    [failed('SIGNER_DEADLINE'), 'fails'],
    // The canary's own trouble says nothing of the CA's key.
    [failed('PIN_UNSEAL_FAILED'), 'sealed'],
    [failed('PIN_UNSEAL_REFUSED'), 'unknown'],
    [failed('SIGNER_PIN_REFUSED'), 'unknown'],
    [failed('SIGNER_MISCONFIGURED'), 'unknown'],
  ])('%o of the HSM: %s', async (answer, verdict) => {
    const { of, troubles } = canaries(answer);
    expect(await of(issuer)).toBe(verdict);
    expect(troubles).toHaveLength(verdict === 'signs' ? 0 : 1);
  });

  it('signs once for all issuers of its cluster, and speaks for no other', async () => {
    const { of, signed, troubles } = canaries({ outcome: 'signed', milliseconds: 3 });
    const verdicts = await Promise.all([issuer, issuer, { ...issuer, clusterId: 'cluster-b' }].map(of));
    expect(verdicts).toEqual(['signs', 'signs', 'unknown']);
    expect(signed()).toBe(1);
    expect(troubles).toEqual(['The canary is of the cluster cluster-a, the issuer of cluster-b.']);
  });

  it('that signs on with the PIN it has is no word for a breaker that opened for want of PINs', async () => {
    const unsealing = { ...issuer, breaker: { ...open, reason: 'PIN_UNSEAL_FAILED' as const } };
    const away = canaries({ outcome: 'signed', milliseconds: 3 }, { sealed: true });
    expect(await Promise.all([unsealing, issuer, unsealing].map(away.of))).toEqual(['sealed', 'signs', 'sealed']);
    expect([away.unsealed(), away.signed()]).toEqual([1, 1]);
    const back = canaries({ outcome: 'signed', milliseconds: 3 });
    expect(await Promise.all([unsealing, issuer].map(back.of))).toEqual(['signs', 'signs']);
    expect(await canaries(failed('SIGNER_UNAVAILABLE')).of(unsealing)).toBe('fails');
  });

  it('that is not set up is unknown', async () => {
    const { of, troubles } = canaries({ outcome: 'wrong' }, { stored: false });
    expect(await of(issuer)).toBe('unknown');
    expect(troubles[0]).toContain('the watch is not set up');
  });

  it.each<[object | Error, Canary]>([
    [{ KeyState: 'Enabled' }, 'signs'],
    [{ KeyState: 'Unavailable' }, 'fails'],
    [{ KeyState: 'PendingDeletion' }, 'fails'],
    [Object.assign(new Error('No answer.'), { name: 'TimeoutError' }), 'fails'],
    [Object.assign(new Error('No.'), { name: 'AccessDeniedException' }), 'unknown'],
  ])('%o of a key in KMS, which is not asked to sign: %s', async (key, verdict) => {
    const { of, signed } = canaries({ outcome: 'wrong' }, { key });
    expect(await of(inKms)).toBe(verdict);
    expect(signed()).toBe(0);
  });
});

import { describe, expect, it } from 'vitest';
import { breakerTimes } from '../../shared/breaker/times.ts';
import { type OutageMeasurements, outageAnswerLines, outageAnswers, outageProblems } from '../drills/outage-answers.ts';
import { compressedSeconds, secondsAtAws } from '../drills/stage-times.ts';

const times = { giveUpAfterSeconds: 14_400, pausedSeconds: 60, checkSignerSeconds: 60 };

const opened = { openedAt: 1.2, closedAt: [], triedMeanwhile: 1, reason: 'SIGNER_UNAVAILABLE', state: 'closed' };
const neverOpened = { closedAt: [], triedMeanwhile: 0, state: 'closed' };
const neverPaused = { resumedAt: [], state: 'Enabled' };

/** An outage as it should be, but for what a test says. */
const measured = (change: Partial<OutageMeasurements> = {}): OutageMeasurements => ({
  compression: 30,
  returnedAt: 60,
  endedAt: 90,
  sent: 240,
  issuedMeanwhile: 0,
  signedMeanwhile: 0,
  earlier: 60,
  earlierRead: 60,
  earlierRefused: [],
  backlog: 240,
  highestReceiveCount: 4,
  breaker: { ...opened, closedAt: [62.5] },
  mapping: { pausingAt: 2, pausedAt: 4, resumedAt: [34, 61], state: 'Enabled' },
  firstIssuedAt: 62,
  allIssuedAt: 70,
  missing: 0,
  failures: 0,
  ...change,
});

/** The answers as one text for each question. */
function answersOf(change: Partial<OutageMeasurements> = {}): string[] {
  return outageAnswers(measured(change), times).map(({ answer }) => answer);
}

describe('the four answers are of what was measured', () => {
  it('and the same in lines, for people', () => {
    const lines = outageAnswerLines(measured(), times);
    const questions = outageAnswers(measured(), times).map(({ question }) => question);
    expect(lines.filter((line) => !line.startsWith('  '))).toEqual(questions);
    expect(questions).toHaveLength(4);
  });

  it('in an outage that went as it should', () => {
    const [issued, existing, fails, gone] = answersOf();
    expect(issued).toContain(
      'No: of 240 requests sent during the outage (60 s) 0 were issued in it, and 0 signatures made.',
    );
    expect(issued).toContain('The breaker opened after 1.2 s (SIGNER_UNAVAILABLE)');
    expect(issued).toContain('the event source mapping was paused after 4 s, told to after 2 s.');
    expect(existing).toContain('Yes: all 60 certificates from before it were verified by openssl');
    expect(existing).toContain('60 of 60 could be read');
    expect(fails).toContain('Nothing for good');
    expect(fails).toContain('240 messages waited in the queue after 60 s');
    expect(fails).toContain(
      'None waited longer than 70 s, 35 minutes at AWS, where requests are given up after 4 hours.',
    );
    expect(issued).toContain('Meanwhile 1 batch tried whether it signs.');
    expect(fails).toContain('None was received more than 4 times');
    expect(gone).toContain('Measured: 10 s after the return, 5 minutes at AWS.');
    expect(gone).toContain(
      'The mapping was resumed after 1 s, the first certificate came after 2 s, the breaker closed after 2.5 s.',
    );
    expect(gone).toContain("From the HSM's rate: 240 requests are 0.08 s");
    expect(gone).toContain('up to 6 minutes until the canary has signed and paused requests come back; 12 s here.');
  });

  it('where certificates were issued all the same', () => {
    expect(answersOf({ issuedMeanwhile: 240, signedMeanwhile: 241 })[0]).toMatch(
      /^Yes: of 240 requests .* 240 were issued in it, and 241 signatures made\./,
    );
    expect(answersOf({ issuedMeanwhile: 3, signedMeanwhile: 3 })[0]).toMatch(/^Some: of 240 requests .* 3 were issued/);
  });

  it('where nobody asked', () => {
    expect(answersOf({ sent: 0 })[0]).toMatch(/^Not measured: of 0 requests/);
  });

  it('where neither breaker nor mapping did anything', () => {
    const [issued, , , gone] = answersOf({ breaker: neverOpened, mapping: neverPaused });
    expect(issued).toContain('The breaker never opened; the event source mapping was never paused.');
    expect(gone).toContain('The mapping was never resumed');
    expect(gone).toContain('the breaker is closed');
  });

  it('where the mapping delivered already when the HSMs came back', () => {
    const [, , , gone] = answersOf({ mapping: { pausedAt: 4, resumedAt: [34], state: 'Enabled' } });
    expect(gone).toContain('The mapping had been resumed 26 s before the return');
  });

  it('where certificates no longer verify', () => {
    const [, existing] = answersOf({ earlierRefused: ['openssl finds 58 of 60 certificates good.'], earlierRead: 58 });
    expect(existing).toMatch(/^No: .*openssl finds 58 of 60 certificates good\. 58 of 60 could be read/);
    expect(answersOf({ earlier: 0 })[1]).toMatch(/^Not measured/);
  });

  it('where requests were given up, or never answered', () => {
    const [, , fails, gone] = answersOf({ missing: 4, failures: 3, allIssuedAt: undefined, endedAt: 180 });
    expect(fails).toContain('For good: 4 requests are without a certificate, 3 were given up.');
    expect(fails).toContain('how long the longest waited is not known');
    expect(gone).toContain('It is not: 4 requests had no certificate 120 s after the return.');
    expect(answersOf({ failures: 1 })[2]).toContain('For good: 0 requests are without a certificate, 1 were given up.');
  });

  it('of a smaller backlog', () => {
    expect(answersOf({ backlog: 31_500 })[3]).toContain('31500 requests are 10.00 s');
  });
});

describe('what must not be', () => {
  it('is nothing in an outage that went as it should', () => {
    expect(outageProblems(measured(), times)).toEqual([]);
  });

  it.each<[string, Partial<OutageMeasurements>, string]>([
    ['a breaker that never opened', { breaker: neverOpened }, 'The breaker did not open during the outage.'],
    [
      'a breaker that opened when it was over',
      { breaker: { ...neverOpened, openedAt: 61 }, mapping: { pausedAt: 4, resumedAt: [61], state: 'Enabled' } },
      'The breaker did not open during the outage.',
    ],
    [
      'a breaker that is left open',
      { breaker: { ...opened, state: 'half-open' } },
      'The breaker is half-open in the end.',
    ],
    [
      'a mapping that was never paused',
      { mapping: neverPaused },
      'The event source mapping was not paused during the outage.',
    ],
    [
      'a mapping that was only told to pause',
      { mapping: { ...neverPaused, pausingAt: 3 } },
      'The event source mapping was not paused during the outage.',
    ],
    [
      'a mapping that is left paused',
      { mapping: { ...neverPaused, pausedAt: 4, state: 'Disabled' } },
      'The event source mapping is Disabled in the end.',
    ],
    ['certificates without an HSM', { issuedMeanwhile: 2 }, '2 certificates were issued without an HSM.'],
    ['signatures without an HSM', { signedMeanwhile: 1 }, '1 signatures were made without an HSM.'],
    [
      'a row that cannot be read',
      { earlierRead: 59 },
      'Of 60 earlier certificates 59 could be read during the outage.',
    ],
    [
      'a breaker that closed before it was over, and again after it',
      { breaker: { ...opened, closedAt: [20, 62] } },
      'The breaker closed during the outage.',
    ],
    [
      'a signer that is tried too often',
      { breaker: { ...opened, triedMeanwhile: 2 } },
      'The signer was tried 2 times during the outage, 1 times at most is right.',
    ],
    [
      'the same at AWS, where nothing is compressed',
      {
        compression: 1,
        returnedAt: 1800,
        breaker: { ...opened, closedAt: [1900], triedMeanwhile: 2 },
        mapping: { pausedAt: 4, resumedAt: [910, 1870], state: 'Enabled' },
      },
      'The signer was tried 2 times during the outage, 1 times at most is right.',
    ],
    [
      'a mapping that is resumed more often than the signer is tried',
      { mapping: { pausedAt: 4, resumedAt: [20, 34, 61], state: 'Enabled' } },
      'The event source mapping was resumed 2 times during the outage, 1 times at most is right.',
    ],
    [
      'a message that came so often that it is suspect',
      { highestReceiveCount: 20 },
      'A message was received 20 times: an outage must not use them up.',
    ],
    ['a certificate that does not verify', { earlierRefused: ['openssl refuses it.'] }, 'openssl refuses it.'],
  ])('%s', (_, change, problem) => {
    expect(outageProblems(measured(change), times)).toEqual([problem]);
  });

  it.each(Array.from({ length: 60 }, (_, index) => index + 1))(
    'is not a signer that is tried as often as the breaker lets it be, time compressed %d times',
    (compression) => {
      // The stage's own, in whole seconds: an outage of so many seconds has room for so many tries.
      const { unlookedAfter } = breakerTimes(compressedSeconds(secondsAtAws('checkSignerSeconds'), compression));
      const openedAt = 1.2;
      const returnedAt = 1_800 / compression + 1;
      const most = Math.floor((returnedAt - openedAt) / (unlookedAfter / 1000));
      const triedMeanwhile = (times: number): Partial<OutageMeasurements> => ({
        compression,
        returnedAt,
        breaker: { ...opened, openedAt, closedAt: [returnedAt + 2], triedMeanwhile: times },
        mapping: { pausedAt: openedAt + 3 / compression, resumedAt: [returnedAt + 1], state: 'Enabled' },
      });
      expect(most).toBeGreaterThan(0);
      expect(outageProblems(measured(triedMeanwhile(most)), times)).toEqual([]);
      expect(outageProblems(measured(triedMeanwhile(most + 1)), times)).toHaveLength(1);
    },
  );
});

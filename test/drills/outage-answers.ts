import { longestPause } from '../../shared/breaker/paused.ts';
import { breakerTimes } from '../../shared/breaker/times.ts';
import { suspectReceiveCount } from '../../shared/issuance/rounds.ts';
import { compressedSeconds } from './stage-times.ts';

/** What was measured in one outage. Moments are seconds since it began, as they passed here; absent: it never came to that. */
export interface OutageMeasurements {
  /** How many seconds at AWS were one here. */
  readonly compression: number;
  /** When the HSMs came back. */
  readonly returnedAt: number;
  /** When the account was made. */
  readonly endedAt: number;
  /** Requests that the queue took during the outage. */
  readonly sent: number;
  /** Of them, those that had a certificate before the HSMs came back. */
  readonly issuedMeanwhile: number;
  /** Signatures that were made during the outage. */
  readonly signedMeanwhile: number;
  /** Certificates from before the outage. */
  readonly earlier: number;
  /** Of them, those that could be read from their rows during the outage. */
  readonly earlierRead: number;
  /** What openssl, or the look at key and name, had against them during the outage; a sentence each. */
  readonly earlierRefused: readonly string[];
  /** Messages in the requests queue when the HSMs came back. */
  readonly backlog: number;
  /** How often the message that came most often was received, all through; undefined where nothing counts that. */
  readonly highestReceiveCount?: number | undefined;
  readonly breaker: {
    readonly openedAt?: number | undefined;
    /** Each time. */
    readonly closedAt: readonly number[];
    /** How often somebody tried the signer during the outage. */
    readonly triedMeanwhile: number;
    /** The code for which it opened. */
    readonly reason?: string | undefined;
    /** In the end. */
    readonly state: string;
  };
  /** Of the requests queue's event source mapping. */
  readonly mapping: {
    readonly pausingAt?: number | undefined;
    readonly pausedAt?: number | undefined;
    /** Each time. */
    readonly resumedAt: readonly number[];
    /** In the end. */
    readonly state: string | undefined;
  };
  /** After the return. */
  readonly firstIssuedAt?: number | undefined;
  /** When no request was without a certificate any more. */
  readonly allIssuedAt?: number | undefined;
  /** Requests without a certificate in the end. */
  readonly missing: number;
  /** Rows of `failures` in the end. */
  readonly failures: number;
}

/** What the stage is set to, in seconds at AWS. */
export interface OutageTimes {
  readonly giveUpAfterSeconds: number;
  /** The shortest pause of a request whose signer is paused; the longest is five times that. */
  readonly pausedSeconds: number;
  /** Between two looks of the canary. */
  readonly checkSignerSeconds: number;
}

/** P-256 signatures a second of a cluster of three hsm2m.medium HSMs (AWS CloudHSM user guide, "Performance"). */
const signaturesPerSecond = 4_500;
/** Of them, what issuing is given (docs/capacity.md). */
const shareForIssuing = 0.7;

const round = (seconds: number): number => Math.round(seconds * 10) / 10;

/** What operators ask, and what it was in this outage. */
export interface OutageAnswer {
  readonly question: string;
  /** Sentences. */
  readonly answer: string;
}

/** The four of them. Pure. */
export const outageAnswers = (measured: OutageMeasurements, times: OutageTimes): OutageAnswer[] =>
  answered(measured, times).map(([question, lines]) => ({
    question,
    answer: lines.map((line) => line.trim()).join(' '),
  }));

/** The same, in lines. Pure. */
export const outageAnswerLines = (measured: OutageMeasurements, times: OutageTimes): string[] =>
  answered(measured, times).flatMap(([question, lines]) => [question, ...lines]);

const answered = (measured: OutageMeasurements, times: OutageTimes): [question: string, lines: string[]][] => [
  ['Can new certificates be issued?', newOnes(measured)],
  ['Do existing ones still work?', existingOnes(measured)],
  ['What fails?', whatFails(measured, times)],
  ['How long until the backlog is gone?', untilGone(measured, times)],
];

function newOnes(measured: OutageMeasurements): string[] {
  const { sent, issuedMeanwhile, signedMeanwhile, returnedAt, breaker, mapping } = measured;
  const verdict = sent === 0 ? 'Not measured' : issuedMeanwhile === 0 ? 'No' : issuedMeanwhile < sent ? 'Some' : 'Yes';
  const opened =
    breaker.openedAt === undefined
      ? 'never opened'
      : `opened after ${round(breaker.openedAt)} s (${breaker.reason ?? 'no reason'})`;
  return [
    `  ${verdict}: of ${sent} requests sent during the outage (${round(returnedAt)} s) ${issuedMeanwhile} were issued in it, and`,
    `  ${signedMeanwhile} signatures made. The breaker ${opened}; the event source mapping`,
    `  ${mapping.pausedAt === undefined ? 'was never paused' : `was paused after ${round(mapping.pausedAt)} s`}${
      mapping.pausingAt === undefined ? '' : `, told to after ${round(mapping.pausingAt)} s`
    }.`,
    `  Meanwhile ${breaker.triedMeanwhile} ${breaker.triedMeanwhile === 1 ? 'batch' : 'batches'} tried whether it signs.`,
  ];
}

function existingOnes({ earlier, earlierRead, earlierRefused }: OutageMeasurements): string[] {
  if (earlier === 0) return ['  Not measured: there were none from before it.'];
  const read = `  ${earlierRead} of ${earlier} could be read from their rows meanwhile.`;
  if (earlierRefused.length === 0) {
    return [`  Yes: all ${earlier} certificates from before it were verified by openssl during the outage;`, read];
  }
  const refused = earlierRefused.map((sentence) => `  ${sentence}`);
  return [`  No: of ${earlier} certificates from before it, during the outage:`, ...refused, read];
}

function whatFails(measured: OutageMeasurements, { giveUpAfterSeconds }: OutageTimes): string[] {
  const { missing, failures, sent, backlog, returnedAt, allIssuedAt, compression, highestReceiveCount } = measured;
  const good =
    missing === 0 && failures === 0
      ? 'Nothing for good: every request has its certificate, and none was given up.'
      : `For good: ${missing} requests are without a certificate, ${failures} were given up.`;
  const hours = round(giveUpAfterSeconds / 3600);
  const longest =
    allIssuedAt === undefined
      ? `Not all were issued, so how long the longest waited is not known; requests are given up after ${hours} hours at AWS.`
      : `None waited longer than ${round(allIssuedAt)} s, ${round((allIssuedAt * compression) / 60)} minutes at AWS, where requests are given up after ${hours} hours.`;
  return [
    `  ${good}`,
    `  ${backlog} messages waited in the queue after ${round(returnedAt)} s, of ${sent} requests sent meanwhile.`,
    `  ${longest}`,
    highestReceiveCount === undefined
      ? '  How often messages were received was not measured.'
      : `  None was received more than ${highestReceiveCount} times: at ${suspectReceiveCount} it would be worked on alone, at 100 it would be a dead letter.`,
  ];
}

function untilGone(measured: OutageMeasurements, { pausedSeconds, checkSignerSeconds }: OutageTimes): string[] {
  const { returnedAt, allIssuedAt, firstIssuedAt, endedAt, missing, backlog, compression, breaker, mapping } = measured;
  const after = (moments: readonly number[]) => moments.find((moment) => moment >= returnedAt);
  const sinceReturn = (moment: number) => `${round(moment - returnedAt)} s`;
  const event = (moment: number | undefined, what: string, never: string) =>
    moment === undefined ? never : `${what} after ${sinceReturn(moment)}`;
  const measuredTime =
    allIssuedAt === undefined
      ? `It is not: ${missing} requests had no certificate ${sinceReturn(endedAt)} after the return.`
      : `Measured: ${sinceReturn(allIssuedAt)} after the return, ${round(((allIssuedAt - returnedAt) * compression) / 60)} minutes at AWS.`;
  const hsmSeconds = backlog / (signaturesPerSecond * shareForIssuing);
  const waiting = checkSignerSeconds + longestPause * pausedSeconds;
  const waitingHere =
    compressedSeconds(checkSignerSeconds, compression) + longestPause * compressedSeconds(pausedSeconds, compression);
  return [
    `  ${measuredTime}`,
    `  ${[
      event(after(mapping.resumedAt), 'The mapping was resumed', notResumedSince(measured)),
      event(firstIssuedAt, 'the first certificate came', 'no certificate came'),
      event(after(breaker.closedAt), 'the breaker closed', `the breaker is ${breaker.state}`),
    ].join(', ')}.`,
    `  From the HSM's rate: ${backlog} requests are ${hsmSeconds.toFixed(2)} s of three hsm2m.medium HSMs`,
    `  (${signaturesPerSecond} P-256 signatures/s, ${shareForIssuing * 100} % of them for issuing), after up to ${round(waiting / 60)} minutes until the canary`,
    `  has signed and paused requests come back; ${waitingHere} s here.`,
  ];
}

/** It may deliver already: it is resumed for a batch that tries the signer by itself. */
function notResumedSince({ returnedAt, mapping }: OutageMeasurements): string {
  const before = mapping.resumedAt.at(-1);
  if (before === undefined) return 'The mapping was never resumed';
  return `The mapping had been resumed ${round(returnedAt - before)} s before the return`;
}

/** What must not be in an outage, besides what the account finds; a sentence each. Pure. */
export function outageProblems(measured: OutageMeasurements, { checkSignerSeconds }: OutageTimes): string[] {
  const { returnedAt, compression, highestReceiveCount = 0 } = measured;
  const { breaker, mapping, issuedMeanwhile, signedMeanwhile, earlier, earlierRead, earlierRefused } = measured;
  const when = (is: boolean, problem: string): string[] => (is ? [problem] : []);
  const meanwhile = (moments: readonly number[]) => moments.filter((moment) => moment < returnedAt);
  // The stage's breaker counts in its own looks, which are whole seconds.
  const between = breakerTimes(compressedSeconds(checkSignerSeconds, compression)).unlookedAfter / 1000;
  const mayTry = Math.max(0, Math.floor((returnedAt - (breaker.openedAt ?? 0)) / between));
  return [
    ...earlierRefused,
    ...when(
      earlierRead < earlier,
      `Of ${earlier} earlier certificates ${earlierRead} could be read during the outage.`,
    ),
    ...when(issuedMeanwhile > 0, `${issuedMeanwhile} certificates were issued without an HSM.`),
    ...when(signedMeanwhile > 0, `${signedMeanwhile} signatures were made without an HSM.`),
    ...when(
      breaker.openedAt === undefined || breaker.openedAt >= measured.returnedAt,
      'The breaker did not open during the outage.',
    ),
    ...when(meanwhile(breaker.closedAt).length > 0, 'The breaker closed during the outage.'),
    ...when(
      breaker.triedMeanwhile > mayTry,
      `The signer was tried ${breaker.triedMeanwhile} times during the outage, ${mayTry} times at most is right.`,
    ),
    // For each such try, which needs a message.
    ...when(
      meanwhile(mapping.resumedAt).length > mayTry,
      `The event source mapping was resumed ${meanwhile(mapping.resumedAt).length} times during the outage, ${mayTry} times at most is right.`,
    ),
    ...when(
      highestReceiveCount >= suspectReceiveCount,
      `A message was received ${highestReceiveCount} times: an outage must not use them up.`,
    ),
    ...when(breaker.state !== 'closed', `The breaker is ${breaker.state} in the end.`),
    ...when(
      mapping.pausedAt === undefined || mapping.pausedAt >= measured.returnedAt,
      'The event source mapping was not paused during the outage.',
    ),
    ...when(mapping.state !== 'Enabled', `The event source mapping is ${mapping.state ?? 'gone'} in the end.`),
  ];
}

import { sign } from 'node:crypto';
import { CloudTrailClient } from '@aws-sdk/client-cloudtrail';
import { CloudWatchClient } from '@aws-sdk/client-cloudwatch';
import { LambdaClient } from '@aws-sdk/client-lambda';
import { describe, expect, it } from 'vitest';
import { auditPeriodOf, checkHistory } from '../../cli/audit-period.ts';
import { time } from '../../cli/values.ts';
import { bitString, sequence } from '../../shared/asn1/index.ts';
import {
  type CallerCount,
  CallerCounts,
  compare,
  type Evidence,
  IssuedRows,
  issuersUnknown,
  keysOf,
  lookUpSignEvents,
  periodOf,
  readCounted,
  readFunctionRoles,
} from '../../shared/audit/index.ts';
import { isOfKey, readSignEvent, type SignEvent } from '../../shared/audit/sign-event.ts';
import { tbsTemplate } from '../../shared/issuance/tbs.ts';
import type { IssuanceRecord } from '../../shared/ledger/index.ts';
import { algorithmIdentifier } from '../../shared/signer/index.ts';
import { makeIssuingCa } from '../support/issuing-ca.ts';
import { newVariables, tbsIssuer } from '../support/linted.ts';
import { deviceTls } from '../support/profile.ts';

const now = Date.parse('2026-11-22T12:00:30Z');
const minute = 60_000;
const day = 24 * 60 * minute;
const at = (text: string): number => Date.parse(text);
const where = { region: 'eu-west-1', credentials: { accessKeyId: 'test', secretAccessKey: 'test' } };

describe('what does not add up', () => {
  const ours = (signed: number, signedSettled = signed): CallerCount => ({
    arn: 'arn:aws:sts::111122223333:assumed-role/issue/mintmark-prod-issue',
    functionArn: undefined,
    isExpected: true,
    hasTheirRole: true,
    signed,
    signedSettled,
    refused: 0,
  });
  const other: CallerCount = {
    arn: 'arn:aws:iam::111122223333:user/other',
    functionArn: undefined,
    isExpected: false,
    hasTheirRole: false,
    signed: 0,
    signedSettled: 0,
    refused: 0,
  };
  const evidence = (
    callers: readonly CallerCount[] | undefined,
    [made, requested = made]: readonly [number, number?],
    certificates: number,
    wrong: { readonly notVerified?: number; readonly notDated?: number; readonly isMultiRegion?: boolean } = {},
  ): Evidence => ({
    callers,
    issuers: [
      {
        // What was repeated or came to nothing is for the reader: it explains no signature that was not asked for.
        counted: { requested, made, repeated: 7 },
        issued: {
          certificates,
          unfinished: 7,
          notVerified: { count: wrong.notVerified ?? 0, first: ['door-7/r (why)'] },
          notDated: { count: wrong.notDated ?? 0, first: ['door-7/r (why)'] },
        },
      },
    ],
    isMultiRegion: wrong.isMultiRegion ?? false,
  });

  it.each<[string, Evidence, readonly string[]]>([
    ['nothing was done', evidence([], [0], 0), []],
    ['all is well', evidence([ours(5)], [5], 5), []],
    ['races were lost', evidence([ours(7)], [7], 5), []],
    ['both functions signed', evidence([ours(5), ours(2)], [7], 7), []],
    ['somebody else signed', evidence([ours(5), { ...other, signed: 1 }], [5], 5), ['critical UNEXPECTED_CALLER']],
    [
      'somebody else signed, and as much was not counted',
      evidence([ours(5), { ...other, signed: 1 }], [6], 5),
      ['critical UNEXPECTED_CALLER', 'note COUNTED_NOT_SIGNED'],
    ],
    [
      'two others signed',
      evidence([ours(5), { ...other, signed: 1 }, { ...other, arn: 'another', signed: 2 }], [5], 5),
      ['critical UNEXPECTED_CALLER', 'critical UNEXPECTED_CALLER'],
    ],
    ['somebody else was refused', evidence([{ ...other, refused: 3 }], [0], 0), ['note UNEXPECTED_CALLER_REFUSED']],
    ['a function was refused', evidence([{ ...ours(5), refused: 3 }], [5], 5), []],
    ['one more than was counted', evidence([ours(6)], [5], 5), ['critical SIGNED_NOT_COUNTED']],
    ['the counts are gone', evidence([ours(5)], [0], 5), ['critical SIGNED_NOT_COUNTED']],
    ['one more, and one had no answer', evidence([ours(6)], [5, 6], 5), ['note SIGNED_NOT_ANSWERED']],
    ['two more, and one had no answer', evidence([ours(7)], [5, 6], 5), ['critical SIGNED_NOT_COUNTED']],
    ['an outage in which nothing was signed', evidence([ours(5)], [5, 35], 5), []],
    [
      'a function that was killed between storing and counting',
      evidence([ours(10)], [0, 10], 10),
      ['note SIGNED_NOT_ANSWERED'],
    ],
    [
      'one that was killed twice before it counted, and then signed',
      evidence([ours(3)], [1, 3], 1),
      ['note SIGNED_NOT_ANSWERED'],
    ],
    [
      'an hour after an outage, in which all were resumed',
      evidence([ours(10_001)], [10_000], 10_000),
      ['critical SIGNED_NOT_COUNTED'],
    ],
    [
      'what an end of the period lies between, asked for in it',
      evidence([ours(1)], [0, 1], 0),
      ['note SIGNED_NOT_ANSWERED'],
    ],
    ['what was just signed is not counted yet', evidence([ours(6, 5)], [5], 5), []],
    ['CloudTrail is late', evidence([ours(4)], [5], 5), ['note COUNTED_NOT_SIGNED']],
    ['CloudTrail has nothing', evidence([], [5], 5), ['note COUNTED_NOT_SIGNED']],
    ['a certificate without a signature', evidence([ours(5)], [5], 6), ['critical ISSUED_NOT_SIGNED']],
    [
      "a certificate that somebody else's signature is for",
      evidence([ours(5), { ...other, signed: 1 }], [5], 6),
      ['critical UNEXPECTED_CALLER', 'critical ISSUED_NOT_SIGNED'],
    ],
    [
      'a certificate that is not of the key',
      evidence([ours(5)], [5], 5, { notVerified: 1 }),
      ['critical ISSUED_NOT_VERIFIED'],
    ],
    ['a row of no time', evidence([ours(5)], [5], 5, { notDated: 1 }), ['critical ISSUED_NOT_DATED']],
    ['a multi-Region key', evidence([ours(5)], [5], 5, { isMultiRegion: true }), ['note OTHER_REGIONS_NOT_READ']],
    [
      'CloudHSM: a certificate that is not of the key, whatever was counted',
      evidence(undefined, [6], 5, { notVerified: 1 }),
      ['critical ISSUED_NOT_VERIFIED'],
    ],
    ['CloudHSM: all is well', evidence(undefined, [6], 5), []],
    ['CloudHSM: a certificate without a signature', evidence(undefined, [5], 6), ['critical ISSUED_NOT_SIGNED']],
  ])('%s', (_, given, found) => {
    expect(compare(given).map(({ severity, code }) => `${severity} ${code}`)).toEqual(found);
  });

  describe('of two issuers with one key', () => {
    const both = (...[one, other]: readonly [Evidence, Evidence]): Evidence => ({
      ...one,
      issuers: [...one.issuers, ...other.issuers],
    });
    const found = (given: Evidence) => compare(given).map(({ code }) => code);

    it('is compared together', () => {
      const callers = [ours(9)];
      expect(found(both(evidence(callers, [3, 5], 2), evidence(callers, [4], 3)))).toEqual(['SIGNED_NOT_ANSWERED']);
      expect(found(both(evidence(callers, [3], 2), evidence(callers, [4, 6], 3)))).toEqual(['SIGNED_NOT_ANSWERED']);
      expect(found(both(evidence(callers, [3], 2), evidence(callers, [4, 5], 3)))).toEqual(['SIGNED_NOT_COUNTED']);
      expect(found(both(evidence(callers, [5], 5), evidence(callers, [4], 4)))).toEqual([]);
      expect(found(both(evidence(callers, [5], 5), evidence(callers, [4], 5)))).toEqual(['ISSUED_NOT_SIGNED']);
    });

    it('names the first ten rows', () => {
      const wrong = { notVerified: 10, notDated: 1 };
      const [one, other] = [evidence([], [0], 0, wrong), evidence([], [0], 0, wrong)];
      const first = Array.from({ length: 10 }, (_, index) => `door-7/r${index}`);
      const ten = one.issuers.map((each) => ({
        ...each,
        issued: { ...each.issued, notVerified: { count: 10, first } },
      }));
      const [unverified, undated] = compare(both({ ...one, issuers: ten }, other));
      expect(unverified?.sentence).toContain(`20 rows are`);
      expect(unverified?.sentence).toContain(`: ${first.join(', ')} and 10 more.`);
      expect(undated?.sentence).toContain(`2 rows are`);
    });
  });

  it('says how much of what was signed nobody can tell from somebody else’s', () => {
    const [found] = compare(evidence([ours(9)], [5, 12], 5));
    expect(found?.sentence).toContain('not seen to get 4 of what was signed: not more than the 7 that they asked for');
    const [more] = compare(evidence([ours(13)], [5, 12], 5));
    expect(more?.sentence).toContain('signed once more than they asked for (12)');
  });

  it('names whoever it was, and how often', () => {
    const [one] = compare(evidence([{ ...other, signed: 1 }], [0], 0));
    expect(one?.sentence).toContain('user/other signed once with the CA key');
    const [three] = compare(evidence([{ ...other, signed: 3 }], [0], 0));
    expect(three?.sentence).toContain('signed 3 times');
  });

  it('says when it was with the role of a function that issues, and whose credentials they were', () => {
    const functionArn = 'arn:aws:lambda:us-east-1:111122223333:function:mintmark-prod-issue';
    const [found] = compare(evidence([{ ...ours(1), isExpected: false, functionArn }], [0], 0));
    expect(found?.sentence).toContain(
      `with the credentials of ${functionArn}, signed once with the CA key, with the role`,
    );
  });

  it('names rows, and says how many more there are', () => {
    const [found] = compare(evidence([], [0], 0, { notVerified: 12 }));
    expect(found?.sentence).toContain('12 rows are issued without a certificate');
    expect(found?.sentence).toContain('door-7/r (why) and 11 more');
    expect(issuersUnknown({ count: 1, first: ['door-7/r (issuer x)'] })).toMatchObject([
      {
        code: 'ISSUER_UNKNOWN',
        severity: 'critical',
        sentence: expect.stringMatching('^One row is .*: door-7/r .issuer x.\\.'),
      },
    ]);
    expect(issuersUnknown({ count: 0, first: [] })).toEqual([]);
  });
});

describe('the period', () => {
  it.each([
    ['minutes', '2026-11-22T10:10:40Z', '2026-11-22T10:10:00Z', '2026-11-22T11:46:00Z', 60],
    ['minutes for 15 days', '2026-11-07T12:03:30Z', '2026-11-07T12:03:00Z', '2026-11-22T11:46:00Z', 60],
    ['five minutes after that', '2026-11-07T12:00:30Z', '2026-11-07T12:00:00Z', '2026-11-22T11:50:00Z', 300],
    ['hours after 63 days', '2026-09-20T11:20:00Z', '2026-09-20T11:00:00Z', '2026-11-22T12:00:00Z', 3_600],
  ])('is of whole datapoints, as CloudWatch still has them: %s', (_, since, from, to, granularity) => {
    const period = periodOf(at(since), at('2026-11-22T11:45:30Z'), now);
    expect(period).toEqual({ from: at(from), to: at(to), granularity });
  });

  it('is a day until 15 minutes ago, unless told otherwise', () => {
    expect(auditPeriodOf({}, now)).toEqual({
      from: at('2026-11-21T11:45:00Z'),
      to: at('2026-11-22T11:45:00Z'),
      granularity: 60,
    });
  });

  it.each([1, 20, 80])('never ends within the last 15 minutes by itself, %d days long', (days) => {
    for (let second = 0; second < 3_600; second += 7) {
      const at = now + second * 1_000;
      const { to, granularity } = auditPeriodOf({ since: at - days * day }, at);
      expect(to).toBeLessThanOrEqual(at - 15 * minute);
      expect(to).toBeGreaterThan(at - 15 * minute - granularity * 1_000);
    }
  });

  it.each([
    ['in KMS', 90, [true], "more than 90 days ago, and CloudTrail's"],
    ['in both', 90, [true, false], "more than 90 days ago, and CloudTrail's"],
    ['in CloudHSM', 455, [false], 'more than 455 days ago, and CloudWatch'],
  ])('of a key %s it begins %d days ago at most', (_, days, inKms, sentence) => {
    const check = (since: number) =>
      checkHistory(
        auditPeriodOf({ since }, now),
        inKms.map((isInKms) => ({ isInKms })),
        now,
      );
    expect(() => check(now - days * day + 60 * minute)).not.toThrow();
    expect(() => check(now - days * day - 1)).toThrow(sentence);
  });

  it.each([
    ['is to come', { since: now + 1 }, 'is not yet'],
    ['ends in the future', { until: now + 1 }, 'is not yet'],
    ['is after its own end', { since: now - 1, until: now - 2 }, 'there is no time'],
    ['begins in the last 15 minutes, without an end', { since: now - 14 * minute }, 'there is no time'],
    ['has no datapoint before them', { since: now - 15 * minute - 1 }, 'there is no time'],
  ])('is refused when it %s', (_, options, sentence) => {
    expect(() => auditPeriodOf(options, now)).toThrow(sentence);
  });

  it.each([
    ['2026-11-22', '2026-11-22T00:00:00Z'],
    ['2026-11-22T14:30Z', '2026-11-22T14:30:00Z'],
    ['2026-11-22t14:30:05.5z', '2026-11-22T14:30:05.500Z'],
  ])('%s is a time', (text, meant) => {
    expect(time(text)).toBe(at(meant));
  });

  it.each(['', 'T', 'yesterday', '2026-02-30', '2026-11-22T14:30', '2026-11-22T25:00Z', '2026-02-30T00:00Z', '1'])(
    '"%s" is none',
    (text) => {
      expect(() => time(text)).toThrow('A time is written as in');
    },
  );
});

const keyArn = 'arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab';
const role = 'arn:aws:iam::111122223333:role/issue';
const functionArn = 'arn:aws:lambda:eu-west-1:111122223333:function:mintmark-prod-issue';
const session = 'arn:aws:sts::111122223333:assumed-role/issue/mintmark-prod-issue';

/** A CloudTrail record, as the examples of KMS's have it. */
const record = (over: object = {}): string =>
  JSON.stringify({
    eventVersion: '1.11',
    eventID: '107b3cac-b125-4556-9702-12a2b9afcff7',
    eventTime: '2026-11-22T11:00:00Z',
    eventSource: 'kms.amazonaws.com',
    eventName: 'Sign',
    userIdentity: { type: 'AssumedRole', arn: session, sessionContext: { sessionIssuer: { type: 'Role', arn: role } } },
    requestParameters: { keyId: keyArn, messageType: 'DIGEST', signingAlgorithm: 'ECDSA_SHA_256' },
    responseElements: null,
    resources: [{ accountId: '111122223333', type: 'AWS::KMS::Key', ARN: keyArn }],
    ...over,
  });

describe('an event of CloudTrail', () => {
  it('says when, with which key and by whom', () => {
    expect(readSignEvent(record())).toEqual({
      eventId: '107b3cac-b125-4556-9702-12a2b9afcff7',
      at: at('2026-11-22T11:00:00Z'),
      keyArns: [keyArn],
      keyId: keyArn,
      caller: { arn: session, roleArn: role, sessionName: 'mintmark-prod-issue', functionArn: undefined },
      errorCode: undefined,
    });
  });

  it.each([
    ['a service', { type: 'AWSService', invokedBy: 'acm-pca.amazonaws.com' }, 'AWSService acm-pca.amazonaws.com'],
    ['another account', { type: 'AWSAccount', accountId: '444455556666' }, 'AWSAccount 444455556666'],
    ['nobody that it knows', {}, 'Unknown'],
  ])('by %s', (_, userIdentity, arn) => {
    expect(readSignEvent(record({ userIdentity })).caller).toEqual({
      arn,
      roleArn: undefined,
      sessionName: undefined,
      functionArn: undefined,
    });
  });

  it("says which function's credentials they are, where CloudTrail does", () => {
    const of = (inScopeOf: object) => readSignEvent(record({ userIdentity: { arn: session, inScopeOf } })).caller;
    const issuerType = 'AWS::Lambda::Function';
    expect(of({ issuerType, credentialsIssuedTo: functionArn }).functionArn).toBe(functionArn);
    expect(of({ issuerType: 'AWS::ECS::Task', credentialsIssuedTo: functionArn }).functionArn).toBeUndefined();
  });

  it.each([
    ['it is empty', '{}'],
    ['its time is none', record({ eventTime: 'today' })],
    ['nobody did it', record({ userIdentity: null })],
    ['it is no JSON', '{'],
  ])('is an error where it cannot be read: %s', (_, text) => {
    expect(() => readSignEvent(text)).toThrow(Error);
  });

  const id = '1234abcd-12ab-34cd-56ef-1234567890ab';
  const refused = { resources: null, errorCode: 'AccessDenied' };
  it.each([
    ['by its ARN', {}, keyArn, true],
    ['by its id', {}, id, true],
    ['not of another key', {}, keyArn.replace('1234', '9999'), false],
    ['not of a key whose id ends alike', {}, '56ef-1234567890ab', false],
    ['refused, named by its id', { ...refused, requestParameters: { keyId: id } }, keyArn, true],
    ['refused, named by its ARN', { ...refused, requestParameters: { keyId: keyArn } }, keyArn, true],
    ['refused, and it does not say of what', { ...refused, requestParameters: null }, keyArn, false],
  ])('is of a key: %s', (_, over, keyId, is) => {
    expect(isOfKey(readSignEvent(record(over)), keyId)).toBe(is);
  });
});

describe('the callers of a key', () => {
  const period = periodOf(at('2026-11-22T10:00Z'), at('2026-11-22T11:00Z'), now);
  const event = (time: string, over: object = {}): SignEvent =>
    readSignEvent(record({ eventTime: `2026-11-22T${time}Z`, ...over }));
  const keyIds = [keyArn, '1234abcd-12ab-34cd-56ef-1234567890ab'];
  const count = (...events: readonly SignEvent[]) => {
    const signing = { functionName: 'mintmark-prod-issue', functionArn, roleArn: role };
    const counts = new CallerCounts(new Map([['the key', keyIds]]), [signing], period);
    for (const each of events) counts.add(each);
    return counts.of('the key');
  };

  it('are counted within the period; near its ends, apart', () => {
    const [caller] = count(
      ...['09:59:59', '10:00:00', '10:01:59', '10:02:00', '10:57:59', '10:58:00', '10:59:59', '11:00:00'].map((time) =>
        event(time),
      ),
    );
    expect(caller).toMatchObject({ arn: session, isExpected: true, signed: 6, signedSettled: 2, refused: 0 });
  });

  it('are told apart; what failed is no signature; whoever signed most comes first', () => {
    const user = { userIdentity: { type: 'IAMUser', arn: 'arn:aws:iam::111122223333:user/other' } };
    const found = count(
      event('10:30:00'),
      event('10:30:00', { errorCode: 'ThrottlingException' }),
      event('10:31:00', user),
      event('10:32:00', user),
      event('10:33:00', { resources: [{ ARN: `${keyArn}0` }] }),
    );
    expect(found).toMatchObject([
      { arn: user.userIdentity.arn, isExpected: false, signed: 2, refused: 0 },
      { arn: session, isExpected: true, signed: 1, refused: 1 },
    ]);
  });

  it('of another role are not expected, whatever its session is called', () => {
    const sessionContext = { sessionIssuer: { arn: `${role}-2` } };
    expect(count(event('10:30:00', { userIdentity: { arn: session, sessionContext } }))).toMatchObject([
      { isExpected: false, hasTheirRole: false },
    ]);
  });

  const ofSession = (name: string, over: object = {}) => ({
    userIdentity: {
      arn: session.replace('mintmark-prod-issue', name),
      sessionContext: { sessionIssuer: { arn: role } },
      ...over,
    },
  });
  const issuedTo = (credentialsIssuedTo: string) => ({
    inScopeOf: { issuerType: 'AWS::Lambda::Function', credentialsIssuedTo },
  });

  it('are expected by role and session: another function with this role is not', () => {
    expect(count(event('10:30:00', ofSession('mintmark-prod-issue')))).toMatchObject([{ isExpected: true }]);
    for (const name of ['other', 'mintmark-prod-issue-2', 'mintmark-prod-reconcile']) {
      expect(count(event('10:30:00', ofSession(name)))).toMatchObject([{ isExpected: false, hasTheirRole: true }]);
    }
  });

  it('of the same name in another Region are not expected, and are told apart', () => {
    const elsewhere = functionArn.replace('eu-west-1', 'us-east-1');
    const found = count(
      event('10:30:00', ofSession('mintmark-prod-issue', issuedTo(functionArn))),
      event('10:31:00', ofSession('mintmark-prod-issue', issuedTo(elsewhere))),
    );
    expect(found).toHaveLength(2);
    expect(found.filter(({ isExpected }) => isExpected)).toMatchObject([{ functionArn, signed: 1 }]);
  });

  it('of a key that nobody used are none', () => {
    expect(count()).toEqual([]);
  });
});

describe('looking up', () => {
  const period = { from: at('2026-11-22T10:00Z'), to: at('2026-11-22T11:00Z') };

  /** A CloudTrail of these pages. */
  function cloudTrail(pages: readonly object[]) {
    const asked: object[] = [];
    const client = new CloudTrailClient(where);
    client.send = ((command: { readonly input: object }) => {
      asked.push(command.input);
      return Promise.resolve(pages[asked.length - 1]);
    }) as typeof client.send;
    return { client, asked };
  }
  const page = (count: number, NextToken?: string) => ({
    Events: Array.from({ length: count }, () => ({ EventSource: 'kms.amazonaws.com', CloudTrailEvent: record() })),
    NextToken,
  });

  it('reads every page, each with the token of the one before, and asks for leave before each', async () => {
    const { client, asked } = cloudTrail([page(50, 'a'), page(0, 'b'), page(7)]);
    let paced = 0;
    const pace = (count: number) => {
      // One for each that was asked for before, and this one.
      expect(paced).toBe(asked.length);
      paced += count;
      return Promise.resolve();
    };
    const pages: number[] = [];
    for await (const events of lookUpSignEvents(client, { period, pace })) pages.push(events.length);
    expect(pages).toEqual([50, 0, 7]);
    const common = {
      LookupAttributes: [{ AttributeKey: 'EventName', AttributeValue: 'Sign' }],
      StartTime: new Date('2026-11-22T10:00:00Z'),
      EndTime: new Date('2026-11-22T10:59:59Z'),
      MaxResults: 50,
    };
    expect(asked).toEqual([common, { ...common, NextToken: 'a' }, { ...common, NextToken: 'b' }]);
    expect(paced).toBe(3);
  });

  it('passes over what another service calls Sign', async () => {
    const { client } = cloudTrail([{ Events: [{ EventSource: 'signer.amazonaws.com', CloudTrailEvent: '{}' }] }]);
    for await (const events of lookUpSignEvents(client, { period, pace: () => Promise.resolve() })) {
      expect(events).toEqual([]);
    }
    expect.assertions(1);
  });

  it('ends at an event that it cannot read, and says which work failed when CloudTrail refuses', async () => {
    const read = async (client: CloudTrailClient) => {
      for await (const _ of lookUpSignEvents(client, { period, pace: () => Promise.resolve() }));
    };
    const unread = { Events: [{ EventSource: 'kms.amazonaws.com', CloudTrailEvent: '{}' }] };
    await expect(read(cloudTrail([unread]).client)).rejects.toThrow('cannot be read');
    const refusing = new CloudTrailClient(where);
    refusing.send = () => Promise.reject(new Error('Rate exceeded'));
    await expect(read(refusing)).rejects.toThrow('Looking for kms:Sign in CloudTrail');
  });
});

describe('what the functions counted', () => {
  it('is summed over datapoints and pages, by issuer', async () => {
    const client = new CloudWatchClient(where);
    const asked: { MetricDataQueries?: { Id?: string; MetricStat?: object }[]; NextToken?: string }[] = [];
    const pages = [
      {
        MetricDataResults: [
          { Id: 'made_0', Values: [3, 4], StatusCode: 'PartialData' },
          { Id: 'repeated_0', Values: [], StatusCode: 'Complete' },
          { Id: 'made_1', Values: [1], StatusCode: 'Complete' },
          { Id: 'requested_1', Values: [2, 1], StatusCode: 'Complete' },
        ],
        NextToken: 'more',
      },
      {
        MetricDataResults: [
          { Id: 'made_0', Values: [5] },
          { Id: 'repeated_1', Values: [2] },
        ],
      },
    ];
    client.send = ((command: { readonly input: (typeof asked)[number] }) => {
      // The paginator writes the token into the input that it was given.
      asked.push({ ...command.input });
      return Promise.resolve(pages[asked.length - 1]);
    }) as typeof client.send;
    const period = periodOf(at('2026-11-22T10:00Z'), at('2026-11-22T11:00Z'), now);
    const counted = await readCounted(client, 'prod', ['devices', 'gateways', 'idle'], period);
    expect(Object.fromEntries(counted)).toEqual({
      devices: { requested: 0, made: 12, repeated: 0 },
      gateways: { requested: 3, made: 1, repeated: 2 },
      idle: { requested: 0, made: 0, repeated: 0 },
    });
    expect(asked.map(({ NextToken: token }) => token)).toEqual([undefined, 'more']);
    expect(asked[0]?.MetricDataQueries?.[5]).toEqual({
      Id: 'repeated_1',
      MetricStat: {
        Metric: {
          Namespace: 'Mintmark/prod',
          MetricName: 'SignaturesRepeated',
          Dimensions: [
            { Name: 'Stage', Value: 'prod' },
            { Name: 'Issuer', Value: 'gateways' },
          ],
        },
        Period: 60,
        Stat: 'Sum',
      },
    });
  });
});

describe('the functions that sign', () => {
  const lambda = (answer: object) => {
    const client = new LambdaClient(where);
    client.send = () => Promise.resolve(answer);
    return client;
  };

  it('are read with their roles', async () => {
    const client = lambda({ FunctionArn: functionArn, Role: role });
    expect(await readFunctionRoles(client, ['mintmark-prod-issue'])).toEqual([
      { functionName: 'mintmark-prod-issue', functionArn, roleArn: role },
    ]);
  });

  it.each([{ FunctionArn: functionArn }, { Role: role }])(
    'are an error where Lambda does not say all',
    async (answer) => {
      await expect(readFunctionRoles(lambda(answer), ['f'])).rejects.toThrow('no ARN or no role of f');
    },
  );
});

const validity = { notBefore: new Date(now - 30 * day), notAfter: new Date(now + 3650 * day) };
const ca = makeIssuingCa(validity);
const otherCa = makeIssuingCa({ ...validity, issuerId: 'gateways' });

describe('keys', () => {
  const id = 'mrk-1234abcd12ab34cd56ef1234567890ab';
  const issuer = (issuerId: string, keyId?: string, certificate?: Uint8Array) => ({
    issuerId,
    keyId,
    certificate,
  });
  const grouped = (...issuers: readonly ReturnType<typeof issuer>[]) =>
    keysOf(issuers).map((key) => [key.isInKms, ...key.issuers.map(({ issuerId }) => issuerId)]);

  it('of KMS are one by their id, however an issuer names it', () => {
    const arn = (region: string) => `arn:aws:kms:${region}:111122223333:key/${id}`;
    expect(
      grouped(issuer('a', arn('eu-west-1')), issuer('b', id), issuer('c', arn('us-east-1')), issuer('d', `${id}0`)),
    ).toEqual([
      [true, 'a', 'b', 'c'],
      [true, 'd'],
    ]);
  });

  it('of KMS that may be in other Regions are known by their id', () => {
    const arn = (of: string) => `arn:aws:kms:eu-west-1:111122223333:key/${of}`;
    const one = '1234abcd-12ab-34cd-56ef-1234567890ab';
    const keys = keysOf([issuer('a', id), issuer('b', arn(`${id.slice(0, -1)}0`)), issuer('c', one), issuer('d')]);
    expect(keys.map(({ isMultiRegion }) => isMultiRegion)).toEqual([true, true, false, false]);
  });

  it('of CloudHSM are one by the public key', () => {
    const { certificate } = ca.issuer;
    expect(
      grouped(
        issuer('a', undefined, certificate),
        issuer('b', undefined, otherCa.issuer.certificate),
        issuer('c', undefined, certificate),
        issuer('in KMS', id, certificate),
        issuer('unreadable', undefined, Uint8Array.of(1)),
        issuer('absent'),
      ),
    ).toEqual([
      [false, 'a', 'c'],
      [false, 'b'],
      [true, 'in KMS'],
      [false, 'unreadable'],
      [false, 'absent'],
    ]);
  });
});

describe('what was issued', () => {
  const period = periodOf(at('2026-11-22T10:00Z'), at('2026-11-22T11:00Z'), now);
  const serialNumber = '0a'.repeat(16);

  /** A certificate of this CA, of a key of its own. */
  const certificate = (
    by: typeof ca,
    { notBefore = at('2026-11-22T09:50Z'), serial = serialNumber }: { notBefore?: number; serial?: string } = {},
  ): Uint8Array => {
    const variables = { ...newVariables(), serialNumber: Buffer.from(serial, 'hex'), notBefore };
    const tbsCertificate = tbsTemplate({ ...tbsIssuer, scheme }, deviceTls)(variables);
    const signature = sign(scheme.hash, tbsCertificate, by.privateKey);
    return sequence(tbsCertificate, algorithmIdentifier(scheme), bitString(signature));
  };
  const scheme = { algorithm: 'rsa-pkcs1-v1_5', hash: 'sha256' } as const;
  const own = certificate(ca);

  const row = (over: Partial<IssuanceRecord>): IssuanceRecord => ({
    deviceId: 'door-7',
    requestId: 'r',
    state: 'issued',
    issuerId: 'devices',
    serialNumber,
    certificate: own,
    issuedAt: at('2026-11-22T10:30Z'),
    ignored: [],
    abandonedSerialNumbers: [],
    conflicts: 0,
    ...over,
  });
  const without = (name: keyof IssuanceRecord, over: Partial<IssuanceRecord> = {}): IssuanceRecord => {
    const { [name]: _, ...rest } = row(over);
    return rest as IssuanceRecord;
  };
  const read = (...rows: readonly IssuanceRecord[]) => {
    const devices = { issuerId: 'devices', keyId: undefined, certificate: ca.issuer.certificate };
    const issued = new IssuedRows([devices], ['devices', 'gateways'], period, now);
    for (const each of rows) issued.add(each);
    return issued;
  };
  const count = (...rows: readonly IssuanceRecord[]) => read(...rows).of('devices');
  const abandoned = { issuerId: 'devices', serialNumber: 'ff', crlShard: 0 };

  it('is what was stored in the period and cannot have been signed before it', () => {
    const times = ['09:59:59', '10:01:59', '10:02:00', '10:59:59', '11:00:00'];
    const rows = times.map((text) => row({ issuedAt: at(`2026-11-22T${text}Z`) }));
    const none = { count: 0, first: [] };
    expect(count(...rows)).toEqual({ certificates: 2, unfinished: 2, notVerified: none, notDated: none });
    expect(count(row({ issuerId: 'gateways' })).certificates).toBe(0);
  });

  describe('is verified, whenever it was', () => {
    const changed = Buffer.from(own);
    changed.writeUInt8(changed.readUInt8(own.length - 1) ^ 1, own.length - 1);
    it.each<[string, IssuanceRecord]>([
      ['a signature that is not of the CA key', row({ certificate: certificate(otherCa) })],
      ['a signature that is not of the CA key', row({ certificate: changed })],
      ['the certificate of another row', row({ certificate: certificate(ca, { serial: '0b'.repeat(16) }) })],
      ['the certificate of another row', without('serialNumber')],
      ['no X.509 certificate', row({ certificate: Uint8Array.of(0x30, 0) })],
      ['no certificate', without('certificate')],
    ])('%s', (why, record) => {
      for (const issuedAt of [at('2026-11-22T10:30Z'), at('2026-01-01T00:00Z')]) {
        const { notVerified } = count({ ...record, issuedAt });
        expect(notVerified).toEqual({ count: 1, first: [`door-7/r (${why})`] });
      }
    });

    it('and not where the issuer has no certificate that can be read', () => {
      const broken = { issuerId: 'devices', keyId: undefined, certificate: undefined };
      const issued = new IssuedRows([broken], ['devices'], period, now);
      issued.add(row({}));
      expect(issued.of('devices').notVerified.first).toEqual([
        "door-7/r (the issuer's own certificate cannot be read)",
      ]);
    });

    it('and the first ten are named', () => {
      const rows = Array.from({ length: 12 }, (_, index) => without('certificate', { requestId: `r${index}` }));
      const { notVerified } = count(...rows);
      expect(notVerified.count).toBe(12);
      expect(notVerified.first).toHaveLength(10);
      expect(notVerified.first.at(-1)).toBe('door-7/r9 (no certificate)');
    });

    it('of these issuers alone; a row of an issuer that is not there is found by itself', () => {
      const bad = certificate(otherCa);
      const issued = read(row({ issuerId: 'gateways', certificate: bad }));
      expect(issued.of('gateways').notVerified.count).toBe(0);
      expect(issued.ofNobody.count).toBe(0);
      expect(read(row({ issuerId: 'nobody' }), without('issuerId')).ofNobody).toEqual({
        count: 2,
        first: ['door-7/r (issuer nobody)', 'door-7/r (no issuer)'],
      });
    });
  });

  it.each<[string, IssuanceRecord, string | undefined]>([
    ['without a time', without('issuedAt'), 'no issuedAt'],
    ['with a time to come', row({ issuedAt: now + 61_000 }), 'issuedAt is to come'],
    [
      'with a time before its certificate',
      row({ issuedAt: at('2026-11-22T09:48:59Z') }),
      'issuedAt is before the notBefore of its certificate',
    ],
    ['with a clock that is behind by less than a minute', row({ issuedAt: at('2026-11-22T09:49Z') }), undefined],
    ['with a clock that is ahead by less than a minute', row({ issuedAt: now + 60_000 }), undefined],
  ])('is found where it was issued %s', (_, record, why) => {
    expect(count(record).notDated.first).toEqual(why === undefined ? [] : [`door-7/r (${why})`]);
  });

  it('of an issuer that is not yet valid begins with it', () => {
    const notBefore = now + 2 * day;
    const young = makeIssuingCa({ notBefore: new Date(notBefore), notAfter: new Date(now + 30 * day) });
    const issued = new IssuedRows(
      [{ issuerId: 'devices', keyId: undefined, certificate: young.issuer.certificate }],
      ['devices'],
      period,
      now,
    );
    issued.add(row({ certificate: certificate(young, { notBefore }) }));
    expect(issued.of('devices')).toMatchObject({ certificates: 1, notVerified: { count: 0 }, notDated: { count: 0 } });
  });

  const early = at('2026-11-22T09:30Z');
  const within = at('2026-11-22T10:30Z');
  it.each<[string, IssuanceRecord, number]>([
    ['an open intent', row({ state: 'intent', intentAt: within, signBefore: within + 15 * minute }), 1],
    ['an open intent of before', row({ state: 'intent', intentAt: early, signBefore: early + 15 * minute }), 0],
    [
      'an open intent of before that could be signed in it',
      row({ state: 'intent', intentAt: at('2026-11-22T09:50Z'), signBefore: at('2026-11-22T10:05Z') }),
      1,
    ],
    [
      'an open intent of after',
      row({ state: 'intent', intentAt: at('2026-11-22T11:00Z'), signBefore: at('2026-11-22T11:15Z') }),
      0,
    ],
    [
      'an attempt that was abandoned in it',
      row({ state: 'abandoned', intentAt: early, abandonedAt: within, abandonedSerialNumbers: [abandoned] }),
      1,
    ],
    [
      'an attempt of after',
      row({
        state: 'abandoned',
        intentAt: at('2026-11-22T11:00Z'),
        abandonedAt: at('2026-11-22T11:15Z'),
        abandonedSerialNumbers: [abandoned, { ...abandoned, serialNumber: 'the last' }],
      }),
      1,
    ],
    [
      'attempts that were, before one that was issued',
      row({ abandonedAt: within, abandonedSerialNumbers: [abandoned, abandoned] }),
      2,
    ],
    [
      'attempts of long before one that was issued',
      row({ abandonedAt: early, abandonedSerialNumbers: [abandoned, abandoned] }),
      0,
    ],
    [
      'a certificate that was stored after it, of an intent in it',
      row({ intentAt: at('2026-11-22T10:56:59Z'), issuedAt: at('2026-11-22T11:00:05Z') }),
      1,
    ],
    ['a certificate of after', row({ intentAt: at('2026-11-22T11:00:00Z'), issuedAt: at('2026-11-22T11:00:05Z') }), 0],
    [
      'a certificate so early in it that it may have been signed before',
      row({ intentAt: early, issuedAt: at('2026-11-22T10:01:59Z') }),
      1,
    ],
    ['a certificate of before', row({ intentAt: early, issuedAt: at('2026-11-22T09:59:59Z') }), 0],
    ['a certificate that is counted', row({ intentAt: early, issuedAt: at('2026-11-22T10:02:00Z') }), 0],
    [
      "another issuer's attempt",
      row({ abandonedAt: within, abandonedSerialNumbers: [{ ...abandoned, issuerId: 'gateways' }] }),
      0,
    ],
  ])('and how many may have been signed and came to nothing: %s', (_, record, unfinished) => {
    expect(count(record).unfinished).toBe(unfinished);
  });
});

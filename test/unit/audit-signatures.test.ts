import { CloudTrailClient } from '@aws-sdk/client-cloudtrail';
import { CloudWatchClient } from '@aws-sdk/client-cloudwatch';
import { describe, expect, it } from 'vitest';
import { auditPeriodOf } from '../../cli/audit-period.ts';
import { time } from '../../cli/values.ts';
import {
  type CallerCount,
  CallerCounts,
  compare,
  type Evidence,
  IssuedCounts,
  lookUpSignEvents,
  periodOf,
  readCounted,
} from '../../shared/audit/index.ts';
import { isOfKey, readSignEvent, type SignEvent } from '../../shared/audit/sign-event.ts';
import type { IssuanceRecord } from '../../shared/ledger/index.ts';

const now = Date.parse('2026-11-22T12:00:30Z');
const minute = 60_000;
const day = 24 * 60 * minute;
const at = (text: string): number => Date.parse(text);
const where = { region: 'eu-west-1', credentials: { accessKeyId: 'test', secretAccessKey: 'test' } };

describe('what does not add up', () => {
  const ours = (signed: number, signedSettled = signed): CallerCount => ({
    arn: 'arn:aws:sts::111122223333:assumed-role/issue/mintmark-prod-issue',
    isExpected: true,
    signed,
    signedSettled,
    refused: 0,
  });
  const other: CallerCount = {
    arn: 'arn:aws:iam::111122223333:user/other',
    isExpected: false,
    signed: 0,
    signedSettled: 0,
    refused: 0,
  };
  const evidence = (
    callers: readonly CallerCount[] | undefined,
    [made, repeated = 0]: readonly [number, number?],
    [certificates, unfinished = 0]: readonly [number, number?],
  ): Evidence => ({ callers, counted: { made, repeated }, issued: { certificates, unfinished } });

  it.each<[string, Evidence, readonly string[]]>([
    ['nothing was done', evidence([], [0], [0]), []],
    ['all is well', evidence([ours(5)], [5], [5]), []],
    ['races were lost', evidence([ours(7)], [7], [5]), []],
    ['both functions signed', evidence([ours(5), ours(2)], [7], [7]), []],
    ['somebody else signed', evidence([ours(5), { ...other, signed: 1 }], [5], [5]), ['critical UNEXPECTED_CALLER']],
    [
      'somebody else signed, and as much was not counted',
      evidence([ours(5), { ...other, signed: 1 }], [6], [5]),
      ['critical UNEXPECTED_CALLER', 'note COUNTED_NOT_SIGNED'],
    ],
    [
      'two others signed',
      evidence([ours(5), { ...other, signed: 1 }, { ...other, arn: 'another', signed: 2 }], [5], [5]),
      ['critical UNEXPECTED_CALLER', 'critical UNEXPECTED_CALLER'],
    ],
    ['somebody else was refused', evidence([{ ...other, refused: 3 }], [0], [0]), ['note UNEXPECTED_CALLER_REFUSED']],
    ['a function was refused', evidence([{ ...ours(5), refused: 3 }], [5], [5]), []],
    ['one more than was counted', evidence([ours(6)], [5], [5]), ['critical SIGNED_NOT_COUNTED']],
    ['the counts are gone', evidence([ours(5)], [0], [5]), ['critical SIGNED_NOT_COUNTED']],
    ['one more, and one was signed again', evidence([ours(6)], [5, 1], [5]), ['note SIGNED_AGAIN']],
    ['one more, and one is open', evidence([ours(6)], [5], [5, 1]), ['note SIGNED_AGAIN']],
    ['two more, and one was signed again', evidence([ours(7)], [5, 1], [5]), ['critical SIGNED_NOT_COUNTED']],
    ['what was just signed is not counted yet', evidence([ours(6, 5)], [5], [5]), []],
    ['CloudTrail is late', evidence([ours(4)], [5], [5]), ['note COUNTED_NOT_SIGNED']],
    ['CloudTrail has nothing', evidence([], [5], [5]), ['note COUNTED_NOT_SIGNED']],
    ['a certificate without a signature', evidence([ours(5)], [5], [6]), ['critical ISSUED_NOT_SIGNED']],
    [
      "a certificate that somebody else's signature is for",
      evidence([ours(5), { ...other, signed: 1 }], [5], [6]),
      ['critical UNEXPECTED_CALLER', 'critical ISSUED_NOT_SIGNED'],
    ],
    ['CloudHSM: all is well', evidence(undefined, [6, 1], [5]), []],
    ['CloudHSM: a certificate without a signature', evidence(undefined, [5], [6]), ['critical ISSUED_NOT_SIGNED']],
  ])('%s', (_, given, found) => {
    expect(compare(given).map(({ severity, code }) => `${severity} ${code}`)).toEqual(found);
  });

  it('names whoever it was, and how often', () => {
    const [one] = compare(evidence([{ ...other, signed: 1 }], [0], [0]));
    expect(one?.sentence).toContain('user/other signed once with the CA key');
    const [three] = compare(evidence([{ ...other, signed: 3 }], [0], [0]));
    expect(three?.sentence).toContain('signed 3 times');
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
      to: at('2026-11-22T11:46:00Z'),
      granularity: 60,
    });
    expect(auditPeriodOf({ since: now - 90 * day }, now).from).toBeLessThanOrEqual(now - 90 * day);
  });

  it.each([
    ['begins too early', { since: now - 90 * day - 1 }, 'more than 90 days ago'],
    ['is to come', { since: now + 1 }, 'is not yet'],
    ['ends in the future', { until: now + 1 }, 'is not yet'],
    ['is after its own end', { since: now - 1, until: now - 2 }, 'there is no time'],
    ['begins in the last 15 minutes, without an end', { since: now - 14 * minute }, 'there is no time'],
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
      caller: { arn: session, roleArn: role },
      errorCode: undefined,
    });
  });

  it.each([
    ['a service', { type: 'AWSService', invokedBy: 'acm-pca.amazonaws.com' }, 'AWSService acm-pca.amazonaws.com'],
    ['another account', { type: 'AWSAccount', accountId: '444455556666' }, 'AWSAccount 444455556666'],
    ['nobody that it knows', {}, 'Unknown'],
  ])('by %s', (_, userIdentity, arn) => {
    expect(readSignEvent(record({ userIdentity })).caller).toEqual({ arn, roleArn: undefined });
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
  const count = (...events: readonly SignEvent[]) => {
    const counts = new CallerCounts([keyArn], [role], period);
    for (const each of events) counts.add(each);
    return counts.of(keyArn);
  };

  it('are counted within the period; near its ends, apart', () => {
    const [caller] = count(
      ...['09:59:59', '10:00:00', '10:01:59', '10:02:00', '10:57:59', '10:58:00', '10:59:59', '11:00:00'].map((time) =>
        event(time),
      ),
    );
    expect(caller).toEqual({ arn: session, isExpected: true, signed: 6, signedSettled: 2, refused: 0 });
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
      { isExpected: false },
    ]);
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
      devices: { made: 12, repeated: 0 },
      gateways: { made: 1, repeated: 2 },
      idle: { made: 0, repeated: 0 },
    });
    expect(asked.map(({ NextToken: token }) => token)).toEqual([undefined, 'more']);
    expect(asked[0]?.MetricDataQueries?.[3]).toEqual({
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

describe('what was issued', () => {
  const period = periodOf(at('2026-11-22T10:00Z'), at('2026-11-22T11:00Z'), now);
  const row = (over: Partial<IssuanceRecord>): IssuanceRecord => ({
    deviceId: 'door-7',
    requestId: 'r',
    state: 'issued',
    issuerId: 'devices',
    ignored: [],
    abandonedSerialNumbers: [],
    conflicts: 0,
    ...over,
  });
  const count = (...rows: readonly IssuanceRecord[]) => {
    const counts = new IssuedCounts(period);
    for (const each of rows) counts.add(each);
    return counts.of('devices');
  };
  const abandoned = { issuerId: 'devices', serialNumber: 'ff', crlShard: 0 };

  it('is what was stored in the period and cannot have been signed before it', () => {
    const times = ['09:59:59', '10:01:59', '10:02:00', '10:59:59', '11:00:00'];
    const rows = times.map((text) => row({ issuedAt: at(`2026-11-22T${text}Z`) }));
    expect(count(...rows)).toEqual({ certificates: 2, unfinished: 0 });
    expect(count(row({}), row({ issuedAt: at('2026-11-22T10:30Z'), issuerId: 'gateways' })).certificates).toBe(0);
  });

  it.each<[string, IssuanceRecord, number]>([
    ['an open intent', row({ state: 'intent', intentAt: at('2026-11-22T10:30Z') }), 1],
    ['an open intent of before', row({ state: 'intent', intentAt: at('2026-11-22T09:30Z') }), 0],
    [
      'an attempt that was abandoned in it',
      row({
        state: 'abandoned',
        intentAt: at('2026-11-22T09:30Z'),
        abandonedAt: at('2026-11-22T10:30Z'),
        abandonedSerialNumbers: [abandoned],
      }),
      1,
    ],
    [
      'attempts that were, before one that was issued',
      row({ issuedAt: at('2026-11-22T10:30Z'), abandonedSerialNumbers: [abandoned, abandoned] }),
      2,
    ],
    [
      "another issuer's attempt",
      row({ issuedAt: at('2026-11-22T10:30Z'), abandonedSerialNumbers: [{ ...abandoned, issuerId: 'gateways' }] }),
      0,
    ],
    ['an old one', row({ issuedAt: at('2026-11-22T09:30Z'), abandonedSerialNumbers: [abandoned] }), 0],
  ])('and how many may have been signed and came to nothing: %s', (_, record, unfinished) => {
    expect(count(record).unfinished).toBe(unfinished);
  });
});

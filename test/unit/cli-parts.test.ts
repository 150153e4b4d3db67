import { PassThrough } from 'node:stream';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { InvalidArgumentError } from 'commander';
import { describe, expect, it } from 'vitest';
import { command as health } from '../../cli/commands/health.ts';
import { csvLine } from '../../cli/csv.ts';
import { takePage } from '../../cli/cursor.ts';
import { daysOf } from '../../cli/days.ts';
import { UsageError } from '../../cli/errors.ts';
import { explain } from '../../cli/explain.ts';
import { Interrupted, interruptible } from '../../cli/interruptible.ts';
import { jsonText } from '../../cli/json.ts';
import { withRegion } from '../../cli/region.ts';
import type { Session } from '../../cli/session.ts';
import { targetOf } from '../../cli/target.ts';
import { countTo, day, serialNumber } from '../../cli/values.ts';
import { answerIn } from '../../shared/enrolment/answers.ts';
import { MintmarkError } from '../../shared/errors.ts';
import type { IssuanceRecord } from '../../shared/ledger/issuance-records.ts';
import { storeError } from '../../shared/ledger/store-error.ts';
import { printable } from '../../shared/terminal/printable.ts';
import { Progress } from '../../shared/terminal/progress.ts';
import { table } from '../../shared/terminal/table.ts';

describe('values of options', () => {
  it.each([
    ['4B2A', `${'0'.repeat(28)}4b2a`],
    ['4b:2a:ff', `${'0'.repeat(26)}4b2aff`],
    ['0x7F', `${'0'.repeat(30)}7f`],
    ['f'.repeat(32), 'f'.repeat(32)],
  ])('the serial number %s', (text, value) => expect(serialNumber(text)).toBe(value));

  it.each(['', 'f'.repeat(33), '4g', '-1'])('no serial number: %j', (text) =>
    expect(() => serialNumber(text)).toThrow(InvalidArgumentError),
  );

  it.each(['2026-02-30', '2026-1-1', 'today', '', '2026-11-22T00:00:00Z'])('no day: %j', (text) =>
    expect(() => day(text)).toThrow(InvalidArgumentError),
  );

  it('a day, a leap day among them', () => expect([day('2026-11-22'), day('2028-02-29')]).toHaveLength(2));

  it.each(['0', '11', '1.5', '1e1', '-3', ''])('no count to 10: %j', (text) =>
    expect(() => countTo(10)(text)).toThrow(InvalidArgumentError),
  );
});

describe('the stage', () => {
  it('is named, and guessed for an emulator alone', () => {
    expect(targetOf({ stage: 'prod' }, { MINTMARK_STAGE: 'test' }).tables.issuance).toBe('mintmark-prod-issuance');
    expect(targetOf({}, { MINTMARK_STAGE: 'test' }).requestsQueue).toBe('mintmark-test-requests');
    expect(targetOf({}, { AWS_ENDPOINT_URL: 'http://127.0.0.1:1' }).stage).toBe('local');
    expect(() => targetOf({}, { MINTMARK_STAGE: '', AWS_ENDPOINT_URL: '' })).toThrow(UsageError);
  });

  it('has a prefix of its own if it is told so; functions keep the name that serverless gives them', () => {
    const target = targetOf({ stage: 'prod', prefix: 'other' }, { MINTMARK_PREFIX: 'third' });
    expect(target.tables.failures).toBe('other-failures');
    expect(target.checkClusterFunction).toBe('mintmark-prod-checkCluster');
  });
});

describe('days', () => {
  const now = Date.UTC(2026, 10, 22, 23, 59);

  it('are those from one on, the newest first', () => {
    expect(daysOf({ since: '2026-11-20' }, now)).toEqual(['2026-11-22', '2026-11-21', '2026-11-20']);
    expect(daysOf({}, now)).toHaveLength(7);
  });

  it('end where they are told to, however long ago', () => {
    expect(daysOf({ since: '2020-02-28', until: '2020-03-01' }, now)).toEqual([
      '2020-03-01',
      '2020-02-29',
      '2020-02-28',
    ]);
    expect(daysOf({ until: '2020-03-01' }, now)).toEqual(expect.arrayContaining(['2020-03-01', '2020-02-24']));
    expect(daysOf({ until: '2020-03-01' }, now)).toHaveLength(7);
    expect(daysOf({ since: '2019-03-02', until: '2020-03-01' }, now)).toHaveLength(366);
  });

  it.each([
    [{ since: '2026-11-23' }, /2026-11-23 is not yet/],
    [{ until: '2026-11-23' }, /2026-11-23 is not yet/],
    [{ since: '2026-11-22', until: '2026-11-21' }, /2026-11-22 is after 2026-11-21/],
    [{ since: '2020-01-01' }, /it is 2518 days/],
    [{ since: '2019-03-01', until: '2020-03-01' }, /it is 367 days/],
  ])('not %j', (options, told) => expect(() => daysOf(options, now)).toThrow(told));
});

describe('the Region', () => {
  it("is AWS_REGION, then AWS_DEFAULT_REGION, then the profile's", () => {
    expect(withRegion({ AWS_REGION: 'a', AWS_DEFAULT_REGION: 'b' })).toEqual({});
    expect(withRegion({ AWS_REGION: '', AWS_DEFAULT_REGION: 'b' })).toEqual({ AWS_REGION: 'b' });
    expect(withRegion({ AWS_DEFAULT_REGION: 'b' })).toEqual({ AWS_REGION: 'b' });
    expect(withRegion({ AWS_DEFAULT_REGION: '' })).toEqual({});
  });
});

describe('what is interrupted', () => {
  async function* endless() {
    yield 1;
    await new Promise(() => {});
  }

  it('ends while the next one is waited for', async () => {
    const controller = new AbortController();
    const seen: number[] = [];
    const reading = (async () => {
      for await (const item of interruptible(endless(), controller.signal)) {
        seen.push(item);
        setImmediate(() => controller.abort());
      }
    })();
    await expect(reading).rejects.toThrow(Interrupted);
    expect(seen).toEqual([1]);
    await expect(interruptible(endless(), controller.signal).next()).rejects.toThrow(Interrupted);
  });
});

describe('pages', () => {
  const all = ['a', 'b', 'c', 'd'].map((name) => ({ name, position: { partition: 'all', key: { name } } }));
  async function* find({ after }: { after?: { key: Readonly<Record<string, string>> } | undefined }) {
    yield* all.slice(after === undefined ? 0 : all.findIndex(({ name }) => name === after.key['name']) + 1);
  }
  const namesOf = (page: readonly { readonly name: string }[]) => page.map(({ name }) => name);

  it('have a cursor only where there is more of what matches', async () => {
    const first = await takePage(find, { limit: 2 }, () => true);
    expect(namesOf(first.page)).toEqual(['a', 'b']);
    const second = await takePage(find, { limit: 2, cursor: first.cursor }, () => true);
    expect(namesOf(second.page)).toEqual(['c', 'd']);
    expect(second.cursor).toBeUndefined();
    expect((await takePage(find, { limit: 2 }, ({ name }) => name < 'c')).cursor).toBeUndefined();
  });

  it('a position of something else is told as the cursor that it came from', async () => {
    const { cursor } = await takePage(find, { limit: 1 }, () => true);
    const refuse = () => ({
      [Symbol.asyncIterator]: () => ({
        next: (): Promise<IteratorResult<(typeof all)[number]>> =>
          Promise.reject(new MintmarkError('CONFIGURATION_INVALID', 'not here')),
      }),
    });
    await expect(takePage(refuse, { limit: 1, cursor }, () => true)).rejects.toThrow(/--cursor/);
    await expect(takePage(refuse, { limit: 1 }, () => true)).rejects.toThrow('not here');
  });
});

describe('the answer in a row', () => {
  const sent = { deviceId: 'd', requestId: 'r', messageId: 'm', requestHash: 'ours' };
  const row = { deviceId: 'd', requestId: 'r', ignored: [], abandonedSerialNumbers: [], conflicts: 0 };
  const rejected: IssuanceRecord = {
    ...row,
    state: 'rejected',
    requestHash: 'ours',
    code: 'DEVICE_UNKNOWN',
    detail: 'x',
    reopenable: true,
    rejectedAt: 1,
  };
  const issued: IssuanceRecord = {
    ...row,
    state: 'issued',
    requestHash: 'ours',
    issuerId: 'devices',
    serialNumber: '01',
    certificate: Uint8Array.of(1),
  };

  it('is none without a row, nor while it is on its way', () => {
    expect(answerIn(undefined, sent)).toBeUndefined();
    for (const state of ['intent', 'abandoned', 'unknown'])
      expect(answerIn({ ...issued, state }, sent)).toBeUndefined();
  });

  it('is not a rejection that was there before, unless that is for good', () => {
    expect(answerIn(rejected, { ...sent, standing: rejected })).toBeUndefined();
    expect(answerIn({ ...rejected, rejectedAt: 2 }, { ...sent, standing: rejected })).toMatchObject({
      status: 'rejected',
    });
    const final = { ...rejected, reopenable: false };
    expect(answerIn(final, { ...sent, standing: final })).toMatchObject({ code: 'DEVICE_UNKNOWN' });
  });

  it('is a conflict where the row is of another request', () => {
    expect(answerIn(issued, { ...sent, requestHash: 'other' })).toMatchObject({ code: 'REQUEST_CONFLICT' });
    const other = { ...rejected, requestHash: 'other' };
    expect(answerIn(other, { ...sent, standing: other })).toBeUndefined();
    const counted = { conflicts: 1, lastConflictAt: 5 };
    for (const row of [
      other,
      ...['intent', 'abandoned'].map((state) => ({ ...issued, requestHash: 'other', state })),
    ]) {
      expect(answerIn(row, { ...sent, standing: row })).toBeUndefined();
      expect(answerIn({ ...row, ...counted }, { ...sent, standing: row })).toMatchObject({ code: 'REQUEST_CONFLICT' });
      // It was counted for somebody else, before.
      const standing = { ...row, ...counted };
      expect(answerIn(standing, { ...sent, standing })).toBeUndefined();
    }
    const ours = { ...issued, state: 'intent' };
    expect(answerIn({ ...ours, ...counted }, { ...sent, standing: ours })).toBeUndefined();
  });

  it('says whether it stood already', () => {
    expect(answerIn(issued, { ...sent, standing: issued })).toMatchObject({ status: 'issued', stoodAlready: true });
    expect(answerIn(issued, { ...sent, standing: { ...issued, state: 'intent' } })).toMatchObject({
      stoodAlready: false,
    });
    expect(answerIn({ ...rejected, rejectedAt: 2 }, { ...sent, standing: rejected })).toMatchObject({
      stoodAlready: false,
    });
    const final = { ...rejected, reopenable: false };
    expect(answerIn(final, { ...sent, standing: final })).toMatchObject({ stoodAlready: true });
  });
});

describe('what is said of what was thrown', () => {
  const named = (name: string, message = name) => Object.assign(new Error(message), { name });
  const environment = { AWS_REGION: 'eu-west-1' };

  it.each([
    [
      named('CredentialsProviderError', 'Could not load credentials from any providers'),
      /^There are no AWS credentials\.$/,
    ],
    [
      storeError(named('CredentialsProviderError', 'Token is expired. Run\n aws sso login'), 'Reading one'),
      /^There are no AWS credentials: Token is expired\. Run aws sso login\.$/,
    ],
    [
      storeError(named('ResourceNotFoundException'), 'Reading one'),
      /no such thing at AWS in eu-west-1 \(Reading one\)/,
    ],
    [
      storeError(named('AccessDeniedException', 'User: me is not authorized to perform: x:Y'), 'Reading one'),
      /may not do this \(Reading one\): User: me is not authorized to perform: x:Y\.$/,
    ],
    [
      named('AccessDenied', 'User: me is not authorized to perform: sqs:Z'),
      /may not do this: User: me is not authorized to perform: sqs:Z\.$/,
    ],
    [storeError(named('ExpiredTokenException'), 'Reading one'), /expired/],
    [new Error('Invoking f', { cause: named('UnrecognizedClientException') }), /does not take these AWS credentials/],
    [new AggregateError([Object.assign(new Error('x'), { code: 'ECONNREFUSED' })]), /does not answer/],
    [named('Error', 'Region is missing'), /no AWS Region/],
    [new MintmarkError('LINT_FAILED', 'As it says.'), /^As it says\.$/],
    [new Error('outer', { cause: new TypeError('inner') }), /TypeError: inner\./],
  ])('%s', (error, message) => {
    const told = explain(error, environment);
    expect(told.message).toMatch(message);
    expect(told.cure).toMatch(/\.$/);
  });

  it('with a profile: which, and where a code is asked for, what to do', () => {
    const inProfile = { ...environment, AWS_PROFILE: 'ops' };
    const vain = named('CredentialsProviderError', 'Could not load credentials from any providers');
    expect(explain(vain, inProfile).message).toBe('There are no AWS credentials in the profile ops (AWS_PROFILE).');
    const code = 'Profile ops requires multi-factor authentication, but no MFA code callback was provided.';
    const told = explain(named('CredentialsProviderError', code), inProfile);
    expect(told).toMatchObject({
      message: expect.stringContaining('ops'),
      cure: expect.stringContaining('aws configure'),
    });
  });
});

describe('what is written', () => {
  it('holds nothing that a terminal acts upon', () => {
    expect(printable('a\u001b[31m\u0007\u009b\u202e\u2028\nb')).toBe('a?[31m?????b');
    expect(printable('abcdef', 5)).toBe('ab...');
    const value = { text: '\u001b\u009b\u202e\u{e0001}é' };
    expect(jsonText(value)).toMatch(/^[ -~é]*$/);
    expect(JSON.parse(jsonText(value))).toEqual(value);
    expect(csvLine(['a,b', 'say "x"', undefined, 'l\nf'])).toBe('"a,b","say ""x""",,l?f');
  });

  it('is in columns, with nothing at the end of a line', () => {
    expect(
      table(
        ['A', 'B'],
        [
          ['long', ''],
          ['x', 'y'],
        ],
      ),
    ).toEqual(['A     B', 'long', 'x     y']);
  });

  it('shows progress on one line of a terminal, and on a few lines elsewhere', () => {
    const shown = (isTTY: boolean, total = 100) => {
      const stream = Object.assign(new PassThrough(), { isTTY });
      const progress = new Progress(stream as unknown as NodeJS.WriteStream, total, 'done');
      for (let count = 0; count <= total; count++) progress.show(count);
      progress.end();
      return String(stream.read());
    };
    expect(shown(true).split('\r')).toHaveLength(102);
    expect(shown(true).split('\n')).toHaveLength(2);
    expect(shown(false)).toBe('0/100 done\n25/100 done\n50/100 done\n75/100 done\n100/100 done\n');
    expect(shown(false, 1)).toBe('0/1 done\n');
  });
});

describe('health', () => {
  /** AWS's own paginators take AWS's own clients. */
  const withoutIssuers = () =>
    Object.assign(new DynamoDBClient({ region: 'eu-west-1' }), { send: () => Promise.resolve({ Items: [] }) });
  const look = (answer: { readonly FunctionError?: string; readonly payload?: unknown; readonly text?: string }) => {
    const { payload, text = JSON.stringify(payload), ...rest } = answer;
    const send = () => Promise.resolve({ ...rest, Payload: Buffer.from(text) });
    const session = {
      target: () => targetOf({ stage: 'test' }, {}),
      clients: { lambda: () => Promise.resolve({ send }), dynamoDB: () => Promise.resolve(withoutIssuers()) },
      interrupted: new AbortController().signal,
    } as unknown as Session;
    return health.run(session, {}, []);
  };
  const finding = {
    rule: 'r',
    subject: 's',
    observed: 'o',
    threshold: 't',
    sentence: 'It is.',
    runbook: 'docs/runbook.md#r',
  };

  it('is bad when the function gives no answer', async () => {
    const failed = { FunctionError: 'Unhandled', payload: { errorType: 'Sandbox.Timedout', errorMessage: 'late' } };
    expect(await look(failed)).toMatchObject({
      exitCode: 1,
      json: { findings: null, error: { errorMessage: 'late' } },
    });
  });

  it.each([[{ FunctionError: 'Unhandled' }], [{}]])('is bad when the answer is not to be read (%j)', async (over) => {
    for (const payload of ['Internal error', { neither: 'findings' }]) {
      expect(await look({ ...over, payload })).toMatchObject({
        exitCode: 1,
        json: { findings: null, error: { errorMessage: expect.any(String) } },
        lines: [expect.stringContaining('gives no answer')],
      });
    }
    expect(await look({ ...over, text: 'no JSON' })).toMatchObject({ exitCode: 1, json: { findings: null } });
  });

  it('is bad for a critical finding, and for a severity that it does not know', async () => {
    expect(await look({ payload: { findings: [{ ...finding, severity: 'warning' }] } })).toMatchObject({ exitCode: 0 });
    for (const severity of ['critical', 'worse']) {
      expect(await look({ payload: { findings: [{ ...finding, severity }] } })).toMatchObject({ exitCode: 1 });
    }
  });
});

import { GetItemCommand, PutItemCommand, QueryCommand } from '@aws-sdk/client-dynamodb';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MintmarkError } from '../../shared/errors.ts';
import type { LintedTbsCertificate } from '../../shared/issuance/lint.ts';
import {
  IssuanceLedger,
  keyOf,
  type RecordedIntent,
  type RefusedRequest,
  type ReopenableRow,
  type StandingRow,
} from '../../shared/ledger/issuance.ts';
import { type Transition, transitions } from '../../shared/ledger/row.ts';
import { newLinted, issuedAt as now } from '../support/linted.ts';
import { startTables, type Tables, tables } from '../support/tables.ts';

const signBefore = now + 900_000;
const certificate = Uint8Array.of(0x30, 3, 1, 2, 3);
const finally_ = new MintmarkError('KEY_INVALID', 'The point is not on the curve.');
const reopenably = new MintmarkError('DEVICE_UNKNOWN', 'The device is not registered.');

let store: Tables;
let ledger: IssuanceLedger<LintedTbsCertificate>;
let requests = 0;

beforeAll(async () => {
  store = await startTables();
  ledger = new IssuanceLedger(store.client, tables.issuance);
});

afterAll(() => store.close());

/** A request that no other test uses. */
const newRequest = (): RefusedRequest => ({
  deviceId: 'device-1',
  requestId: `request-${++requests}`,
  requestHash: 'a'.repeat(64),
  profile: 'device-tls',
  profileHash: 'd'.repeat(64),
  sender: 'AROAEXAMPLEROLEID',
});

async function item(request: RefusedRequest) {
  const Key = { deviceId: { S: request.deviceId }, requestId: { S: request.requestId } };
  return (await store.client.send(new GetItemCommand({ TableName: tables.issuance, Key, ConsistentRead: true }))).Item;
}

const standing = async (request: RefusedRequest): Promise<StandingRow | undefined> =>
  (await ledger.read([request])).get(keyOf(request));

/** What the types keep callers from writing over, the conditions must refuse too. */
const asReopenable = (row: StandingRow | undefined) => row as ReopenableRow | undefined;

function rowOf<Row>(written: { done: true; row: Row } | { done: false }): Row {
  if (!written.done) throw new Error('not written');
  return written.row;
}

async function intentOf(request: RefusedRequest): Promise<RecordedIntent> {
  return rowOf(await ledger.recordIntent(request, asReopenable(await standing(request)), newLinted(), signBefore, now));
}

/** How a row gets into each state that there is, from nothing. */
const states = {
  absent: async () => undefined,
  intent: async (request) => void (await intentOf(request)),
  issued: async (request) => void rowOf(await ledger.storeCertificate(await intentOf(request), certificate, now)),
  'rejected, final': async (request) => void rowOf(await ledger.reject(request, undefined, finally_, now)),
  'rejected, reopenable': async (request) => void rowOf(await ledger.reject(request, undefined, reopenably, now)),
  abandoned: async (request) => void rowOf(await ledger.abandon(await intentOf(request), 'given-up', now)),
  'rejected after an abandoned attempt': async (request) => {
    rowOf(await ledger.abandon(await intentOf(request), 'given-up', now));
    rowOf(await ledger.reject(request, asReopenable(await standing(request)), reopenably, now));
  },
} satisfies Record<string, (request: RefusedRequest) => Promise<void>>;

type State = keyof typeof states;

/** The design's own table, not row.ts's. */
const legal: Readonly<Record<Transition, readonly State[]>> = {
  recordIntent: ['absent', 'rejected, reopenable', 'abandoned', 'rejected after an abandoned attempt'],
  storeCertificate: ['intent'],
  reject: ['absent', 'rejected, reopenable', 'abandoned', 'rejected after an abandoned attempt'],
  abandon: ['intent'],
};

/** An intent with the standing row's serial number; the ledger, not the caller, must see that it is not open. */
function openIntent(request: RefusedRequest, row: StandingRow | undefined): RecordedIntent {
  if (row?.state === 'intent') return row;
  const linted = newLinted();
  const serialNumber = row !== undefined && 'serialNumber' in row ? row.serialNumber : linted.serialNumber;
  const { requestHash, profile } = request;
  const fields = { ...linted, ...request, requestHash, profile, serialNumber, attempt: 1, abandonedSerialNumbers: [] };
  return { ...fields, state: 'intent', signBefore } as unknown as RecordedIntent;
}

const attempts: Readonly<
  Record<Transition, (request: RefusedRequest, row: StandingRow | undefined) => Promise<{ readonly done: boolean }>>
> = {
  recordIntent: (request, row) => ledger.recordIntent(request, asReopenable(row), newLinted(), signBefore, now),
  storeCertificate: (request, row) => ledger.storeCertificate(openIntent(request, row), certificate, now),
  reject: (request, row) => ledger.reject(request, asReopenable(row), finally_, now),
  abandon: (request, row) => ledger.abandon(openIntent(request, row), 'given-up', now),
};

const pairs = (Object.keys(legal) as Transition[]).flatMap((transition) =>
  (Object.keys(states) as State[]).map((state) => ({ transition, state, isLegal: legal[transition].includes(state) })),
);

describe('a transition', () => {
  it.each(pairs)('$transition of a row that is $state: $isLegal', async ({ transition, state, isLegal }) => {
    const request = newRequest();
    await states[state](request);
    const before = await item(request);
    const { done } = await attempts[transition](request, await standing(request));
    expect(done).toBe(isLegal);
    if (isLegal) expect((await standing(request))?.state).toBe(transitions[transition].to);
    else expect(await item(request)).toEqual(before);
  });

  it.each(pairs.filter(({ isLegal, state }) => isLegal && state === 'abandoned'))(
    '$transition of a row that is $state is not for another request',
    async ({ transition, state }) => {
      const request = newRequest();
      await states[state](request);
      const before = await item(request);
      const other = { ...request, requestHash: 'b'.repeat(64) };
      expect(await attempts[transition](other, await standing(request))).toEqual({ done: false });
      expect(await item(request)).toEqual(before);
    },
  );

  it.each(['recordIntent', 'reject'] as const)(
    '%s of a refusal that may be reopened is for any request while there was no intent, and then for that one alone',
    async (transition) => {
      const [fresh, tried] = [newRequest(), newRequest()];
      await states['rejected, reopenable'](fresh);
      await states['rejected after an abandoned attempt'](tried);
      for (const [request, isLegal] of [
        [fresh, true],
        [tried, false],
      ] as const) {
        const other = { ...request, requestHash: 'b'.repeat(64) };
        expect((await attempts[transition](other, await standing(request))).done).toBe(isLegal);
      }
    },
  );

  it.each(['recordIntent', 'reject'] as const)(
    '%s is not done on a row that has had another attempt since',
    async (name) => {
      const request = newRequest();
      await states.abandoned(request);
      const read = await standing(request);
      await states.abandoned(request);
      const before = await item(request);
      expect(await attempts[name](request, read)).toEqual({ done: false });
      expect(await item(request)).toEqual(before);
    },
  );
});

describe('recordIntent', () => {
  it('is done for one of two who write at the same time', async () => {
    const request = newRequest();
    const written = await Promise.all(
      [1, 2, 3].map(() => ledger.recordIntent(request, undefined, newLinted(), signBefore, now)),
    );
    const [won, ...more] = written.flatMap((one) => (one.done ? [one.row] : []));
    expect(more).toEqual([]);
    expect(await standing(request)).toMatchObject({ state: 'intent', serialNumber: won?.serialNumber });
  });

  it('answers with the row as it will be read', async () => {
    const request = newRequest();
    const linted = newLinted();
    const row = rowOf(await ledger.recordIntent(request, undefined, linted, signBefore, now));
    expect(await standing(request)).toEqual(row);
    expect(row).toMatchObject({
      state: 'intent',
      deviceId: 'device-1',
      requestId: request.requestId,
      requestHash: request.requestHash,
      profile: 'device-tls',
      attempt: 1,
      abandonedSerialNumbers: [],
      issuerId: 'devices',
      signBefore,
      serialNumber: linted.serialNumber,
      crlShard: linted.crlShard,
      profileHash: linted.profileHash,
      notAfter: linted.notAfter,
      tbsCertificate: linted.tbsCertificate,
    });
    expect(await item(request)).toMatchObject({
      sender: { S: 'AROAEXAMPLEROLEID' },
      notBefore: { S: expect.any(String) },
    });
  });

  it('counts attempts and keeps abandoned serial numbers', async () => {
    const request = newRequest();
    const serials = [];
    for (const attempt of [1, 2, 3]) {
      const intent = await intentOf(request);
      expect(intent.attempt).toBe(attempt);
      expect(intent.abandonedSerialNumbers).toEqual(serials);
      serials.push({ issuerId: 'devices', serialNumber: intent.serialNumber, crlShard: intent.crlShard });
      const abandoned = rowOf(await ledger.abandon(intent, 'given-up', now));
      expect(await standing(request)).toEqual(abandoned);
      expect(abandoned.abandonedSerialNumbers).toEqual(serials);
    }
    expect(
      rowOf(await ledger.reject(request, asReopenable(await standing(request)), finally_, now)).abandonedSerialNumbers,
    ).toEqual(serials);
    expect((await standing(request))?.abandonedSerialNumbers).toEqual(serials);
  });

  it('leaves nothing of the rejection that it reopens', async () => {
    const request = newRequest();
    await states['rejected, reopenable'](request);
    await intentOf(request);
    const row = await item(request);
    for (const attribute of ['code', 'detail', 'reopenable', 'rejectedAt']) expect(row).not.toHaveProperty(attribute);
  });
});

describe('storeCertificate', () => {
  it('is not done for another serial number', async () => {
    const request = newRequest();
    const intent = await intentOf(request);
    const other = { ...intent, serialNumber: newLinted().serialNumber };
    expect(await ledger.storeCertificate(other, certificate, now)).toEqual({ done: false });
    expect(await standing(request)).toEqual(intent);
  });

  it('is done for one of two who write at the same time', async () => {
    const intent = await intentOf(newRequest());
    const certificates = [Uint8Array.of(1), Uint8Array.of(2)];
    const written = await Promise.all(certificates.map((one) => ledger.storeCertificate(intent, one, now)));
    const [won, ...more] = written.flatMap((one) => (one.done ? [one.row] : []));
    expect(more).toEqual([]);
    expect(await standing(intent as unknown as RefusedRequest)).toEqual(won);
  });

  it('takes the TBS out and answers with the row as it will be read', async () => {
    const request = newRequest();
    const row = rowOf(await ledger.storeCertificate(await intentOf(request), certificate, now));
    expect(await standing(request)).toEqual(row);
    expect(await item(request)).not.toHaveProperty('tbsCertificate');
  });
});

describe('abandon', () => {
  it('keeps what was to be signed, and its shard, for whoever accounts for the signatures', async () => {
    const request = newRequest();
    const intent = await intentOf(request);
    await ledger.abandon(intent, 'deadline-passed', now);
    const row = await item(request);
    expect(row).not.toHaveProperty('tbsCertificate');
    expect(row?.abandonedSerialNumbers?.L).toEqual([
      {
        M: {
          issuerId: { S: intent.issuerId },
          serialNumber: { S: intent.serialNumber },
          crlShard: { N: String(intent.crlShard) },
          tbsCertificate: { B: intent.tbsCertificate },
        },
      },
    ]);
  });
});

describe('reject', () => {
  it.each([
    [finally_, false],
    [reopenably, true],
  ])('answers with the row as it will be read (%s)', async (error, reopenable) => {
    const request = newRequest();
    const row = rowOf(await ledger.reject(request, undefined, error, now));
    expect(row).toMatchObject({ state: 'rejected', code: error.code, detail: error.message, reopenable, attempt: 0 });
    expect(await standing(request)).toEqual(row);
  });
});

describe('countConflict', () => {
  it.each(['intent', 'issued', 'rejected, final', 'abandoned'] as const)(
    'touches nothing else of a row that is %s',
    async (state) => {
      const request = newRequest();
      await states[state](request);
      const before = await item(request);
      const row = await standing(request);
      await ledger.countConflict(request, now);
      await ledger.countConflict(request, now + 1000);
      expect(await item(request)).toEqual({
        ...before,
        conflicts: { N: '2' },
        lastConflictAt: { S: new Date(now + 1000).toISOString() },
      });
      expect(await standing(request)).toEqual(row);
    },
  );

  it('makes no row where there is none', async () => {
    const request = newRequest();
    await expect(ledger.countConflict(request, now)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    expect(await item(request)).toBeUndefined();
  });
});

describe('the indexes', () => {
  async function find(IndexName: string, key: string, value: string) {
    const command = new QueryCommand({
      TableName: tables.issuance,
      IndexName,
      KeyConditionExpression: '#key = :value',
      ExpressionAttributeNames: { '#key': key },
      ExpressionAttributeValues: { ':value': { S: value } },
    });
    return ((await store.client.send(command)).Items ?? []).map(({ requestId }) => requestId?.S);
  }
  const whereIs = async (request: RefusedRequest, { serialNumber, notAfter }: RecordedIntent) => {
    const shard = serialNumber.slice(-1);
    const bucket = `devices#${new Date(notAfter).toISOString().slice(0, 10)}#${shard}`;
    const { requestId } = request;
    return {
      bySerial: (await find('bySerial', 'serialNumber', serialNumber)).includes(requestId),
      byExpiry: (await find('byExpiry', 'expiryBucket', bucket)).includes(requestId),
      openIntents: (await find('openIntents', 'openIntentShard', shard)).includes(requestId),
    };
  };

  it('hold what is open while it is, and what is issued from then on', async () => {
    const request = newRequest();
    const intent = await intentOf(request);
    expect(await whereIs(request, intent)).toEqual({ bySerial: true, byExpiry: false, openIntents: true });
    await ledger.storeCertificate(intent, certificate, now);
    expect(await whereIs(request, intent)).toEqual({ bySerial: true, byExpiry: true, openIntents: false });
  });

  it('hold an abandoned intent until its revocation is made, and know why it was abandoned', async () => {
    const request = newRequest();
    const intent = await intentOf(request);
    const abandoned = rowOf(await ledger.abandon(intent, 'device-blocked', now));
    expect(abandoned).toMatchObject({ abandonReason: 'device-blocked', isUnsettled: true });
    expect(await standing(request)).toEqual(abandoned);
    expect(await whereIs(request, intent)).toMatchObject({ byExpiry: false, openIntents: true });
    await ledger.settle(abandoned);
    expect(await whereIs(request, intent)).toMatchObject({ byExpiry: false, openIntents: false });
    const { isUnsettled: _, ...settled } = abandoned;
    expect(await standing(request)).toEqual(settled);
  });

  it('hold a certificate that nobody was told of until somebody was', async () => {
    const request = newRequest();
    const intent = await intentOf(request);
    const issued = rowOf(await ledger.storeUnannouncedCertificate(intent, certificate, now));
    expect(await standing(request)).toEqual(issued);
    expect(await whereIs(request, intent)).toEqual({ bySerial: true, byExpiry: true, openIntents: true });
    await ledger.settle(issued);
    expect(await whereIs(request, intent)).toEqual({ bySerial: true, byExpiry: true, openIntents: false });
  });

  it('hold the next attempt, which settling the one before does not concern', async () => {
    const request = newRequest();
    const abandoned = rowOf(await ledger.abandon(await intentOf(request), 'deadline-passed', now));
    const next = await intentOf(request);
    await ledger.settle(abandoned);
    expect(await whereIs(request, next)).toMatchObject({ openIntents: true });
    expect(await standing(request)).toMatchObject({ state: 'intent', attempt: 2 });
    const again = rowOf(await ledger.abandon(next, 'deadline-passed', now));
    await ledger.settle(abandoned);
    expect(await standing(request)).toEqual(again);
  });

  it('hold no rejection of what was abandoned', async () => {
    const request = newRequest();
    await states['rejected after an abandoned attempt'](request);
    for (const key of ['openIntentShard', 'abandonReason']) expect(await item(request)).not.toHaveProperty(key);
  });

  it('hold no rejection', async () => {
    const request = newRequest();
    await states['rejected, final'](request);
    const row = await item(request);
    for (const key of ['serialNumber', 'expiryBucket', 'openIntentShard']) expect(row).not.toHaveProperty(key);
  });
});

describe('read', () => {
  it('fails closed on a state that it does not know, for that row alone', async () => {
    const [good, bad] = [newRequest(), newRequest()];
    const intent = await intentOf(good);
    await intentOf(bad);
    const row = await item(bad);
    await store.client.send(
      new PutItemCommand({ TableName: tables.issuance, Item: { ...row, state: { S: 'paused' } } }),
    );
    const rows = await ledger.read([good, bad]);
    expect(rows.get(keyOf(good))).toEqual(intent);
    expect(() => rows.get(keyOf(bad))).toThrow('unknown state "paused"');
    for (const [name, attempt] of Object.entries(attempts)) {
      expect(await attempt(bad, undefined), name).toEqual({ done: false });
    }
  });

  it.each(['requestHash', 'attempt', 'serialNumber', 'tbsCertificate', 'signBefore'])(
    'fails closed on an intent without %s',
    async (name) => {
      const request = newRequest();
      await intentOf(request);
      const { [name]: _, ...rest } = (await item(request)) ?? {};
      await store.client.send(new PutItemCommand({ TableName: tables.issuance, Item: rest }));
      await expect(standing(request)).rejects.toMatchObject({ code: 'INTERNAL' });
    },
  );

  it('has nothing where there is nothing', async () => {
    const request = newRequest();
    expect((await ledger.read([request])).get(keyOf(request))).toBeUndefined();
    expect((await ledger.read([])).get(keyOf(request))).toBeUndefined();
  });

  it('reads more rows than one call takes', async () => {
    const written = await Promise.all(
      Array.from({ length: 105 }, newRequest).map(async (request) => {
        await ledger.reject(request, undefined, finally_, now);
        return request;
      }),
    );
    const rows = await ledger.read(written);
    expect(written.filter((request) => rows.get(keyOf(request))?.state === 'rejected')).toHaveLength(105);
  });
});

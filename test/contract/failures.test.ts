import { randomUUID } from 'node:crypto';
import { type DynamoDBClient, GetItemCommand, QueryCommand, UpdateItemCommand } from '@aws-sdk/client-dynamodb';
import type { SQSClient } from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { MintmarkError } from '../../shared/errors.ts';
import { claimLasts, type Redrive, redrive, sendingLasts } from '../../shared/failures/redrive.ts';
import type { QueuedRequest } from '../../shared/issuance/outcome.ts';
import { type FailureRecord, FailureRecords } from '../../shared/ledger/failure-records.ts';
import { FailureStates } from '../../shared/ledger/failure-states.ts';
import { Failures } from '../../shared/ledger/failures.ts';
import { Issuers } from '../../shared/ledger/issuers.ts';
import { minute, queue, redelivered, startWorker, type Worker } from '../support/issuing.ts';
import { type IssuingCa, makeIssuingCa } from '../support/issuing-ca.ts';
import { RedriveQueue } from '../support/redrive-queue.ts';
import { startTables, type Tables, tables } from '../support/tables.ts';
import { type CallFault, updates, wrapClient } from '../support/wrapped-client.ts';

const start = Date.parse('2026-11-22T12:00:00Z');
const hour = 60 * minute;
const day = '2026-11-22';
const faults = ['not-written', 'reply-lost'] as const satisfies readonly CallFault[];

let store: Tables;
let ca: IssuingCa;
let now: number;
let worker: Worker;

beforeAll(async () => {
  store = await startTables();
  ca = makeIssuingCa({ notBefore: new Date(start - 86_400_000), notAfter: new Date(start + 10 * 365 * 86_400_000) });
  await new Issuers(store.client, tables.issuers).add(ca.issuer);
});

beforeEach(() => {
  now = start;
  worker = startWorker({ tables: store, ca, now: () => now });
});

afterAll(() => store.close());

const newFailures = () => new Failures(store.client, tables.failures);
const newStates = () => new FailureStates(store.client, tables.failures);
const records = () => new FailureRecords(store.client, tables.failures);

async function rowOf(messageId: string): Promise<FailureRecord | undefined> {
  const [row, ...others] = await records().get([messageId], [day]);
  expect(others).toEqual([]);
  return row;
}

async function requireRow(messageId: string): Promise<FailureRecord> {
  const row = await rowOf(messageId);
  if (row === undefined) throw new Error(`There is no failure of ${messageId}.`);
  return row;
}

async function newMessage(senders?: readonly string[]): Promise<{ deviceId: string; message: QueuedRequest }> {
  const deviceId = `device-${randomUUID()}`;
  await worker.authority.devices.register({
    deviceId,
    state: 'active',
    ...(senders === undefined ? {} : { allowedSenders: senders }),
  });
  return { deviceId, message: queue(now, { deviceId }) };
}

/** A row of a message that says so little that nothing is ever issued from it. */
async function newFailure(over: Partial<Parameters<Failures['record']>[0]> = {}): Promise<FailureRecord> {
  const { messageId = randomUUID() } = over;
  await newFailures().record({
    code: 'SIGNER_UNAVAILABLE',
    detail: 'The HSM is busy.',
    messageId,
    sender: 'AROAEXAMPLE:session',
    body: `{"version":1,"mark":"${messageId}"}`,
    tries: 7,
    sentAt: now - 1_000,
    failedAt: now,
    ...over,
  });
  return requireRow(messageId);
}

async function* each(failures: readonly FailureRecord[]) {
  yield* failures;
}

/** As `mintmark failures redrive` with ids: rows as they are now. */
async function redriveAll(
  messageIds: readonly string[],
  {
    sqs,
    states = newStates(),
    batchSize = 10,
    runId = randomUUID(),
  }: { sqs: RedriveQueue['client']; states?: FailureStates; batchSize?: number; runId?: string },
): Promise<Redrive[]> {
  const ends: Redrive[] = [];
  const options = {
    sqs,
    queueUrl: 'https://sqs.example.com/test-redrive',
    states,
    pace: async () => {},
    batchSize,
    runId,
    before: now + 1,
    until: new AbortController().signal,
    now: () => now,
  };
  const rows = await records().get(messageIds, [day]);
  for await (const end of redrive(each(rows), options)) ends.push(end);
  return ends;
}

const kindOf = (end: Redrive): string => ('reason' in end ? end.reason : 'state' in end ? end.state : end.kind);

describe('the first error', () => {
  /** Its rows in failures, reads and writes alike, that a command of the worker concerns. */
  const toFailures = (command: object): boolean =>
    'input' in command && (command.input as { TableName?: string }).TableName === tables.failures;

  it('of a request that was retried for hours is in its row beside the last', async () => {
    const { message } = await newMessage();
    worker.signer.faults.push('unavailable');
    await worker.issue(message);
    now += hour;
    worker.signer.faults.push('deadline');
    const [outcome] = await worker.issue({ ...message, receiveCount: 30 });
    expect(outcome).toMatchObject({ kind: 'failed', code: 'SIGNER_DEADLINE' });
    expect(await rowOf(message.messageId)).toMatchObject({
      code: 'SIGNER_DEADLINE',
      failedAt: start + hour,
      firstCode: 'SIGNER_UNAVAILABLE',
      firstDetail: 'The HSM is busy.',
      firstFailedAt: start,
      tries: 30,
      state: 'failed',
      redriveCount: 0,
    });
  });

  it('stays the first, whatever comes after it', async () => {
    const { message } = await newMessage();
    for (const [index, fault] of (['unavailable', 'deadline', 'deadline', 'corrupt'] as const).entries()) {
      worker.signer.faults.push(fault);
      await worker.issue({ ...message, receiveCount: index + 1 });
      now += minute;
    }
    now += hour;
    worker.signer.faults.push('deadline');
    await worker.issue({ ...message, receiveCount: 5 });
    expect(await rowOf(message.messageId)).toMatchObject({ firstCode: 'SIGNER_UNAVAILABLE', firstFailedAt: start });
  });

  it('is that of the first delivery which was answered, when the one before ended its function', async () => {
    const { message } = await newMessage();
    worker.signer.faults.push('unavailable');
    await worker.issue({ ...message, receiveCount: 3 });
    now += hour;
    worker.signer.faults.push('deadline');
    await worker.issue({ ...message, receiveCount: 4 });
    expect(await rowOf(message.messageId)).toMatchObject({ firstCode: 'SIGNER_UNAVAILABLE', code: 'SIGNER_DEADLINE' });
  });

  it('costs nothing of a request that fares well, and one small item of one that does not', async () => {
    const { message: good } = await newMessage();
    await worker.issue(good);
    expect(worker.dynamoDB.commands.filter(toFailures)).toEqual([]);

    const { message: bad } = await newMessage();
    for (let receiveCount = 1; receiveCount <= 10; receiveCount++) {
      worker.signer.faults.push('unavailable');
      await worker.issue({ ...bad, receiveCount });
    }
    const calls = worker.dynamoDB.commands.filter(toFailures);
    expect(calls).toHaveLength(3);
    const [first] = calls as UpdateItemCommand[];
    const item = { ...first?.input.Key, ...first?.input.ExpressionAttributeValues };
    expect(JSON.stringify(item).length).toBeLessThan(1_024);
  });

  it('is no failure: no list has it', async () => {
    const { message } = await newMessage();
    worker.signer.faults.push('unavailable');
    await worker.issue(message);
    expect(await rowOf(message.messageId)).toBeUndefined();
  });

  it('goes by itself, and no failure does', async () => {
    const messageId = randomUUID();
    await newFailures().keepFirstError(messageId, { code: 'INTERNAL', detail: 'x', at: now });
    const Key = { classDay: { S: `retried#${messageId}` }, messageId: { S: messageId } };
    const kept = await store.client.send(new GetItemCommand({ TableName: tables.failures, Key }));
    const fifteenDays = 15 * 86_400;
    expect(kept.Item?.expiresAt).toEqual({ N: String(start / 1_000 + fifteenDays) });

    const failure = await newFailure({ messageId });
    const { Items: items = [] } = await store.client.send(
      new QueryCommand({
        TableName: tables.failures,
        KeyConditionExpression: 'classDay = :classDay AND messageId = :messageId',
        ExpressionAttributeValues: { ':classDay': { S: failure.classDay }, ':messageId': { S: messageId } },
      }),
    );
    expect(items).toHaveLength(1);
    expect(items[0]).not.toHaveProperty('expiresAt');
  });

  it('that cannot be kept keeps nobody from a retry, and is told of', async () => {
    const { deviceId, message } = await newMessage();
    worker.signer.faults.push('unavailable');
    worker.dynamoDB.fail(toFailures, 'not-written');
    const [outcome] = await worker.issue(message);
    expect(outcome).toMatchObject({
      kind: 'retry',
      error: { code: 'SIGNER_UNAVAILABLE' },
      firstErrorLost: { code: 'STORE_UNAVAILABLE' },
    });
    const [after] = await worker.issue(redelivered(message));
    expect(after).toMatchObject({ kind: 'issued', row: { deviceId } });
  });

  it('is not written while the store itself is in trouble', async () => {
    const { message } = await newMessage();
    worker.dynamoDB.fail(updates(tables.issuance), 'not-written');
    expect(await worker.issue(message)).toMatchObject([{ kind: 'retry', error: { code: 'STORE_UNAVAILABLE' } }]);
    expect(worker.dynamoDB.commands.filter(toFailures)).toEqual([]);
  });
});

describe('a failure', () => {
  it('is failed, then redriven or dismissed, and nothing after that', async () => {
    const [one, two, three] = [await newFailure(), await newFailure(), await newFailure()];
    expect(one.state).toBe('failed');
    const ours = (state: string) => ({ isOurs: true, state });
    const theirs = (state: string) => ({ isOurs: false, state });
    const claim = { by: 'run', until: now + claimLasts };
    expect(await newStates().markRedriven(one, 'run', 'as-this', now)).toEqual(theirs('failed'));
    expect(await newStates().claim(one, claim, now)).toEqual(ours('failed'));
    expect(await newStates().markRedriven(one, 'run', 'as-this', now + 5)).toEqual(ours('redriven'));
    // The client says it again where the reply was lost.
    expect(await newStates().markRedriven(one, 'run', 'as-this', now + 5)).toEqual(ours('redriven'));
    expect(await newStates().claim(one, claim, now)).toEqual(theirs('redriven'));
    expect(await newStates().dismiss(one, 'too late', now + 6)).toEqual(theirs('redriven'));
    expect(await newStates().markRedriven(one, 'run', 'as-that', now + 7)).toEqual(theirs('redriven'));
    expect(await rowOf(one.messageId)).toEqual({
      ...one,
      state: 'redriven',
      redrivenAt: now + 5,
      redrivenAs: 'as-this',
    });

    expect(await newStates().dismiss(two, 'device scrapped', now + 5)).toEqual(ours('dismissed'));
    expect(await newStates().dismiss(two, 'device scrapped', now + 5)).toEqual(ours('dismissed'));
    expect(await newStates().dismiss(two, 'another reason', now + 6)).toEqual(theirs('dismissed'));
    expect(await newStates().claim(two, claim, now + 7)).toEqual(theirs('dismissed'));
    expect(await rowOf(two.messageId)).toEqual({
      ...two,
      state: 'dismissed',
      dismissedAt: now + 5,
      dismissReason: 'device scrapped',
    });
    expect(await rowOf(three.messageId)).toEqual(three);
  });

  it("that a run has claimed is no other's until the claim ends", async () => {
    const failure = await newFailure();
    const until = now + claimLasts;
    const states = newStates();
    expect(await states.claim(failure, { by: 'one', until }, now)).toMatchObject({ isOurs: true });
    expect(await states.claim(failure, { by: 'one', until }, now)).toMatchObject({ isOurs: true });
    expect(await requireRow(failure.messageId)).toMatchObject({
      state: 'failed',
      claimedBy: 'one',
      claimedUntil: until,
    });
    expect(await states.claim(failure, { by: 'two', until }, until)).toEqual({ isOurs: false, state: 'failed' });
    expect(await states.dismiss(failure, 'x', until)).toEqual({ isOurs: false, state: 'failed' });
    await states.release(failure, 'two');
    expect(await requireRow(failure.messageId)).toMatchObject({ claimedBy: 'one' });

    // The one that died is taken over, and has no more to say if it has not.
    expect(await states.claim(failure, { by: 'two', until: until + 2 }, until + 1)).toMatchObject({ isOurs: true });
    expect(await states.markRedriven(failure, 'one', 'late', until + 1)).toEqual({ isOurs: false, state: 'failed' });
    await states.release(failure, 'two');
    expect(await requireRow(failure.messageId)).toEqual(failure);
    expect(await states.dismiss(failure, 'x', now)).toMatchObject({ isOurs: true });
  });

  it('that was recorded before there were states is failed', async () => {
    const failure = await newFailure();
    const { classDay, messageId } = failure;
    const strip = new UpdateItemCommand({
      TableName: tables.failures,
      Key: { classDay: { S: classDay }, messageId: { S: messageId } },
      UpdateExpression: 'REMOVE #state, redriveCount',
      ExpressionAttributeNames: { '#state': 'state' },
    });
    await store.client.send(strip);
    expect(await requireRow(messageId)).toEqual(failure);
    expect(await newStates().dismiss(failure, 'old', now)).toEqual({ isOurs: true, state: 'dismissed' });
  });

  it('that is not there becomes none by being marked', async () => {
    const key = { classDay: `bug#${day}`, messageId: 'nowhere' };
    await newStates().dismiss(key, 'x', now);
    expect(await rowOf('nowhere')).toBeUndefined();
  });

  it('that is recorded again after it was redriven or dismissed stays so', async () => {
    const failure = await newFailure();
    await newStates().dismiss(failure, 'device scrapped', now);
    await newFailures().record({
      code: 'SIGNER_DEADLINE',
      detail: 'No answer.',
      messageId: failure.messageId,
      sender: failure.sender,
      body: failure.body,
      tries: 8,
      sentAt: now - 1_000,
      failedAt: now + 1,
    });
    expect(await rowOf(failure.messageId)).toMatchObject({ state: 'dismissed', tries: 8, code: 'SIGNER_DEADLINE' });
  });

  it('says when its state cannot be written, or is not known to be', async () => {
    const failure = await newFailure();
    for (const fault of faults) {
      const wrapped = wrapClient(store.newClient());
      wrapped.fail(() => true, fault);
      const states = new FailureStates(wrapped.client, tables.failures);
      await expect(states.dismiss(failure, 'x', now)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    }
    expect(await rowOf(failure.messageId)).toMatchObject({ state: 'dismissed' });
  });
});

describe('redrive', () => {
  it('sends each once with its body, its first sender and its past, and marks it', async () => {
    const failures = await Promise.all(Array.from({ length: 23 }, () => newFailure()));
    const redriveQueue = new RedriveQueue();
    const ends = await redriveAll(
      failures.map(({ messageId }) => messageId),
      { sqs: redriveQueue.client },
    );
    expect(ends.map(kindOf)).toEqual(failures.map(() => 'redriven'));
    const sent = new Map(redriveQueue.sent.map(({ messageId, entry }) => [entry.MessageBody, messageId]));
    expect(sent.size).toBe(23);
    for (const failure of failures) {
      expect(await rowOf(failure.messageId)).toMatchObject({
        state: 'redriven',
        redrivenAt: now,
        redrivenAs: sent.get(failure.body),
      });
    }
    expect(redriveQueue.deliver(now)).toEqual(
      expect.arrayContaining([
        expect.objectContaining({
          senderId: 'AROAEXAMPLE:session',
          redriven: expect.objectContaining({ originalMessageId: failures[0]?.messageId, earlierTries: 7 }) as unknown,
        }),
      ]),
    );
    const again = await redriveAll(
      failures.map(({ messageId }) => messageId),
      { sqs: redriveQueue.client },
    );
    expect(again.map(kindOf)).toEqual(failures.map(() => 'redriven'));
    expect(again.every(({ kind }) => kind === 'left')).toBe(true);
    expect(redriveQueue.sent).toEqual([]);
  });

  it('by two at once: each message is sent once, by whoever claimed its row', async () => {
    const failures = await Promise.all(Array.from({ length: 60 }, () => newFailure()));
    const redriveQueue = new RedriveQueue();
    const messageIds = failures.map(({ messageId }) => messageId);
    const runs = await Promise.all([1, 2].map(() => redriveAll(messageIds, { sqs: redriveQueue.client })));
    expect(redriveQueue.sent).toHaveLength(60);
    expect(new Set(redriveQueue.sent.map(({ entry }) => entry.MessageBody)).size).toBe(60);
    const kinds = runs.flat().map(({ kind }) => kind);
    expect(kinds.filter((kind) => kind === 'redriven')).toHaveLength(60);
    expect(kinds.filter((kind) => kind === 'overtaken')).toHaveLength(60);
    for (const messageId of messageIds) expect((await requireRow(messageId)).state).toBe('redriven');
  });

  const failing = (name: string) => {
    const unreachable = new RedriveQueue();
    unreachable.client.send = () => Promise.reject(Object.assign(new Error('no answer'), { name }));
    return unreachable.client;
  };

  it('keeps the claims of what SQS may have taken: nobody dismisses it, or sends it again, until they end', async () => {
    const failure = await newFailure();
    await expect(redriveAll([failure.messageId], { sqs: failing('TimeoutError') })).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
    });
    expect(await newStates().dismiss(failure, 'x', now + claimLasts)).toEqual({ isOurs: false, state: 'failed' });
    const redriveQueue = new RedriveQueue();
    const again = await redriveAll([failure.messageId], { sqs: redriveQueue.client });
    expect(again).toMatchObject([{ kind: 'overtaken', state: 'failed' }]);
    expect(redriveQueue.sent).toEqual([]);
    now += claimLasts + 1;
    const after = await redriveAll([failure.messageId], { sqs: redriveQueue.client });
    expect(after).toMatchObject([{ kind: 'redriven' }]);
  });

  it('sends nothing whose claim may end meanwhile, and lets go of it', async () => {
    const failures = [await newFailure(), await newFailure(), await newFailure()];
    const messageIds = failures.map(({ messageId }) => messageId);
    const wrapped = wrapClient(store.newClient());
    wrapped.before(updates(tables.failures), async () => {
      now += claimLasts - sendingLasts + 1;
    });
    const states = new FailureStates(wrapped.client, tables.failures);
    const redriveQueue = new RedriveQueue();
    const ends = await redriveAll(messageIds, { sqs: redriveQueue.client, states });
    expect(ends.map(({ kind }) => kind)).toEqual(['late', 'late', 'late']);
    expect(redriveQueue.sent).toEqual([]);
    for (const failure of failures) expect(await requireRow(failure.messageId)).toEqual(failure);
    const again = await redriveAll(messageIds, { sqs: redriveQueue.client });
    expect(again.map(({ kind }) => kind)).toEqual(['redriven', 'redriven', 'redriven']);
  });

  it('sends what has just enough of its claim left, and gives SQS no longer than that', async () => {
    const failure = await newFailure();
    const wrapped = wrapClient(store.newClient());
    wrapped.before(updates(tables.failures), async () => {
      now += claimLasts - sendingLasts;
    });
    const states = new FailureStates(wrapped.client, tables.failures);
    const redriveQueue = new RedriveQueue();
    const timeout = vi.spyOn(AbortSignal, 'timeout');
    const send = vi.spyOn(redriveQueue.client, 'send');
    try {
      const ends = await redriveAll([failure.messageId], { sqs: redriveQueue.client, states });
      expect(ends).toMatchObject([{ kind: 'redriven' }]);
      expect(timeout).toHaveBeenCalledExactlyOnceWith(sendingLasts);
      expect(send.mock.calls[0]?.[1]).toEqual({ abortSignal: timeout.mock.results[0]?.value });
    } finally {
      timeout.mockRestore();
    }
  });

  it('lets go of what SQS did not take: the same command goes on at once', async () => {
    const failures = [await newFailure(), await newFailure()];
    const messageIds = failures.map(({ messageId }) => messageId);
    await expect(redriveAll(messageIds, { sqs: failing('AccessDeniedException') })).rejects.toMatchObject({
      code: 'STORE_REFUSED',
    });
    const refusing = new RedriveQueue();
    refusing.refuses = ({ MessageBody: body }) => body === failures[0]?.body;
    const ends = await redriveAll(messageIds, { sqs: refusing.client });
    expect(ends.map(({ kind }) => kind).toSorted()).toEqual(['redriven', 'refused']);
    const again = await redriveAll(messageIds, { sqs: new RedriveQueue().client });
    expect(again.map(({ kind }) => kind).toSorted()).toEqual(['left', 'redriven']);
  });

  it('says what it sent although its claim had ended, and another run has the row', async () => {
    const failure = await newFailure();
    const redriveQueue = new RedriveQueue();
    const { client } = redriveQueue;
    const slow = new RedriveQueue().newClient();
    slow.send = (async (command: object) => {
      now += claimLasts + 1;
      await newStates().claim(failure, { by: 'another', until: now + claimLasts }, now);
      return client.send(command as never);
    }) as typeof slow.send;
    const ends = await redriveAll([failure.messageId], { sqs: slow });
    expect(ends).toMatchObject([{ kind: 'overtaken', state: 'failed', messageId: redriveQueue.sent[0]?.messageId }]);
  });

  it('never sends what was dismissed, has not its whole message, or is new', async () => {
    const dismissed = await newFailure();
    await newStates().dismiss(dismissed, 'x', now);
    const cut = await newFailure({ body: 'x'.repeat(70_000), code: 'MESSAGE_TOO_LARGE' });
    const key = await newFailure({ body: '-----BEGIN PRIVATE KEY-----\nMIGH' });
    const later = await newFailure({ failedAt: now + 1 });
    const redriveQueue = new RedriveQueue();
    const rows = [dismissed, cut, key, later];
    const ends = await redriveAll(
      rows.map(({ messageId }) => messageId),
      { sqs: redriveQueue.client },
    );
    expect(new Map(ends.map((end) => [end.failure.messageId, kindOf(end)]))).toEqual(
      new Map([
        [dismissed.messageId, 'dismissed'],
        [cut.messageId, 'body-cut'],
        [key.messageId, 'body-cut'],
        [later.messageId, 'new'],
      ]),
    );
    expect(redriveQueue.sent).toEqual([]);
  });

  it('leaves a row as it is when SQS refuses its message alone', async () => {
    const [good, bad] = [await newFailure(), await newFailure()];
    const redriveQueue = new RedriveQueue();
    redriveQueue.refuses = ({ MessageBody: body }) => body === bad.body;
    const ends = await redriveAll([good.messageId, bad.messageId], { sqs: redriveQueue.client });
    expect(ends.map(kindOf).toSorted()).toEqual(['redriven', 'refused']);
    expect((await requireRow(bad.messageId)).state).toBe('failed');
    expect((await requireRow(good.messageId)).state).toBe('redriven');
  });

  it('tells of one that was dismissed between sending and marking', async () => {
    const failure = await newFailure();
    const wrapped = wrapClient(store.newClient());
    wrapped.before(updates(tables.failures), () => newStates().dismiss(failure, 'x', now));
    const states = new FailureStates(wrapped.client, tables.failures);
    const ends = await redriveAll([failure.messageId], { sqs: new RedriveQueue().client, states });
    expect(ends).toMatchObject([{ kind: 'overtaken', state: 'dismissed' }]);
  });

  it('stops between batches when it is told to', async () => {
    const failures = await Promise.all(Array.from({ length: 6 }, () => newFailure()));
    const redriveQueue = new RedriveQueue();
    const stop = new AbortController();
    const options = {
      sqs: redriveQueue.client,
      queueUrl: '',
      states: newStates(),
      pace: async () => {
        if (redriveQueue.sent.length === 4) stop.abort();
      },
      batchSize: 2,
      runId: 'run',
      before: now + 1,
      until: stop.signal,
      now: () => now,
    };
    const ends: Redrive[] = [];
    for await (const end of redrive(each(failures), options)) ends.push(end);
    expect(ends.map(({ kind }) => kind)).toEqual(['redriven', 'redriven', 'redriven', 'redriven']);
    expect(redriveQueue.sent).toHaveLength(4);
  });
});

/** A process that dies at one of its calls to AWS: that one is performed or not, and there is none after it. */
class Life {
  calls = 0;
  readonly #diesAt: number;
  readonly #fault: CallFault;

  constructor(diesAt = Number.POSITIVE_INFINITY, fault: CallFault = 'not-written') {
    this.#diesAt = diesAt;
    this.#fault = fault;
  }

  wrap<Client extends SQSClient | DynamoDBClient>(client: Client): Client {
    const send = client.send.bind(client) as (command: object) => Promise<unknown>;
    const mortal = async (command: object): Promise<unknown> => {
      const call = ++this.calls;
      if (call < this.#diesAt || (call === this.#diesAt && this.#fault === 'reply-lost')) {
        const answer = await send(command);
        if (call < this.#diesAt) return answer;
      }
      throw Object.assign(new Error('killed'), { name: 'TimeoutError' });
    };
    client.send = mortal as Client['send'];
    return client;
  }
}

describe('a crash at any call', () => {
  /** Requests that the HSM kept from their certificates until they were given up. */
  async function givenUp(count: number) {
    const requests = await Promise.all(Array.from({ length: count }, () => newMessage()));
    now += hour;
    for (const { message } of requests) {
      worker.signer.faults.push('unavailable');
      expect(await worker.issue({ ...message, receiveCount: 9 })).toMatchObject([{ kind: 'failed' }]);
    }
    return requests;
  }

  async function certificatesOf(deviceId: string): Promise<string[]> {
    const command = new QueryCommand({
      TableName: tables.issuance,
      KeyConditionExpression: 'deviceId = :deviceId',
      ExpressionAttributeValues: { ':deviceId': { S: deviceId } },
      ConsistentRead: true,
    });
    const { Items: items = [] } = await store.client.send(command);
    return items.map(({ certificate }) => Buffer.from(certificate?.B ?? []).toString('hex'));
  }

  /** Two batches: 2 claims, send, 2 marks; 1 claim, send, 1 mark. */
  const calls = 8;

  it('of a redrive: there are as many as are tried below', async () => {
    const requests = await givenUp(3);
    const life = new Life();
    const sqs = life.wrap(new RedriveQueue().client);
    const states = new FailureStates(life.wrap(store.newClient()), tables.failures);
    await redriveAll(
      requests.map(({ message }) => message.messageId),
      { sqs, states, batchSize: 2 },
    );
    expect(life.calls).toBe(calls);
  });

  for (const fault of faults) {
    for (let call = 1; call <= calls; call++) {
      it(`of a redrive (${call}, ${fault}) leaves the row or the message, and one certificate in the end`, async () => {
        const requests = await givenUp(3);
        const messageIds = requests.map(({ message }) => message.messageId);
        const redriveQueue = new RedriveQueue();
        const life = new Life(call, fault);
        const sqs = life.wrap(redriveQueue.newClient());
        const states = new FailureStates(life.wrap(store.newClient()), tables.failures);
        await expect(redriveAll(messageIds, { sqs, states, batchSize: 2 })).rejects.toBeInstanceOf(MintmarkError);

        const isSent = (body: string) => redriveQueue.sent.some(({ entry }) => entry.MessageBody === body);
        for (const { message } of requests) {
          const { state } = await requireRow(message.messageId);
          expect(state === 'failed' || isSent(message.body)).toBe(true);
        }
        // What it had claimed is left to it for so long.
        now += claimLasts + 1;

        await redriveAll(messageIds, { sqs: redriveQueue.client, batchSize: 2 });
        for (const { message } of requests) {
          expect((await requireRow(message.messageId)).state).toBe('redriven');
          expect(isSent(message.body)).toBe(true);
        }
        const delivered = redriveQueue.deliver(now);
        const serials = new Map<string, Set<string>>();
        for (const message of delivered) {
          const [outcome] = await worker.issue(message);
          if (outcome?.kind !== 'issued') throw new Error(`not issued: ${JSON.stringify(outcome)}`);
          const { deviceId, serialNumber } = outcome.row;
          serials.set(deviceId, (serials.get(deviceId) ?? new Set()).add(serialNumber));
        }
        expect([...serials.keys()].toSorted()).toEqual(requests.map(({ deviceId }) => deviceId).toSorted());
        for (const { deviceId } of requests) {
          expect(serials.get(deviceId)?.size).toBe(1);
          expect(await certificatesOf(deviceId)).toHaveLength(1);
        }
      });
    }
  }

  it.each(faults)('of a worker that gives a redriven message up (%s) leaves its row or its message', async (fault) => {
    let died = 0;
    for (let call = 1; ; call++) {
      // All of them on one day, however many calls there are.
      now = start;
      const { message: first } = await newMessage();
      const failure = await newFailure({ body: first.body });
      const redriveQueue = new RedriveQueue();
      await redriveAll([failure.messageId], { sqs: redriveQueue.client });
      const [message] = redriveQueue.deliver(now);
      if (message === undefined) throw new Error('nothing sent');
      now += hour;
      const life = new Life(call, fault);
      const mortal = startWorker({
        tables: { ...store, newClient: () => life.wrap(store.newClient()) },
        ca,
        now: () => now,
      });
      mortal.signer.faults.push('unavailable');
      const [outcome] = await mortal.issue({ ...message, receiveCount: 9 });
      const row = await rowOf(message.messageId);
      // Anything but a retry consumes the message.
      if (outcome?.kind !== 'retry') expect(row).toMatchObject({ body: first.body, state: 'failed', redriveCount: 1 });
      if (life.calls < call) {
        expect(outcome?.kind).toBe('failed');
        break;
      }
      died++;
      // The message comes again: whatever the first one left, there is one row, or the certificate.
      worker.signer.faults.push('unavailable');
      expect(await worker.issue({ ...message, receiveCount: 10 })).toMatchObject([{ kind: 'failed' }]);
      expect(await rowOf(message.messageId)).toMatchObject({
        originalMessageId: failure.messageId,
        sender: failure.sender,
        state: 'failed',
      });
    }
    expect(died).toBeGreaterThan(3);
  });
});

describe('a message that fails again', () => {
  it('is a row that names the first: its sender, its first error, all its tries', async () => {
    const { message } = await newMessage();
    worker.signer.faults.push('unavailable');
    await worker.issue(message);
    now += hour;
    let messageId = message.messageId;
    worker.signer.faults.push('deadline');
    await worker.issue({ ...message, receiveCount: 30 });
    for (const redriveCount of [1, 2, 3]) {
      const redriveQueue = new RedriveQueue();
      await redriveAll([messageId], { sqs: redriveQueue.client });
      const [again] = redriveQueue.deliver(now);
      if (again === undefined) throw new Error('nothing sent');
      // Not older than the redrive: it is tried.
      worker.signer.faults.push('unavailable');
      expect(await worker.issue(again)).toMatchObject([{ kind: 'retry' }]);
      now += hour;
      worker.signer.faults.push('deadline');
      await worker.issue({ ...again, receiveCount: 10 });
      expect(await rowOf(again.messageId)).toMatchObject({
        state: 'failed',
        redriveCount,
        originalMessageId: message.messageId,
        resentBy: 'AROAOPERATOR:someone',
        sender: message.senderId,
        sentAt: start,
        tries: 30 + redriveCount * 10,
        firstCode: 'SIGNER_UNAVAILABLE',
        firstFailedAt: start,
        body: message.body,
      });
      expect(await rowOf(messageId)).toMatchObject({ state: 'redriven', redrivenAs: again.messageId });
      messageId = again.messageId;
    }
  });

  it('whose sender may not enrol the device may not by being redriven either, unless that changed', async () => {
    const { deviceId, message } = await newMessage(['AROAOPERATOR']);
    expect(await worker.issue(message)).toMatchObject([{ kind: 'failed', code: 'SENDER_NOT_ALLOWED' }]);
    const redriveQueue = new RedriveQueue();
    await redriveAll([message.messageId], { sqs: redriveQueue.client });
    const [again] = redriveQueue.deliver(now);
    if (again === undefined) throw new Error('nothing sent');
    expect(await worker.issue(again)).toMatchObject([{ kind: 'failed', code: 'SENDER_NOT_ALLOWED' }]);
    const row = await requireRow(again.messageId);
    expect(row).toMatchObject({ failureClass: 'unauthorised', sender: message.senderId, redriveCount: 1 });
    expect(row.deviceId).toBeUndefined();

    await worker.authority.devices.register({ deviceId, state: 'active', allowedSenders: ['AROAEXAMPLEROLEID'] });
    await redriveAll([again.messageId], { sqs: redriveQueue.client });
    const [allowed] = redriveQueue.deliver(now);
    now += minute;
    if (allowed === undefined) throw new Error('nothing sent');
    expect(await worker.issue(allowed)).toMatchObject([{ kind: 'issued', row: { deviceId } }]);
  });
});

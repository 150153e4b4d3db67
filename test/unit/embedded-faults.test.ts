import type { Message } from '@aws-sdk/client-sqs';
import { describe, expect, it, vi } from 'vitest';
import type { ApiCall } from '../../local/embedded/api-call.ts';
import type { Answer } from '../../local/embedded/aws-error.ts';
import { CallFaults, callErrors } from '../../local/embedded/call-faults.ts';
import { type DeliveryChances, disturbedSource } from '../../local/embedded/delivery-faults.ts';
import { SeededRandom } from '../../local/embedded/seeded-random.ts';
import { BoundaryKills } from '../drills/kills.ts';
import { commonSlope } from '../drills/memory.ts';

describe('random numbers that a seed decides', () => {
  it('are those of SplitMix64', () => {
    // The first numbers from state 0 of Vigna's reference, https://prng.di.unimi.it/splitmix64.c
    const random = new SeededRandom(0n);
    expect([random.bits(), random.bits()]).toEqual([0xe220a8397b1dcdafn, 0x6e789e6aa1b965f4n]);
  });

  it('are the same for the same seed and name, whatever else was drawn', () => {
    const [one, other] = [SeededRandom.of(5), SeededRandom.of(5)];
    other.bits();
    const drawn = (random: SeededRandom) => Array.from({ length: 5 }, () => random.named('x').bits());
    expect(drawn(one)).toEqual(drawn(other));
    expect(one.named('x').bits()).not.toBe(one.named('y').bits());
    expect(SeededRandom.of(6).bits()).not.toBe(SeededRandom.of(5).bits());
  });

  it('stay within their bounds, and shuffle without loss', () => {
    const random = SeededRandom.of(1);
    const below = Array.from({ length: 500 }, () => random.below(7));
    expect([...new Set(below)].sort()).toEqual([0, 1, 2, 3, 4, 5, 6]);
    const elements = Array.from({ length: 50 }, (_, index) => index);
    const shuffled = random.shuffled(elements);
    expect(shuffled).not.toEqual(elements);
    expect(shuffled.toSorted((a, b) => a - b)).toEqual(elements);
    expect(() => random.pick([])).toThrow(RangeError);
  });
});

const done: Answer = { status: 200, headers: {}, body: Buffer.from('{}') };

function call(operation: string, more: Partial<ApiCall> = {}): ApiCall & { readonly kill: ReturnType<typeof vi.fn> } {
  const kill = vi.fn<() => Promise<void>>(() => Promise.resolve());
  const headers = { 'x-amz-target': `DynamoDB_20120810.${operation}` };
  const request = { method: 'POST', url: '/', headers, body: Buffer.from('{}'), accessKeyId: 'LOCALISSUE' };
  return { service: 'dynamodb', operation, request, caller: { function: 'issue', kill }, kill, ...more };
}

describe('faults of calls', () => {
  const performing = () => vi.fn<() => Promise<Answer>>(() => Promise.resolve(done));

  it.each([
    { when: 'before', carriedOut: 0 },
    { when: 'after', carriedOut: 1 },
  ] as const)(
    'an error $when: carried out $carriedOut times, so often as it was asked for',
    async ({ when, carriedOut }) => {
      const faults = new CallFaults();
      faults.set({ ...callErrors.internal, when, service: 'dynamodb', operation: 'UpdateItem', count: 2 });
      const perform = performing();
      expect(await faults.around(call('GetItem'), perform)).toBe(done);
      expect(perform).toHaveBeenCalledTimes(1);
      for (const round of [1, 2]) {
        const answer = await faults.around(call('UpdateItem'), perform);
        expect(answer?.status).toBe(500);
        expect(JSON.parse(String(answer?.body))).toMatchObject({ __type: 'InternalServerError' });
        expect(perform).toHaveBeenCalledTimes(1 + round * carriedOut);
      }
      expect(await faults.around(call('UpdateItem'), perform)).toBe(done);
      expect(faults.happened).toBe(2);
    },
  );

  it.each([
    { when: 'before', carriedOut: 0 },
    { when: 'after', carriedOut: 1 },
  ] as const)(
    'a connection dropped $when: carried out $carriedOut times, and no answer',
    async ({ when, carriedOut }) => {
      const faults = new CallFaults();
      faults.set({ effect: 'connection-dropped', when, service: 'dynamodb', operation: 'UpdateItem', count: 1 });
      const perform = performing();
      expect(await faults.around(call('UpdateItem'), perform)).toBeUndefined();
      expect(perform).toHaveBeenCalledTimes(carriedOut);
    },
  );

  it('are for functions alone, and end when others are set', async () => {
    const faults = new CallFaults();
    const fault = { ...callErrors.throttled, when: 'before', service: 'dynamodb', operation: 'GetItem' } as const;
    faults.set({ ...fault, count: -1 });
    expect(await faults.around({ ...call('GetItem'), caller: undefined }, performing())).toBe(done);
    expect((await faults.around(call('GetItem'), performing()))?.status).toBe(400);
    faults.set();
    expect(await faults.around(call('GetItem'), performing())).toBe(done);
    expect(() => faults.set({ ...fault, count: 0 })).toThrow(RangeError);
  });
});

describe('faults of deliveries', () => {
  const messages = Array.from({ length: 30 }, (_, index): Message => ({ MessageId: String(index) }));
  const { signal } = new AbortController();

  function deliver(chances: DeliveryChances, seed = 1) {
    const queue = [...messages];
    let now = 0;
    const receive = (maximum: number) => Promise.resolve(queue.splice(0, maximum));
    const source = disturbedSource(
      { receive, delete: () => Promise.resolve() },
      () => chances,
      SeededRandom.of(seed),
      () => now,
    );
    return {
      /** Everything that is received in so many goes, a millisecond apart. */
      rounds: async (count: number) => {
        const received: string[] = [];
        for (let round = 0; round < count; round++) {
          received.push(...(await source.receive(10, signal)).map(({ MessageId }) => MessageId ?? ''));
          now += 1;
        }
        return received;
      },
    };
  }
  const ids = messages.map(({ MessageId }) => MessageId ?? '');
  const sorted = (list: readonly string[]) => list.toSorted((a, b) => Number(a) - Number(b));

  it('nothing but another order', async () => {
    const received = await deliver({ duplicate: 0, late: 0, lateMilliseconds: 0 }).rounds(3);
    expect(received).not.toEqual(ids);
    expect(sorted(received)).toEqual(ids);
  });

  it('duplicates: every message, some of them again, at most once more', async () => {
    const received = await deliver({ duplicate: 0.5, late: 0, lateMilliseconds: 0 }).rounds(8);
    expect(sorted([...new Set(received)])).toEqual(ids);
    expect(received.length).toBeGreaterThan(35);
    expect(received.length).toBeLessThan(55);
  });

  it('late ones: none before its time, all of them then', async () => {
    const delivery = deliver({ duplicate: 0, late: 1, lateMilliseconds: 10 });
    expect(await delivery.rounds(10)).toEqual([]);
    expect(sorted(await delivery.rounds(10))).toEqual(ids);
  });

  it('are decided by the seed', async () => {
    const chances = { duplicate: 0.3, late: 0.3, lateMilliseconds: 2 };
    const [first, again, other] = await Promise.all([1, 1, 2].map((seed) => deliver(chances, seed).rounds(12)));
    expect(again).toEqual(first);
    expect(other).not.toEqual(first);
  });
});

describe('kills at the boundaries of calls', () => {
  it('each boundary so often as asked: before, not carried out; after, carried out; and never an answer', async () => {
    const kills = new BoundaryKills({ function: 'issue', each: 2, limit: 100, random: SeededRandom.of(3) });
    const carriedOut = vi.fn<() => Promise<Answer>>(() => Promise.resolve(done));
    let killedBefore = 0;
    let killedAfter = 0;
    for (let round = 0; round < 60; round++) {
      const one = call('GetItem');
      const before = carriedOut.mock.calls.length;
      const answer = await kills.around(one, carriedOut);
      expect(answer === undefined).toBe(one.kill.mock.calls.length === 1);
      if (answer === undefined && carriedOut.mock.calls.length === before) killedBefore += 1;
      else if (answer === undefined) killedAfter += 1;
    }
    expect([killedBefore, killedAfter]).toEqual([2, 2]);
    expect(kills.killed).toEqual(
      new Map([
        ['before dynamodb GetItem', 2],
        ['after dynamodb GetItem', 2],
      ]),
    );
  });

  it('tells steps apart by table and state, and lets other functions be', async () => {
    const kills = new BoundaryKills({ function: 'issue', each: 1, limit: 100, random: SeededRandom.of(3) });
    const update = { TableName: 'rows', ExpressionAttributeValues: { ':to': { S: 'issued' } } };
    const { request } = call('UpdateItem');
    const other = call('UpdateItem', {
      caller: { function: 'reconcile', kill: () => Promise.reject(new Error('no')) },
    });
    for (let round = 0; round < 10; round++) {
      await kills.around(
        call('UpdateItem', { request: { ...request, body: Buffer.from(JSON.stringify(update)) } }),
        () => Promise.resolve(done),
      );
      expect(await kills.around(other, () => Promise.resolve(done))).toBe(done);
    }
    expect([...kills.killed.keys()].sort()).toEqual([
      'after dynamodb UpdateItem rows to issued',
      'before dynamodb UpdateItem rows to issued',
    ]);
  });
});

describe('the slope of memory', () => {
  const line = (level: number, slope: number) =>
    Array.from({ length: 10 }, (_, at) => ({ at, kibibytes: level + slope * at }));

  it('is one for all processes, whatever their levels', () => {
    expect(commonSlope([line(1_000, 5), line(90_000, 5)])).toBeCloseTo(5, 6);
    expect(commonSlope([line(1_000, 0), line(90_000, 10)])).toBeCloseTo(5, 6);
  });

  it('is none where there is no time between the samples', () => {
    expect(commonSlope([])).toBeUndefined();
    expect(commonSlope([[{ at: 1, kibibytes: 5 }]])).toBeUndefined();
  });
});

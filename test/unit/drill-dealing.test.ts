import { describe, expect, it } from 'vitest';
import { SeededRandom } from '../../local/embedded/seeded-random.ts';
import { dealt, pendingWith, timesMet } from '../drills/dealing.ts';
import { WorkerKills } from '../drills/worker-kills.ts';

describe('what is dealt', () => {
  const kinds = Array.from({ length: 40 }, (_, index) => `kind ${index}`);
  const all: { readonly kind?: string }[] = [...kinds.map((kind) => ({ kind })), {}];
  const isMissing = new Set(['kind 3', 'kind 17', 'kind 30']);
  const happened = new Map(kinds.map((kind) => [kind, isMissing.has(kind) ? 0 : 2]));

  it('is each kind once, and first those that have not happened', () => {
    const order = dealt(all, happened, SeededRandom.of(1));
    expect(new Set(order)).toEqual(new Set(all));
    expect(order).toHaveLength(all.length);
    expect(new Set(order.slice(0, 3).map(({ kind }) => kind))).toEqual(isMissing);
  });

  it('is in an order that the seed decides, while nothing has happened too', () => {
    const none = new Map<string, number>();
    expect(dealt(all, none, SeededRandom.of(1))).toEqual(dealt(all, none, SeededRandom.of(1)));
    expect(dealt(all, none, SeededRandom.of(1))).not.toEqual(dealt(all, none, SeededRandom.of(2)));
    expect(dealt(all, none, SeededRandom.of(1)).slice(0, 40)).not.toEqual(all.slice(0, 40));
  });
});

describe('faults that are pending', () => {
  const busy = { kind: 'busy', count: 3, isOfStart: false };
  const slow = { kind: 'slow', count: 2, isOfStart: false };
  const hanging = { kind: 'hanging', count: 1, isOfStart: true };
  const throttled = { kind: 'throttled', count: 4, isOfStart: true };
  const left = (counts: Record<string, number>) => (kind: string) => counts[kind] ?? 0;

  it('are the next one and those of a start that nobody has met', () => {
    expect(pendingWith(slow, [hanging, busy], left({ hanging: 1, busy: 3 }))).toEqual([hanging, slow]);
    expect(pendingWith(slow, [hanging, throttled], left({ hanging: 1, throttled: 4 }))).toEqual([
      hanging,
      throttled,
      slow,
    ]);
  });

  it('are no longer those that were met, once or more often', () => {
    expect(pendingWith(slow, [hanging, throttled], left({ throttled: 3 }))).toEqual([slow]);
  });

  it('are each kind once', () => {
    expect(pendingWith(hanging, [hanging], left({ hanging: 1 }))).toEqual([hanging]);
  });

  it('have happened as often as they are no longer left', () => {
    expect(timesMet([hanging, throttled, busy], left({ hanging: 1, throttled: 1 }))).toEqual([
      ['throttled', 3],
      ['busy', 3],
    ]);
  });
});

describe('kills of workers', () => {
  function killing(...first: readonly number[]) {
    let up = [...first];
    const killed: number[] = [];
    const kill = (pid: number): void => {
      killed.push(pid);
      up = up.filter((other) => other !== pid);
    };
    const kills = new WorkerKills({ pids: () => up, kill, random: SeededRandom.of(1) });
    return { kills, killed, start: (pid: number) => up.push(pid), end: (pid: number) => kill(pid) };
  }

  it('kill nobody who was not asked for', () => {
    const { kills, killed } = killing(1, 2);
    expect(kills.look()).toBe(false);
    expect(killed).toEqual([]);
  });

  it('are one for each time that was asked, and never of the one that is spared', () => {
    const { kills, killed } = killing(1, 2, 3);
    kills.ask();
    expect([kills.look(), kills.look()]).toEqual([true, false]);
    kills.ask();
    expect(kills.look()).toBe(true);
    expect(killed.toSorted()).toEqual([2, 3]);
  });

  it('wait, where there is but the one, until there is another', () => {
    const { kills, killed, start } = killing(1);
    kills.ask();
    expect(kills.look()).toBe(false);
    start(2);
    expect(kills.look()).toBe(true);
    expect(killed).toEqual([2]);
  });

  it('spare another when the one that was spared has ended', () => {
    const { kills, killed, start, end } = killing(1);
    kills.look();
    end(1);
    start(2);
    start(3);
    kills.ask();
    expect(kills.look()).toBe(true);
    expect(killed).toEqual([1, 3]);
  });
});

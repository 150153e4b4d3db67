import type { SeededRandom } from '../../local/embedded/seeded-random.ts';

/** What can be dealt. */
export interface Dealt {
  /** What it is told as; of what is no fault, none. */
  readonly kind?: string;
}

/**
 * All of them, each once and in a random order, but first the kinds that were asked for and did not happen. Pure but for
 * what it draws.
 * @param happened how often each kind has, so far
 */
export function dealt<Each extends Dealt>(
  all: readonly Each[],
  happened: ReadonlyMap<string, number>,
  random: SeededRandom,
): Each[] {
  const has = ({ kind }: Dealt): boolean => kind === undefined || (happened.get(kind) ?? 0) > 0;
  const shuffled = random.shuffled(all);
  return [...shuffled.filter((each) => !has(each)), ...shuffled.filter(has)];
}

/** A fault that whoever has it to inject counts down. */
export interface Asked {
  readonly kind: string;
  readonly count: number;
  /** Only a process that starts meets it. */
  readonly isOfStart: boolean;
}

/** Of the faults that were asked for, how often each has happened. Pure. @param left how many of a kind are yet to come */
export const timesMet = (asked: readonly Asked[], left: (kind: string) => number): (readonly [string, number])[] =>
  asked.flatMap(({ kind, count }) => (left(kind) < count ? [[kind, count - left(kind)] as const] : []));

/**
 * What is pending once there is a next fault: it, in place of those before it. But a fault of a start stays, and comes
 * first, until a process has met it: none may have started in between. One that was met is over, whatever is left of its
 * count. Pure.
 * @param left how many of a kind are yet to come
 */
export function pendingWith<Each extends Asked>(
  next: Each,
  asked: readonly Each[],
  left: (kind: string) => number,
): Each[] {
  const unmet = asked.filter(({ kind, count, isOfStart }) => isOfStart && kind !== next.kind && left(kind) >= count);
  return [...unmet, next];
}

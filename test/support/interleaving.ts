import { setImmediate as turn } from 'node:timers/promises';

/** What becomes of one call to the outside, and of who made it. */
export type Fate =
  | 'done'
  /** It fails, and was not done. */
  | 'not-done'
  /** It fails, but was done. */
  | 'reply-lost'
  /** The caller dies before it. */
  | 'killed-before'
  /** The caller dies after it, without having heard of it. */
  | 'killed-after';

interface Call {
  readonly caller: string;
  readonly run: () => Promise<unknown>;
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Stops every call to the outside until it is let go on, one at a time, so that the order in which several callers'
 * calls are done is chosen and not the machine's. Between two calls a caller may do what takes no outside.
 */
export class Interleaving {
  readonly #waiting: Call[] = [];
  readonly #dead = new Set<string>();

  /** A call that waits here first. One of a dead caller never comes back. */
  call<Answer>(caller: string, run: () => Promise<Answer>): Promise<Answer> {
    return new Promise<Answer>((resolve, reject) => {
      if (this.#dead.has(caller)) return;
      this.#waiting.push({ caller, run, resolve: resolve as (answer: unknown) => void, reject });
    });
  }

  /**
   * Lets one of the waiting calls go on.
   * @param choice any natural number: which
   * @returns whether one was waiting
   */
  async step(choice: number, fate: Fate): Promise<boolean> {
    await settle();
    const call = this.#waiting.splice(choice % Math.max(1, this.#waiting.length), 1)[0];
    if (call === undefined) return false;
    if (fate === 'killed-before' || fate === 'killed-after') this.#kill(call.caller);
    const isRun = fate === 'done' || fate === 'reply-lost' || fate === 'killed-after';
    const outcome = isRun ? await Promise.allSettled([call.run()]) : [];
    if (fate === 'not-done' || fate === 'reply-lost') {
      call.reject(Object.assign(new Error('socket hang up'), { name: 'TimeoutError' }));
    }
    if (fate === 'done') {
      for (const result of outcome) {
        if (result.status === 'fulfilled') call.resolve(result.value);
        else call.reject(result.reason);
      }
    }
    await settle();
    return true;
  }

  #kill(caller: string): void {
    this.#dead.add(caller);
    for (let index = this.#waiting.length - 1; index >= 0; index--) {
      if (this.#waiting[index]?.caller === caller) this.#waiting.splice(index, 1);
    }
  }
}

/** Every caller has gone as far as it can without the outside: promises are run to their end before the loop turns. */
async function settle(): Promise<void> {
  await turn();
  await turn();
}

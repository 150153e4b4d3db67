/** Work of one key is done one after the other; that of several, at the same time. */
export class Turns {
  readonly #last = new Map<string, Promise<unknown>>();

  /** @param key undefined: waits for nobody, and nobody for it */
  take<Result>(key: string | undefined, work: () => Promise<Result>): Promise<Result> {
    if (key === undefined) return work();
    const before = this.#last.get(key) ?? Promise.resolve();
    // How the one before ended is told to whoever asked for that.
    const mine = before.then(work, work);
    this.#last.set(key, mine);
    return mine;
  }
}

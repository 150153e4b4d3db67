/** Lets the calls of one name go one after another, in the order in which they came. */
export class Turns {
  readonly #last = new Map<string, Promise<void>>();

  /** @returns what `run` gives, once every earlier call of the name is over, however it ended */
  take<Result>(name: string, run: () => Promise<Result>): Promise<Result> {
    const own = (this.#last.get(name) ?? Promise.resolve()).then(run);
    const over = own.then(
      () => undefined,
      // Its own caller is told.
      () => undefined,
    );
    this.#last.set(name, over);
    return own;
  }
}

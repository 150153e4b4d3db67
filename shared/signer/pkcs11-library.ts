/**
 * What signers that use the same PKCS#11 library share: Cryptoki is initialised, logged in and finalised for the whole
 * process, not for a thread, so two of them must never be in it at once (one's C_Finalize would take the other's
 * session away in the middle of a signature), and only the last to leave shuts it down.
 */
export class Pkcs11Library {
  static readonly #byPath = new Map<string, Pkcs11Library>();

  /**
   * Counts the times that a signer had the library initialised anew, so that the others, whose sessions that ended,
   * open new ones and do not end its session in turn.
   */
  initialisation = 0;

  /** Threads that were asked something whose deadline is past, and have not answered yet. */
  readonly overdue = new Set<object>();

  #users = 0;
  #lastTurn: Promise<void> = Promise.resolve();

  static at(path: string): Pkcs11Library {
    let library = Pkcs11Library.#byPath.get(path);
    if (library === undefined) {
      library = new Pkcs11Library();
      Pkcs11Library.#byPath.set(path, library);
    }
    return library;
  }

  enter(): void {
    this.#users += 1;
  }

  /** @returns whether this was the last user */
  leave(): boolean {
    this.#users -= 1;
    return this.#users === 0;
  }

  /**
   * Wait for one's turn, first come, first served, but not beyond `expired`.
   *
   * @returns what ends the turn, to be called once; undefined when `expired` came first
   */
  async takeTurn(expired: Promise<unknown>): Promise<(() => void) | undefined> {
    const before = this.#lastTurn;
    const { promise: mine, resolve: release } = Promise.withResolvers<void>();
    this.#lastTurn = before.then(() => mine);
    const arrived = await Promise.race([before.then(() => true), expired.then(() => false)]);
    if (arrived) return release;
    release();
    return undefined;
  }
}

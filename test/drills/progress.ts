/** Milliseconds between two lines where lines stay. */
const pause = 15_000;

/**
 * How far a drill is: on a terminal one line that is written over; in a file or a pipe, where lines stay, one at first and
 * one each quarter of a minute.
 */
export class DrillProgress {
  readonly #stream: Pick<NodeJS.WriteStream, 'write' | 'isTTY' | 'columns'>;
  readonly #now: () => number;
  #shownAt: number | undefined;

  /** @param now milliseconds, of any clock */
  constructor(stream: Pick<NodeJS.WriteStream, 'write' | 'isTTY' | 'columns'>, now: () => number) {
    this.#stream = stream;
    this.#now = now;
  }

  show(text: string): void {
    if (this.#stream.isTTY) {
      // A line that is broken could not be written over.
      this.#stream.write(`\r\x1b[K${text.slice(0, Math.max(0, this.#stream.columns - 1))}`);
    } else if (this.#shownAt === undefined || this.#now() - this.#shownAt >= pause) {
      this.#stream.write(`${text}\n`);
    } else return;
    this.#shownAt = this.#now();
  }

  /** Makes room for what is written after it. */
  end(): void {
    if (this.#stream.isTTY && this.#shownAt !== undefined) this.#stream.write('\r\x1b[K');
    this.#shownAt = undefined;
  }
}

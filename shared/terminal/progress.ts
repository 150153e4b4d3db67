/** Progress on one line of a terminal; in a file or a pipe, a line whenever a tenth is done. */
export class Progress {
  readonly #stream: NodeJS.WriteStream;
  readonly #total: number;
  readonly #done: string;
  #shown = -1;

  /** @param done what has happened to the ones that are counted: `answered` */
  constructor(stream: NodeJS.WriteStream, total: number, done: string) {
    this.#stream = stream;
    this.#total = total;
    this.#done = done;
  }

  show(count: number): void {
    const step = this.#stream.isTTY ? count : Math.floor((count * 10) / Math.max(1, this.#total));
    if (step === this.#shown) return;
    this.#shown = step;
    const width = 30;
    const filled = this.#total === 0 ? width : Math.round((count / this.#total) * width);
    const bar = `${'#'.repeat(filled)}${'.'.repeat(width - filled)}`;
    this.#stream.write(
      `${this.#stream.isTTY ? '\r' : ''}${bar} ${count}/${this.#total} ${this.#done}${this.#stream.isTTY ? '' : '\n'}`,
    );
  }

  end(): void {
    if (this.#stream.isTTY && this.#shown >= 0) this.#stream.write('\n');
  }
}

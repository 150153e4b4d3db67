/**
 * Progress on one line of a terminal. In a file or a pipe, where lines stay, few of them: what there is to do, and each
 * quarter that is done; of a single one the end is told by its result.
 */
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
    const step = this.#stream.isTTY || this.#total < 2 ? count : Math.floor((count * 4) / this.#total);
    if (step === this.#shown) return;
    const isFirst = this.#shown < 0;
    this.#shown = step;
    const told = `${count}/${this.#total} ${this.#done}`;
    if (this.#stream.isTTY) this.#stream.write(`\r${this.#bar(count)} ${told}`);
    else if (isFirst || this.#total > 1) this.#stream.write(`${told}\n`);
  }

  #bar(count: number): string {
    const width = 30;
    const filled = this.#total === 0 ? width : Math.round((count / this.#total) * width);
    return `${'#'.repeat(filled)}${'.'.repeat(width - filled)}`;
  }

  end(): void {
    if (this.#stream.isTTY && this.#shown >= 0) this.#stream.write('\n');
  }
}

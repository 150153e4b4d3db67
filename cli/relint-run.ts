import {
  type CheckedRow,
  type Relinted,
  type RelintRequirements,
  RelintTally,
  relint,
} from '../shared/issuance/index.ts';
import type { IssuanceRecord, PlacedRecord, Position } from '../shared/ledger/index.ts';
import { Interrupted, interruptible } from './interruptible.ts';

/** Rows that are judged together: what is asked about them is asked in one call for all. */
const rowsAtATime = 100;

export interface RelintRunOptions {
  readonly rows: AsyncIterable<PlacedRecord>;
  /** Which of the rows are meant. */
  readonly matches: (record: IssuanceRecord) => boolean;
  readonly requirements: RelintRequirements;
  readonly interrupted: AbortSignal;
  /** @param rows read by now, those that are not meant among them */
  readonly onRead: (rows: number) => void;
}

/** One way through rows: gives what is broken as it is found, and keeps counts alone. */
export class RelintRun {
  readonly tally = new RelintTally();
  readonly #options: RelintRunOptions;
  #read = 0;
  #last: Position | undefined;
  #isInterrupted = false;

  constructor(options: RelintRunOptions) {
    this.#options = options;
  }

  /** It ended before its last row. */
  get isInterrupted(): boolean {
    return this.#isInterrupted;
  }

  /** Of the last row that is counted; undefined before the first. */
  get last(): Position | undefined {
    return this.#last;
  }

  /** The checked rows that break a rule. An interruption ends them, and is no error: what was found stands. */
  async *findings(): AsyncGenerator<CheckedRow, void, undefined> {
    let batch: PlacedRecord[] = [];
    try {
      for await (const row of interruptible(this.#options.rows, this.#options.interrupted)) {
        batch.push(row);
        if (batch.length < rowsAtATime) continue;
        yield* await this.#judge(batch);
        batch = [];
      }
      yield* await this.#judge(batch);
    } catch (error) {
      if (!(error instanceof Interrupted)) throw error;
      this.#isInterrupted = true;
    }
  }

  async #judge(batch: readonly PlacedRecord[]): Promise<CheckedRow[]> {
    const { matches, requirements, onRead } = this.#options;
    const meant = batch.map(({ record }) => record).filter(matches);
    const relinted = await relint(meant, requirements);
    for (const one of relinted) this.tally.add(one);
    this.#last = batch.at(-1)?.position ?? this.#last;
    this.#read += batch.length;
    onRead(this.#read);
    return relinted.filter(isBroken);
  }
}

const isBroken = (relinted: Relinted): relinted is CheckedRow => 'broken' in relinted && relinted.broken.length > 0;

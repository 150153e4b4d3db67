import { readFileSync, renameSync, writeFileSync } from 'node:fs';

/** What the shim can do wrong; README.md beside this file says what each is. */
export type FaultName =
  | 'busy'
  | 'session-lost'
  | 'device-removed'
  | 'down'
  | 'reply-lost'
  | 'corrupt'
  | 'crash-before-sign'
  | 'crash-after-sign'
  | 'slow'
  | 'hang-initialize'
  | 'user-locked'
  | 'key-absent';

export interface Fault {
  readonly fault: FaultName;
  /** How often, over all processes; -1: until the file is written again. */
  readonly count: number;
  /** For `slow` and `hang-initialize`. */
  readonly milliseconds?: number;
  /** Not every time that it could happen, but as often as this, drawn from a seed; without it, every time. */
  readonly chance?: {
    /** From 0 to 1, to the millionth. */
    readonly probability: number;
    /** The generator's state, any 64 bits; each draw moves it on. */
    readonly state: bigint;
  };
  /** The id of a process that it does not befall. */
  readonly spared?: number | undefined;
}

const million = 1_000_000;

/** Replaces the faults file in one step, so that no call sees half of it. No faults: an empty file. */
export function writeFaults(path: string, faults: readonly Fault[]): void {
  const lines = faults.map(({ fault, count, milliseconds, chance, spared }) => {
    if (!Number.isInteger(count) || count < -1) throw new RangeError(`Not a count of faults: ${count}`);
    const words: (string | number | bigint)[] = [fault, count, milliseconds ?? 0];
    if (chance !== undefined || spared !== undefined) {
      const { probability, state } = chance ?? { probability: 1, state: 0n };
      words.push(Math.round(probability * million), state, spared ?? 0);
    }
    return `${words.join(' ')}\n`;
  });
  const written = `${path}.${process.pid}`;
  writeFileSync(written, lines.join(''), { mode: 0o600 });
  renameSync(written, path);
}

/** What is left of the faults. */
export function readFaults(path: string): Fault[] {
  return readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [fault, count, milliseconds, partsPerMillion, state, spared] = line.split(' ');
      const common = { fault: fault as FaultName, count: Number(count), milliseconds: Number(milliseconds) };
      if (partsPerMillion === undefined || state === undefined) return common;
      return {
        ...common,
        chance: { probability: Number(partsPerMillion) / million, state: BigInt(state) },
        ...(Number(spared) > 0 ? { spared: Number(spared) } : {}),
      };
    });
}

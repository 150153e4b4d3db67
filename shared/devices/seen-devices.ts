import { hash } from 'node:crypto';

/** Numbers for each device: the line, 0 where the place is free, and 96 bits of the id's SHA-256. */
const stride = 4;

/** Places at the beginning; a power of two, as it stays. */
const firstCapacity = 1_024;

/**
 * Which device ids a file has had, and on which line. A set of the ids themselves would take several times the memory: this
 * is a table of their hashes (open addressing, at most half full), 32 to 64 bytes for each device.
 */
export class SeenDevices {
  #table = new Uint32Array(firstCapacity * stride);
  #count = 0;

  /** @returns the line on which it was before; undefined where this is the first one, which is kept */
  see(deviceId: string, line: number): number | undefined {
    if (this.#count * 2 >= this.#table.length / stride) this.#grow();
    const digest = hash('sha256', deviceId, 'buffer');
    const words = [digest.readUInt32BE(0), digest.readUInt32BE(4), digest.readUInt32BE(8)] as const;
    const place = placeOf(this.#table, words);
    const before = this.#table[place] ?? 0;
    if (before > 0) return before;
    this.#table.set([line, ...words], place);
    this.#count += 1;
    return undefined;
  }

  #grow(): void {
    const larger = new Uint32Array(this.#table.length * 2);
    for (let at = 0; at < this.#table.length; at += stride) {
      const entry = this.#table.subarray(at, at + stride);
      const [line = 0, first = 0, second = 0, third = 0] = entry;
      if (line > 0) larger.set(entry, placeOf(larger, [first, second, third]));
    }
    this.#table = larger;
  }
}

/** The place of an entry with these words, or the free one that it would have. */
function placeOf(table: Uint32Array, [first, second, third]: readonly [number, number, number]): number {
  const capacity = table.length / stride;
  for (let place = first % capacity; ; place = (place + 1) % capacity) {
    const at = place * stride;
    if (table[at] === 0) return at;
    if (table[at + 1] === first && table[at + 2] === second && table[at + 3] === third) return at;
  }
}

import type { Architecture } from './architecture.ts';

/** What a dynamic linker goes by in a shared object (System V ABI, chapters 4 and 5; elf(5)). */
export interface SharedObject {
  /** undefined: for another processor than Lambda has. */
  readonly architecture: Architecture | undefined;
  /** DT_NEEDED, in the file's order. */
  readonly needed: readonly string[];
  /** The newest version of glibc that it asks for, as in `2.34`; undefined where it asks for none. */
  readonly glibc: string | undefined;
  /** The names that it defines for others. */
  readonly exported: ReadonlySet<string>;
}

interface Section {
  readonly type: number;
  readonly offset: number;
  readonly size: number;
  readonly link: number;
}

/** e_machine (System V ABI, processor supplements). */
const machines: ReadonlyMap<number, Architecture> = new Map([
  [62, 'x86_64'],
  [183, 'arm64'],
]);

const etDyn = 3;
const shtDynamic = 6;
const shtDynsym = 11;
const shtGnuVerneed = 0x6ffffffe;
const dtNeeded = 1n;

/** @returns undefined for what is no shared object of 64 bits, low byte first, or is cut short */
export function readSharedObject(bytes: Uint8Array): SharedObject | undefined {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  try {
    return isSharedObject(file) ? read(file) : undefined;
  } catch (error) {
    // What Buffer throws for an offset beyond its end.
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

function isSharedObject(file: Buffer): boolean {
  const [class64, lowByteFirst] = [2, 1];
  const isElf = file.subarray(0, 4).equals(Buffer.from('\x7fELF', 'latin1'));
  return isElf && file[4] === class64 && file[5] === lowByteFirst && file.readUInt16LE(16) === etDyn;
}

function read(file: Buffer): SharedObject {
  const sections = readSections(file);
  return {
    architecture: machines.get(file.readUInt16LE(18)),
    needed: sections.filter(({ type }) => type === shtDynamic).flatMap((section) => neededOf(file, section, sections)),
    glibc: newest(
      sections.filter(({ type }) => type === shtGnuVerneed).flatMap((one) => versionsOf(file, one, sections)),
    ),
    exported: new Set(
      sections.filter(({ type }) => type === shtDynsym).flatMap((section) => exportsOf(file, section, sections)),
    ),
  };
}

function readSections(file: Buffer): Section[] {
  const [start, size, count] = [Number(file.readBigUInt64LE(40)), file.readUInt16LE(58), file.readUInt16LE(60)];
  return Array.from({ length: count }, (_, index) => {
    const at = start + index * size;
    return {
      type: file.readUInt32LE(at + 4),
      offset: Number(file.readBigUInt64LE(at + 24)),
      size: Number(file.readBigUInt64LE(at + 32)),
      link: file.readUInt32LE(at + 40),
    };
  });
}

/** The string at an offset of the string table that belongs to a section. */
function stringOf(file: Buffer, { link }: Section, sections: readonly Section[], offset: number): string {
  const table = sections[link];
  if (table === undefined) throw new RangeError('There is no such string table.');
  const start = table.offset + offset;
  const end = file.indexOf(0, start);
  if (end < 0) throw new RangeError('The string table has no end.');
  return file.toString('latin1', start, end);
}

function neededOf(file: Buffer, section: Section, sections: readonly Section[]): string[] {
  const entry = 16;
  return Array.from({ length: Math.floor(section.size / entry) }, (_, index) => section.offset + index * entry)
    .filter((at) => file.readBigInt64LE(at) === dtNeeded)
    .map((at) => stringOf(file, section, sections, Number(file.readBigUInt64LE(at + 8))));
}

/** Symbols with a section of their own, and of binding STB_GLOBAL or STB_WEAK. */
function exportsOf(file: Buffer, section: Section, sections: readonly Section[]): string[] {
  const entry = 24;
  return Array.from({ length: Math.floor(section.size / entry) }, (_, index) => section.offset + index * entry)
    .filter((at) => file.readUInt16LE(at + 6) !== 0 && file.readUInt8(at + 4) >> 4 !== 0)
    .map((at) => stringOf(file, section, sections, file.readUInt32LE(at)));
}

/** The names of the versions that it needs, of whatever libraries (Linux Standard Base, "Symbol Versioning"). */
function versionsOf(file: Buffer, section: Section, sections: readonly Section[]): string[] {
  const names: string[] = [];
  const end = section.offset + section.size;
  for (let at = section.offset; at < end; ) {
    const [count, first, next] = [file.readUInt16LE(at + 2), file.readUInt32LE(at + 8), file.readUInt32LE(at + 12)];
    for (let index = 0, auxiliary = at + first; index < count; index += 1) {
      names.push(stringOf(file, section, sections, file.readUInt32LE(auxiliary + 8)));
      auxiliary += file.readUInt32LE(auxiliary + 12);
    }
    if (next === 0) break;
    at += next;
  }
  return names;
}

function newest(versions: readonly string[]): string | undefined {
  return versions
    .flatMap((version) => /^GLIBC_(\d+\.\d+(?:\.\d+)?)$/.exec(version)?.[1] ?? [])
    .sort(compareVersions)
    .at(-1);
}

/** Of numbers with dots between them: negative where the first is the older one. */
export function compareVersions(one: string, other: string): number {
  const [a, b] = [one.split('.').map(Number), other.split('.').map(Number)];
  const differs = Array.from({ length: Math.max(a.length, b.length) }, (_, index) => index).find(
    (index) => (a[index] ?? 0) !== (b[index] ?? 0),
  );
  return differs === undefined ? 0 : (a[differs] ?? 0) - (b[differs] ?? 0);
}

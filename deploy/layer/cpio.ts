/** What a package unpacks to: a file or a symbolic link. Folders, devices and the like are left out. */
export type PackageEntry =
  | { readonly kind: 'file'; readonly path: string; readonly content: Buffer; readonly isExecutable: boolean }
  | { readonly kind: 'link'; readonly path: string; readonly target: string };

const headerLength = 110;
const newAscii = ['070701', '070702'];
const trailer = 'TRAILER!!!';
const [fileType, regular, link] = [0o170000, 0o100000, 0o120000];

/**
 * The "new ASCII" form of cpio, which RPM packages hold (cpio(5); 070702 has checksums, which RPM leaves at zero).
 *
 * @returns in the archive's order; paths without `./` and `/` before them
 * @throws RangeError for an archive that is cut short, Error for another form
 */
export function readCpio(archive: Buffer): PackageEntry[] {
  const entries: PackageEntry[] = [];
  /** Of several names of one file only the last comes with its bytes; by inode, the others' modes and places. */
  const waiting = new Map<number, { readonly index: number; readonly path: string }[]>();
  for (let at = 0; ; ) {
    const magic = archive.toString('latin1', at, at + 6);
    if (!newAscii.includes(magic)) throw new Error(`Its payload is no cpio archive of the usual form at byte ${at}.`);
    const field = (index: number): number => hexadecimal(archive, at + 6 + index * 8);
    const [inode, mode, links, size, nameSize] = [field(0), field(1), field(4), field(6), field(11)];
    const start = aligned(at + headerLength + nameSize);
    const name = archive.toString('utf8', at + headerLength, at + headerLength + nameSize - 1);
    if (name === trailer) return entries;
    const content = archive.subarray(start, start + size);
    if (content.length !== size) throw new RangeError('The archive is cut short.');
    const path = name.replace(/^\.?\/+/, '');
    const isExecutable = (mode & 0o100) !== 0;
    if ((mode & fileType) === link) {
      entries.push({ kind: 'link', path, target: content.toString('utf8') });
    } else if ((mode & fileType) === regular) {
      const others = waiting.get(inode) ?? [];
      if (links > 1 && size === 0) waiting.set(inode, [...others, { index: entries.length, path }]);
      else if (links > 1) {
        for (const one of others) entries[one.index] = { kind: 'file', path: one.path, content, isExecutable };
        waiting.delete(inode);
      }
      entries.push({ kind: 'file', path, content, isExecutable });
    }
    at = aligned(start + size);
  }
}

const aligned = (offset: number): number => Math.ceil(offset / 4) * 4;

function hexadecimal(archive: Buffer, at: number): number {
  const text = archive.toString('latin1', at, at + 8);
  if (!/^[0-9a-fA-F]{8}$/.test(text)) throw new RangeError('The archive is cut short or damaged.');
  return Number.parseInt(text, 16);
}

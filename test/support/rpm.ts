import { createHash } from 'node:crypto';
import { gzipSync, zstdCompressSync } from 'node:zlib';

/** A file, or a symbolic link, of an RPM package that a test makes. */
export type RpmFile =
  | { readonly path: string; readonly content: Uint8Array; readonly mode?: number; readonly inode?: number }
  | { readonly path: string; readonly target: string };

export interface RpmOptions {
  readonly name?: string;
  readonly version?: string;
  readonly release?: string;
  readonly architecture?: string;
  readonly compressor?: 'gzip' | 'zstd' | 'xz';
  readonly files: readonly RpmFile[];
  /** Packs what neither gzip nor zstd does. */
  readonly compress?: (cpio: Buffer) => Buffer;
}

const padded = (bytes: Buffer, to: number): Buffer =>
  Buffer.concat([bytes, Buffer.alloc((to - (bytes.length % to)) % to)]);

const field = (value: number): string => value.toString(16).padStart(8, '0');

function cpioEntry(name: string, mode: number, content: Uint8Array, inode: number, links: number): Buffer {
  const path = Buffer.from(`${name}\0`);
  const fields = [inode, mode, 0, 0, links, 0, content.length, 0, 0, 0, 0, path.length, 0].map(field).join('');
  return Buffer.concat([
    padded(Buffer.concat([Buffer.from(`070701${fields}`), path]), 4),
    padded(Buffer.from(content), 4),
  ]);
}

/** cpio(5), "New ASCII Format". Files of one inode come as RPM writes them: the last has the bytes. */
function cpio(files: readonly RpmFile[]): Buffer {
  const entries = files.map((file, index) => {
    if ('target' in file) return cpioEntry(`.${file.path}`, 0o120777, Buffer.from(file.target), index + 1, 1);
    const { path, content, mode = 0o100644, inode = index + 1 } = file;
    const links = files.filter((other) => 'inode' in other && other.inode === inode).length || 1;
    return cpioEntry(`.${path}`, mode, content, inode, links);
  });
  return Buffer.concat([
    cpioEntry('./opt', 0o040755, Buffer.alloc(0), 999, 2),
    ...entries,
    cpioEntry('TRAILER!!!', 0, Buffer.alloc(0), 0, 1),
  ]);
}

type Tag = readonly [tag: number, type: 4 | 6 | 8, value: string | number];

/** A header structure: magic, index, store (rpm.org, "RPM V4 Package format"). */
function header(tags: readonly Tag[]): Buffer {
  let store: Buffer = Buffer.alloc(0);
  const index = tags.map(([tag, type, value]) => {
    if (typeof value === 'number') store = padded(store, 4);
    const offset = store.length;
    const data = typeof value === 'number' ? uint32(value) : Buffer.from(`${value}\0`);
    store = Buffer.concat([store, data]);
    return Buffer.concat([tag, type, offset, 1].map(uint32));
  });
  return Buffer.concat([
    Buffer.from('8eade80100000000', 'hex'),
    uint32(index.length),
    uint32(store.length),
    ...index,
    store,
  ]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** An RPM package as rpmbuild would make one, as far as it is read: lead, signature with its SHA-256, header, payload. */
export function makeRpm(options: RpmOptions): Buffer {
  const { name = 'cloudhsm-pkcs11', version = '5.17.1', release = '1.amzn2023', architecture = 'x86_64' } = options;
  const { compressor = 'zstd', files, compress = compressor === 'gzip' ? gzipSync : zstdCompressSync } = options;
  const payload = compress(cpio(files));
  const main = header([
    [1000, 6, name],
    [1001, 6, version],
    [1002, 6, release],
    [1022, 6, architecture],
    [1124, 6, 'cpio'],
    [1125, 6, compressor],
    [5092, 8, sha256(payload)],
    [5093, 4, 8],
  ]);
  const lead = Buffer.concat([Buffer.from('edabeedb03000000', 'hex'), Buffer.alloc(88)]);
  return Buffer.concat([lead, padded(header([[273, 6, sha256(main)]]), 8), main, payload]);
}

import { crc32, deflateRawSync, inflateRawSync } from 'node:zlib';

/** A file of a zip, unpacked. */
export interface LayerFile {
  /** Relative to the layer's root, which is /opt in Lambda; with `/` between its parts. */
  readonly path: string;
  readonly content: Uint8Array;
  readonly isExecutable: boolean;
}

/** What is no zip, or none that readZip takes: why, a sentence. */
export class ZipError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ZipError';
  }
}

// .ZIP File Format Specification (PKWARE APPNOTE.TXT), 4.3.7, 4.3.12, 4.3.16.
const localHeader = 0x04034b50;
const centralHeader = 0x02014b50;
const endOfCentralDirectory = 0x06054b50;
const endLength = 22;
const deflated = 8;
const stored = 0;
/** 2.0, for DEFLATE. */
const versionNeeded = 20;
/** Names are UTF-8 (4.4.4, bit 11). */
const utf8Names = 0x0800;
const encrypted = 0x0001;
/** 1 January 1980, the earliest that there is (4.4.6): no time of building in it. */
const [time, date] = [0, 0x0021];
/** Upper byte of "version made by": the external attributes are Unix's (4.4.2). */
const madeByUnix = 3 << 8;
const regularFile = 0o100000;
const [readable, executable] = [0o644, 0o755];

/**
 * The same files make the same bytes: by path, at one time, with one of two modes; and of whatever zlib the running Node
 * has.
 */
export function writeZip(files: readonly LayerFile[]): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const file of files.toSorted((a, b) => (a.path < b.path ? -1 : 1))) {
    const [name, data] = [Buffer.from(file.path), deflateRawSync(file.content, { level: 9 })];
    const fields = Buffer.alloc(26);
    fields.writeUInt16LE(versionNeeded, 0);
    fields.writeUInt16LE(utf8Names, 2);
    fields.writeUInt16LE(deflated, 4);
    fields.writeUInt16LE(time, 6);
    fields.writeUInt16LE(date, 8);
    fields.writeUInt32LE(crc32(file.content), 10);
    fields.writeUInt32LE(data.length, 14);
    fields.writeUInt32LE(file.content.length, 18);
    fields.writeUInt16LE(name.length, 22);
    const local = Buffer.concat([uint32(localHeader), fields, name, data]);
    const rest = Buffer.alloc(14);
    rest.writeUInt32LE(((regularFile | (file.isExecutable ? executable : readable)) << 16) >>> 0, 6);
    rest.writeUInt32LE(offset, 10);
    directory.push(Buffer.concat([uint32(centralHeader), uint16(madeByUnix | versionNeeded), fields, rest, name]));
    parts.push(local);
    offset += local.length;
  }
  const central = Buffer.concat(directory);
  const end = Buffer.alloc(endLength);
  end.writeUInt32LE(endOfCentralDirectory, 0);
  end.writeUInt16LE(files.length, 8);
  end.writeUInt16LE(files.length, 10);
  end.writeUInt32LE(central.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...parts, central, end]);
}

function uint16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(value);
  return bytes;
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

/**
 * Every file of a zip, in its directory's order; folders are left out. Nothing is unpacked that would exceed what was allowed.
 *
 * @param most bytes of all files together
 * @throws ZipError
 */
export function readZip(zip: Uint8Array, most: number): LayerFile[] {
  const file = Buffer.from(zip.buffer, zip.byteOffset, zip.byteLength);
  try {
    return read(file, most);
  } catch (error) {
    if (error instanceof ZipError) throw error;
    // Buffer's for an offset beyond the end, zlib's for data that is not what was packed.
    throw new ZipError('It is no zip, or cut short or damaged.', { cause: error });
  }
}

function read(file: Buffer, most: number): LayerFile[] {
  // Nothing before it, between its parts or after it: no comment, no second directory for another reader to find.
  const end = file.length - endLength;
  if (end < 0 || file.readUInt32LE(end) !== endOfCentralDirectory) throw new ZipError('It is no zip, or cut short.');
  const count = file.readUInt16LE(end + 10);
  const files: LayerFile[] = [];
  const paths = new Set<string>();
  let [at, left] = [file.readUInt32LE(end + 16), most];
  for (let index = 0; index < count; index += 1) {
    if (file.readUInt32LE(at) !== centralHeader) throw new ZipError('Its directory is damaged.');
    const [nameLength, extra, comment] = [
      file.readUInt16LE(at + 28),
      file.readUInt16LE(at + 30),
      file.readUInt16LE(at + 32),
    ];
    const path = file.toString('utf8', at + 46, at + 46 + nameLength);
    if (!isPlainPath(path)) throw new ZipError(`It holds ${path}, which is no path below its root.`);
    if (paths.has(path)) throw new ZipError(`It holds ${path} twice.`);
    paths.add(path);
    const mode = file.readUInt32LE(at + 38) >>> 16;
    if (!path.endsWith('/')) {
      if ((mode & 0o170000) !== regularFile) throw new ZipError(`${path} in it is no regular file.`);
      left -= file.readUInt32LE(at + 24);
      if (left < 0) throw new ZipError(`Unpacked it is larger than ${most} bytes.`);
      files.push({ path, content: unpack(file, at, path), isExecutable: (mode & 0o100) !== 0 });
    }
    at += 46 + nameLength + extra + comment;
  }
  if (at !== end) throw new ZipError('Its directory is damaged.');
  return files;
}

/** @param at of the file's entry in the directory */
function unpack(file: Buffer, at: number, path: string): Buffer {
  const [flags, method, checksum] = [file.readUInt16LE(at + 8), file.readUInt16LE(at + 10), file.readUInt32LE(at + 16)];
  const [packed, size, header] = [file.readUInt32LE(at + 20), file.readUInt32LE(at + 24), file.readUInt32LE(at + 42)];
  if ((flags & encrypted) !== 0) throw new ZipError(`${path} in it is encrypted.`);
  if (file.readUInt32LE(header) !== localHeader) throw new ZipError('Its directory is damaged.');
  const start = header + 30 + file.readUInt16LE(header + 26) + file.readUInt16LE(header + 28);
  const data = file.subarray(start, start + packed);
  if (method !== stored && method !== deflated) throw new ZipError(`${path} in it is packed in an unknown way.`);
  const content = method === stored ? data : inflateRawSync(data, { maxOutputLength: Math.max(size, 1) });
  if (content.length !== size || crc32(content) !== checksum) throw new ZipError(`${path} in it is damaged.`);
  return content;
}

/** So that nobody who unpacks it writes elsewhere. */
function isPlainPath(path: string): boolean {
  const parts = path.replace(/\/$/, '').split('/');
  return !path.includes('\\') && !path.includes('\0') && parts.every((part) => !['', '.', '..'].includes(part));
}

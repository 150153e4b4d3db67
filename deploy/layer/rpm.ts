import { createHash } from 'node:crypto';
import { LayerError } from '../../shared/layer/index.ts';
import { type PackageEntry, readCpio } from './cpio.ts';

/** An RPM package, read. */
export interface RpmPackage {
  readonly name: string;
  readonly version: string;
  readonly release: string;
  /** As RPM calls it: `x86_64`, `aarch64`, `noarch`. */
  readonly architecture: string;
  readonly entries: readonly PackageEntry[];
}

/** @param compressor as RPM names it: `gzip`, `zstd`, `xz`, `lzma`, `bzip2` */
export type Decompress = (compressor: string, data: Buffer) => Buffer;

// RPM Package File Structure (rpm.org, "RPM V4 Package format"; Linux Standard Base Core, "Package File Format").
const leadMagic = Buffer.from('edabeedb', 'hex');
const leadLength = 96;
const headerMagic = Buffer.from('8eade801', 'hex');
const tags = {
  sha256OfHeader: 273,
  name: 1000,
  version: 1001,
  release: 1002,
  architecture: 1022,
  payloadFormat: 1124,
  payloadCompressor: 1125,
  payloadDigests: 5092,
  payloadDigestAlgorithm: 5093,
} as const;
const types = { int32: 4, string: 6, stringArray: 8, i18nString: 9 } as const;
/** RFC 4880, section 9.4. */
const sha256Algorithm = 8;
const sourcePackage = 1;

const cure = 'Download it again, and compare its SHA-256 with that on the page "AWS CloudHSM Client SDK downloads".';

/**
 * Unpacks a package without rpm: nothing is run, nothing installed. Its own digests are held to where it has them; who made it
 * they do not say.
 *
 * @param file for messages
 * @throws LayerError
 */
export function readRpm(file: string, bytes: Buffer, decompress: Decompress): RpmPackage {
  if (!bytes.subarray(0, 4).equals(leadMagic)) {
    throw new LayerError(
      `${file} is no RPM package.`,
      'Give the one that AWS has for Amazon Linux 2023, cloudhsm-pkcs11-<version>.amzn2023.<aarch64 or x86_64>.rpm.',
    );
  }
  try {
    return read(file, bytes, decompress);
  } catch (cause) {
    if (cause instanceof LayerError) throw cause;
    throw new LayerError(`${file} is cut short or damaged: ${messageOf(cause)}`, cure, { cause });
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

function read(file: string, bytes: Buffer, decompress: Decompress): RpmPackage {
  if (bytes.readUInt16BE(6) === sourcePackage) {
    throw new LayerError(`${file} is a package of sources.`, 'Give the one that is installed.');
  }
  const signature = readHeader(bytes, leadLength);
  const header = readHeader(bytes, Math.ceil(signature.end / 8) * 8);
  const payload = bytes.subarray(header.end);
  requireDigest(file, header.bytes, signature.text(tags.sha256OfHeader));
  const isSha256 = header.number(tags.payloadDigestAlgorithm) === sha256Algorithm;
  requireDigest(file, payload, isSha256 ? header.text(tags.payloadDigests) : undefined);
  const format = header.text(tags.payloadFormat) ?? 'cpio';
  if (format !== 'cpio') throw new LayerError(`${file} holds a ${format}, not a cpio archive.`, cure);
  // Older than the tag is gzip.
  const compressor = header.text(tags.payloadCompressor) ?? 'gzip';
  return {
    name: header.text(tags.name) ?? '',
    version: header.text(tags.version) ?? '',
    release: header.text(tags.release) ?? '',
    architecture: header.text(tags.architecture) ?? '',
    entries: readCpio(decompress(compressor, payload)),
  };
}

function requireDigest(file: string, bytes: Buffer, expected: string | undefined): void {
  if (expected === undefined || createHash('sha256').update(bytes).digest('hex') === expected.toLowerCase()) return;
  throw new LayerError(`${file} is damaged: it is not what its own SHA-256 says.`, cure);
}

interface Header {
  readonly bytes: Buffer;
  /** Where the next part begins, but for alignment. */
  readonly end: number;
  text(tag: number): string | undefined;
  number(tag: number): number | undefined;
}

function readHeader(file: Buffer, start: number): Header {
  if (!file.subarray(start, start + 4).equals(headerMagic))
    throw new RangeError('it has no header where one is to be.');
  const [count, size] = [file.readUInt32BE(start + 8), file.readUInt32BE(start + 12)];
  const index = start + 16;
  const store = index + count * 16;
  const end = store + size;
  if (end > file.length) throw new RangeError('it ends within its header.');
  const places = new Map<number, { readonly type: number; readonly at: number }>();
  for (let at = index; at < store; at += 16) {
    const offset = file.readUInt32BE(at + 8);
    if (offset >= size) throw new RangeError('its header points outside itself.');
    places.set(file.readUInt32BE(at), { type: file.readUInt32BE(at + 4), at: store + offset });
  }
  return {
    bytes: file.subarray(start, end),
    end,
    text: (tag) => {
      const place = places.get(tag);
      const isText = [types.string, types.stringArray, types.i18nString].some((type) => type === place?.type);
      return place === undefined || !isText ? undefined : file.toString('utf8', place.at, file.indexOf(0, place.at));
    },
    number: (tag) => {
      const place = places.get(tag);
      return place?.type === types.int32 ? file.readUInt32BE(place.at) : undefined;
    },
  };
}

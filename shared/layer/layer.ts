import type { Architecture } from './architecture.ts';
import { compareVersions, readSharedObject, type SharedObject } from './elf.ts';
import { LayerError } from './error.ts';
import { bindingPath, libraryPath, listFiles, type Manifest, manifestPath, parseManifest } from './manifest.ts';
import { type LayerFile, readZip, writeZip, ZipError } from './zip.ts';

/**
 * Bytes, of a function with all of its layers, unzipped; and of a zip within a call of PublishLayerVersion, above which it
 * goes by S3 (AWS Lambda developer guide, "Lambda quotas", deployment package).
 */
export const unzippedLimit = 250 * 1024 * 1024;
export const directLimit = 50 * 1024 * 1024;

/** A layer of ours, read and held to what it says of itself. */
export interface Layer {
  readonly manifest: Manifest;
  /** Bytes of its files together. */
  readonly unzippedSize: number;
}

const buildAnew = 'Build it anew: npm run layer.';

/**
 * The layer's zip, with its manifest in it: same files and inputs, same bytes.
 * @param files without the manifest
 * @throws LayerError for one that Lambda would not take, or not be able to load
 */
export function packLayer(files: readonly LayerFile[], about: Omit<Manifest, 'files'>): Buffer {
  requireLoadable(files, about.architecture);
  const manifest: Manifest = { ...about, files: listFiles(files) };
  const content = Buffer.from(`${JSON.stringify(manifest, undefined, 2)}\n`);
  const whole = [...files, { path: manifestPath, content, isExecutable: false }];
  const size = sizeOf(whole);
  if (size > unzippedLimit) {
    throw new LayerError(
      `The layer would have ${size} bytes unzipped, and Lambda takes ${unzippedLimit} of a function and its layers together.`,
      'Look at the files of the SDK package: another version may be smaller.',
    );
  }
  return writeZip(whole);
}

/**
 * @param zip as packLayer made it
 * @throws LayerError for any other
 */
export function readLayer(zip: Uint8Array): Layer {
  const files = unpack(zip);
  const manifestFile = files.find(({ path }) => path === manifestPath);
  if (manifestFile === undefined) {
    throw new LayerError(`It is no layer that npm run layer made: there is no ${manifestPath} in it.`, buildAnew);
  }
  const manifest = manifestOf(manifestFile);
  const others = files.filter((file) => file !== manifestFile);
  requireListed(others, manifest);
  requireLoadable(others, manifest.architecture);
  return { manifest, unzippedSize: sizeOf(files) };
}

function unpack(zip: Uint8Array): LayerFile[] {
  try {
    return readZip(zip, unzippedLimit);
  } catch (cause) {
    if (!(cause instanceof ZipError)) throw cause;
    throw new LayerError(`It cannot be read. ${cause.message}`, buildAnew, { cause });
  }
}

function manifestOf({ content }: LayerFile): Manifest {
  try {
    return parseManifest(content);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new LayerError(`Its ${manifestPath} cannot be read: ${why}`, buildAnew, { cause });
  }
}

/** All that is listed is there, unchanged, and nothing else. */
function requireListed(files: readonly LayerFile[], manifest: Manifest): void {
  const found = new Map(listFiles(files).map((file) => [file.path, file]));
  for (const { path, size, sha256 } of manifest.files) {
    const file = found.get(path);
    if (file === undefined) throw new LayerError(`${path} is missing in it.`, buildAnew);
    if (file.size !== size || file.sha256 !== sha256) {
      throw new LayerError(`${path} in it is not what its manifest says: it was changed.`, buildAnew);
    }
    found.delete(path);
  }
  const [added] = found.keys();
  if (added !== undefined) throw new LayerError(`${added} in it is not in its manifest: it was added.`, buildAnew);
}

/** What the functions load is there, and for the processor that it is said to be for. */
function requireLoadable(files: readonly LayerFile[], architecture: Architecture): void {
  for (const [path, symbol] of [
    [libraryPath, 'C_GetFunctionList'],
    [bindingPath, 'napi_register_module_v1'],
  ] as const) {
    const file = files.find((one) => one.path === path);
    if (file === undefined) throw new LayerError(`${path} is missing in it.`, buildAnew);
    const object = readSharedObject(file.content);
    if (object === undefined) throw new LayerError(`${path} in it is no shared object.`, buildAnew);
    requireArchitecture(path, object, architecture);
    if (!object.exported.has(symbol)) throw new LayerError(`${path} in it has no function ${symbol}.`, buildAnew);
  }
}

function requireArchitecture(path: string, object: SharedObject, architecture: Architecture): void {
  if (object.architecture === architecture) return;
  throw new LayerError(
    `${path} in it is for ${object.architecture ?? 'another processor'}, and the layer is for ${architecture}.`,
    buildAnew,
  );
}

/** Whether the C library of `version` has all that a shared object asks of one. */
export const isWithinGlibc = ({ glibc }: SharedObject, version: string): boolean =>
  glibc === undefined || compareVersions(glibc, version) <= 0;

const sizeOf = (files: readonly LayerFile[]): number => files.reduce((sum, { content }) => sum + content.length, 0);

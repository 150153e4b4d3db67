import { posix } from 'node:path';
import {
  type Architecture,
  compareVersions,
  glibcOfRuntime,
  hexSha256,
  isWithinGlibc,
  LayerError,
  type LayerFile,
  libraryPath,
  readSharedObject,
} from '../../shared/layer/index.ts';
import type { PackageEntry } from './cpio.ts';
import { type Decompress, type RpmPackage, readRpm } from './rpm.ts';

/** What of the CloudHSM Client SDK goes into the layer. */
export interface ClientSdk {
  readonly name: string;
  /** With the release, as in `5.17.1-1.amzn2023`. */
  readonly version: string;
  /** Of the package's file, hex. */
  readonly sha256: string;
  readonly architecture: Architecture;
  readonly files: readonly LayerFile[];
  /** Paths of what is left out. */
  readonly leftOut: readonly string[];
  /** Libraries that it asks for, and that neither the package nor glibc and gcc have. */
  readonly missing: readonly string[];
}

/** As AWS names it (CloudHSM user guide, "Install the PKCS #11 library for Client SDK 5"). */
const packageName = 'cloudhsm-pkcs11';

/** 5.8 and before have reached their end of support (user guide, "Deprecated SDK releases"); hsm2m.medium needs 5.9. */
const oldestVersion = '5.9';

const ofRpm: Readonly<Record<Architecture, string>> = { arm64: 'aarch64', x86_64: 'x86_64' };

/** Where the package installs to, and Lambda puts the layer: /opt. */
const root = 'opt/';

/**
 * Below /opt/cloudhsm. The tools that write the configuration and gather data for AWS's support have no use in Lambda, headers
 * neither; /opt is read-only there, so nothing can be logged into `run`.
 */
const withoutUse = ['cloudhsm/bin/', 'cloudhsm/include/', 'cloudhsm/run/'];

/** Part of glibc, and of gcc's run time, which Lambda's image has since its Node needs them. */
const ofRuntime = /^(?:lib(?:c|m|dl|rt|pthread|resolv|util|gcc_s|stdc\+\+)\.so\.\d+|ld-linux-.*\.so\.\d+)$/;

const give = (architecture: Architecture): string =>
  `Give AWS's package for Amazon Linux 2023, cloudhsm-pkcs11-<version>.amzn2023.${ofRpm[architecture]}.rpm (CloudHSM user guide, "AWS CloudHSM Client SDK downloads").`;

/**
 * @param file for messages
 * @param expectedSha256 as AWS publishes it; undefined where nobody said
 * @throws LayerError for any other package, or one that cannot be loaded in Lambda
 */
export function readClientSdk(
  file: string,
  bytes: Buffer,
  {
    architecture,
    expectedSha256,
    decompress,
  }: {
    readonly architecture: Architecture;
    readonly expectedSha256: string | undefined;
    readonly decompress: Decompress;
  },
): ClientSdk {
  const sha256 = hexSha256(bytes);
  if (expectedSha256 !== undefined && sha256 !== expectedSha256) {
    throw new LayerError(
      `${file} has the SHA-256 ${sha256}, not ${expectedSha256}.`,
      'Do not use it: download it again.',
    );
  }
  const rpm = readRpm(file, bytes, decompress);
  requirePackage(file, rpm, architecture);
  const { files, leftOut } = layerFiles(file, rpm.entries);
  const library = files.find(({ path }) => path === libraryPath);
  if (library === undefined) {
    throw new LayerError(`${file} holds no /opt/${libraryPath}.`, give(architecture));
  }
  const object = readSharedObject(library.content);
  if (object === undefined || object.architecture !== architecture || !object.exported.has('C_GetFunctionList')) {
    const what = object === undefined ? 'no shared object' : `for ${object.architecture ?? 'another processor'}`;
    const found = object?.architecture === architecture ? 'no PKCS#11 library (no C_GetFunctionList)' : what;
    throw new LayerError(`/opt/${libraryPath} in ${file} is ${found}.`, give(architecture));
  }
  if (!isWithinGlibc(object, glibcOfRuntime)) {
    throw new LayerError(
      `${file} was built for glibc ${object.glibc}, and Lambda's Amazon Linux 2023 has ${glibcOfRuntime}.`,
      give(architecture),
    );
  }
  const own = new Set(files.map(({ path }) => posix.basename(path)));
  return {
    name: rpm.name,
    version: `${rpm.version}-${rpm.release}`,
    sha256,
    architecture,
    files,
    leftOut,
    missing: object.needed.filter((name) => !own.has(name) && !ofRuntime.test(name)),
  };
}

function requirePackage(file: string, rpm: RpmPackage, architecture: Architecture): void {
  if (rpm.name !== packageName) {
    throw new LayerError(`${file} is the package ${rpm.name}, not ${packageName}.`, give(architecture));
  }
  if (rpm.architecture !== ofRpm[architecture]) {
    throw new LayerError(
      `${file} is for ${rpm.architecture}, and the layer is to be for ${architecture}.`,
      `${give(architecture)} Or say --architecture.`,
    );
  }
  if (!/^\d+(\.\d+)*$/.test(rpm.version) || compareVersions(rpm.version, oldestVersion) < 0) {
    throw new LayerError(
      `${file} is version ${rpm.version} of the Client SDK, and ${oldestVersion} is the oldest that AWS supports.`,
      give(architecture),
    );
  }
}

/** What is below /opt/cloudhsm, but for what has no use in Lambda; a link becomes a copy of what it leads to. */
function layerFiles(file: string, entries: readonly PackageEntry[]): Pick<ClientSdk, 'files' | 'leftOut'> {
  const byPath = new Map(entries.map((entry) => [entry.path, entry]));
  const files: LayerFile[] = [];
  const leftOut: string[] = [];
  for (const entry of entries) {
    const path = entry.path.slice(root.length);
    const isWanted = entry.path.startsWith(`${root}cloudhsm/`) && !withoutUse.some((folder) => path.startsWith(folder));
    if (!isWanted) {
      leftOut.push(`/${entry.path}`);
      continue;
    }
    const found = followed(entry, byPath);
    if (found === undefined) {
      throw new LayerError(`/${entry.path} in ${file} is a link to what is not in it.`, 'Give another build of it.');
    }
    files.push({ path, content: found.content, isExecutable: found.isExecutable });
  }
  return { files, leftOut };
}

function followed(
  start: PackageEntry,
  byPath: ReadonlyMap<string, PackageEntry>,
): Extract<PackageEntry, { readonly kind: 'file' }> | undefined {
  let entry: PackageEntry | undefined = start;
  // More links in a row than any package has: a ring.
  for (let step = 0; entry?.kind === 'link' && step < 16; step += 1) {
    const target = posix.resolve('/', posix.dirname(entry.path), entry.target);
    entry = byPath.get(target.slice(1));
  }
  return entry?.kind === 'file' ? entry : undefined;
}

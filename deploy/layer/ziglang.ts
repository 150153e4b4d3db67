import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LayerError } from '../../shared/layer/index.ts';

/** The compiler, on this machine. Absolute paths. */
export interface Ziglang {
  readonly version: string;
  /** `<program> c++` is clang with the C libraries of every target. */
  readonly program: string;
  /** What it compiled once, and the C++ run time among that, which takes minutes. */
  readonly cache: string;
}

const requirements = fileURLToPath(new URL('./requirements.txt', import.meta.url));

/** Where set-up keeps what belongs to the user, too (local/setup/machine.mjs). */
const userCache = (environment: NodeJS.ProcessEnv): string =>
  join(environment['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'mintmark');

/**
 * Zig's C++ compiler, which compiles for both architectures and any glibc on any machine, from PyPI: with pip, as the user has
 * configured it, in the version and with the hashes of requirements.txt, into the user's cache folder (93 MB downloaded, 380 MB
 * unpacked). Nothing is downloaded where it is there.
 *
 * @param say a line for whoever waits
 * @throws LayerError where there is no Python with pip, or pip does not get it
 */
export function installZiglang(say: (line: string) => void, environment: NodeJS.ProcessEnv = process.env): Ziglang {
  const pinned = readFileSync(requirements, 'utf8');
  const version = /^ziglang==(\S+)/m.exec(pinned)?.[1] ?? '';
  const hash = createHash('sha256').update(pinned).digest('hex').slice(0, 12);
  const cache = userCache(environment);
  const folder = join(cache, `ziglang-${version}-${hash}`);
  const found = { version, program: join(folder, 'ziglang', 'zig'), cache: join(cache, `ziglang-${version}-cache`) };
  if (!existsSync(found.program)) {
    say(`installing ziglang ${version} into the cache folder (pip, 93 MB)`);
    install(folder, findPython(environment), environment);
  }
  return found;
}

/** Aside, then renamed to its place: it is whole or not there, and of several at once each gets the same. */
function install(folder: string, python: string, environment: NodeJS.ProcessEnv): void {
  mkdirSync(join(folder, '..'), { recursive: true });
  const aside = mkdtempSync(`${folder}-`);
  try {
    const how = [
      '--target',
      aside,
      '--no-deps',
      '--only-binary',
      ':all:',
      '--require-hashes',
      '--requirement',
      requirements,
    ];
    const quiet = ['--disable-pip-version-check', '--no-input', '--progress-bar', 'off', '--quiet'];
    const args = ['-m', 'pip', 'install', ...quiet, ...how];
    const { status, stderr } = spawnSync(python, args, { env: environment, encoding: 'utf8' });
    if (status !== 0) {
      throw new LayerError(
        `ziglang cannot be had: ${stderr.trim().split('\n').slice(-3).join(' ')}`,
        'Make sure that pip reaches its registry (proxy, mirror, certificates), then run the same again.',
      );
    }
    renameAbsent(aside, folder);
  } finally {
    rmSync(aside, { recursive: true, force: true });
  }
}

function renameAbsent(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    // Somebody else was faster, with the same.
    if ((error as NodeJS.ErrnoException).code !== 'ENOTEMPTY') throw error;
  }
}

/** A Python with pip. Candidates are run, not only found: a version manager's stand-in may have no Python behind it. */
function findPython(environment: NodeJS.ProcessEnv): string {
  const named = (environment['PATH'] ?? '').split(delimiter).map((folder) => join(folder, 'python3'));
  const versions = join(environment['PYENV_ROOT'] || join(homedir(), '.pyenv'), 'versions');
  const managed = existsSync(versions)
    ? readdirSync(versions).map((name) => join(versions, name, 'bin', 'python3'))
    : [];
  const found = [...named, ...managed].filter(isExecutable).find((python) => {
    return spawnSync(python, ['-m', 'pip', '--version'], { stdio: 'ignore', env: environment }).status === 0;
  });
  if (found !== undefined) return found;
  throw new LayerError(
    'pkcs11js is compiled with ziglang, which comes by pip, and there is no Python 3 with pip here.',
    'Install it (apt: python3-pip; dnf: python3-pip; brew: python3), then run the same again.',
  );
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

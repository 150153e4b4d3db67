import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';

import { runToEnd } from './children.mjs';
import { withLog } from './log.mjs';
import { findProgram, packageManager, SetUpError, userCache } from './machine.mjs';
import { step } from './steps.mjs';

/**
 * @typedef {object} SoftHsm2
 * @property {string} library path of libsofthsm2.so
 * @property {string | null} util path of softhsm2-util, where there is one
 */

/** Where package managers put the library: Debian's kin, Fedora's kin, Arch, Homebrew on both kinds of Mac. */
const libraryPaths = [
  `/usr/lib/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu/softhsm/libsofthsm2.so`,
  '/usr/lib/softhsm/libsofthsm2.so',
  '/usr/lib64/pkcs11/libsofthsm2.so',
  '/usr/lib64/softhsm/libsofthsm2.so',
  '/usr/local/lib/softhsm/libsofthsm2.so',
  '/opt/homebrew/lib/softhsm/libsofthsm2.so',
];

/** @returns {SoftHsm2 | undefined} the system's, else the one in the cache folder */
export function findSoftHsm2() {
  const library = libraryPaths.find((path) => existsSync(path));
  if (library !== undefined) return { library, util: findProgram('softhsm2-util') ?? null };
  return cached(userCache);
}

/**
 * Whether SoftHSM2 can be fetched without installing anything into the system: Debian's kin, by its own package manager
 * and with its signatures checked, unpacked into the user's cache folder.
 */
export function canFetchSoftHsm2() {
  return packageManager().kind === 'apt' && process.platform === 'linux';
}

/** @returns {Promise<SoftHsm2>} */
export async function fetchSoftHsm2() {
  return step('fetching SoftHSM2 into the cache folder (apt-get download)', async () => {
    mkdirSync(userCache, { recursive: true });
    const work = mkdtempSync(join(userCache, 'fetching-'));
    try {
      await withLog('softhsm2.log', (log) => downloadAndUnpack(work, log));
      keep(work);
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
    const fetched = cached(userCache);
    if (fetched === undefined)
      throw new SetUpError(`Debian's package libsofthsm2 holds no libsofthsm2.so; ${installInstead}`);
    return fetched;
  });
}

const installInstead = 'run `sudo apt-get install -y softhsm2`, then the same again.';
const packages = ['libsofthsm2', 'softhsm2'];

/**
 * apt-get with a state of its own: lists and archives in `work`, the system's record of what is installed only read.
 *
 * @param {string} work
 * @param {number} log
 */
async function downloadAndUnpack(work, log) {
  const lists = join(work, 'lists');
  mkdirSync(join(lists, 'partial'), { recursive: true });
  mkdirSync(join(work, 'archives', 'partial'), { recursive: true });
  const own = [
    ['Dir::State', work],
    ['Dir::State::lists', lists],
    ['Dir::State::status', '/var/lib/dpkg/status'],
    ['Dir::Cache', work],
    ['Dir::Log', work],
  ].flatMap(([name, value]) => ['-o', `${name}=${value}`]);

  const downloads = join(work, 'downloads');
  mkdirSync(downloads);
  const unpacked = join(work, 'unpacked');
  for (const [program, ...args] of [
    ['apt-get', ...own, '-q', 'update'],
    // `download` writes into the folder it is run in.
    ['sh', '-c', 'cd "$1" && shift && exec apt-get "$@"', 'sh', downloads, ...own, '-q', 'download', ...packages],
    ['sh', '-c', 'for archive in "$1"/*.deb; do dpkg -x "$archive" "$2" || exit; done', 'sh', downloads, unpacked],
  ]) {
    const code = await runToEnd(String(program), args, { env: { ...process.env, LC_ALL: 'C' }, stdio: log });
    if (code !== 0)
      return { code, what: `fetching SoftHSM2 (${program === 'sh' ? 'download or unpack' : 'apt-get update'})` };
  }
  return { code: 0, what: '' };
}

/**
 * Moves the unpacked package to its place in the cache folder, whole or not at all.
 *
 * @param {string} work
 */
function keep(work) {
  const archive = readdirSync(join(work, 'downloads')).find((name) => name.startsWith('libsofthsm2_'));
  const unpacked = join(work, 'unpacked');
  const library = findLibrary(unpacked);
  if (archive === undefined || library === undefined) return;
  const unresolved = unresolvedLibraries(library);
  if (unresolved.length > 0)
    throw new SetUpError(`SoftHSM2 needs ${unresolved.join(', ')}, which this machine lacks; ${installInstead}`);

  // libsofthsm2_2.6.1-2.1_amd64.deb; a colon in a version is escaped there.
  const version = decodeURIComponent(basename(archive).split('_')[1] ?? 'unknown');
  const place = join(userCache, `softhsm2-${version}`);
  rmSync(place, { recursive: true, force: true });
  renameSync(unpacked, place);
}

/** @param {string} library */
function unresolvedLibraries(library) {
  const { stdout, status } = spawnSync('ldd', [library], { encoding: 'utf8', env: { ...process.env, LC_ALL: 'C' } });
  if (status !== 0) throw new SetUpError(`ldd could not read SoftHSM2's library; ${installInstead}`);
  return [...stdout.matchAll(/^\s*(\S+) => not found/gm)].map((match) => String(match[1]));
}

/**
 * @param {string} cache
 * @returns {SoftHsm2 | undefined}
 */
function cached(cache) {
  if (!existsSync(cache)) return undefined;
  const places = readdirSync(cache).filter((name) => name.startsWith('softhsm2-'));
  for (const place of places.sort().reverse()) {
    const library = findLibrary(join(cache, place));
    if (library === undefined) continue;
    const util = join(cache, place, 'usr', 'bin', 'softhsm2-util');
    return { library, util: existsSync(util) ? util : null };
  }
  return undefined;
}

/** @param {string} root folder that a package was unpacked into */
function findLibrary(root) {
  return libraryPaths.map((path) => join(root, path)).find((path) => existsSync(path));
}

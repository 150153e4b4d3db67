import { readFileSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';

import { runToEnd } from './children.mjs';
import { withLog } from './log.mjs';
import { project } from './machine.mjs';
import { step } from './steps.mjs';

/**
 * Whether node_modules holds what package-lock.json says. npm writes node_modules/.package-lock.json last, when every
 * package is unpacked and every install script has run: a half-made tree has none.
 *
 * @param {string} root folder with package-lock.json and node_modules
 */
export function dependenciesAreCurrent(root) {
  const wanted = lockedPackages(join(root, 'package-lock.json'));
  const installed = lockedPackages(join(root, 'node_modules', '.package-lock.json'));
  if (wanted === undefined || installed === undefined) return false;
  for (const path of Object.keys(installed)) if (wanted[path] === undefined) return false;
  return Object.entries(wanted).every(([path, entry]) => {
    if (path === '') return true;
    const there = installed[path];
    // An optional package is left out where it does not fit the machine.
    if (there === undefined) return entry.optional === true;
    return there.version === entry.version && there.integrity === entry.integrity;
  });
}

/**
 * @param {string} path
 * @returns {Record<string, { version?: string, integrity?: string, optional?: boolean }> | undefined}
 */
function lockedPackages(path) {
  let text;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'ENOENT') return undefined;
    throw error;
  }
  return JSON.parse(text).packages;
}

/**
 * `npm ci`; leaves no node_modules at all when it fails.
 *
 * @param {string} nodeHeaders folder of a Node 24 with include/node: what native packages are compiled against
 * @param {string} python
 */
export async function installDependencies(nodeHeaders, python) {
  await step('installing the npm dependencies (npm ci)', async () => {
    const args = ['ci', '--include=dev', '--include=optional', '--foreground-scripts', '--no-progress'];
    await npm(args, nodeHeaders, python).catch((error) => {
      rmSync(join(project, 'node_modules'), { recursive: true, force: true });
      throw error;
    });
  });
}

/**
 * Compiles pkcs11js again, for a tree whose install scripts were not allowed to run.
 *
 * @param {string} nodeHeaders
 * @param {string} python
 */
export async function rebuildPkcs11js(nodeHeaders, python) {
  await step('compiling pkcs11js (npm rebuild)', () =>
    npm(['rebuild', 'pkcs11js', '--ignore-scripts=false', '--foreground-scripts'], nodeHeaders, python),
  );
}

/**
 * @param {readonly string[]} args
 * @param {string} nodeHeaders
 * @param {string} python
 */
async function npm(args, nodeHeaders, python) {
  const env = { ...process.env, npm_config_nodedir: nodeHeaders, npm_config_python: python };
  const [program, ...before] = npmCommand();
  await withLog(`npm-${args[0]}.log`, async (log) => ({
    code: await runToEnd(program, [...before, ...args], { env, stdio: log }),
    what: `npm ${args.join(' ')}`,
  }));
}

/**
 * The npm that started this, run by the Node that runs it: not by the project's own Node, which `npm ci` takes away.
 *
 * @returns {[string, ...string[]]}
 */
function npmCommand() {
  const { npm_execpath: script, npm_node_execpath: node } = process.env;
  if (script !== undefined && node !== undefined && basename(script) === 'npm-cli.js') return [node, script];
  return ['npm'];
}

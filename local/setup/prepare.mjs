import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';

import { dependenciesAreCurrent, installDependencies, rebuildPkcs11js } from './dependencies.mjs';
import { underLock } from './lock.mjs';
import { Interrupted } from './log.mjs';
import { compileCache, project, projectCache, SetUpError } from './machine.mjs';
import { node24 } from './node24.mjs';
import { compilePkcs11Shim, pkcs11Shim, pkcs11ShimIsCurrent } from './pkcs11-shim.mjs';
import { canFetchSoftHsm2, fetchSoftHsm2, findSoftHsm2 } from './softhsm2.mjs';
import { seconds } from './steps.mjs';
import { findPython, missingForCompiling, provide } from './system-packages.mjs';

/**
 * Makes the checkout ready to run: what the system must bring, SoftHSM2, the npm dependencies, the PKCS#11 shim; then
 * writes down where they are (setup.json, read by installed.ts). Does only what is still to be done, and finds out what
 * cannot be had before it makes anything, so a machine that lacks something is left as it was.
 *
 * @returns {Promise<{ node: string, env: NodeJS.ProcessEnv }>} Node 24, and an environment in which `node` is that one
 * @throws {SetUpError | Interrupted}
 */
async function prepare() {
  const start = performance.now();
  const node = node24();
  const dependencies = dependenciesAreCurrent(project);
  const shim = pkcs11ShimIsCurrent();
  let softhsm2 = findSoftHsm2();

  const missing = dependencies && shim ? [] : missingForCompiling();
  if (softhsm2 === undefined && (process.getuid?.() === 0 || !canFetchSoftHsm2())) missing.push('softhsm');
  await provide(missing);
  softhsm2 ??= findSoftHsm2() ?? (await fetchSoftHsm2());

  if (!dependencies) await installDependencies(node.headers, compilingPython());
  if (!pkcs11ShimIsCurrent()) await compilePkcs11Shim();
  await checkThatPkcs11Loads(node, softhsm2.library);

  record({ softhsm2Library: softhsm2.library, softhsm2Util: softhsm2.util, pkcs11Shim });
  process.stderr.write(`set-up: the checkout is ready (${seconds(performance.now() - start)})\n`);
  const path = [dirname(node.program), process.env['PATH'] ?? ''].join(delimiter);
  return { node: node.program, env: { ...compileCache, ...process.env, PATH: path } };
}

/**
 * `prepare`, for a command: a reason to stop is said in its sentence and ends the process.
 *
 * @returns {ReturnType<typeof prepare>}
 */
export async function prepareOrExit() {
  try {
    return await underLock(project, prepare, (holder) => {
      process.stderr.write(`set-up: process ${holder} is setting this checkout up; waiting for it\n`);
    });
  } catch (error) {
    if (error instanceof Interrupted) process.exit(error.code);
    if (!(error instanceof SetUpError)) throw error;
    console.error(error.message);
    process.exit(1);
  }
}

function compilingPython() {
  const python = findPython();
  if (python === undefined) throw new SetUpError('Python 3 was installed but does not run.');
  return python;
}

/**
 * The one check that everything native fits together: the addon loads in the Node that will use it, and opens SoftHSM2.
 * An addon that does not load is compiled once more, since npm may have been told not to run install scripts.
 *
 * @param {import('./node24.mjs').Node24} node
 * @param {string} library
 */
async function checkThatPkcs11Loads(node, library) {
  if (loads(node.program, `require('pkcs11js')`).ok) {
    const opened = loads(
      node.program,
      `const p = new (require('pkcs11js').PKCS11)(); p.load(process.argv[1]); p.close()`,
      library,
    );
    if (!opened.ok)
      throw new SetUpError(
        `SoftHSM2 (${library}) does not load: ${opened.reason}; install it again with the system's package manager.`,
      );
    return;
  }
  await provide(missingForCompiling());
  await rebuildPkcs11js(node.headers, compilingPython());
  const again = loads(node.program, `require('pkcs11js')`);
  if (!again.ok)
    throw new SetUpError(
      `pkcs11js does not load in Node 24: ${again.reason}; remove node_modules and run the same again.`,
    );
  await checkThatPkcs11Loads(node, library);
}

/**
 * @param {string} program
 * @param {string} script
 * @param {...string} args
 */
function loads(program, script, ...args) {
  const { status, stderr, error } = spawnSync(program, ['-e', script, ...args], { cwd: project, encoding: 'utf8' });
  const reason = error?.message ?? /^\w*Error.*$/m.exec(stderr)?.[0] ?? `exit code ${status}`;
  return { ok: status === 0, reason };
}

/** @param {{ softhsm2Library: string, softhsm2Util: string | null, pkcs11Shim: string }} found */
function record(found) {
  const path = join(projectCache, 'setup.json');
  const text = `${JSON.stringify(found, null, 2)}\n`;
  if (text === unlessAbsent(() => readFileSync(path, 'utf8'))) return;
  mkdirSync(projectCache, { recursive: true });
  const unfinished = `${path}.${process.pid}`;
  writeFileSync(unfinished, text);
  renameSync(unfinished, path);
}

/**
 * @param {() => string} read
 * @returns {string | undefined} undefined where there is no such file
 */
function unlessAbsent(read) {
  try {
    return read();
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'ENOENT') return undefined;
    throw error;
  }
}

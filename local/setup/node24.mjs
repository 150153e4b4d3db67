import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { programsNamed, project, SetUpError } from './machine.mjs';

/** The packages of package.json's optionalDependencies that bring Lambda's Node, by `platform-arch`. */
const packaged = new Set(['linux-x64', 'linux-arm64']);

const packageFolder = join(project, 'node_modules', `node-${process.platform}-${process.arch}`);

const ownProgram = join(packageFolder, 'bin', 'node');

/**
 * Where Node 24, the Lambda runtime, comes from on this machine. Known before anything is installed.
 *
 * @returns {string} path of the program, which may still have to be installed with the dependencies
 * @throws {SetUpError}
 */
export function node24Program() {
  if (packaged.has(`${process.platform}-${process.arch}`) && isGlibc()) return ownProgram;
  const program = [process.execPath, ...programsNamed('node')].find((path) => majorVersion(path) >= 24);
  if (program === undefined) {
    throw new SetUpError(
      `Mintmark needs Node 24 or later on ${process.platform} ${process.arch}, where npm has no package of it: install it from https://nodejs.org/ or with the system's package manager, then run the same again.`,
    );
  }
  return program;
}

/**
 * The same with what pkcs11js is compiled against.
 *
 * @typedef {{ program: string, headers: string }} Node24 `headers`: the folder that holds include/node
 * @returns {Node24}
 * @throws {SetUpError}
 */
export function node24() {
  const program = node24Program();
  if (program === ownProgram) return { program, headers: packageFolder };
  const headers = dirname(dirname(program));
  if (!existsSync(join(headers, 'include', 'node', 'node_api.h'))) {
    throw new SetUpError(
      `${program} came without its headers (include/node), which pkcs11js is compiled against: install the package that brings them, then run the same again.`,
    );
  }
  return { program, headers };
}

/** The packaged Node is linked against glibc; musl systems (Alpine) cannot run it. */
function isGlibc() {
  const report = /** @type {{ header?: { glibcVersionRuntime?: string } }} */ (process.report.getReport());
  return report.header?.glibcVersionRuntime !== undefined;
}

/** @param {string} program */
function majorVersion(program) {
  if (program === process.execPath) return Number(process.versions.node.split('.')[0]);
  const { stdout } = spawnSync(program, ['--version'], { encoding: 'utf8' });
  return Number(/^v(\d+)\./.exec(stdout ?? '')?.[1] ?? 0);
}

import { spawnSync } from 'node:child_process';
import { mkdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { project, projectCache, SetUpError } from './machine.mjs';
import { step } from './steps.mjs';

const source = join(project, 'local', 'pkcs11-shim', 'shim.c');

/** The compiled PKCS#11 shim's path. */
export const pkcs11Shim = join(projectCache, 'pkcs11-shim.so');

export function pkcs11ShimIsCurrent() {
  const built = statSync(pkcs11Shim, { throwIfNoEntry: false });
  return built !== undefined && built.mtimeMs >= statSync(source).mtimeMs;
}

export async function compilePkcs11Shim() {
  await step('compiling the PKCS#11 shim (cc)', () => {
    mkdirSync(dirname(pkcs11Shim), { recursive: true });
    const unfinished = `${pkcs11Shim}.${process.pid}`;
    const flags = ['-shared', '-fPIC', '-O2', '-Wall', '-Wextra', '-Werror'];
    const { status, stderr } = spawnSync('cc', [...flags, '-o', unfinished, source, '-ldl', '-lpthread'], {
      encoding: 'utf8',
    });
    if (status !== 0) {
      rmSync(unfinished, { force: true });
      throw new SetUpError(`The PKCS#11 shim (local/pkcs11-shim/shim.c) does not compile:\n${stderr}`);
    }
    renameSync(unfinished, pkcs11Shim);
  });
}

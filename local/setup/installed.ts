import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { projectCache } from './machine.mjs';

/** Where set-up found, or put, what the local cloud needs from this machine. Absolute paths. */
export interface Installed {
  readonly softhsm2Library: string;
  /** The PKCS#11 shim, compiled; put in front of a library by path. */
  readonly pkcs11Shim: string;
}

/** @throws {Error} when set-up has not run in this checkout */
export function readInstalled(): Installed {
  let text: string;
  try {
    text = readFileSync(join(projectCache, 'setup.json'), 'utf8');
  } catch (error) {
    throw new Error('This checkout is not set up: run npm start or npm test once.', { cause: error });
  }
  const { softhsm2Library, pkcs11Shim } = JSON.parse(text) as Installed;
  return { softhsm2Library, pkcs11Shim };
}

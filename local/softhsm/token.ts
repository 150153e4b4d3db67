import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import type * as Pkcs11js from 'pkcs11js';

const pkcs11js = createRequire(import.meta.url)('pkcs11js') as typeof Pkcs11js;

/**
 * SoftHSM2 keeps any number of tokens in one directory, named by one softhsm2.conf, which it reads at C_Initialize.
 * The environment variable SOFTHSM2_CONF belongs to the process, so tokens that one process needs (the root's and the
 * issuing CA's) are in one directory, each with its own label and PINs.
 */
export interface TokenDirectory {
  readonly directory: string;
  /** Path of libsofthsm2.so, or of the PKCS#11 shim in front of it. */
  readonly library: string;
}

export interface TokenOptions extends TokenDirectory {
  /** At most 32 bytes. */
  readonly label: string;
  readonly soPin: string;
  readonly userPin: string;
}

/** What a process needs in its environment to use the tokens of a directory. */
export interface TokenEnvironment {
  readonly SOFTHSM2_CONF: string;
}

/** A logged-in read-write session. */
export interface TokenSession {
  readonly pkcs11: Pkcs11js.PKCS11;
  readonly handle: Buffer;
}

export function tokenEnvironment(directory: string): TokenEnvironment {
  return { SOFTHSM2_CONF: join(resolve(directory), 'softhsm2.conf') };
}

/**
 * Makes the directory and its softhsm2.conf if they are not there, and a new token in it, with a user PIN. The files
 * can be read by this user only. Blocks; sets SOFTHSM2_CONF in this process.
 *
 * @throws Error when the directory has a token of this label already
 */
export function createToken({ directory, library, label, soPin, userPin }: TokenOptions): TokenEnvironment {
  if (Buffer.byteLength(label) > 32) throw new RangeError(`A token label has at most 32 bytes: ${label}`);
  const environment = prepareDirectory(directory);
  return withLibrary({ directory, library }, (pkcs11) => {
    if (findSlot(pkcs11, label) !== undefined) throw new Error(`There is a token "${label}" in ${directory} already`);
    // SoftHSM2 always shows one slot more than there are tokens, with an uninitialised one in it.
    const free = pkcs11
      .C_GetSlotList(true)
      .find((slot) => (pkcs11.C_GetTokenInfo(slot).flags & pkcs11js.CKF_TOKEN_INITIALIZED) === 0);
    if (free === undefined) throw new Error('SoftHSM2 shows no slot for a new token');
    // The standard wants the label padded with blanks; the binding passes it on as it is.
    pkcs11.C_InitToken(free, soPin, label + ' '.repeat(32 - Buffer.byteLength(label)));
    const slot = findSlot(pkcs11, label);
    if (slot === undefined) throw new Error(`SoftHSM2 does not show the new token "${label}"`);
    const handle = pkcs11.C_OpenSession(slot, pkcs11js.CKF_SERIAL_SESSION | pkcs11js.CKF_RW_SESSION);
    pkcs11.C_Login(handle, pkcs11js.CKU_SO, soPin);
    pkcs11.C_InitPIN(handle, userPin);
    pkcs11.C_CloseSession(handle);
    return environment;
  });
}

/**
 * Run something in a session of a token, logged in as its user; the library is shut down afterwards. Blocks; sets
 * SOFTHSM2_CONF in this process.
 */
export function withToken<Result>(
  { directory, library, label, userPin }: Omit<TokenOptions, 'soPin'>,
  run: (session: TokenSession) => Result,
): Result {
  return withLibrary({ directory, library }, (pkcs11) => {
    const slot = findSlot(pkcs11, label);
    if (slot === undefined) throw new Error(`There is no token "${label}" in ${directory}`);
    const handle = pkcs11.C_OpenSession(slot, pkcs11js.CKF_SERIAL_SESSION | pkcs11js.CKF_RW_SESSION);
    try {
      pkcs11.C_Login(handle, pkcs11js.CKU_USER, userPin);
      return run({ pkcs11, handle });
    } finally {
      pkcs11.C_CloseSession(handle);
    }
  });
}

function prepareDirectory(directory: string): TokenEnvironment {
  const tokens = join(resolve(directory), 'tokens');
  mkdirSync(tokens, { recursive: true, mode: 0o700 });
  chmodSync(directory, 0o700);
  const environment = tokenEnvironment(directory);
  if (!existsSync(environment.SOFTHSM2_CONF)) {
    const lines = [
      `directories.tokendir = ${tokens}`,
      'objectstore.backend = file',
      'objectstore.umask = 0077',
      'log.level = ERROR',
      'slots.removable = false',
      '',
    ];
    writeFileSync(environment.SOFTHSM2_CONF, lines.join('\n'), { mode: 0o600 });
  }
  return environment;
}

function withLibrary<Result>({ directory, library }: TokenDirectory, run: (pkcs11: Pkcs11js.PKCS11) => Result): Result {
  Object.assign(process.env, tokenEnvironment(directory));
  const pkcs11 = new pkcs11js.PKCS11();
  pkcs11.load(library);
  try {
    pkcs11.C_Initialize({ flags: pkcs11js.CKF_OS_LOCKING_OK });
    try {
      return run(pkcs11);
    } finally {
      pkcs11.C_Finalize();
    }
  } finally {
    pkcs11.close();
  }
}

function findSlot(pkcs11: Pkcs11js.PKCS11, label: string): Buffer | undefined {
  return pkcs11.C_GetSlotList(true).find((slot) => {
    const token = pkcs11.C_GetTokenInfo(slot);
    return (token.flags & pkcs11js.CKF_TOKEN_INITIALIZED) !== 0 && token.label.trimEnd() === label;
  });
}

import type { KeyObject } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { isMainThread } from 'node:worker_threads';
import type * as Pkcs11 from 'pkcs11js';
import type { SignatureScheme } from '../../shared/signer/index.ts';
import type { TokenKeyPair } from '../softhsm/key-pair.ts';
import type { RandomBytes } from './identifiers.ts';
import type { SigningKeySpec } from './kms/key-specs.ts';
import { generateSigningKeyPair, signDigest, verifyDigest } from './token-signing.ts';

const pkcs11 = createRequire(import.meta.url)('pkcs11js') as typeof Pkcs11;

/** AES-GCM's tag, appended to the ciphertext. Bytes. */
export const tagLength = 16;
/** AES-GCM's IV (NIST SP 800-38D, 8.2.2). Bytes. */
export const ivLength = 12;

export interface Sealed {
  /** {@link ivLength} bytes, never used twice with one key. */
  readonly iv: Buffer;
  readonly additionalData: Buffer;
}

/**
 * Where the KMS keys' material lives: AES-256 keys and signing key pairs, named by key id, that cannot be read out.
 * Signatures are in PKCS#11's form: of ECDSA r and s, each as long as the curve's order.
 */
export interface Token {
  generateKey(keyId: string): void;
  generateKeyPair(keyId: string, spec: SigningKeySpec): KeyObject;
  destroyKey(keyId: string): void;
  /** @returns the ciphertext with its {@link tagLength} bytes of tag */
  encrypt(keyId: string, sealed: Sealed, plaintext: Buffer): Buffer;
  /** @returns undefined when the tag does not verify: another key, IV, additional data or ciphertext */
  decrypt(keyId: string, sealed: Sealed, ciphertext: Buffer): Buffer | undefined;
  sign(keyId: string, scheme: SignatureScheme, digest: Buffer): Buffer;
  verify(keyId: string, scheme: SignatureScheme, digest: Buffer, signature: Buffer): boolean;
  close(): void;
}

export interface SoftHsmOptions {
  /** Path of libsofthsm2.so. */
  readonly library: string;
  /** An empty folder of the token's own; made when absent. */
  readonly directory: string;
}

const tokenLabel = 'mintmark-stub';

/**
 * A fresh SoftHSM2 token, its PINs random and held in memory only. One at a time in a process, and on its main
 * thread: SoftHSM2 reads SOFTHSM2_CONF from the process's environment, which a worker thread only has a copy of.
 */
export function createSoftHsmToken(options: SoftHsmOptions, randomBytes: RandomBytes): Token {
  if (!isMainThread) throw new Error('A SoftHSM2 token can only be opened on the main thread of a process.');
  const module = new pkcs11.PKCS11();
  process.env.SOFTHSM2_CONF = writeConfiguration(options.directory);
  module.load(options.library);
  module.C_Initialize();
  const session = openSession(module, randomBytes);
  const tokenSession = { pkcs11: module, handle: session };
  const secretKeys = new Map<string, Buffer>();
  const keyPairs = new Map<string, TokenKeyPair>();

  return {
    generateKey(keyId) {
      const mechanism = { mechanism: pkcs11.CKM_AES_KEY_GEN };
      secretKeys.set(keyId, module.C_GenerateKey(session, mechanism, aesKeyTemplate(keyId)));
    },
    generateKeyPair(keyId, spec) {
      const pair = generateSigningKeyPair(tokenSession, keyId, spec);
      keyPairs.set(keyId, pair);
      return pair.publicKey;
    },
    destroyKey(keyId) {
      const pair = keyPairs.get(keyId);
      const objects = pair === undefined ? [heldIn(secretKeys, keyId)] : [pair.privateKey, pair.publicKeyObject];
      for (const object of objects) module.C_DestroyObject(session, object);
      secretKeys.delete(keyId);
      keyPairs.delete(keyId);
    },
    encrypt(keyId, sealed, plaintext) {
      module.C_EncryptInit(session, gcm(sealed), heldIn(secretKeys, keyId));
      return module.C_Encrypt(session, plaintext, Buffer.alloc(plaintext.length + tagLength));
    },
    decrypt(keyId, sealed, ciphertext) {
      module.C_DecryptInit(session, gcm(sealed), heldIn(secretKeys, keyId));
      try {
        return module.C_Decrypt(session, ciphertext, Buffer.alloc(ciphertext.length));
      } catch (error) {
        if (isTagFailure(error)) return undefined;
        throw error;
      }
    },
    sign(keyId, scheme, digest) {
      return signDigest(tokenSession, heldIn(keyPairs, keyId).privateKey, scheme, digest);
    },
    verify(keyId, scheme, digest, signature) {
      const { publicKeyObject } = heldIn(keyPairs, keyId);
      return verifyDigest(tokenSession, publicKeyObject, scheme, digest, signature);
    },
    close() {
      module.C_Finalize();
      module.close();
    },
  };
}

function heldIn<Handle>(handles: ReadonlyMap<string, Handle>, keyId: string): Handle {
  const handle = handles.get(keyId);
  if (handle === undefined) throw new Error(`The token holds no such key ${keyId}.`);
  return handle;
}

function writeConfiguration(directory: string): string {
  const tokens = join(directory, 'tokens');
  mkdirSync(tokens, { recursive: true, mode: 0o700 });
  const configuration = join(directory, 'softhsm2.conf');
  writeFileSync(configuration, `directories.tokendir = ${tokens}\nobjectstore.backend = file\nlog.level = ERROR\n`);
  return configuration;
}

function openSession(module: Pkcs11.PKCS11, randomBytes: RandomBytes): Buffer {
  const securityOfficerPin = randomBytes(24).toString('hex');
  const userPin = randomBytes(24).toString('hex');
  const free = module.C_GetSlotList(false)[0];
  if (free === undefined) throw new Error('SoftHSM2 offers no slot.');
  // pkcs11js hands the label over as it is, where PKCS#11 wants 32 bytes padded with spaces.
  module.C_InitToken(free, securityOfficerPin, tokenLabel.padEnd(32));
  const slot = module.C_GetSlotList(true).find((candidate) => {
    return module.C_GetTokenInfo(candidate).label.trimEnd() === tokenLabel;
  });
  if (slot === undefined) throw new Error('SoftHSM2 does not list the token that it has just made.');
  const session = module.C_OpenSession(slot, pkcs11.CKF_RW_SESSION | pkcs11.CKF_SERIAL_SESSION);
  module.C_Login(session, pkcs11.CKU_SO, securityOfficerPin);
  module.C_InitPIN(session, userPin);
  module.C_Logout(session);
  module.C_Login(session, pkcs11.CKU_USER, userPin);
  return session;
}

function aesKeyTemplate(keyId: string): Pkcs11.Template {
  return [
    { type: pkcs11.CKA_CLASS, value: pkcs11.CKO_SECRET_KEY },
    { type: pkcs11.CKA_KEY_TYPE, value: pkcs11.CKK_AES },
    { type: pkcs11.CKA_VALUE_LEN, value: 32 },
    { type: pkcs11.CKA_ID, value: Buffer.from(keyId) },
    { type: pkcs11.CKA_LABEL, value: keyId },
    { type: pkcs11.CKA_TOKEN, value: true },
    { type: pkcs11.CKA_PRIVATE, value: true },
    { type: pkcs11.CKA_SENSITIVE, value: true },
    { type: pkcs11.CKA_EXTRACTABLE, value: false },
    { type: pkcs11.CKA_ENCRYPT, value: true },
    { type: pkcs11.CKA_DECRYPT, value: true },
  ];
}

function gcm(sealed: Sealed): Pkcs11.Mechanism {
  const parameter: Pkcs11.AesGCM = {
    type: pkcs11.CK_PARAMS_AES_GCM,
    iv: sealed.iv,
    ivBits: ivLength * 8,
    aad: sealed.additionalData,
    tagBits: tagLength * 8,
  };
  return { mechanism: pkcs11.CKM_AES_GCM, parameter };
}

/** SoftHSM2 2.6 answers a wrong tag with CKR_GENERAL_ERROR; PKCS#11 (and later releases) name it for what it is. */
function isTagFailure(error: unknown): boolean {
  if (!(error instanceof pkcs11.Pkcs11Error)) return false;
  return (
    error.code === pkcs11.CKR_GENERAL_ERROR ||
    error.code === pkcs11.CKR_ENCRYPTED_DATA_INVALID ||
    error.code === pkcs11.CKR_ENCRYPTED_DATA_LEN_RANGE
  );
}

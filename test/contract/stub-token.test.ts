import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type * as Pkcs11 from 'pkcs11js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readInstalled } from '../../local/setup/installed.ts';
import { createSoftHsmToken, type Token, tagLength } from '../../local/stub/token.ts';

const pkcs11 = createRequire(import.meta.url)('pkcs11js') as typeof Pkcs11;
const library = readInstalled().softhsm2Library;
const directory = mkdtempSync(join(tmpdir(), 'mintmark-stub-token-'));
const drawn: Buffer[] = [];
let token: Token;

beforeAll(() => {
  token = createSoftHsmToken({ library, directory }, (length) => {
    const bytes = randomBytes(length);
    drawn.push(bytes);
    return bytes;
  });
  token.generateKey('one');
  token.generateKey('two');
});
afterAll(() => {
  token.close();
  rmSync(directory, { recursive: true, force: true });
});

const sealed = (additional = 'context') => ({ iv: Buffer.alloc(12, 7), additionalData: Buffer.from(additional) });

describe('the SoftHSM2 token', () => {
  it('encrypts with AES-GCM and decrypts with the same key, IV and additional data only', () => {
    const plaintext = Buffer.from('a PIN');
    const ciphertext = token.encrypt('one', sealed(), plaintext);
    expect(ciphertext).toHaveLength(plaintext.length + tagLength);
    expect(token.decrypt('one', sealed(), ciphertext)).toEqual(plaintext);
    expect(token.decrypt('two', sealed(), ciphertext)).toBeUndefined();
    expect(token.decrypt('one', sealed('other'), ciphertext)).toBeUndefined();
    expect(token.decrypt('one', { ...sealed(), iv: Buffer.alloc(12, 8) }, ciphertext)).toBeUndefined();
    expect(token.decrypt('one', sealed(), ciphertext.subarray(1))).toBeUndefined();
    expect(token.decrypt('one', sealed(), ciphertext)).toEqual(plaintext);
  });

  it('holds its keys sensitive and not extractable', () => {
    // The library is loaded and logged in once in a process, so this handle sees what the token's own sees.
    const other = new pkcs11.PKCS11();
    other.load(library);
    const slot = other.C_GetSlotList(true)[0];
    if (slot === undefined) throw new Error('no slot');
    const session = other.C_OpenSession(slot, pkcs11.CKF_SERIAL_SESSION);
    other.C_FindObjectsInit(session, [{ type: pkcs11.CKA_CLASS, value: pkcs11.CKO_SECRET_KEY }]);
    const keys = other.C_FindObjects(session, 10);
    other.C_FindObjectsFinal(session);
    expect(keys).toHaveLength(2);
    for (const key of keys) {
      const flags = [
        pkcs11.CKA_SENSITIVE,
        pkcs11.CKA_ALWAYS_SENSITIVE,
        pkcs11.CKA_NEVER_EXTRACTABLE,
        pkcs11.CKA_PRIVATE,
        pkcs11.CKA_TOKEN,
        pkcs11.CKA_EXTRACTABLE,
      ].map((type) => other.C_GetAttributeValue(session, key, [{ type }])[0]?.value[0]);
      expect(flags).toEqual([1, 1, 1, 1, 1, 0]);
      expect(() => other.C_GetAttributeValue(session, key, [{ type: pkcs11.CKA_VALUE }])).toThrow(/SENSITIVE/);
    }
    other.C_CloseSession(session);
  });

  it('keeps its PINs out of its files', () => {
    const pins = drawn.filter((bytes) => bytes.length === 24).map((bytes) => bytes.toString('hex'));
    expect(pins).toHaveLength(2);
    const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    expect(files.length).toBeGreaterThan(3);
    for (const file of files) {
      const text = readFileSync(join(file.parentPath, file.name), 'latin1');
      for (const pin of pins) expect(text).not.toContain(pin);
    }
  });

  it('forgets a destroyed key', () => {
    token.generateKey('three');
    const ciphertext = token.encrypt('three', sealed(), Buffer.from('x'));
    token.destroyKey('three');
    expect(() => token.decrypt('three', sealed(), ciphertext)).toThrow('three');
  });
});

import { createRequire } from 'node:module';
import { describe, expect, it } from 'vitest';
import { refusesPin, returnValueOf, returnValues } from '../../shared/signer/pkcs11-return-values.ts';

const pkcs11js = createRequire(import.meta.url)('pkcs11js') as Record<string, unknown>;

/** The constants of another implementation of the standard. */
const constants = Object.entries(pkcs11js).filter(
  (entry): entry is [string, number] => entry[0].startsWith('CKR_') && typeof entry[1] === 'number',
);

describe('the return values of PKCS#11', () => {
  it('are all there, under their names and numbers', () => {
    expect(constants.length).toBeGreaterThan(80);
    for (const [name, value] of constants) {
      if (name === 'CKR_OK' || name === 'CKR_VENDOR_DEFINED') continue;
      expect(returnValueOf(value)).toMatchObject({ name, value });
    }
  });

  it('have each its number, its name and a sentence', () => {
    expect(new Set(returnValues.map(({ name }) => name)).size).toBe(returnValues.length);
    for (const { sentence } of returnValues) expect(sentence).toMatch(/^[A-Z].*\.$/);
  });

  it.each([
    'CKR_SESSION_HANDLE_INVALID',
    'CKR_SESSION_CLOSED',
    'CKR_DEVICE_REMOVED',
    'CKR_TOKEN_NOT_PRESENT',
    'CKR_USER_NOT_LOGGED_IN',
    'CKR_DEVICE_ERROR',
    'CKR_CRYPTOKI_NOT_INITIALIZED',
  ])('%s asks for a new session', (name) => {
    expect(returnValues.find((value) => value.name === name)?.kind).toBe('session');
  });

  it('take a busy HSM as something that passes', () => {
    expect(returnValueOf(0x06)).toMatchObject({ name: 'CKR_FUNCTION_FAILED', kind: 'transient' });
  });

  it("have an answer for a vendor's number", () => {
    expect(returnValueOf(0x80000123)).toMatchObject({ kind: 'transient', name: 'CKR_VENDOR_DEFINED (0x80000123)' });
  });

  it('say after which of them no PIN is tried again', () => {
    const names = returnValues.filter(refusesPin).map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(['CKR_PIN_INCORRECT', 'CKR_PIN_LOCKED', 'CKR_PIN_EXPIRED']));
    expect(refusesPin(returnValueOf(0x06))).toBe(false);
    for (const name of names) expect(returnValues.find((value) => value.name === name)?.kind).toBe('misconfiguration');
  });
});

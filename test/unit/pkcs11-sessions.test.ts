import { generateKeyPairSync } from 'node:crypto';
import { createRequire } from 'node:module';
import type * as Pkcs11js from 'pkcs11js';
import { describe, expect, it } from 'vitest';
import { openSessions, type Pkcs11Binding } from '../../shared/signer/pkcs11-session.ts';

const binding = createRequire(import.meta.url)('pkcs11js') as Pkcs11Binding;
const slot = Buffer.alloc(8);

/** Of one P-256 key, with `answers` to its openings of sessions: a session, or the error of that return value. */
function tokenThat(answers: readonly ('opens' | number)[]) {
  const { x = '', y = '' } = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({
    format: 'jwk',
  });
  const attributes = new Map<number, Buffer>([
    [binding.CKA_SENSITIVE, Buffer.of(1)],
    [binding.CKA_EXTRACTABLE, Buffer.of(0)],
    [binding.CKA_KEY_TYPE, Buffer.from([binding.CKK_EC, 0, 0, 0, 0, 0, 0, 0])],
    [binding.CKA_EC_PARAMS, Buffer.from('06082a8648ce3d030107', 'hex')],
    [binding.CKA_EC_POINT, Buffer.concat([Buffer.of(4), Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url')])],
  ]);
  const opened: Buffer[] = [];
  const closed: Buffer[] = [];
  const pkcs11 = {
    C_OpenSession: () => {
      const answer = answers[opened.length] ?? 'opens';
      if (answer !== 'opens') throw new binding.Pkcs11Error('refused', answer);
      const session = Buffer.of(opened.length);
      opened.push(session);
      return session;
    },
    C_CloseSession: (session: Buffer) => closed.push(session),
    C_Login: () => undefined,
    C_FindObjectsInit: () => undefined,
    C_FindObjects: () => [Buffer.of(7)],
    C_FindObjectsFinal: () => undefined,
    C_GetAttributeValue: (_session: Buffer, _object: Buffer, [asked]: readonly { type: number }[]) => [
      { type: asked?.type, value: attributes.get(asked?.type ?? -1) },
    ],
  } as unknown as Pkcs11js.PKCS11;
  return { opened, closed, open: (count: number) => openSessions(binding, pkcs11, slot, {}, Buffer.from('p'), count) };
}

describe('openSessions', () => {
  it.each([1, 4])('opens %i', (count) => {
    const token = tokenThat([]);
    expect(token.open(count).sessions).toEqual(token.opened);
    expect(token.opened).toHaveLength(count);
  });

  it.each([
    ['CKR_SESSION_COUNT', 0xb1],
    ['CKR_DEVICE_MEMORY', 0x31],
  ])('goes on with those that there are, where the HSM has no more: %s', (_name, value) => {
    const token = tokenThat(['opens', 'opens', value]);
    expect(token.open(4).sessions).toHaveLength(2);
    expect(token.closed).toEqual([]);
  });

  it('has none where the HSM has not even one', () => {
    expect(() => tokenThat([0xb1]).open(4)).toThrow(expect.objectContaining({ code: 0xb1 }));
  });

  it('leaves none open where the connection goes meanwhile', () => {
    const token = tokenThat(['opens', 'opens', 0x32]);
    expect(() => token.open(4)).toThrow(expect.objectContaining({ code: 0x32 }));
    expect(token.closed).toEqual(token.opened);
  });
});

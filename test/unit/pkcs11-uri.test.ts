import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatPkcs11Uri, type Pkcs11Uri, parsePkcs11Uri } from '../../shared/signer/pkcs11-uri.ts';

describe('parsePkcs11Uri', () => {
  it.each<[string, Pkcs11Uri]>([
    ['pkcs11:', {}],
    ['pkcs11:token=fleet;object=issuing-ca;type=private', { token: 'fleet', object: 'issuing-ca', type: 'private' }],
    // After the examples of RFC 7512 section 3.
    [
      'pkcs11:token=The%20Software%20PKCS%2311%20Softtoken;manufacturer=Snake%20Oil,%20Inc.;model=1.0;type=cert;id=%69%95',
      {
        token: 'The Software PKCS#11 Softtoken',
        manufacturer: 'Snake Oil, Inc.',
        model: '1.0',
        type: 'cert',
        id: Uint8Array.of(0x69, 0x95),
      },
    ],
    ['pkcs11:object=my-key;type=private', { object: 'my-key', type: 'private' }],
    ['pkcs11:slot-id=327', { slotId: 327 }],
    ['pkcs11:object=a%3Bb%25=c', { object: 'a;b%=c' }],
    ['pkcs11:token=%C3%A9tat', { token: 'état' }],
    ['pkcs11:id=%00%ff', { id: Uint8Array.of(0, 0xff) }],
    ['pkcs11:id=ab%01', { id: Uint8Array.of(0x61, 0x62, 1) }],
  ])('%s', (uri, parsed) => {
    expect(parsePkcs11Uri(uri)).toEqual(parsed);
  });

  it.each([
    ['another scheme', 'awskms:key', /start with/],
    ['a PIN', 'pkcs11:object=ca?pin-value=hunter2', /PIN/],
    ['a PIN behind something else', 'pkcs11:object=ca?module-name=x&pin-value=hunter2', /PIN/],
    ['where a PIN is', 'pkcs11:object=ca?pin-source=file:/hunter2', /PIN/],
    ['a library', 'pkcs11:object=ca?module-path=/hunter2.so', /PKCS11_LIBRARY/],
    ['any other query', 'pkcs11:object=ca?hunter2', /query/],
    ['a PIN in the path', 'pkcs11:object=ca;pin-value=hunter2', /not supported/],
    ['an unknown attribute', 'pkcs11:object=ca;vendor=hunter2', /not supported/],
    ['no value', 'pkcs11:object', /name=value/],
    ['an empty attribute', 'pkcs11:object=ca;', /name=value/],
    ['an attribute twice', 'pkcs11:object=ca;object=hunter2', /twice/],
    ['an empty object', 'pkcs11:object=', /empty object/],
    ['an empty id', 'pkcs11:id=', /empty id/],
    ['half an escape', 'pkcs11:object=hunter2%4', /hex digits/],
    ['a blank', 'pkcs11:object=hunter2 x', /percent-encoded/],
    ['a slash', 'pkcs11:object=hunter2/x', /percent-encoded/],
    ['bytes that are not UTF-8', 'pkcs11:object=%ff', /UTF-8/],
    ['another type', 'pkcs11:type=hunter2', /none of/],
    ['another slot id', 'pkcs11:slot-id=01', /slot-id/],
    ['a slot id beyond exact numbers', 'pkcs11:slot-id=1234567890123456', /slot-id/],
  ])('refuses %s, and repeats no value', (_, uri, message) => {
    const refuse = () => parsePkcs11Uri(uri);
    expect(refuse).toThrow(expect.objectContaining({ code: 'SIGNER_MISCONFIGURED' }));
    expect(refuse).toThrow(message);
    expect(refuse).not.toThrow(/hunter2/);
  });
});

describe('formatPkcs11Uri', () => {
  it('gives back what it was made of', () => {
    const text = fc.string({ unit: 'binary', minLength: 1 });
    const uri = fc.record<Pkcs11Uri>(
      {
        token: text,
        manufacturer: text,
        serial: text,
        model: text,
        slotId: fc.nat(),
        object: text,
        id: fc.uint8Array({ minLength: 1 }),
        type: fc.constantFrom('public', 'private', 'cert', 'secret-key', 'data'),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(uri, (parts) => {
        const formatted = formatPkcs11Uri(parts);
        expect(formatted).toMatch(/^pkcs11:[!-~]*$/);
        expect(parsePkcs11Uri(formatted)).toEqual({ ...parts });
      }),
    );
  });
});

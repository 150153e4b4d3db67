import { describe, expect, it } from 'vitest';
import { maximumMessageBytes, readMessage, statedIds } from '../../shared/issuance/message.ts';
import { refusalOf } from '../fixtures/csr/refusal.ts';

const good = { version: 1, requestId: 'request-1', deviceId: 'device-1', profile: 'device-tls', csr: 'MIIB' };
const body = (changes: Readonly<Record<string, unknown>> = {}): string => JSON.stringify({ ...good, ...changes });

function refused(text: string): { code: string; message: string } {
  const { code, message } = refusalOf(() => readMessage(text));
  expect(message.length, message).toBeLessThan(600);
  expect(message).not.toMatch(/\p{Cc}/u);
  expect(message.isWellFormed()).toBe(true);
  return { code, message };
}

describe('readMessage', () => {
  it('reads what is documented, in any order and spacing', () => {
    expect(readMessage(body())).toEqual(good);
    expect(readMessage(JSON.stringify(Object.fromEntries(Object.entries(good).reverse()), null, 2))).toEqual(good);
  });

  it.each(['', ' ', 'not JSON', '{', '{"version":1,}', "{'version':1}", '\u{feff}{}', body() + body()])(
    'refuses %j: not JSON',
    (text) => {
      expect(refused(text)).toEqual({ code: 'MESSAGE_NOT_JSON', message: 'The message body is not JSON.' });
    },
  );

  it.each([0, 2, '1', null, true, 1.5, [1], { one: 1 }])('refuses version %j', (version) => {
    expect(refused(body({ version })).code).toBe('MESSAGE_VERSION_UNSUPPORTED');
  });

  it('looks at the version before anything else, for another version may have other fields', () => {
    expect(refused(body({ version: 2, csr: undefined, certificationRequest: '' })).code).toBe(
      'MESSAGE_VERSION_UNSUPPORTED',
    );
  });

  it.each(['null', '1', '"text"', '[]', '{}', '[{}]'])('refuses %s: not the documented object', (text) => {
    expect(refused(text).code).toBe('MESSAGE_INVALID');
  });

  it.each(Object.keys(good).filter((field) => field !== 'version'))(
    'refuses a message without %s, and names it',
    (field) => {
      const { code, message } = refused(body({ [field]: undefined }));
      expect(code).toBe('MESSAGE_INVALID');
      expect(message).toBe(`The message is not as documented: ${field} is missing.`);
    },
  );

  it('refuses a message without a version', () => {
    expect(refused(body({ version: undefined })).code).toBe('MESSAGE_INVALID');
  });

  it.each(['Csr', 'extra', '', 'constructor'])('refuses the unknown field %j', (field) => {
    expect(refused(body({ [field]: 'x' })).code).toBe('MESSAGE_INVALID');
  });

  it('refuses the unknown field __proto__', () => {
    expect(refused(body().replace('{', '{"__proto__":{"csr":"x"},')).code).toBe('MESSAGE_INVALID');
  });

  it.each([
    ['requestId', 'r', 'r'.repeat(128), ['', 'r'.repeat(129), '-r', '.r', 'r/r', 'r r', 'ä', 'r\n', 7, null, ['r']]],
    [
      'deviceId',
      'd',
      'd'.repeat(64),
      ['', 'd'.repeat(65), '-d', ':d', 'd/d', 'd d', 'é', 'd\n', '{deviceId}', 7, null],
    ],
    ['profile', 'p', 'p'.repeat(63), ['', 'p'.repeat(64), '-p', 'P', 'p_p', '../p', 'p\n', 7, null]],
  ] as const)('bounds %s', (field, shortest, longest, wrong) => {
    for (const value of [shortest, longest])
      expect(readMessage(body({ [field]: value }))).toMatchObject({ [field]: value });
    for (const value of wrong) {
      const { code, message } = refused(body({ [field]: value }));
      expect(code, String(value)).toBe('MESSAGE_INVALID');
      expect(message).toContain(`${field} must be `);
    }
  });

  it('takes the whole alphabet of the ids', () => {
    expect(readMessage(body({ requestId: 'Az09._:-', deviceId: 'Az09._:-', profile: 'az09-' }))).toMatchObject({
      profile: 'az09-',
    });
  });

  it('leaves the CSR to those who read it', () => {
    for (const csr of ['', 'anything', '-----BEGIN']) expect(readMessage(body({ csr })).csr).toBe(csr);
    for (const csr of [7, null, ['MIIB'], { der: 'MIIB' }]) expect(refused(body({ csr })).code).toBe('MESSAGE_INVALID');
  });

  it('counts its size in bytes of UTF-8, not in characters', () => {
    const room = maximumMessageBytes - Buffer.byteLength(body({ csr: '' }));
    const longest = body({ csr: 'x'.repeat(room) });
    expect(Buffer.byteLength(longest)).toBe(maximumMessageBytes);
    expect(readMessage(longest).csr).toHaveLength(room);
    expect(refused(body({ csr: 'x'.repeat(room + 1) })).code).toBe('MESSAGE_TOO_LARGE');
    const euros = body({ csr: '€'.repeat(room / 2) });
    expect(euros.length).toBeLessThan(maximumMessageBytes);
    expect(refused(euros)).toMatchObject({ code: 'MESSAGE_TOO_LARGE', message: expect.stringContaining('65536') });
  });

  it("is not shown more of the sender's own text than fits in a sentence", () => {
    const long = 'x'.repeat(20_000);
    const nested = `${'['.repeat(30_000)}${']'.repeat(30_000)}`;
    expect(refused(body({ version: long })).code).toBe('MESSAGE_VERSION_UNSUPPORTED');
    expect(refused(`{"version":${nested}}`).code).toBe('MESSAGE_VERSION_UNSUPPORTED');
    expect(refused(nested).code).toBe('MESSAGE_INVALID');
    expect(refused(body().replace('"MIIB"', nested)).code).toBe('MESSAGE_INVALID');
    for (const field of ['requestId', 'deviceId', 'profile'])
      expect(refused(body({ [field]: long })).message).not.toContain('xxxx');
    expect(refused(body({ [long]: 1 })).code).toBe('MESSAGE_INVALID');
    expect(refused(body(Object.fromEntries(Array.from({ length: 2000 }, (_, index) => [`f${index}`, 1])))).code).toBe(
      'MESSAGE_INVALID',
    );
    expect(refused(body().replace('{', '{"line\\nbreak\\u0000\\ud800\\u001b[31m":1,')).code).toBe('MESSAGE_INVALID');
    expect(refused(long).message).toBe('The message body is not JSON.');
  });
});

it.each([
  ['not an object', [], 'it must be an object'],
  ['an unknown field', { ...good, Csr: 'x' }, 'it has no field "Csr"'],
  ['two unknown fields', { ...good, a: 1, b: 2 }, 'it has no fields "a", "b"'],
  ['a CSR that is none', { ...good, csr: 7 }, 'csr must be text'],
  [
    'an id with a slash',
    { ...good, deviceId: 'd/d', csr: undefined },
    'deviceId must be 1 to 64 of A-Z a-z 0-9 . _ : -, first a letter or digit; csr is missing',
  ],
])('says what is wrong in words of its own: %s', (_, message, problem) => {
  expect(refused(JSON.stringify(message)).message).toBe(`The message is not as documented: ${problem}.`);
});

describe('statedIds', () => {
  it.each([
    ['of a good message', body(), { deviceId: 'device-1', requestId: 'request-1' }],
    [
      'of one that is refused otherwise',
      body({ csr: undefined, version: 2 }),
      { deviceId: 'device-1', requestId: 'request-1' },
    ],
    ['that are none', body({ deviceId: 'd/d', requestId: 7 }), {}],
    ['of no object', '[{"deviceId":"d"}]', {}],
    ['of no JSON', '{"deviceId":"d"', {}],
  ])('%s', (_, text, ids) => {
    expect(statedIds(text)).toEqual(ids);
  });
});

import { randomBytes, X509Certificate } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { certificateRules, profileRules } from '../../shared/issuance/lint-rules.ts';
import { type Profile, readProfile, readProfiles } from '../../shared/issuance/profile.ts';
import { keyKindsOf, remedies, specimenOf as specimenWith } from '../../shared/issuance/specimen.ts';
import { specimenProblems } from '../../shared/issuance/specimen-problems.ts';
import { refusalOf } from '../fixtures/csr/refusal.ts';
import { deviceTls } from '../support/profile.ts';

const now = Date.parse('2026-11-23T12:00:00Z');
const shipped = readProfiles(new URL('../../profiles/', import.meta.url));
/** With the first kind of key that the profile allows. */
function specimenOf(profile: Profile, deviceId: string, at: number, random: typeof randomBytes) {
  const [key] = keyKindsOf(profile);
  if (key === undefined) throw new Error(`${profile.name} allows no key`);
  return specimenWith(profile, deviceId, key, at, random);
}
const specimen = (name: string, deviceId = 'pump-7') => {
  const profile = shipped.get(name);
  if (profile === undefined) throw new Error(`No profile ${name}`);
  return specimenOf(profile, deviceId, now, randomBytes);
};
const read = (name: string) => new X509Certificate(specimen(name).certificate);

describe('the specimen of a shipped profile', () => {
  it.each([...shipped.keys()])('%s: is a certificate of an end entity, with the times of the profile', (name) => {
    const { notBefore, notAfter } = specimen(name);
    const certificate = read(name);
    expect(certificate.ca).toBe(false);
    expect(certificate.validFromDate.getTime()).toBe(notBefore);
    expect(certificate.validToDate.getTime()).toBe(notAfter);
  });

  it.each([
    ['device-tls', 'URI:urn:dev:org:32473-pump-7', ['1.3.6.1.5.5.7.3.2']],
    ['device-tls-server', 'DNS:pump-7.devices.example.com', ['1.3.6.1.5.5.7.3.1']],
    ['workload', 'URI:spiffe://example.com/device/pump-7', ['1.3.6.1.5.5.7.3.2', '1.3.6.1.5.5.7.3.1']],
    ['code-signing', 'URI:urn:dev:org:32473-pump-7', ['1.3.6.1.5.5.7.3.3']],
  ])('%s: is for %s and its purposes', (name, subjectAltName, keyUsage) => {
    expect(read(name).subjectAltName).toBe(subjectAltName);
    expect(read(name).keyUsage).toEqual(keyUsage);
  });

  it('says what a CSR may ask for', () => {
    expect(specimen('device-tls').onRequest).toEqual(['dNSName pump-7']);
    // An id that is no host name cannot be asked for as one.
    expect(specimen('device-tls', 'a_b').onRequest).toEqual([]);
    expect(specimen('device-tls-server').onRequest).toContain('dNSName {label}.pump-7.devices.example.com');
  });
});

it('is of the kind of key that the profile allows', () => {
  const only = (keys: typeof deviceTls.keys) => specimenOf({ ...deviceTls, keys }, 'pump-7', now, randomBytes);
  for (const [keys, key, type] of [
    [{ ec: { curves: ['P-384'] } }, 'P-384', 'ec'],
    [{ ed25519: true }, 'Ed25519', 'ed25519'],
    [{ rsa: { minimumBits: 2048, maximumBits: 4096 } }, 'RSA 2048', 'rsa'],
  ] as const) {
    const found = only(keys as typeof deviceTls.keys);
    expect(found.key).toBe(key);
    expect(new X509Certificate(found.certificate).publicKey.asymmetricKeyType).toBe(type);
  }
});

it('cannot be made for a device whose id no name of the profile takes', () => {
  expect(refusalOf(() => specimen('device-tls-server', 'a_b')).code).toBe('NAME_NOT_ALLOWED');
});

it('has a remedy for no rule that there is not', () => {
  const rules = [...certificateRules, ...profileRules].map(({ name }) => name);
  expect(rules).toEqual(expect.arrayContaining(Object.keys(remedies)));
});

describe('what keeps a profile from making certificates', () => {
  const base = `name: long
issuer: devices
validity: { days: 1, backdateMinutes: 0 }
keys: { ed25519: true, ec: { curves: [P-256, P-384] } }
subject: [commonName: 'a device of the plant, line and cell {deviceId}']
subjectAltName: { always: [uniformResourceIdentifier: 'urn:x:{deviceId}'], onRequest: [] }
keyUsage: [digitalSignature]
extendedKeyUsage: [clientAuth]
ignored: { subjectAttributes: [], extensions: [] }
registration: optional
allowedSenders: any
`;
  const problemsOf = (yaml: string, deviceId: string) =>
    specimenProblems({ file: 'p.yaml', yaml, profile: readProfile('p.yaml', yaml) }, deviceId, now, randomBytes);

  it('is nothing where every kind of key gets one', () => {
    expect(problemsOf(base, 'pump-7')).toEqual([]);
  });

  it('is told with its rule, its place, and what is expected, once for all kinds of keys', () => {
    expect(problemsOf(base, 'x'.repeat(40))).toEqual([
      {
        file: 'p.yaml',
        line: 5,
        column: 10,
        field: 'subject',
        message: expect.stringMatching(
          /^no certificate for the device id x{40}: .*subject-attributes-of-their-types.* expected: .*64 \(commonName\)/,
        ),
      },
    ]);
    expect(refusalOf(() => specimenOf(readProfile('p.yaml', base), 'x'.repeat(40), now, randomBytes)).code).toBe(
      'LINT_FAILED',
    );
  });

  it('names the name that a device id does not fit into', () => {
    const yaml = base.replace('always: [', "always: [dNSName: '{deviceId}.example.com', ");
    expect(problemsOf(yaml, 'a_b')).toEqual([
      expect.objectContaining({ line: 6, column: 28, field: 'subjectAltName.always.0' }),
    ]);
  });

  it.each([
    ["dNSName: '{deviceId}', dNSName: '{deviceId}.example.com'", 1, /never granted: .*asks for the dNSName/],
    ["uniformResourceIdentifier: 'spiffe://example.com/{deviceId}'", 0, /a SPIFFE ID has no other URI/],
    ["rfc822Name: '{deviceId}@example.com', rfc822Name: 'x{deviceId}@example.com'", 1, /never granted/],
    ["dNSName: '{deviceId}', { dNSName: '{label}.example.com', shared: true }", 1, /never granted/],
  ])('is a name that may be asked for and is never granted: %s', (onRequest, index, message) => {
    const entries = onRequest
      .split(/, (?=dNS|rfc|\{ )/)
      .map((entry) => (entry.startsWith('{') ? entry : `{ ${entry} }`));
    const yaml = base.replace('onRequest: []', `onRequest: [${entries.join(', ')}]`);
    expect(problemsOf(yaml, 'x')).toEqual([
      expect.objectContaining({
        line: 6,
        field: `subjectAltName.onRequest.${index}`,
        message: expect.stringMatching(message),
      }),
    ]);
  });

  it('is a name that is left out as one that the profile ignores', () => {
    const yaml = base
      .replace('onRequest: []', "onRequest: [dNSName: '{deviceId}', dNSName: '{deviceId}.example.com']")
      .replace('extensions: []', 'extensions: [], subjectAltNames: [dNSName]');
    expect(problemsOf(yaml, 'x')).toEqual([
      expect.objectContaining({ field: 'subjectAltName.onRequest.1', message: expect.stringContaining('ignored') }),
    ]);
  });

  it('is nothing about names of which one at least is granted, and those that the device id cannot be in', () => {
    const granting = [
      "{ dNSName: '{deviceId}.example.com' }",
      "{ dNSName: '{label}.{deviceId}.example.com' }",
      "{ uniformResourceIdentifier: 'urn:x/{deviceId}' }",
      "{ uniformResourceIdentifier: 'urn:x/{label}', shared: true }",
      '{ iPAddress: 0.0.0.0/0, shared: true }',
      "{ iPAddress: '::/0', shared: true }",
      '{ iPAddress: 10.0.0.0/8, shared: true }',
      "{ otherName: { typeId: 1.2.3, utf8String: '{deviceId}' } }",
    ];
    const yaml = base.replace('onRequest: []', `onRequest: [${granting.join(', ')}]`);
    expect(problemsOf(yaml, 'pump-7')).toEqual([]);
    expect(problemsOf(yaml, 'PUMP_7')).toEqual([]);
  });

  it('is more in a certificate than is kept of it', () => {
    const extension = (arc: number) =>
      `{ extnID: 1.2.3.${arc}, critical: false, extnValue: '0482${'07d0'}${'00'.repeat(2000)}' }`;
    const yaml = (count: number) =>
      `${base}extensions: [${Array.from({ length: count }, (_, arc) => extension(arc)).join(', ')}]\n`;
    expect(problemsOf(yaml(2), 'pump-7')).toEqual([]);
    expect(problemsOf(yaml(3), 'pump-7')).toEqual([
      expect.objectContaining({ field: 'extensions', message: expect.stringContaining('at most 6144') }),
    ]);
  });

  it('names the kinds of keys where not every one is kept', () => {
    const profile = readProfile('p.yaml', base);
    // No text of a profile says so: its reader sees that, and this one is changed after it.
    const agreeing: Profile = { ...profile, keyUsage: ['keyAgreement'] };
    expect(specimenProblems({ file: 'p.yaml', yaml: base, profile: agreeing }, 'x', now, randomBytes)).toEqual([
      expect.objectContaining({
        line: 7,
        field: 'keyUsage',
        message: expect.stringMatching(/^no certificate for the device id x with a key of Ed25519: .*key-usage-fits/),
      }),
    ]);
  });
});

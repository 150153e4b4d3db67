import { randomBytes, X509Certificate } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { readProfile, readProfiles } from '../../shared/issuance/profile.ts';
import { specimenOf } from '../../shared/issuance/specimen.ts';
import { refusalOf } from '../fixtures/csr/refusal.ts';
import { deviceTls } from '../support/profile.ts';

const now = Date.parse('2026-11-23T12:00:00Z');
const shipped = readProfiles(new URL('../../profiles/', import.meta.url));
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

it('is what the rules refuse where names come out too long', () => {
  const yaml = `name: long
issuer: devices
validity: { days: 1, backdateMinutes: 0 }
keys: { ed25519: true }
subject: [commonName: 'a device of the plant, line and cell {deviceId}']
subjectAltName: { always: [uniformResourceIdentifier: 'urn:x:{deviceId}'], onRequest: [] }
keyUsage: [digitalSignature]
extendedKeyUsage: [clientAuth]
ignored: { subjectAttributes: [], extensions: [] }
registration: optional
allowedSenders: any
`;
  const profile = readProfile('long.yaml', yaml);
  expect(specimenOf(profile, 'pump-7', now, randomBytes).names.subject[0]?.value).toContain('pump-7');
  const refused = refusalOf(() => specimenOf(profile, 'x'.repeat(40), now, randomBytes));
  expect(refused).toMatchObject({
    code: 'LINT_FAILED',
    message: expect.stringContaining('subject-attributes-of-their'),
  });
});

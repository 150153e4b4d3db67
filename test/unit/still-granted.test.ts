import { describe, expect, it } from 'vitest';
import { grantNames } from '../../shared/issuance/names.ts';
import type { Profile } from '../../shared/issuance/profile.ts';
import { faultOfGrant } from '../../shared/issuance/still-granted.ts';
import { tbsTemplate } from '../../shared/issuance/tbs.ts';
import { readTbsCertificate } from '../../shared/issuance/tbs-reader.ts';
import type { Device } from '../../shared/ledger/index.ts';
import type { RecordedIntent } from '../../shared/ledger/issuance.ts';
import { dNSName, newPrivateKey, readRequest } from '../support/csr.ts';
import { newVariables, tbsIssuer } from '../support/linted.ts';
import { deviceTls } from '../support/profile.ts';

const allowedNames = ['DNS:a.example.com', 'DNS:*.b.example.com', 'IP:192.0.2.7', 'email:a@example.com', 'URI:urn:x:y'];
const device: Device = { deviceId: 'device-1', state: 'active', allowedNames };
const privateKey = newPrivateKey();

/** As it was recorded of a CSR that asks for these DNS names. */
function recorded(profile: Profile, asked: readonly string[], of: Device | undefined) {
  const csr = readRequest(privateKey, { names: asked.map(dNSName) });
  const names = grantNames(profile, 'device-1', csr, of?.allowedNames);
  const { subjectPublicKeyInfo } = csr;
  const tbs = readTbsCertificate(tbsTemplate(tbsIssuer, profile)({ ...newVariables(), names, subjectPublicKeyInfo }));
  const intent = { deviceId: 'device-1', profileHash: profile.hash } as RecordedIntent;
  return { csr, recorded: { tbs, intent, profile, device: of } };
}

const registering = (registered: 'always' | 'onRequest'): Profile => ({
  ...deviceTls,
  subjectAltName: { ...deviceTls.subjectAltName, registered },
});

describe('what is recorded of a device', () => {
  it.each<[string, Profile, readonly string[], Device | undefined]>([
    ["the profile's names", deviceTls, [], undefined],
    ['one that was asked for', deviceTls, ['device-1'], undefined],
    ['all that is registered', registering('always'), [], device],
    [
      'of what is registered, what was asked for',
      registering('onRequest'),
      ['*.b.example.com', 'A.example.com'],
      device,
    ],
  ])('is granted still, with its CSR and without: %s', (_, profile, asked, of) => {
    const { csr, recorded: grant } = recorded(profile, asked, of);
    expect(faultOfGrant({ ...grant, csr })).toBeUndefined();
    expect(faultOfGrant(grant)).toBeUndefined();
  });

  it('is not that of a CSR that asks for less, or more', () => {
    const { recorded: grant } = recorded(deviceTls, ['device-1'], undefined);
    const { csr: without, recorded: less } = recorded(deviceTls, [], undefined);
    const { csr: withIt } = recorded(deviceTls, ['device-1'], undefined);
    expect(faultOfGrant({ ...grant, csr: without })).toBe('lint-failed');
    expect(faultOfGrant({ ...less, csr: withIt })).toBe('lint-failed');
  });

  it('is somebody else’s writing where neither profile nor registration can have changed it', () => {
    const { recorded: grant } = recorded(registering('always'), [], device);
    expect(faultOfGrant({ ...grant, device: { ...device, allowedNames: [] } })).toBe('no-longer-granted');
    const { recorded: own } = recorded(deviceTls, [], undefined);
    const other = { ...own.intent, deviceId: 'device-2' };
    expect(faultOfGrant({ ...own, intent: other })).toBe('lint-failed');
    expect(faultOfGrant({ ...own, intent: { ...other, profileHash: '0'.repeat(64) } })).toBe('no-longer-granted');
  });
});

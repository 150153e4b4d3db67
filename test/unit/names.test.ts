import { describe, expect, it } from 'vitest';
import {
  boolean,
  contextConstructed,
  contextPrimitive,
  objectIdentifier,
  octetString,
  sequence,
  setOf,
  utf8String,
} from '../../shared/asn1/der-writer.ts';
import { parseCertificationRequest } from '../../shared/issuance/certification-request.ts';
import { grantNames } from '../../shared/issuance/names.ts';
import { objectIdentifiers } from '../../shared/issuance/object-identifiers.ts';
import { attributeTypes, ignorableExtensions, type Profile } from '../../shared/issuance/profile.ts';
import { extension, handMakeCsr } from '../fixtures/csr/make.ts';
import { refusalOf } from '../fixtures/csr/refusal.ts';
import { type CsrContents, dNSName, newPrivateKey, readRequest, uniformResourceIdentifier } from '../support/csr.ts';
import { deviceTls } from '../support/profile.ts';

const deviceId = 'Device-1';
const urn = 'urn:dev:org:32473-Device-1';
const { commonName, organizationName, organizationalUnitName, countryName, serialNumber } = attributeTypes;
const key = newPrivateKey();

const grant = (contents: CsrContents, profile: Profile = deviceTls, id = deviceId) =>
  grantNames(profile, id, readRequest(key, contents));

function refused(contents: CsrContents, profile?: Profile, id?: string): { code: string; message: string } {
  const { code, message } = refusalOf(() => grant(contents, profile, id));
  expect(message.length).toBeLessThan(500);
  return { code, message };
}

const always = { kind: 'uniformResourceIdentifier', value: urn };
const subject = [
  { type: 'organizationName', value: 'Mintmark devices' },
  { type: 'commonName', value: deviceId },
];

describe('the subject', () => {
  it.each<readonly [string, CsrContents['subject'] & object]>([
    ['nothing', []],
    ['the device id', [[commonName, deviceId]]],
    [
      'all that is granted',
      [
        [organizationName, 'Mintmark devices'],
        [commonName, deviceId],
      ],
    ],
    [
      'all that is granted, the other way round',
      [
        [commonName, deviceId],
        [organizationName, 'Mintmark devices'],
      ],
    ],
  ])("is the profile's when the CSR asks for %s", (_, asked) => {
    expect(grant({ subject: asked })).toEqual({ subject, subjectAltName: [always], ignored: [] });
  });

  it("is the profile's when the CSR has attributes to ignore, which are listed", () => {
    const asked = [
      [countryName, 'DE'],
      [organizationName, 'Somebody else'],
      [organizationalUnitName, 'x'],
      [commonName, deviceId],
    ] as const;
    const granted = grant({ subject: asked });
    expect(granted.subject).toEqual(subject);
    expect(granted.ignored).toEqual([
      'subject countryName',
      'subject organizationName',
      'subject organizationalUnitName',
    ]);
  });

  it.each<readonly [string, string, string]>([
    ['another device id', commonName, 'device-2'],
    ['the device id in another case', commonName, 'device-1'],
    ['the device id and a space', commonName, 'Device-1 '],
    ['the placeholder', commonName, '{deviceId}'],
    ['a serial number', serialNumber, deviceId],
    ['an e-mail address', '1.2.840.113549.1.9.1', 'a@example.com'],
    ['an attribute that nobody knows', '1.2.3.4.5', 'x'],
  ])('is refused when the CSR asks for %s', (_, type, value) => {
    const { code, message } = refused({ subject: [[type, value]] });
    expect(code).toBe('NAME_NOT_ALLOWED');
    expect(message).toContain(JSON.stringify(value));
    expect(message).toContain(`commonName ${deviceId}`);
  });

  it('is refused for a second commonName beside the right one', () => {
    expect(
      refused({
        subject: [
          [commonName, deviceId],
          [commonName, 'admin'],
        ],
      }).code,
    ).toBe('NAME_NOT_ALLOWED');
  });

  it("is refused for what else is in the device id's RDN", () => {
    const attribute = (value: string) => sequence(objectIdentifier(commonName), utf8String(value));
    const name = sequence(setOf(attribute('admin'), attribute(deviceId)));
    const csr = parseCertificationRequest(handMakeCsr(key, { subject: name }));
    expect(refusalOf(() => grantNames(deviceTls, deviceId, csr)).code).toBe('NAME_NOT_ALLOWED');
  });

  it('is refused in a sentence that does not repeat a long value', () => {
    const { message } = refused({ subject: [[commonName, 'x'.repeat(5000)]] });
    expect(message).toContain(`"${'x'.repeat(80)}..."`);
    expect(message).not.toContain('x'.repeat(81));
  });
});

describe('the subjectAltName', () => {
  it('is what is always granted when the CSR asks for it, or for none', () => {
    expect(grant({}).subjectAltName).toEqual([always]);
    expect(grant({ names: [uniformResourceIdentifier(urn)] }).subjectAltName).toEqual([always]);
  });

  it.each(['Device-1', 'device-1', 'DEVICE-1'])(
    'has the DNS name on request, asked for as %s, written as the profile has it',
    (asked) => {
      expect(grant({ names: [dNSName(asked)] }).subjectAltName).toEqual([always, { kind: 'dNSName', value: deviceId }]);
    },
  );

  it('has a name once that is asked for twice', () => {
    expect(grant({ names: [dNSName(deviceId), dNSName('device-1')] }).subjectAltName).toHaveLength(2);
  });

  it.each([
    ['another host', dNSName('device-2')],
    ['a longer host', dNSName('Device-1.example.com')],
    ['a wildcard', dNSName('*')],
    ['a trailing dot', dNSName('Device-1.')],
    ['an empty DNS name', dNSName('')],
    ['the URI in another case', uniformResourceIdentifier(urn.toUpperCase())],
    ['the URI escaped', uniformResourceIdentifier('urn:dev:org:32473-%44evice-1')],
    ['the URI as a DNS name', dNSName(urn)],
    ['the DNS name as a URI', uniformResourceIdentifier(deviceId)],
    ['rfc822Name', contextPrimitive(1, Buffer.from(deviceId))],
    ['iPAddress', contextPrimitive(7, Uint8Array.of(192, 0, 2, 1))],
    ['registeredID', contextPrimitive(8, Uint8Array.of(0x2a, 3))],
    ['otherName', contextConstructed(0, objectIdentifier('1.2.3'), contextConstructed(0, utf8String(deviceId)))],
    [
      'directoryName',
      contextConstructed(4, sequence(setOf(sequence(objectIdentifier(commonName), utf8String(deviceId))))),
    ],
    ['x400Address', contextConstructed(3)],
    ['ediPartyName', contextConstructed(5, contextConstructed(1, utf8String(deviceId)))],
  ])('is refused for %s, also beside a name that is granted', (_, name) => {
    for (const names of [[name], [dNSName(deviceId), name]]) {
      const { code, message } = refused({ names });
      expect(code).toBe('NAME_NOT_ALLOWED');
      expect(message).toContain(urn);
    }
  });

  it.each(['under_score', 'a:b', 'a..b', 'ends-', 'a.-b'])(
    'grants no DNS name to the device id %s, which is no host name',
    (id) => {
      expect(grant({}, deviceTls, id).subjectAltName).toEqual([
        { kind: 'uniformResourceIdentifier', value: `urn:dev:org:32473-${id}` },
      ]);
      expect(refused({ names: [dNSName(id)] }, deviceTls, id).code).toBe('NAME_NOT_ALLOWED');
    },
  );

  it('grants a device id of dots and digits as a host name', () => {
    expect(grant({ names: [dNSName('A.9-b.c')] }, deviceTls, 'a.9-B.c').subjectAltName).toContainEqual({
      kind: 'dNSName',
      value: 'a.9-B.c',
    });
  });

  it('is refused where it cannot be read', () => {
    const broken = extension(objectIdentifiers.subjectAltName, Uint8Array.of(0x30, 1));
    expect(refused({ extensions: [broken] }).code).toBe('CSR_MALFORMED');
  });
});

describe('other extensions', () => {
  const cA = (...members: readonly Uint8Array[]) =>
    extension(ignorableExtensions.basicConstraints, sequence(...members));

  it('are ignored where the profile says so, and listed', () => {
    const extensions = [cA(), extension(ignorableExtensions.keyUsage, Uint8Array.of(3, 2, 1, 6), boolean(true))];
    expect(grant({ extensions })).toEqual({
      subject,
      subjectAltName: [always],
      ignored: ['extension basicConstraints', 'extension keyUsage'],
    });
  });

  it('may not make a CA, whatever the profile ignores', () => {
    expect(refused({ extensions: [cA(boolean(true))] })).toMatchObject({ code: 'EXTENSION_NOT_ALLOWED' });
    expect(refused({ extensions: [cA(Uint8Array.of(1, 1, 1))] }).code).toBe('CSR_NOT_DER');
  });

  it('are refused where the profile does not ignore them', () => {
    const strict: Profile = { ...deviceTls, ignored: { subjectAttributes: [], extensions: [] } };
    for (const extensions of [[cA()], [extension(ignorableExtensions.keyUsage, Uint8Array.of(3, 2, 7, 128))]]) {
      expect(refused({ extensions }, strict).code).toBe('EXTENSION_NOT_ALLOWED');
    }
    expect(refused({ subject: [[countryName, 'DE']] }, strict).code).toBe('NAME_NOT_ALLOWED');
  });

  it.each(['1.2.3.4', '2.5.29.35', '2.5.29.30', '1.3.6.1.5.5.7.1.1'])('%s is refused, and named', (extnID) => {
    const { code, message } = refused({ extensions: [extension(extnID, octetString(Uint8Array.of()))] });
    expect(code).toBe('EXTENSION_NOT_ALLOWED');
    expect(message).toContain(extnID);
  });
});

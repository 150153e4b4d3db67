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
import { MintmarkError } from '../../shared/errors.ts';
import { parseCertificationRequest } from '../../shared/issuance/certification-request.ts';
import { encodeGeneralName } from '../../shared/issuance/granted-name.ts';
import { hasSpiffeScheme, isHostName, isSpiffeId } from '../../shared/issuance/name-forms.ts';
import { type GrantedNames, grantNames } from '../../shared/issuance/names.ts';
import { objectIdentifiers } from '../../shared/issuance/object-identifiers.ts';
import { grantableNameTemplate } from '../../shared/issuance/profile/general-names.ts';
import { attributeTypes, ignorableExtensions, type Profile } from '../../shared/issuance/profile.ts';
import { extension, handMakeCsr } from '../fixtures/csr/make.ts';
import { refusalOf } from '../fixtures/csr/refusal.ts';
import { type CsrContents, dNSName, newPrivateKey, readRequest, uniformResourceIdentifier } from '../support/csr.ts';
import { deviceTls } from '../support/profile.ts';

const deviceId = 'device-1';
const urn = 'urn:dev:org:32473-device-1';
const { commonName, organizationName, organizationalUnitName, countryName, serialNumber } = attributeTypes;
const key = newPrivateKey();

/** What is granted, and granted again to whoever asks for just that: so are intents read whose CSR is not at hand. */
function grant(contents: CsrContents, profile: Profile = deviceTls, id = deviceId): GrantedNames {
  const granted = grantNames(profile, id, readRequest(key, contents));
  const again = readRequest(key, { names: granted.subjectAltName.map(encodeGeneralName) });
  const { subjectAltName } = grantNames(profile, id, { ...again, subject: [] });
  expect(subjectAltName).toEqual(granted.subjectAltName);
  return granted;
}

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
    ['the device id in another case', commonName, 'Device-1'],
    ['the device id and a space', commonName, 'device-1 '],
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
    const attribute = (type: string, value: string) => sequence(objectIdentifier(type), utf8String(value));
    const name = sequence(setOf(attribute(serialNumber, 'admin'), attribute(commonName, deviceId)));
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
    expect(grant({ names: [dNSName(deviceId), dNSName('DEVICE-1')] }).subjectAltName).toHaveLength(2);
  });

  it.each([
    ['another host', dNSName('device-2')],
    ['a longer host', dNSName('device-1.example.com')],
    ['a wildcard', dNSName('*')],
    ['a trailing dot', dNSName('device-1.')],
    ['an empty DNS name', dNSName('')],
    ['the URI in another case', uniformResourceIdentifier(urn.toUpperCase())],
    ['the URI escaped', uniformResourceIdentifier('urn:dev:org:32473-%64evice-1')],
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
    expect(grant({ names: [dNSName('A.9-b.c')] }, deviceTls, 'a.9-b.c').subjectAltName).toContainEqual({
      kind: 'dNSName',
      value: 'a.9-b.c',
    });
  });

  it('is refused where it cannot be read', () => {
    const broken = extension(objectIdentifiers.subjectAltName, Uint8Array.of(0x30, 1));
    expect(refused({ extensions: [broken] }).code).toBe('CSR_MALFORMED');
  });
});

/** No two devices are granted one name by one profile. */
describe("another device's name", () => {
  const ids = ['pump-7', 'PUMP-7', 'mqtt.pump-7', 'mqtt', 'pump-8', 'pump-7.example.com', 'a', 'aa', 'x:1'];
  type Names = Profile['subjectAltName'];
  const profileOf = (onRequest: Names['onRequest'], alwaysHad: Names['always'] = []): Profile => ({
    ...deviceTls,
    subjectAltName: { always: alwaysHad, onRequest },
  });
  // The DNS, and so TLS, knows no case.
  const inLowerCase = (name: Uint8Array) => Buffer.from(name).toString('latin1').toLowerCase();
  const isGranted = (id: string, profile: Profile, name: Uint8Array): boolean => {
    try {
      const { subjectAltName } = grant({ names: [name] }, profile, id);
      return subjectAltName.some((each) => inLowerCase(encodeGeneralName(each)) === inLowerCase(name));
    } catch (error) {
      if (error instanceof MintmarkError && error.code === 'NAME_NOT_ALLOWED') return false;
      throw error;
    }
  };
  const email = (text: string) => contextPrimitive(1, Buffer.from(text));
  const otherNameOf = (typeId: string, value: Uint8Array) =>
    contextConstructed(0, objectIdentifier(typeId), contextConstructed(0, value));

  it.each<readonly [string, Uint8Array, readonly string[], Profile]>([
    [
      'that is a label of its choice under its own',
      dNSName('mqtt.pump-7.example.com'),
      ['pump-7'],
      profileOf([{ dNSName: '{label}.{deviceId}.example.com' }], [{ dNSName: '{deviceId}.example.com' }]),
    ],
    [
      'that differs in case',
      dNSName('pump-7.example.com'),
      ['pump-7'],
      profileOf([{ dNSName: '{deviceId}.example.com' }]),
    ],
    ['that is the whole of it', dNSName('pump-7'), ['pump-7'], profileOf([{ dNSName: '{deviceId}' }])],
    [
      'that another template leaves to choose',
      dNSName('pump-8.example.com'),
      ['pump-8'],
      profileOf([{ dNSName: '{label}.example.com' }, { dNSName: '{deviceId}.example.com' }]),
    ],
    [
      'that two templates make the other way round',
      dNSName('pump-7.pump-8.example.com'),
      [],
      profileOf([{ dNSName: '{label}.{deviceId}.example.com' }, { dNSName: '{deviceId}.{label}.example.com' }]),
    ],
    [
      'that is both the whole of one and under another',
      dNSName('pump-7.example.com'),
      [],
      profileOf([{ dNSName: '{deviceId}' }], [{ dNSName: '{deviceId}.example.com' }]),
    ],
    [
      "as a URI's host",
      uniformResourceIdentifier('https://mqtt.pump-7.example.com/'),
      [],
      profileOf([{ uniformResourceIdentifier: 'https://{deviceId}.example.com/' }]),
    ],
    [
      "as a URI's segment",
      uniformResourceIdentifier('urn:x/a/aa'),
      [],
      profileOf([
        { uniformResourceIdentifier: 'urn:x/{label}/{deviceId}' },
        { uniformResourceIdentifier: 'urn:x/{deviceId}/{label}' },
      ]),
    ],
    [
      "as a mailbox's host",
      email('root@mqtt.pump-7.example.com'),
      [],
      profileOf([{ rfc822Name: 'root@{deviceId}.example.com' }]),
    ],
    [
      "as a mailbox's local part",
      email('aa@b.c'),
      [],
      profileOf([{ rfc822Name: 'a{deviceId}@b.c' }, { rfc822Name: '{deviceId}@b.c' }]),
    ],
    [
      'as the text of an otherName',
      otherNameOf('1.2.3', utf8String('aa')),
      [],
      profileOf([
        { otherName: { typeId: '1.2.3', utf8String: 'a{deviceId}' } },
        { otherName: { typeId: '1.2.3', utf8String: '{deviceId}' } },
      ]),
    ],
    [
      'as the text of an otherName, in which it is twice',
      otherNameOf('1.2.3', utf8String('aaaa')),
      [],
      profileOf([
        { otherName: { typeId: '1.2.3', utf8String: 'a{deviceId}' } },
        { otherName: { typeId: '1.2.3', utf8String: '{deviceId}{deviceId}' } },
      ]),
    ],
    [
      'as the text of an otherName of another type, which is another name',
      otherNameOf('1.2.3', utf8String('aa')),
      ['a'],
      profileOf([
        { otherName: { typeId: '1.2.3', utf8String: 'a{deviceId}' } },
        { otherName: { typeId: '1.2.4', utf8String: '{deviceId}' } },
      ]),
    ],
    [
      "as a hardware module's serial number",
      otherNameOf('1.3.6.1.5.5.7.8.4', sequence(objectIdentifier('1.2.3'), octetString(Buffer.from('aa')))),
      [],
      profileOf(
        [{ hardwareModuleName: { hwType: '1.2.3', hwSerialNum: 'a{deviceId}' } }],
        [{ hardwareModuleName: { hwType: '1.2.3', hwSerialNum: '{deviceId}' } }],
      ),
    ],
    [
      'as a permanent identifier',
      otherNameOf('1.3.6.1.5.5.7.8.3', sequence(utf8String('aa'))),
      [],
      profileOf([
        { permanentIdentifier: { identifierValue: 'a{deviceId}' } },
        { permanentIdentifier: { identifierValue: '{deviceId}' } },
      ]),
    ],
  ])('is not granted: one %s', (_, name, owners, profile) => {
    expect(ids.filter((id) => isGranted(id, profile, name))).toEqual(owners);
  });

  it('is not among those that a refusal says may be asked for', () => {
    const profile = profileOf(
      [{ dNSName: '{deviceId}' }, { dNSName: '{deviceId}.example.com' }],
      [{ rfc822Name: 'a@b.c' }],
    );
    const { message } = refused({ names: [dNSName('pump-7.example.com')] }, profile, 'pump-7');
    expect(message).toMatch(/grants this device rfc822Name a@b\.c, dNSName pump-7\.$/);
  });

  it('may be one that the profile writes down for all', () => {
    const profile = profileOf([{ dNSName: 'pump-8.example.com' }, { dNSName: '{deviceId}.example.com' }]);
    const granted = ['pump-7', 'pump-8'].filter((id) => isGranted(id, profile, dNSName('pump-8.example.com')));
    expect(granted).toEqual(['pump-7', 'pump-8']);
  });

  it.each([
    { dNSName: '{label}-{deviceId}.example.com' },
    { dNSName: '{label}{label}.example.com' },
    { uniformResourceIdentifier: 'urn:x:{deviceId}:{label}' },
    { uniformResourceIdentifier: 'https://{label}.example.com/' },
    { uniformResourceIdentifier: 'https://{deviceId}@example.com/' },
    { uniformResourceIdentifier: 'https://example.com:{deviceId}/' },
    { rfc822Name: '{deviceId}.{deviceId}@example.com' },
    { iPAddress: '10.0.0.1/8' },
    { iPAddress: '010.0.0.0/8' },
    { iPAddress: '10.0/8' },
    { iPAddress: '10.0.0.0/08' },
    { iPAddress: '0x0a000000/8' },
    { iPAddress: 'fd00::1/8' },
    { iPAddress: 'fd00::/129' },
    { iPAddress: 'fe80::%eth0/10' },
  ])('cannot be hidden in a template: %j', (template) =>
    expect(grantableNameTemplate.safeParse(template).success).toBe(false),
  );

  it.each([
    { dNSName: '{label}.{deviceId}.example.com' },
    { dNSName: '*.pump-{deviceId}.example.com' },
    { uniformResourceIdentifier: 'https://{deviceId}.example.com/{label}/x-{label}' },
    { rfc822Name: '{deviceId}@{deviceId}.example.com' },
    { iPAddress: '10.0.0.1/32' },
    { iPAddress: '0.0.0.0/0', shared: true },
    { iPAddress: '2001:db8:8000::/33', shared: true },
  ])('is no matter in %j', (template) => expect(grantableNameTemplate.safeParse(template).error).toBeUndefined());
});

describe('a SPIFFE ID', () => {
  it.each(['spiffe://example.com', 'spiffe://a_b.c-1/x/..y/A._-', `spiffe://${'a'.repeat(255)}/${'b'.repeat(1783)}`])(
    '%s',
    (text) => expect(isSpiffeId(text)).toBe(true),
  );

  it.each([
    'spiffe://',
    'spiffe:///x',
    'spiffe:/example.com/x',
    'Spiffe://example.com/x',
    'spiffe://Example.com/x',
    'spiffe://example.com/',
    'spiffe://example.com//x',
    'spiffe://example.com/x/',
    'spiffe://example.com/./x',
    'spiffe://example.com/x/..',
    'spiffe://example.com/%41',
    'spiffe://example.com/a:b',
    'spiffe://example.com/a?b',
    'spiffe://example.com/a#b',
    'spiffe://user@example.com/a',
    'spiffe://example.com:80/a',
    `spiffe://${'a'.repeat(256)}/b`,
    `spiffe://${'a'.repeat(255)}/${'b'.repeat(1784)}`,
  ])('is not %s', (text) => {
    expect(hasSpiffeScheme(text)).toBe(true);
    expect(isSpiffeId(text)).toBe(false);
  });

  const workload = (template: string): Profile => ({
    ...deviceTls,
    subject: [],
    subjectAltName: { always: [{ uniformResourceIdentifier: template }], onRequest: [] },
  });

  it('is made of a device id that is a segment of a path, and of no other', () => {
    const profile = workload('spiffe://example.com/device/{deviceId}');
    expect(grant({}, profile, 'A_1.b').subjectAltName).toHaveLength(1);
    expect(refused({}, profile, 'a:b').code).toBe('NAME_NOT_ALLOWED');
    expect(refused({}, workload('spiffe://example.com/{deviceId}'), 'x'.repeat(64).replace('x', 'x:')).code).toBe(
      'NAME_NOT_ALLOWED',
    );
  });

  it('has no other URI beside it', () => {
    const registered = 'always' as const;
    const profile = workload('spiffe://example.com/{deviceId}');
    const withRegistered = { ...profile, subjectAltName: { ...profile.subjectAltName, registered } };
    const granted = (...listed: readonly string[]) => grantNames(withRegistered, 'a', readRequest(key), listed);
    expect(granted('DNS:a.example.com', 'URI:spiffe://example.com/a').subjectAltName).toHaveLength(2);
    expect(refusalOf(() => granted('URI:urn:x:y')).code).toBe('NAME_NOT_ALLOWED');
  });
});

it.each(['a.0x7f', 'a.0X', 'a.0xZ', 'a.09', '0x1', 'a.1'])('no host name where it ends in a number: %s', (text) =>
  expect(isHostName(text)).toBe(text === 'a.0xZ'),
);

/** A profile of many names, and what a CSR may ask of it. */
describe('what a profile grants on request', () => {
  const rfc822Name = (text: string) => contextPrimitive(1, Buffer.from(text));
  const iPAddress = (...octets: readonly number[]) => contextPrimitive(7, Uint8Array.from(octets));
  const otherNameOf = (typeId: string, value: Uint8Array) =>
    contextConstructed(0, objectIdentifier(typeId), contextConstructed(0, value));
  type OnRequest = Profile['subjectAltName']['onRequest'];
  const granting = (...onRequest: OnRequest): Profile => ({
    ...deviceTls,
    subjectAltName: { always: deviceTls.subjectAltName.always, onRequest },
  });
  const grantedOf = (name: Uint8Array, ...onRequest: OnRequest) =>
    grant({ names: [name] }, granting(...onRequest)).subjectAltName.slice(1);

  it.each<readonly [string, OnRequest[number], Uint8Array, object]>([
    [
      'a label',
      { dNSName: '{label}.{deviceId}.example.com' },
      dNSName('WWW.device-1.example.com'),
      { kind: 'dNSName', value: 'www.device-1.example.com' },
    ],
    [
      'an A-label',
      { dNSName: '{label}.example.com' },
      dNSName('xn--gert-eq5b.example.com'),
      { kind: 'dNSName', value: 'xn--gert-eq5b.example.com' },
    ],
    [
      'a wildcard that is written down',
      { dNSName: '*.{deviceId}.example.com' },
      dNSName('*.device-1.example.com'),
      { kind: 'dNSName', value: '*.device-1.example.com' },
    ],
    [
      'a path segment',
      { uniformResourceIdentifier: 'https://example.com/{deviceId}/{label}' },
      uniformResourceIdentifier('https://example.com/device-1/web'),
      { kind: 'uniformResourceIdentifier', value: 'https://example.com/device-1/web' },
    ],
    [
      'an e-mail address',
      { rfc822Name: '{deviceId}@example.com' },
      rfc822Name('device-1@EXAMPLE.com'),
      { kind: 'rfc822Name', value: 'device-1@example.com' },
    ],
    [
      'an IPv4 address',
      { iPAddress: '192.0.0.0/8' },
      iPAddress(192, 1, 2, 3),
      { kind: 'iPAddress', value: '192.1.2.3' },
    ],
    [
      'a private one, by a private range',
      { iPAddress: '10.0.0.0/8' },
      iPAddress(10, 255, 255, 255),
      { kind: 'iPAddress', value: '10.255.255.255' },
    ],
    [
      'an IPv6 address',
      { iPAddress: '2a00:1450::/32' },
      iPAddress(0x2a, 0, 0x14, 0x50, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1),
      { kind: 'iPAddress', value: '2a00:1450::1' },
    ],
    ['any public address', { iPAddress: '0.0.0.0/0' }, iPAddress(8, 8, 8, 8), { kind: 'iPAddress', value: '8.8.8.8' }],
    [
      'hardwareModuleName',
      { hardwareModuleName: { hwType: '1.3.6.1.4.1.32473.7', hwSerialNum: '{deviceId}' } },
      otherNameOf(
        '1.3.6.1.5.5.7.8.4',
        sequence(objectIdentifier('1.3.6.1.4.1.32473.7'), octetString(Buffer.from(deviceId))),
      ),
      { kind: 'otherName', typeId: '1.3.6.1.5.5.7.8.4' },
    ],
    [
      'permanentIdentifier',
      { permanentIdentifier: { identifierValue: '{deviceId}' } },
      otherNameOf('1.3.6.1.5.5.7.8.3', sequence(utf8String(deviceId))),
      { kind: 'otherName', typeId: '1.3.6.1.5.5.7.8.3' },
    ],
    [
      'another otherName',
      { otherName: { typeId: '1.2.3', utf8String: 'x {deviceId}' } },
      otherNameOf('1.2.3', utf8String('x device-1')),
      { kind: 'otherName', typeId: '1.2.3' },
    ],
  ])('%s', (_, onRequest, asked, granted) => {
    expect(grantedOf(asked, onRequest)).toEqual([expect.objectContaining(granted)]);
    // What nobody asks for is not granted.
    expect(grant({}, granting(onRequest)).subjectAltName).toHaveLength(1);
  });

  it.each<readonly [string, OnRequest[number], Uint8Array]>([
    ['two labels for one', { dNSName: '{label}.example.com' }, dNSName('a.b.example.com')],
    ['no label', { dNSName: '{label}.example.com' }, dNSName('.example.com')],
    ['the domain itself', { dNSName: '{label}.example.com' }, dNSName('example.com')],
    ['a wildcard for a label', { dNSName: '{label}.example.com' }, dNSName('*.example.com')],
    ['a label too long', { dNSName: '{label}.example.com' }, dNSName(`${'a'.repeat(64)}.example.com`)],
    [
      'a name too long',
      { dNSName: `{label}.${'a.'.repeat(96)}example.com` },
      dNSName(`${'b'.repeat(60)}.${'a.'.repeat(96)}example.com`),
    ],
    ['an underscore', { dNSName: '{label}.example.com' }, dNSName('a_b.example.com')],
    ['an A-label of nothing', { dNSName: '{label}.example.com' }, dNSName('xn--a.example.com')],
    ['a reserved label', { dNSName: '{label}.example.com' }, dNSName('ab--cd.example.com')],
    ['a trailing dot', { dNSName: '{label}.example.com' }, dNSName('a.example.com.')],
    ['what only looks like the domain', { dNSName: '{label}.example.com' }, dNSName('a.examplescom')],
    ['an address for a label', { dNSName: '{label}' }, dNSName('127.0.0.1')],
    [
      'a segment with a slash',
      { uniformResourceIdentifier: 'spiffe://e.com/{label}' },
      uniformResourceIdentifier('spiffe://e.com/a/b'),
    ],
    [
      'dots for a segment',
      { uniformResourceIdentifier: 'spiffe://e.com/{label}/x' },
      uniformResourceIdentifier('spiffe://e.com/../x'),
    ],
    [
      'a query behind a segment',
      { uniformResourceIdentifier: 'spiffe://e.com/{label}' },
      uniformResourceIdentifier('spiffe://e.com/a?b'),
    ],
    [
      'another trust domain',
      { uniformResourceIdentifier: 'spiffe://e.com/{label}' },
      uniformResourceIdentifier('spiffe://E.com/a'),
    ],
    ['another mailbox', { rfc822Name: '{deviceId}@example.com' }, rfc822Name('Device-1@example.com')],
    ['an address beside the range', { iPAddress: '198.51.100.0/25' }, iPAddress(198, 51, 100, 128)],
    ['a private address by a range of all', { iPAddress: '0.0.0.0/0' }, iPAddress(10, 0, 0, 1)],
    ['a private address by a range of many', { iPAddress: '172.0.0.0/8' }, iPAddress(172, 16, 0, 1)],
    ['loopback by a range of all', { iPAddress: '::/0' }, iPAddress(...Array.from({ length: 15 }, () => 0), 1)],
    ['no address at all by a range of all', { iPAddress: '0.0.0.0/0' }, iPAddress(0, 0, 0, 0)],
    ['none of IPv6 by a range of all', { iPAddress: '::/0' }, iPAddress(...Array.from({ length: 16 }, () => 0))],
    ['link-local by a range that only begins there', { iPAddress: '169.254.0.0/15' }, iPAddress(169, 254, 0, 1)],
    ['an IPv4 address by a range of IPv6', { iPAddress: '::/0' }, iPAddress(8, 8, 8, 8)],
    [
      'another hardware',
      { hardwareModuleName: { hwType: '1.2.3', hwSerialNum: '{deviceId}' } },
      otherNameOf('1.3.6.1.5.5.7.8.4', sequence(objectIdentifier('1.2.4'), octetString(Buffer.from(deviceId)))),
    ],
    [
      'an otherName of another type',
      { otherName: { typeId: '1.2.3', utf8String: '{deviceId}' } },
      otherNameOf('1.2.4', utf8String(deviceId)),
    ],
  ])('is not %s', (_, onRequest, asked) => {
    expect(refused({ names: [asked] }, granting(onRequest)).code).toBe('NAME_NOT_ALLOWED');
  });

  it.each([
    ['no host name', dNSName('127.0.0.1')],
    ['no host name', dNSName('under_score')],
    ['no host name', dNSName('dot.')],
    ['no absolute URI of its scheme', uniformResourceIdentifier('spiffe://E.com/a')],
    ['no mailbox', rfc822Name('nobody')],
  ])('is not, and is said to be, %s', (what, asked) => {
    const profile = granting({ dNSName: '{deviceId}' }, { rfc822Name: '{deviceId}@example.com' });
    expect(refused({ names: [asked] }, profile).message).toContain(`, which is ${what}; the profile `);
  });

  it('says nothing of the form of a name that is one', () => {
    const { message } = refused({ names: [dNSName('other.example.com')] }, granting({ dNSName: '{deviceId}' }));
    expect(message).toContain('in its subjectAltName; the profile ');
  });

  it('is in the order of the profile, whatever the order of the CSR', () => {
    const profile = granting({ dNSName: '{label}.example.com' }, { iPAddress: '10.0.0.0/8' });
    const asked = [
      iPAddress(10, 0, 0, 1),
      dNSName('b.example.com'),
      dNSName('a.example.com'),
      dNSName('B.example.com'),
    ];
    expect(grant({ names: asked }, profile).subjectAltName.map((name) => 'value' in name && name.value)).toEqual([
      urn,
      'b.example.com',
      'a.example.com',
      '10.0.0.1',
    ]);
  });

  it('ends at a hundred names', () => {
    const profile = granting({ dNSName: '{label}.example.com' });
    const names = (count: number) => Array.from({ length: count }, (_, index) => dNSName(`a${index}.example.com`));
    expect(grant({ names: names(99) }, profile).subjectAltName).toHaveLength(100);
    expect(refused({ names: names(100) }, profile).code).toBe('NAME_NOT_ALLOWED');
  });

  it('has all that a registration may list, and no other beside so many', () => {
    const registered = 'always' as const;
    const profile = granting({ dNSName: 'a.example.com' });
    const withRegistered = { ...profile, subjectAltName: { ...profile.subjectAltName, registered } };
    const listed = Array.from({ length: 100 }, (_, index) => `DNS:a${index}.example.com`);
    const granted = (names: readonly Uint8Array[]) =>
      grantNames(withRegistered, deviceId, readRequest(key, { names }), listed).subjectAltName;
    expect(granted([])).toHaveLength(101);
    expect(refusalOf(() => granted([dNSName('a.example.com')])).code).toBe('NAME_NOT_ALLOWED');
  });

  it('ends at 8 KiB of names', () => {
    const profile = granting({ uniformResourceIdentifier: 'urn:x:{deviceId}/{label}' });
    const uri = (index: number, length: number) => {
      const segment = `${index}`.padEnd(length - 'urn:x:device-1/'.length, 'a');
      return uniformResourceIdentifier(`urn:x:device-1/${segment}`);
    };
    // Tag and length have 4 bytes, below 256 characters 3.
    const names = (last: number) => [...Array.from({ length: 4 }, (_, index) => uri(index, 2000)), uri(4, last)];
    const own = encodeGeneralName({ kind: 'uniformResourceIdentifier', value: urn }).length;
    const left = 8_192 - own - 4 * 2004 - 3;
    expect(grant({ names: names(left) }, profile).subjectAltName).toHaveLength(6);
    expect(refused({ names: names(left + 1) }, profile)).toEqual({
      code: 'NAME_NOT_ALLOWED',
      message: expect.stringContaining('have 8193 bytes together'),
    });
  });

  it('is refused when the CSR asks for more than anybody reads', () => {
    const profile = { ...deviceTls, ignored: { ...deviceTls.ignored, subjectAltNames: ['dNSName' as const] } };
    const names = (count: number) => Array.from({ length: count }, (_, index) => dNSName(`a${index}`));
    expect(grant({ names: names(200) }, profile).ignored).toEqual(['subjectAltName dNSName "a0" and 199 more']);
    expect(refused({ names: names(201) }, profile).code).toBe('NAME_NOT_ALLOWED');
    const attributes = (count: number) => Array.from({ length: count }, () => [countryName, 'DE'] as const);
    expect(grant({ subject: attributes(32) }).ignored).toEqual(['subject countryName and 31 more']);
    expect(refused({ subject: attributes(33) }).code).toBe('NAME_NOT_ALLOWED');
  });

  it('lists twenty kinds of what it leaves out, and says how many more there were', () => {
    const extensions = Array.from({ length: 25 }, (_, index) => `1.2.3.${index}`);
    const profile: Profile = { ...deviceTls, ignored: { ...deviceTls.ignored, extensions } };
    const asked = extensions.map((extnID) => extension(extnID, octetString(Uint8Array.of())));
    const { ignored } = grant({ extensions: asked }, profile);
    expect(ignored).toEqual([...extensions.slice(0, 20).map((extnID) => `extension ${extnID}`), 'and 5 more']);
  });

  it('leaves out the kinds that the profile ignores, and lists what was asked for', () => {
    const profile = { ...deviceTls, ignored: { ...deviceTls.ignored, subjectAltNames: ['iPAddress' as const] } };
    const asked = { names: [iPAddress(10, 0, 0, 1), dNSName(deviceId)] };
    expect(grant(asked, profile)).toMatchObject({
      subjectAltName: [always, { kind: 'dNSName', value: deviceId }],
      ignored: ['subjectAltName iPAddress "10.0.0.1"'],
    });
    expect(refused({ names: [dNSName('other')] }, profile).code).toBe('NAME_NOT_ALLOWED');
  });

  it.each(['never', 'onRequest', 'always'] as const)("has the device's registered names: %s", (registered) => {
    const profile = { ...deviceTls, subjectAltName: { ...deviceTls.subjectAltName, registered } };
    const listed = [
      'DNS:pump-7.example.com',
      'IP:10.1.2.3',
      'URI:urn:x:y',
      'email:a@example.com',
      // Each the same as another to who compares them, or as the profile's own.
      'DNS:PUMP-7.example.com',
      'email:a@EXAMPLE.com',
      `URI:${urn}`,
    ];
    const granted = (names: readonly Uint8Array[]) =>
      grantNames(profile, deviceId, readRequest(key, { names }), listed).subjectAltName.slice(1);
    const all = [
      { kind: 'dNSName', value: 'pump-7.example.com' },
      { kind: 'iPAddress', value: '10.1.2.3' },
      { kind: 'uniformResourceIdentifier', value: 'urn:x:y' },
      { kind: 'rfc822Name', value: 'a@example.com' },
    ];
    expect(granted([])).toEqual(registered === 'always' ? all : []);
    const asked = [dNSName('pump-7.example.com')];
    if (registered === 'never') expect(() => granted(asked)).toThrow('pump-7');
    else expect(granted(asked)).toEqual(registered === 'always' ? all : all.slice(0, 1));
    expect(refusalOf(() => granted([dNSName('a_b')])).code).toBe('NAME_NOT_ALLOWED');
  });

  it.each(['DNS:a_b', 'X:y', 'DNS', 'IP:10.1', 'IP:0x7f000001', 'IP:010.0.0.1', 'URI:no uri', 'URI:spiffe://a_B/c'])(
    'is none where the registration lists what is no name: %s',
    (listed) => {
      const granted = (registered: 'never' | 'onRequest' | 'always') => {
        const profile = { ...deviceTls, subjectAltName: { ...deviceTls.subjectAltName, registered } };
        return grantNames(profile, deviceId, readRequest(key), ['DNS:pump-7.example.com', listed]).subjectAltName;
      };
      for (const registered of ['onRequest', 'always'] as const) {
        expect(refusalOf(() => granted(registered))).toMatchObject({
          code: 'NAME_NOT_ALLOWED',
          message: expect.stringContaining(`"${listed}"`),
        });
      }
      expect(granted('never')).toEqual([always]);
    },
  );

  it('has a registered address by its octets', () => {
    const profile = { ...deviceTls, subjectAltName: { ...deviceTls.subjectAltName, registered: 'onRequest' as const } };
    const compatible = [...Array.from({ length: 12 }, () => 0), 10, 0, 0, 1];
    const mapped = compatible.with(10, 255).with(11, 255);
    const granted = (address: readonly number[]) =>
      grantNames(profile, deviceId, readRequest(key, { names: [iPAddress(...address)] }), ['IP:::10.0.0.1'])
        .subjectAltName;
    const [, name] = granted(compatible);
    expect(name?.kind === 'iPAddress' && [...encodeGeneralName(name)]).toEqual([0x87, 16, ...compatible]);
    expect(refusalOf(() => granted(mapped)).code).toBe('NAME_NOT_ALLOWED');
  });

  it('is nothing where a name that every device has cannot be made of its id', () => {
    const profile = {
      ...deviceTls,
      subjectAltName: { always: [{ dNSName: '{deviceId}.example.com' }], onRequest: [] },
    };
    expect(grant({}, profile).subjectAltName).toEqual([{ kind: 'dNSName', value: 'device-1.example.com' }]);
    expect(refused({}, profile, 'a_b').code).toBe('NAME_NOT_ALLOWED');
  });
});

describe('other extensions', () => {
  const cA = (...members: readonly Uint8Array[]) =>
    extension(ignorableExtensions.basicConstraints, sequence(...members));

  it('are ignored where the profile says so, and listed', () => {
    const extensions = [cA(), extension(ignorableExtensions.keyUsage, Uint8Array.of(3, 2, 5, 0xa0), boolean(true))];
    expect(grant({ extensions })).toEqual({
      subject,
      subjectAltName: [always],
      ignored: ['extension basicConstraints', 'extension keyUsage'],
    });
  });

  it('may not make a CA, whatever the profile ignores', () => {
    expect(refused({ extensions: [cA(boolean(true))] })).toMatchObject({ code: 'EXTENSION_NOT_ALLOWED' });
    expect(refused({ extensions: [cA(Uint8Array.of(1, 1, 1))] }).code).toBe('CSR_NOT_DER');
    for (const bits of [0b0000_0100, 0b0000_0010, 0b1000_0110]) {
      const keyUsage = extension(ignorableExtensions.keyUsage, Uint8Array.of(3, 2, 1, bits), boolean(true));
      expect(refused({ extensions: [keyUsage] })).toMatchObject({
        code: 'EXTENSION_NOT_ALLOWED',
        message: expect.stringContaining('keyCertSign'),
      });
    }
    const none = extension(ignorableExtensions.keyUsage, Uint8Array.of(4, 1, 0));
    expect(refused({ extensions: [none] }).code).toBe('CSR_MALFORMED');
  });

  it('are ignored by their object identifier, and are refused as ever where it is another', () => {
    const profile = { ...deviceTls, ignored: { ...deviceTls.ignored, extensions: ['1.2.3.4' as const] } };
    const asked = extension('1.2.3.4', octetString(Uint8Array.of()));
    expect(grant({ extensions: [asked] }, profile).ignored).toEqual(['extension 1.2.3.4']);
    expect(refused({ extensions: [cA()] }, profile).code).toBe('EXTENSION_NOT_ALLOWED');
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

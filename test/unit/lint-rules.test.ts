import { describe, expect, it } from 'vitest';
import {
  contextConstructed,
  contextPrimitive,
  namedBits,
  objectIdentifier,
  octetString,
  printableString,
  sequence,
  setOf,
  time,
  tlv,
  utf8String,
} from '../../shared/asn1/der-writer.ts';
import { MintmarkError } from '../../shared/errors.ts';
import { lint, lintAgain } from '../../shared/issuance/lint.ts';
import { certificateRules, issuerRules, profileRules, requestRules } from '../../shared/issuance/lint-rules.ts';
import { attributeTypes, type Profile } from '../../shared/issuance/profile.ts';
import { crlDistributionPointsOf, type TbsIssuer, type TbsVariables, tbsTemplate } from '../../shared/issuance/tbs.ts';
import { algorithmIdentifier } from '../../shared/signer/algorithm-identifier.ts';
import { decode, encode, replaceAt, type Tree } from '../fixtures/csr/tree.ts';
import { newVariables, tbsIssuer } from '../support/linted.ts';
import { deviceTls } from '../support/profile.ts';

/** Where things are in a TBSCertificate of this profile (RFC 5280 section 4.1), as child indexes. */
const at = {
  version: [0],
  serialNumber: [1],
  signature: [2],
  issuer: [3],
  notBefore: [4, 0],
  notAfter: [4, 1],
  subject: [5],
  key: [6],
  extensions: [7, 0],
};
const extensionIndex = {
  basicConstraints: 0,
  keyUsage: 1,
  extendedKeyUsage: 2,
  subjectKey: 3,
  authorityKey: 4,
  subjectAltName: 5,
  crls: 6,
  access: 7,
};

const rules = [...certificateRules, ...issuerRules, ...profileRules, ...requestRules];

const variables = newVariables();
const good = Buffer.from(tbsTemplate(tbsIssuer, deviceTls)(variables));

const tree = (der: Uint8Array): Tree => decode(Buffer.from(der));
const replaced = (path: readonly number[], ...by: readonly Uint8Array[]): Uint8Array =>
  encode(replaceAt(decode(good), path, () => by.map(tree)));
/** With another extnValue, which is an extension's last member. */
function withExtension(name: keyof typeof extensionIndex, extnValue: Uint8Array): Uint8Array {
  const path = [...at.extensions, extensionIndex[name]];
  return encode(
    replaceAt(decode(good), path, (found) =>
      'children' in found
        ? [{ ...found, children: [...found.children.slice(0, -1), tree(octetString(extnValue))] }]
        : [found],
    ),
  );
}
const withSubject = (...attributes: readonly (readonly [keyof typeof attributeTypes, Uint8Array])[]): Uint8Array =>
  replaced(
    at.subject,
    sequence(...attributes.map(([type, value]) => setOf(sequence(objectIdentifier(attributeTypes[type]), value)))),
  );
const withNames = (...names: readonly Uint8Array[]): Uint8Array => withExtension('subjectAltName', sequence(...names));
const dNSName = (text: string): Uint8Array => contextPrimitive(2, Buffer.from(text));
const uri = (text: string): Uint8Array => contextPrimitive(6, Buffer.from(text));

const server: Profile = { ...deviceTls, extendedKeyUsage: ['serverAuth'] };
/** A server's certificate, whose commonName is one host's. */
const served = (commonName: string): Uint8Array =>
  tbsTemplate(
    tbsIssuer,
    server,
  )({
    ...variables,
    names: {
      subject: [{ type: 'commonName', value: commonName }],
      subjectAltName: [{ kind: 'dNSName', value: 'a.example' }],
      ignored: [],
    },
  });

/** Of a year, and revoked by nobody. */
const withoutRevocation = tbsTemplate(tbsIssuer, { ...deviceTls, revocation: 'none' })(variables);

interface World {
  readonly issuer?: Partial<TbsIssuer>;
  readonly certificate?: Partial<TbsIssuer['certificate']>;
  readonly profile?: Partial<Profile>;
  readonly variables?: Partial<TbsVariables>;
}

/** The rules that a TBS breaks, by name; `der` for one that is not DER. */
function brokenBy(tbs: Uint8Array, world: World = {}): string[] {
  const certificate = { ...tbsIssuer.certificate, ...world.certificate };
  try {
    lint(
      tbs,
      { ...tbsIssuer, ...world.issuer, certificate },
      { ...deviceTls, ...world.profile },
      { ...variables, ...world.variables },
    );
    return [];
  } catch (error) {
    if (!(error instanceof MintmarkError)) throw error;
    expect(error.code).toBe('LINT_FAILED');
    return ['der', ...rules.map(({ name }) => name)].filter((name) => error.message.includes(`${name} (`));
  }
}

/** The same TBS with another serial number, recorded as such. */
function serial(...octets: readonly number[]): readonly [Uint8Array, World] {
  const serialNumber = Uint8Array.from(octets);
  return [replaced(at.serialNumber, tlv(2, serialNumber)), { variables: { serialNumber } }];
}
/** What the template makes of another serial number: its CRL shard follows. */
function templated(...octets: readonly number[]): readonly [Uint8Array, World] {
  const serialNumber = Uint8Array.from(octets);
  return [tbsTemplate(tbsIssuer, deviceTls)({ ...variables, serialNumber }), { variables: { serialNumber } }];
}
const zeros = (count: number): number[] => Array.from({ length: count }, () => 0);
const flippedLast = (bytes: Uint8Array): Uint8Array => bytes.with(-1, (bytes.at(-1) ?? 0) ^ 1);
const children = (path: readonly number[]): readonly Tree[] => {
  let found: Tree = decode(good);
  for (const index of path) found = ('children' in found ? found.children[index] : undefined) ?? found;
  return 'children' in found ? found.children : [];
};
const extensions = (): readonly Tree[] => children(at.extensions);
const withExtensions = (change: (all: readonly Tree[]) => readonly Tree[]): Uint8Array =>
  encode(replaceAt(decode(good), at.extensions, (found) => [{ tag: found.tag, children: change(extensions()) }]));
const extensionAt = (index: number): Tree => extensions()[index] as Tree;
/** An extension with its critical flag there or not. */
const critical = (index: number, isCritical: boolean): Tree => {
  const found = extensionAt(index);
  const members = 'children' in found ? found.children : [];
  const [extnID, extnValue] = [members[0] as Tree, members.at(-1) as Tree];
  return {
    tag: 0x30,
    children: isCritical ? [extnID, tree(Uint8Array.of(1, 1, 0xff)), extnValue] : [extnID, extnValue],
  };
};
const key = newVariables().subjectPublicKeyInfo;

const passing: readonly (readonly [string, Uint8Array, World?])[] = [
  ['what the template makes', good],
  ['the least serial number of 16 octets', ...templated(1, ...zeros(15))],
  ['the greatest serial number of 16 octets', ...templated(0x7f, ...zeros(15).fill(0xff))],
  [
    'an issuer whose validity is the same',
    good,
    { certificate: { notBefore: variables.notBefore, notAfter: variables.notAfter } },
  ],
  [
    'key usages of an EC key, all of them',
    withExtension('keyUsage', namedBits([0, 1, 4])),
    { profile: { keyUsage: ['digitalSignature', 'nonRepudiation', 'keyAgreement'] } },
  ],
  ['a commonName of 64 characters', withSubject(['commonName', utf8String('ü'.repeat(64))])],
  ['a localityName of 128 characters', withSubject(['localityName', utf8String('x'.repeat(128))])],
  [
    'a country and a serial number',
    withSubject(['countryName', printableString('DE')], ['serialNumber', printableString('A-1')]),
  ],
  ['one DNS name of 63 and 253 characters', withNames(dNSName(`${'a'.repeat(63)}.${'b.'.repeat(94)}c`))],
  ['an A-label', withNames(dNSName('xn--gert-eq5b.example'))],
  ['an e-mail address', withNames(contextPrimitive(1, Buffer.from("a.b+c'd@example.com")))],
  ['an IPv4 address', withNames(contextPrimitive(7, Uint8Array.of(192, 0, 2, 1)))],
  ['an IPv6 address', withNames(contextPrimitive(7, new Uint8Array(16)))],
  ['an otherName', withNames(contextConstructed(0, objectIdentifier('1.2.3'), contextConstructed(0, utf8String('x'))))],
  [
    'a wildcard that the profile has',
    withNames(dNSName('*.example.com')),
    { profile: { subjectAltName: { always: [{ dNSName: '*.example.com' }], onRequest: [] } } },
  ],
  ['a server whose commonName is among its names', served('a.example'), { profile: server }],
  ['a SPIFFE ID beside a DNS name', withNames(uri('spiffe://trust_domain/a/.b'), dNSName('a.example'))],
  ['two URIs, neither of SPIFFE', withNames(uri('urn:x:y'), uri('urn:x:z'))],
  ['a URI with an escape', withNames(uri('https://example.com/%20?x=1#y'))],
];

const failing: readonly (readonly [rule: string, string, Uint8Array, World?])[] = [
  ['version-3', 'v1', replaced(at.version)],
  ['version-3', 'v2', replaced(at.version, contextConstructed(0, tlv(2, Uint8Array.of(1))))],
  ['serial-number-of-16-octets-positive', '15 octets', ...serial(1, ...zeros(14))],
  ['serial-number-of-16-octets-positive', '17 octets', ...serial(1, ...zeros(16))],
  ['serial-number-of-16-octets-positive', 'a leading zero octet', ...serial(0, 0x80, ...zeros(14))],
  ['serial-number-of-16-octets-positive', 'a negative number', ...serial(0x80, ...zeros(15))],
  ['serial-number-as-recorded', 'another', good, { variables: { serialNumber: flippedLast(variables.serialNumber) } }],
  [
    'signature-algorithm-of-the-issuer',
    'another hash',
    good,
    { issuer: { scheme: { algorithm: 'rsa-pss', hash: 'sha384' } } },
  ],
  [
    'signature-algorithm-of-the-issuer',
    'another padding',
    replaced(at.signature, algorithmIdentifier({ algorithm: 'rsa-pkcs1-v1_5', hash: 'sha256' })),
  ],
  ['issuer-is-the-issuing-ca-s-subject', 'the subject', replaced(at.issuer, encode(children([])[5] as Tree))],
  ['validity-as-long-as-the-profile-says', 'a second more', replaced(at.notAfter, time(variables.notAfter + 1000))],
  ['validity-as-long-as-the-profile-says', 'a second less', replaced(at.notAfter, time(variables.notAfter - 1000))],
  [
    'validity-as-long-as-the-profile-says',
    'another profile',
    good,
    { profile: { validity: { days: 366, backdateMinutes: 10 } } },
  ],
  ['validity-within-the-issuer-s', 'a second before', good, { certificate: { notBefore: variables.notBefore + 1000 } }],
  ['validity-within-the-issuer-s', 'a second after', good, { certificate: { notAfter: variables.notAfter - 1000 } }],
  ['subject-or-critical-subject-alt-name', 'no attribute', replaced(at.subject, sequence())],
  [
    'subject-attributes-of-their-types-and-lengths',
    'a commonName of 65 characters',
    withSubject(['commonName', utf8String('x'.repeat(65))]),
  ],
  [
    'subject-attributes-of-their-types-and-lengths',
    'a localityName of 129 characters',
    withSubject(['localityName', utf8String('x'.repeat(129))]),
  ],
  [
    'subject-attributes-of-their-types-and-lengths',
    'a country in UTF-8',
    withSubject(['countryName', utf8String('DE')]),
  ],
  [
    'subject-attributes-of-their-types-and-lengths',
    'a country by name',
    withSubject(['countryName', printableString('Germany')]),
  ],
  [
    'subject-attributes-of-their-types-and-lengths',
    'a country of one letter',
    withSubject(['countryName', printableString('D')]),
  ],
  [
    'subject-attributes-of-their-types-and-lengths',
    'an underscore in a PrintableString',
    withSubject(['serialNumber', printableString('a_1')]),
  ],
  [
    'subject-attributes-of-their-types-and-lengths',
    'a serial number in UTF-8',
    withSubject(['serialNumber', utf8String('a1')]),
  ],
  [
    'subject-attributes-of-their-types-and-lengths',
    'an attribute of no profile',
    replaced(at.subject, sequence(setOf(sequence(objectIdentifier('2.5.4.12'), utf8String('Dr'))))),
  ],
  ['subject-public-key-is-the-csr-s', 'another key', good, { variables: { subjectPublicKeyInfo: key } }],
  [
    'extensions-as-the-profile-says-critical-as-defined',
    'one missing',
    withExtensions((all) => all.filter((_, index) => index !== extensionIndex.crls)),
  ],
  [
    'extensions-each-once',
    'one twice, in the place of another',
    withExtensions((all) => [...all.slice(0, -1), extensionAt(extensionIndex.crls)]),
  ],
  [
    'extensions-as-the-profile-says-critical-as-defined',
    'one twice',
    withExtensions((all) => [...all, extensionAt(extensionIndex.crls)]),
  ],
  [
    'extensions-as-the-profile-says-critical-as-defined',
    'an unknown one',
    withExtensions((all) => [...all, tree(sequence(objectIdentifier('1.2.3'), octetString(sequence())))]),
  ],
  ...Object.entries(extensionIndex).map(
    ([name, index]) =>
      [
        'extensions-as-the-profile-says-critical-as-defined',
        `${name} critical the other way`,
        withExtensions((all) => all.with(index, critical(index, index > extensionIndex.keyUsage))),
      ] as const,
  ),
  ['not-a-ca', 'cA TRUE', withExtension('basicConstraints', sequence(tlv(1, Uint8Array.of(0xff))))],
  ['not-a-ca', 'cA FALSE, written', withExtension('basicConstraints', sequence(tlv(1, Uint8Array.of(0))))],
  ['key-usage-without-cert-sign-or-crl-sign', 'keyCertSign', withExtension('keyUsage', namedBits([0, 5]))],
  ['key-usage-without-cert-sign-or-crl-sign', 'cRLSign', withExtension('keyUsage', namedBits([0, 6]))],
  ['key-usage-without-cert-sign-or-crl-sign', 'no bit at all', withExtension('keyUsage', namedBits([]))],
  ['key-usage-without-cert-sign-or-crl-sign', 'no BIT STRING', withExtension('keyUsage', sequence())],
  [
    'subject-key-identifier-of-this-key',
    'another',
    withExtension('subjectKey', octetString(tbsIssuer.certificate.subjectKeyIdentifier)),
  ],
  ['subject-key-identifier-of-this-key', 'nothing', withExtension('subjectKey', Uint8Array.of())],
  [
    'authority-key-identifier-of-the-issuer',
    'another',
    good,
    { certificate: { subjectKeyIdentifier: flippedLast(tbsIssuer.certificate.subjectKeyIdentifier) } },
  ],
  ['authority-key-identifier-of-the-issuer', 'an empty one', withExtension('authorityKey', sequence())],
  ['subject-alt-name-not-empty', 'no name', withNames()],
  ['key-usage-as-the-profile-says', 'one more', withExtension('keyUsage', namedBits([0, 2]))],
  ['key-usage-as-the-profile-says', 'another profile', good, { profile: { keyUsage: ['keyAgreement'] } }],
  ['extended-key-usage-as-the-profile-says', 'none', withExtension('extendedKeyUsage', sequence())],
  ['extended-key-usage-of-an-end-entity', 'none', withExtension('extendedKeyUsage', sequence())],
  ...['2.5.29.37.0', '1.3.6.1.5.5.7.3.9', '1.3.6.1.5.5.7.3.8'].map(
    (purpose) =>
      [
        'extended-key-usage-of-an-end-entity',
        `${purpose} beside another`,
        withExtension('extendedKeyUsage', sequence(objectIdentifier('1.3.6.1.5.5.7.3.2'), objectIdentifier(purpose))),
      ] as const,
  ),
  ...['2.5.29.30', '2.5.29.54', '1.3.6.1.5.5.7.1.14', '2.16.840.1.113730.1.1'].map(
    (extnID) =>
      [
        'extensions-of-an-end-entity',
        extnID,
        withExtensions((all) => [...all, tree(sequence(objectIdentifier(extnID), octetString(sequence())))]),
      ] as const,
  ),
  ['extended-key-usage-as-the-profile-says', 'another', good, { profile: { extendedKeyUsage: ['serverAuth'] } }],
  [
    'crl-distribution-point-of-the-shard',
    'another shard',
    withExtension('crls', crlDistributionPointsOf(tbsIssuer, ((variables.serialNumber[15] ?? 0) + 1) % 16)),
  ],
  ['crl-distribution-point-of-the-shard', 'none', withExtension('crls', sequence())],
  [
    'further-extensions-as-the-profile-says',
    'another place',
    good,
    { issuer: { baseUrl: 'http://elsewhere.example' } },
  ],
  ['further-extensions-as-the-profile-says', 'none', withExtension('access', sequence())],
  ['subject-alt-names-of-their-forms', 'a trust domain in capitals', withNames(uri('spiffe://Example.com/a'))],
  ['subject-alt-names-of-their-forms', 'a SPIFFE ID with a port', withNames(uri('spiffe://example.com:1/a'))],
  ['subject-alt-names-of-their-forms', 'a SPIFFE ID with a query', withNames(uri('spiffe://example.com/a?b'))],
  ['subject-alt-names-of-their-forms', 'a hexadecimal number at the end', withNames(dNSName('example.0x7f'))],
  [
    'one-uri-where-there-is-a-spiffe-id',
    'two SPIFFE IDs',
    withNames(uri('spiffe://example.com/a'), uri('spiffe://example.com/b')),
  ],
  [
    'one-uri-where-there-is-a-spiffe-id',
    'another URI before it',
    withNames(uri('urn:x:y'), uri('spiffe://example.com/b')),
  ],
  ['subject-alt-names-each-once', 'one in two cases', withNames(dNSName('a.example'), dNSName('A.example'))],
  ['subject-alt-names-of-their-forms', 'an underscore', withNames(dNSName('a_b'))],
  ['subject-alt-names-of-their-forms', 'an empty DNS name', withNames(dNSName(''))],
  ['subject-alt-names-of-their-forms', 'a label of 64 characters', withNames(dNSName('a'.repeat(64)))],
  ['subject-alt-names-of-their-forms', '254 characters', withNames(dNSName(`${'a'.repeat(62)}.${'b.'.repeat(95)}c`))],
  ['subject-alt-names-of-their-forms', 'a wildcard for all of a domain', withNames(dNSName('*.com'))],
  ['subject-alt-names-of-their-forms', 'a wildcard in the middle', withNames(dNSName('a.*.example.com'))],
  ['subject-alt-names-of-their-forms', 'a part of a label wild', withNames(dNSName('a*.example.com'))],
  ['subject-alt-names-of-their-forms', 'a dot at the end', withNames(dNSName('example.com.'))],
  ['subject-alt-names-of-their-forms', 'an address', withNames(dNSName('192.0.2.1'))],
  ['subject-alt-names-of-their-forms', 'an A-label of nothing', withNames(dNSName('xn--a.example'))],
  ['subject-alt-names-of-their-forms', 'a reserved label', withNames(dNSName('ab--c.example'))],
  ['wildcards-only-where-the-profile-has-them', 'one', withNames(dNSName('*.example.com'))],
  ['subject-alt-names-each-once', 'one twice', withNames(dNSName('a.example'), dNSName('a.example'))],
  ['names-as-granted', 'another device', withNames(uri('urn:dev:org:32473-another'))],
  ['names-as-granted', 'another subject', withSubject(['commonName', utf8String('another')])],
  ['names-as-granted', 'one more', withNames(uri('urn:dev:org:32473-device-1'), dNSName('device-1'))],
  ['common-name-of-a-server-among-its-names', 'another host', served('b.example'), { profile: server }],
  ['key-usage-fits-the-key', 'keyEncipherment with EC', withExtension('keyUsage', namedBits([0, 2]))],
  ['key-usage-fits-the-key', 'dataEncipherment with EC', withExtension('keyUsage', namedBits([0, 3]))],
  [
    'subject-alt-names-of-their-forms',
    'an e-mail address without host',
    withNames(contextPrimitive(1, Buffer.from('a@'))),
  ],
  [
    'subject-alt-names-of-their-forms',
    'an address of 5 octets',
    withNames(contextPrimitive(7, Uint8Array.of(192, 0, 2, 1, 0))),
  ],
  ['subject-alt-names-of-their-forms', 'a relative URI', withNames(uri('example.com/device'))],
  ['subject-alt-names-of-their-forms', 'a space in a URI', withNames(uri('urn:a b'))],
  ['subject-alt-names-of-their-forms', 'what is not ASCII', withNames(uri('urn:ü'))],
  [
    'subject-alt-names-of-their-forms',
    'a name of another kind, second',
    withNames(uri('urn:a:b'), contextPrimitive(8, Uint8Array.of(0x2a, 0x03))),
  ],
];

describe('lint', () => {
  it.each(passing.map(([what, tbs, world]) => ({ what, tbs, world })))('passes $what', ({ tbs, world }) => {
    // The names that are passed here are good ones, and not this device's.
    expect(brokenBy(tbs, world).filter((rule) => rule !== 'names-as-granted')).toEqual([]);
  });

  it.each(failing.map(([rule, what, tbs, world]) => ({ rule, what, tbs, world })))(
    '$rule: $what',
    ({ rule, tbs, world }) => {
      expect(brokenBy(tbs, world)).toContain(rule);
      // What is wrong with one thing is not blamed on everything: a rule that always fails would be no rule.
      expect(brokenBy(tbs, world).length).toBeLessThanOrEqual(3);
    },
  );

  it('has no rule that nothing here breaks, and every rule once', () => {
    const names = rules.map(({ name }) => name);
    expect(new Set(failing.map(([rule]) => rule))).toEqual(new Set(names));
    expect(new Set(names).size).toBe(names.length);
  });

  it('names every rule that is broken', () => {
    expect(
      brokenBy(replaced(at.subject, sequence()), { profile: { validity: { days: 1, backdateMinutes: 0 } } }),
    ).toEqual([
      'subject-or-critical-subject-alt-name',
      'validity-as-long-as-the-profile-says',
      'extensions-as-the-profile-says-critical-as-defined',
      'names-as-granted',
    ]);
  });

  it('says the same of what was recorded, but for what only its request knows', () => {
    expect(lintAgain(good, tbsIssuer, deviceTls)).toEqual([]);
    expect(lintAgain(withNames(uri('urn:x:another')), tbsIssuer, deviceTls)).toEqual([]);
    const other = { ...deviceTls, validity: { days: 1, backdateMinutes: 0 } };
    expect(lintAgain(good, tbsIssuer, other)).toEqual([
      expect.objectContaining({ name: 'validity-as-long-as-the-profile-says' }),
    ]);
    // Under a profile that nobody has any more, only what holds for every certificate can be said.
    expect(lintAgain(good, tbsIssuer, undefined)).toEqual([]);
    expect(lintAgain(withNames(dNSName('a_b')), tbsIssuer, undefined)).toEqual([
      expect.objectContaining({ name: 'subject-alt-names-of-their-forms' }),
    ]);
    // Where a revocation is told is the issuer's to say.
    const elsewhere = { ...tbsIssuer, baseUrl: 'http://elsewhere.example' };
    for (const tbs of [withExtensions((all) => all.toSpliced(extensionIndex.crls, 1)), withoutRevocation]) {
      expect(lintAgain(tbs, tbsIssuer, undefined)).toEqual([
        expect.objectContaining({ name: 'revocation-told-where-the-issuer-tells-it' }),
      ]);
    }
    expect(lintAgain(good, elsewhere, undefined)).toHaveLength(1);
    const ofADay = tbsTemplate(tbsIssuer, { ...deviceTls, revocation: 'none' })({
      ...variables,
      notAfter: variables.notBefore + 86_400_000 - 1000,
    });
    expect(lintAgain(ofADay, tbsIssuer, undefined)).toEqual([]);
  });

  it.each([
    ['cut short', good.subarray(0, -1)],
    ['followed by more', Buffer.concat([good, Buffer.of(0)])],
    ['BER', Buffer.concat([Buffer.of(0x30, 0x80), good.subarray(4), Buffer.of(0, 0)])],
    ['empty', new Uint8Array()],
    ['of a time that does not exist', replaced(at.notBefore, tlv(0x17, Buffer.from('260230120000Z')))],
  ])('refuses a TBS that is %s', (_, tbs) => {
    expect(brokenBy(tbs)).toEqual(['der']);
  });

  it('answers with what the ledger records', () => {
    expect(lint(good, tbsIssuer, deviceTls, variables)).toEqual({
      tbsCertificate: good,
      serialNumber: Buffer.from(variables.serialNumber).toString('hex'),
      crlShard: (variables.serialNumber[15] ?? 0) % 16,
      issuerId: 'devices',
      profileHash: deviceTls.hash,
      notBefore: variables.notBefore,
      notAfter: variables.notAfter,
      ignored: [],
    });
  });
});

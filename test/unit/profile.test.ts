import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { readProfile, readProfiles } from '../../shared/issuance/profile.ts';
import { refusalOf } from '../fixtures/csr/refusal.ts';
import { deviceTls, deviceTlsYaml } from '../support/profile.ts';

/** The deployed profile with some of its text replaced; each must be in it. */
function edited(...edits: readonly (readonly [from: string, to: string])[]): string {
  return edits.reduce((text, [from, to]) => {
    expect(text).toContain(from);
    return text.replace(from, to);
  }, deviceTlsYaml);
}

function problemsOf(yaml: string): string[] {
  const { code, message } = refusalOf(() => readProfile('p.yaml', yaml));
  expect(code).toBe('CONFIGURATION_INVALID');
  const problems = message.split(/; (?=p\.yaml:)/);
  // A parser's own sentences end in their place; every other problem begins with it.
  return problems.map((problem) => {
    expect(problem).toMatch(/^p\.yaml:(\d+:\d+:)? /);
    return problem.replace(/^p\.yaml:(\d+:\d+:)? /, '');
  });
}

const curves = 'curves: [P-256, P-384, P-521]';
const always = "- uniformResourceIdentifier: 'urn:dev:org:32473-{deviceId}'";
const onRequest = "- dNSName: '{deviceId}'";
const commonName = "- commonName: '{deviceId}'";

/** Entries of a list, each with the end of its text padded, and another. */
const repeated = (entry: string, count: number, padding: number): string =>
  Array.from({ length: count }, (_, index) => `${entry}${index.toString().padStart(padding, '0')}'`).join('\n    ');

describe('readProfile', () => {
  it('reads the deployed profile, with the hash of its bytes', () => {
    expect(deviceTls).toMatchObject({ name: 'device-tls', issuer: 'devices', keyUsage: ['digitalSignature'] });
    expect(deviceTls.hash).toBe(createHash('sha256').update(deviceTlsYaml).digest('hex'));
    expect(readProfile('p.yaml', `${deviceTlsYaml}\n# A comment is another file.\n`).hash).not.toBe(deviceTls.hash);
  });

  it.each([
    ['an unknown key', ['days: 365', 'days: 365\n  dais: 1'], 'validity: Unrecognized key: "dais"'],
    [
      'an unknown key at the top',
      ['registration:', 'registered: true\nregistration:'],
      'the file: Unrecognized key: "registered"',
    ],
    [
      'another placeholder',
      [onRequest, "- dNSName: '{serial}'"],
      'subjectAltName.onRequest.0.dNSName: the only placeholders are {deviceId} and {label}',
    ],
    [
      'a brace too many',
      [commonName, "- commonName: '{{deviceId}}'"],
      'subject.1.commonName: the only placeholder is {deviceId}',
    ],
    ['a brace alone', [commonName, "- commonName: 'x}'"], 'subject.1.commonName: the only placeholder is {deviceId}'],
    ['a placeholder in its name', ['name: device-tls', "name: '{deviceId}'"], 'name: '],
    [
      'a name of two kinds in one entry',
      [onRequest, "- { dNSName: 'a.example', uniformResourceIdentifier: 'urn:x:y' }"],
      'subjectAltName.onRequest.0: one name in each list entry',
    ],
    [
      'a kind of name that is not granted',
      [onRequest, "- registeredID: '1.2.3'"],
      'subjectAltName.onRequest.0: Unrecognized key: "registeredID"',
    ],
    [
      'an address instead of a range',
      [onRequest, "- iPAddress: '192.0.2.1'"],
      'subjectAltName.onRequest.0.iPAddress: must be a range of addresses',
    ],
    [
      'a URI that is not ASCII',
      [always, "- uniformResourceIdentifier: 'urn:gerät:{deviceId}'"],
      'subjectAltName.always.0.uniformResourceIdentifier: must be printable ASCII without spaces',
    ],
    [
      'two attributes in one entry',
      [commonName, "- { commonName: 'x', countryName: DE }"],
      'subject.1: one attribute in each list entry',
    ],
    ['an attribute that is unknown', [commonName, "- emailAddress: 'x'"], 'subject.1: '],
    ['a curve twice', [curves, 'curves: [P-256, P-384, P-256]'], 'keys.ec.curves: something is listed twice'],
    ['a curve that is unknown', [curves, 'curves: [secp256k1]'], 'keys.ec.curves.0: '],
    ['no curve', [curves, 'curves: []'], 'keys.ec.curves: '],
    [
      'a key usage twice',
      ['[digitalSignature]', '[digitalSignature, digitalSignature]'],
      'keyUsage: something is listed twice',
    ],
    ['the key usage of a CA', ['[digitalSignature]', '[keyCertSign]'], 'keyUsage.0: '],
    [
      'an extended key usage twice',
      ['[clientAuth]', '[clientAuth, clientAuth]'],
      'extendedKeyUsage: something is listed twice',
    ],
    ['no extended key usage', ['[clientAuth]', '[]'], 'extendedKeyUsage: '],
    ['a name twice', [always, `${always}\n    ${always}`], 'subjectAltName.always: something is listed twice'],
    [
      'a name always and on request',
      [always, onRequest],
      'subjectAltName: a name is listed under both always and onRequest',
    ],
    ['RSA keys too small', ['minimumBits: 2048', 'minimumBits: 1024'], 'keys.rsa.minimumBits: '],
    ['RSA keys too large', ['maximumBits: 4096', 'maximumBits: 8193'], 'keys.rsa.maximumBits: '],
    [
      'no RSA key between',
      ['{ minimumBits: 2048, maximumBits: 4096 }', '{ minimumBits: 4096, maximumBits: 2048 }'],
      'keys.rsa: minimumBits is over maximumBits',
    ],
    ['days as text', ['days: 365', "days: '365'"], 'validity.days: '],
    ['no day', ['days: 365', 'days: 0'], 'validity.days: '],
    ['half a day', ['days: 365', 'days: 0.5'], 'validity.days: '],
    ['nobody to send', ['allowedSenders: any', 'allowedSenders: []'], 'allowedSenders: '],
    ['a registration that is unknown', ['registration: required', 'registration: no'], 'registration: '],
  ] as const)('refuses %s', (_, edit, problem) => {
    const problems = problemsOf(edited(edit));
    expect(problems[0]).toContain(problem);
    // Nothing else of the file is wrong.
    const [place] = problem.split(':', 1);
    expect(problems.filter((other) => !other.startsWith(`${place}`))).toEqual([]);
  });

  it.each([
    ['two lifetimes', ['days: 365', 'days: 365\n  hours: 1'], 'validity: exactly one of days, hours and end: never'],
    [
      'no revocation for a year',
      ['registration: required', 'registration: required\nrevocation: none'],
      'revocation: certificates of more than 24 hours must be revocable',
    ],
    [
      'keyEncipherment with EC',
      ['[digitalSignature]', '[digitalSignature, keyEncipherment]'],
      'keyUsage.1: keyEncipherment is for RSA keys',
    ],
    [
      'keyAgreement with RSA',
      ['[digitalSignature]', '[digitalSignature, keyAgreement]'],
      'keyUsage.1: keyAgreement is for EC keys',
    ],
    [
      'a purpose without a key usage for it',
      ['[digitalSignature]', '[nonRepudiation]'],
      'extendedKeyUsage.0: clientAuth goes with a keyUsage of',
    ],
    ['any purpose', ['[clientAuth]', "['2.5.29.37.0']"], 'extendedKeyUsage.0: '],
    ['to speak for the CA', ['[clientAuth]', "['1.3.6.1.5.5.7.3.9']"], 'extendedKeyUsage.0: '],
    [
      'a window as long as the lifetime',
      ['registration: required', 'registration: required\nrenewal: { windowDays: 365, key: new }'],
      'renewal.windowDays: the window is as long as the lifetime',
    ],
    [
      'a window that is open when a certificate is issued',
      ['registration: required', 'registration: required\nrenewal: { windowPercent: 100, key: new }'],
      'renewal.windowPercent: the window is as long as the lifetime, or as what is left of it after backdateMinutes',
    ],
    [
      'a word that allows no sender',
      ['allowedSenders: any', 'allowedSenders: anyone'],
      'allowedSenders: must be any, registered, or a list of principal ids',
    ],
    ['a field that is missing', ['issuer: devices\n', ''], 'issuer: is missing'],
    [
      'any purpose by its name',
      ['[clientAuth]', '[anyExtendedKeyUsage]'],
      'extendedKeyUsage.0: no profile may grant anyExtendedKeyUsage',
    ],
    [
      'a purpose that is none',
      ['[clientAuth]', '[clientAuht]'],
      'extendedKeyUsage.0: must be one of serverAuth, clientAuth',
    ],
    [
      'a SPIFFE ID with a trust domain in upper case',
      [onRequest, "- uniformResourceIdentifier: 'spiffe://Example.com/{deviceId}'"],
      'subjectAltName.onRequest.0.uniformResourceIdentifier: must be a SPIFFE ID',
    ],
    [
      'two windows',
      ['registration: required', 'registration: required\nrenewal: { windowDays: 3, windowPercent: 3, key: new }'],
      'renewal: exactly one of',
    ],
    [
      'renewal beside one live certificate',
      [
        'registration: required',
        'registration: required\nrenewal: { windowDays: 3, key: new }\nquota: { liveCertificatesPerDevice: 1 }',
      ],
      'quota.liveCertificatesPerDevice: a renewal makes a second live certificate',
    ],
    ['a quota of nothing', ['registration: required', 'registration: required\nquota: {}'], 'quota: no limit is named'],
    [
      "fleets' quota where nobody is registered",
      ['registration: required', 'registration: optional\nquota: { perFleetPerHour: 1 }'],
      'quota.perFleetPerHour: ',
    ],
    [
      'an extension that is ours',
      [
        'registration: required',
        "registration: required\nextensions: [{ extnID: '2.5.29.30', critical: true, extnValue: '3000' }]",
      ],
      'extensions.0.extnID: nameConstraints',
    ],
    [
      'an extension that is not DER',
      [
        'registration: required',
        "registration: required\nextensions: [{ extnID: '1.2.3', critical: false, extnValue: '3001' }]",
      ],
      'extensions.0.extnValue: must be one element of DER',
    ],
    [
      'an extension twice',
      [
        'registration: required',
        "registration: required\nextensions: [{ extnID: '1.2.3', critical: false, extnValue: '0500' }, { extnID: '1.2.3', critical: false, extnValue: '3000' }]",
      ],
      'extensions: an extension is listed twice',
    ],
    [
      'a policy twice',
      [
        'registration: required',
        "registration: required\ncertificatePolicies: [{ policyIdentifier: '1.2.3' }, { policyIdentifier: '1.2.3', cPSuri: 'http://x.example' }]",
      ],
      'certificatePolicies: a policy is listed twice',
    ],
    [
      'anyPolicy',
      ['registration: required', "registration: required\ncertificatePolicies: [{ policyIdentifier: '2.5.29.32.0' }]"],
      'certificatePolicies.0.policyIdentifier: anyPolicy',
    ],
    [
      'no object identifier',
      ['registration: required', "registration: required\ncertificatePolicies: [{ policyIdentifier: '1.40.3' }]"],
      'certificatePolicies.0.policyIdentifier: must be a dotted object identifier',
    ],
  ] as const)('refuses what contradicts itself: %s', (_, edit, problem) => {
    expect(problemsOf(edited(edit))[0]).toContain(problem);
  });

  it.each([
    [
      'a country in lower case',
      [commonName, '- countryName: de'],
      'subject.1.countryName: must be two capital letters',
    ],
    ['a country of each device', [commonName, "- countryName: '{deviceId}'"], 'subject.1.countryName: must be two'],
    [
      'a serialNumber that is no PrintableString',
      [commonName, "- serialNumber: 'ü{deviceId}'"],
      'subject.1.serialNumber: must be a PrintableString',
    ],
    [
      'a line feed in a name',
      ['organizationName: Mintmark devices', 'organizationName: "Mintmark\\ndevices"'],
      'subject.0.organizationName: must not hold the control character U+000A',
    ],
    [
      'half a character',
      ['organizationName: Mintmark devices', 'organizationName: "Mintmark \\ud800"'],
      'subject.0.organizationName: must be whole characters',
    ],
    [
      'a URI that is none',
      [always, '- uniformResourceIdentifier: devices.example.com'],
      'subjectAltName.always.0.uniformResourceIdentifier: must be an absolute URI',
    ],
    [
      'a host name that no device id makes one',
      [always, "- dNSName: '{deviceId}._tcp.example.com'"],
      'subjectAltName.always.0.dNSName: must be a host name',
    ],
    [
      'a mailbox that is none',
      [always, '- rfc822Name: nobody'],
      'subjectAltName.always.0.rfc822Name: must be a mailbox',
    ],
    [
      'a family of wildcards, of which none is granted',
      [onRequest, "- { dNSName: '*.{label}.example.com', shared: true }"],
      'subjectAltName.onRequest.0.dNSName: must be a host name',
    ],
    [
      'a wildcard over everything',
      [onRequest, "- dNSName: '*.example'"],
      'subjectAltName.onRequest.0.dNSName: must be a host name',
    ],
    [
      'a request for a URI with a broken escape',
      [onRequest, "- { uniformResourceIdentifier: 'urn:x:%g{label}', shared: true }"],
      'subjectAltName.onRequest.0.uniformResourceIdentifier: must be an absolute URI',
    ],
    [
      'a control character in an otherName',
      [always, '- otherName: { typeId: 1.2.3, utf8String: "a\\tb" }'],
      'subjectAltName.always.0.otherName.utf8String: must not hold the control character U+0009',
    ],
    [
      'an address of practices that is not ASCII',
      [
        'registration: required',
        "registration: required\ncertificatePolicies: [{ policyIdentifier: '1.2.3', cPSuri: 'http://x.example/ü' }]",
      ],
      'certificatePolicies.0.cPSuri: must be an absolute URI',
    ],
  ] as const)('refuses what no certificate could hold: %s', (_, edit, problem) => {
    const problems = problemsOf(edited(edit));
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(problem);
  });

  it.each([
    ['addresses', '- iPAddress: 10.0.0.0/8'],
    ['addresses of IPv6', '- iPAddress: fd00::/8'],
    ['two addresses', '- iPAddress: 10.0.0.0/31'],
    ['hosts', "- dNSName: '{label}.example.com'"],
    ['SPIFFE IDs', "- uniformResourceIdentifier: 'spiffe://example.com/{label}'"],
  ])('refuses a family of %s that any device could have, unless it says so', (_, family) => {
    expect(problemsOf(edited([onRequest, family]))).toEqual([
      expect.stringMatching(/^subjectAltName\.onRequest\.0: any device .* say so with shared: true$/),
    ]);
    const shared = family.replace(/^- (.*)$/, '- { $1, shared: true }');
    expect(readProfile('p.yaml', edited([onRequest, shared])).name).toBe('device-tls');
  });

  it.each([
    ['onRequest', onRequest, "- { dNSName: '{deviceId}', shared: true }", 'subjectAltName.onRequest.0.shared: is for'],
    ['onRequest', onRequest, '- { iPAddress: 10.0.0.1/32, shared: true }', 'subjectAltName.onRequest.0.shared: is for'],
    ['always', always, '- { dNSName: x.example.com, shared: true }', 'subjectAltName.always.0: Unrecognized key'],
  ])('refuses shared where nobody chooses, under %s', (_, where, entry, problem) => {
    expect(problemsOf(edited([where, entry]))).toEqual([expect.stringContaining(problem)]);
  });

  it('refuses more names for every certificate than half of what one holds', () => {
    const long = repeated("- uniformResourceIdentifier: 'urn:x:{deviceId}:", 20, 131);
    expect(problemsOf(edited([always, long]))).toEqual([
      'subjectAltName.always: with the longest device id these have 4100 bytes together; at most 4096',
    ]);
  });

  it.each([
    ['a country', [commonName, '- countryName: DE']],
    ['every character of a PrintableString', [commonName, `- serialNumber: "aZ09 '()+,-./:=?{deviceId}"`]],
    ['an umlaut where it may be', ['organizationName: Mintmark devices', 'organizationName: Müller']],
    ['a wildcard that is written down', [onRequest, "- dNSName: '*.{deviceId}.example.com'"]],
    ['a label of choice', [onRequest, "- dNSName: '{label}.{deviceId}.example.com'"]],
    ['a segment of choice', [onRequest, "- uniformResourceIdentifier: 'spiffe://example.com/{deviceId}/{label}'"]],
    ['a mailbox', [always, "- rfc822Name: '{deviceId}@example.com'"]],
    ['addresses for everybody, where it says so', [onRequest, '- { iPAddress: 10.0.0.0/8, shared: true }']],
    ['one address that is written down', [onRequest, '- iPAddress: 10.0.0.1/32']],
    ['names of 4 KiB', [always, repeated("- uniformResourceIdentifier: 'urn:x:{deviceId}:", 20, 130)]],
  ] as const)('takes %s', (_, edit) => {
    expect(readProfile('p.yaml', edited(edit)).name).toBe('device-tls');
  });

  it.each(['arn:aws:iam::123456789012:role/gateway', 'AROAEXAMPLE:session', 'aroaexample', "'*'"])(
    'refuses allowedSenders that nobody is: %s',
    (sender) => {
      expect(problemsOf(edited(['allowedSenders: any', `allowedSenders: [${sender}]`]))[0]).toContain(
        "allowedSenders.0: must be a principal id: a role's (AROA...)",
      );
    },
  );

  it('refuses a sender twice', () => {
    expect(problemsOf(edited(['allowedSenders: any', 'allowedSenders: [AROA1, AROA1]']))).toEqual([
      'allowedSenders: something is listed twice',
    ]);
  });

  it.each([
    ['2.5.29.1', 'authorityKeyIdentifier'],
    ['2.5.29.10', 'basicConstraints'],
    ['2.5.29.16', 'privateKeyUsagePeriod'],
    ['2.16.840.1.113730.1.1', "Netscape's"],
    ['2.16.840.1.113730.1.13', "Netscape's"],
    ['1.3.6.1.5.5.7.1.14', 'proxyCertInfo'],
    ['1.3.6.1.4.1.11129.2.4.2', 'Certificate Transparency'],
    ['1.3.6.1.4.1.11129.2.4.3', 'Certificate Transparency'],
    ['1.3.6.1.5.5.7.48.1.5', 'ocsp-nocheck'],
  ])('keeps the extension %s from profiles', (extnID, what) => {
    const extensions = `extensions: [{ extnID: '${extnID}', critical: false, extnValue: '0500' }]`;
    const [problem] = problemsOf(edited(['registration:', `${extensions}\nregistration:`]));
    expect(problem).toMatch(/^extensions\.0\.extnID: /);
    expect(problem).toContain(what);
  });

  it.each(['2.5.29.11', '2.16.840.1.113730.1', '2.16.840.1.113730.2', '1.3.6.1.5.5.7.1.24'])(
    'leaves the extension %s to profiles',
    (extnID) => {
      const extensions = `extensions: [{ extnID: '${extnID}', critical: false, extnValue: '0500' }]`;
      expect(readProfile('p.yaml', edited(['registration:', `${extensions}\nregistration:`])).name).toBe('device-tls');
    },
  );

  it('refuses timeStamping, beside others or alone', () => {
    for (const usages of ["['1.3.6.1.5.5.7.3.8']", "[clientAuth, '1.3.6.1.5.5.7.3.8']"]) {
      expect(problemsOf(edited(['[clientAuth]', usages]))[0]).toContain('no profile may grant timeStamping');
    }
  });

  it('refuses a renewal of what never ends', () => {
    const yaml = edited(
      ['days: 365', 'end: never'],
      ['registration:', 'renewal: { windowPercent: 3, key: new }\nregistration:'],
    );
    expect(problemsOf(yaml)).toEqual(['renewal: a certificate that never ends is never renewed']);
  });

  it('refuses a profile that allows no key', () => {
    const none = edited(
      [`ec: { ${curves} }`, ''],
      ['rsa: { minimumBits: 2048, maximumBits: 4096 }', ''],
      ['ed25519: true', 'ed25519: false'],
    );
    expect(problemsOf(none)).toEqual(['keys: no key would be allowed']);
  });

  it('lists every problem at once', () => {
    const problems = problemsOf(
      edited(
        ...([
          ['name: device-tls', 'name: Device TLS'],
          ['days: 365', 'days: -1'],
          [curves, 'curves: [P-257]'],
        ] as const),
        ...([
          [onRequest, "- dNSName: '{device}'"],
          ['[clientAuth]', '[ClientAuth]'],
          ['registration: required', 'register: 1'],
        ] as const),
      ),
    );
    const places = problems.map((problem) => problem.split(':', 1)[0]);
    expect(places.sort()).toEqual(
      [
        'extendedKeyUsage.0',
        'keys.ec.curves.0',
        'name',
        'registration',
        'subjectAltName.onRequest.0.dNSName',
        'the file',
        'validity.days',
      ].sort(),
    );
  });

  it.each([
    ['a bracket that is never closed', edited(['[clientAuth]', '[clientAuth']), /^p\.yaml:33:\d+: Flow sequence/],
    ['a key twice', `${deviceTlsYaml}\nname: again\n`, /^p\.yaml:43:1: the field name is there twice$/],
    ['a tab for indentation', edited(['  days: 365', '\tdays: 365']), /^p\.yaml:7:1: Tabs are not allowed/],
    ['an unknown tag', edited(['name: device-tls', 'name: !env NAME']), /^p\.yaml:3:7: Unresolved tag: !env$/],
    ['an alias of nothing', edited(['name: device-tls', 'name: *nothing']), /^p\.yaml: Unresolved alias .*nothing/],
    ['two documents', `${deviceTlsYaml}\n---\n${deviceTlsYaml}`, /^p\.yaml:43:1: /],
  ])('refuses YAML with %s, and says where', (_, yaml, where) => {
    expect(refusalOf(() => readProfile('p.yaml', yaml)).message).toMatch(where);
  });

  it.each(['', '# nothing', 'text', '[]', 'null'])('refuses YAML that is no profile: %j', (yaml) => {
    expect(problemsOf(yaml)[0]).toMatch(/^the file: is no profile/);
  });
});

describe('the place of a problem', () => {
  it.each([
    ['a value', ['days: 365', 'days: 0'], 7, 9],
    ['a key that is not known', ['days: 365', 'days: 365\n  dais: 1'], 8, 3],
    ['a key that is missing: where what it belongs to is', ['  days: 365\n', ''], 8, 3],
  ] as const)('is that of %s', (_, edit, line, column) => {
    const { message } = refusalOf(() => readProfile('p.yaml', edited(edit)));
    expect(message).toContain(`p.yaml:${line}:${column}: `);
  });
});

describe('readProfiles', () => {
  const folders: string[] = [];
  function folderOf(files: Readonly<Record<string, string>>): URL {
    const folder = mkdtempSync(join(tmpdir(), 'mintmark-profiles-'));
    folders.push(folder);
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
    return pathToFileURL(`${folder}/`);
  }

  afterAll(() => {
    for (const folder of folders) rmSync(folder, { recursive: true });
  });

  it('reads every profile of a folder, and nothing else in it', () => {
    const other = edited(['name: device-tls', 'name: other']);
    const profiles = readProfiles(
      folderOf({ 'device-tls.yaml': deviceTlsYaml, 'other.yaml': other, 'README.md': '[' }),
    );
    expect([...profiles.keys()]).toEqual(['device-tls', 'other']);
    expect(profiles.get('device-tls')).toEqual(deviceTls);
  });

  it('lists every problem of every file at once', () => {
    const { code, message } = refusalOf(() =>
      readProfiles(
        folderOf({
          'a.yaml': edited(['days: 365', 'days: 0']),
          'b.yaml': '[',
          'c.yaml': deviceTlsYaml,
          'device-tls.yaml': deviceTlsYaml,
        }),
      ),
    );
    expect(code).toBe('CONFIGURATION_INVALID');
    expect(message).toContain('a.yaml:7:9: validity.days: ');
    expect(message).toContain('b.yaml:1:2: ');
    expect(message).toContain('c.yaml:3:7: name: the profile is device-tls; the file must be device-tls.yaml');
    expect(message).not.toContain('; device-tls.yaml');
  });

  it('refuses a folder without profiles', () => {
    expect(refusalOf(() => readProfiles(folderOf({ 'device-tls.yml': deviceTlsYaml }))).message).toContain(
      'no profile is deployed',
    );
  });
});

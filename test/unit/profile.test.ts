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
  expect(message).toMatch(/^p\.yaml: /);
  return message.slice('p.yaml: '.length).split('; p.yaml: ');
}

const curves = 'curves: [P-256, P-384, P-521]';
const always = "- uniformResourceIdentifier: 'urn:dev:org:32473-{deviceId}'";
const onRequest = "- dNSName: '{deviceId}'";
const commonName = "- commonName: '{deviceId}'";

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
      'subjectAltName.onRequest.0.dNSName: the only placeholder is {deviceId}',
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
      [onRequest, "- iPAddress: '192.0.2.1'"],
      'subjectAltName.onRequest.0: Unrecognized key: "iPAddress"',
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
    ['RSA keys too large', ['maximumBits: 4096', 'maximumBits: 8192'], 'keys.rsa.maximumBits: '],
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
    ['a bracket that is never closed', edited(['[clientAuth]', '[clientAuth']), 'line 32'],
    ['a key twice', `${deviceTlsYaml}\nname: again\n`, 'Map keys must be unique at line 41, column 1'],
    ['a tab for indentation', edited(['  days: 365', '\tdays: 365']), 'line 6'],
    ['an unknown tag', edited(['name: device-tls', 'name: !env NAME']), 'Unresolved tag: !env at line 2'],
    ['an alias of nothing', edited(['name: device-tls', 'name: *nothing']), 'nothing'],
    ['two documents', `${deviceTlsYaml}\n---\n${deviceTlsYaml}`, 'line 41'],
  ])('refuses YAML with %s, and says where', (_, yaml, where) => {
    expect(problemsOf(yaml).join('; ')).toContain(where);
  });

  it.each(['', '# nothing', 'text', '[]', 'null'])('refuses YAML that is no profile: %j', (yaml) => {
    expect(problemsOf(yaml)[0]).toMatch(/^the file: /);
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
    expect(message).toContain('a.yaml: validity.days: ');
    expect(message).toContain('b.yaml: ');
    expect(message).toContain('c.yaml: holds the profile device-tls; name the file after it');
    expect(message).not.toContain('; device-tls.yaml');
  });

  it('refuses a folder without profiles', () => {
    expect(refusalOf(() => readProfiles(folderOf({ 'device-tls.yml': deviceTlsYaml }))).message).toContain(
      'no profile is deployed',
    );
  });
});

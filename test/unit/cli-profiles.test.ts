import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { profileJsonSchema } from '../../shared/issuance/profile-json-schema.ts';
import { deviceTlsYaml } from '../support/profile.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const repository = new URL('../../', import.meta.url);
const folder = temporaryFolder('cli-profiles');

/** Without a stage, credentials or a place where AWS is: it needs none. */
function check(...args: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [new URL('cli/main.ts', repository).pathname, 'profiles', 'check', ...args],
    { cwd: repository, encoding: 'utf8', env: { PATH: process.env.PATH, HOME: folder }, timeout: 30_000 },
  );
  return { status, stdout, stderr };
}

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

describe('mintmark profiles check', () => {
  it('shows the certificate of each shipped profile, and writes it where openssl reads it', () => {
    const out = join(folder, 'out');
    const { status, stdout } = check('--out', out, '--device', 'pump-7');
    expect(status).toBe(0);
    expect(stdout).toContain('dNSName pump-7.devices.example.com');
    expect(stdout).toContain('4 profiles good, 0 problems.');
    expect(readdirSync(out).toSorted()).toEqual(
      ['code-signing', 'device-tls', 'device-tls-server', 'workload'].map((name) => `${name}.pem`).toSorted(),
    );
    const text = execFileSync('openssl', ['x509', '-noout', '-text', '-in', join(out, 'workload.pem')], {
      encoding: 'utf8',
    });
    expect(text).toMatch(/Subject Alternative Name: critical\s+URI:spiffe:\/\/example\.com\/device\/pump-7/);
  });

  it('tells every problem with its line and column, shows the good ones, and exits with 2', () => {
    const bad = file(
      'bad.yaml',
      deviceTlsYaml.replace('days: 365', 'days: 0').replace('name: device-tls', 'name: bad'),
    );
    const torn = file('torn.yaml', 'name: [');
    const { status, stdout } = check(bad, torn, 'profiles/device-tls.yaml');
    expect(status).toBe(2);
    expect(stdout).toContain(`${bad}:7:9: validity.days: `);
    expect(stdout).toContain(`${torn}:1:8: `);
    expect(stdout).toContain('1 profile good, 2 problems.');
    const { profiles, problems } = JSON.parse(check(bad, torn, 'profiles/device-tls.yaml', '--json').stdout);
    expect(problems).toEqual([
      expect.objectContaining({ file: bad, line: 7, column: 9, field: 'validity.days' }),
      expect.objectContaining({ file: torn, line: 1 }),
    ]);
    expect(profiles).toEqual([
      expect.objectContaining({ name: 'device-tls', sha256: expect.stringMatching(/^[0-9a-f]{64}$/) }),
    ]);
  });

  it('tells of a file that is not named after its profile, and of a device id that a profile cannot have', () => {
    const other = file('other.yaml', deviceTlsYaml);
    expect(check(other)).toMatchObject({
      status: 2,
      stdout: expect.stringContaining(
        `${other}:3:7: name: the profile is device-tls; the file must be device-tls.yaml`,
      ),
    });
    expect(check('--device', 'a_b')).toMatchObject({
      status: 2,
      stdout: expect.stringMatching(
        /profiles\/device-tls-server\.yaml:\d+:7: subjectAltName\.always\.0: no certificate for the device id a_b: /,
      ),
    });
  });

  it('writes over certificates, and over nothing else', () => {
    const out = join(folder, 'keys');
    mkdirSync(out);
    const key = '-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA==\n-----END PRIVATE KEY-----\n';
    writeFileSync(join(out, 'workload.pem'), key);
    expect(check('--out', out)).toMatchObject({
      status: 2,
      stdout: '',
      stderr: expect.stringMatching(/keys\/workload\.pem: It is there already.*another folder/),
    });
    expect(readFileSync(join(out, 'workload.pem'), 'utf8')).toBe(key);
    expect(readdirSync(out)).toEqual(['workload.pem']);
    const again = join(folder, 'again');
    expect([check('--out', again).status, check('--out', again).status]).toEqual([0, 0]);
  });

  it('writes no two profiles of one name into one file', () => {
    mkdirSync(join(folder, 'copy'));
    const copy = file('copy/device-tls.yaml', deviceTlsYaml);
    expect(check('profiles', copy, '--out', join(folder, 'twins'))).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('profiles of one name'),
    });
    expect(readdirSync(join(folder, 'twins'))).toEqual([]);
  });

  it.each<readonly [string, () => string]>([
    ['a file', () => file('plain', '')],
    ['below a file', () => join(file('plain', ''), 'more', 'folders')],
    [
      'a link to nowhere',
      () => {
        symlinkSync(join(folder, 'nowhere'), join(folder, 'link'));
        return join(folder, 'link');
      },
    ],
    ...(existsSync('/proc/self') ? [['where the kernel takes none', () => '/proc/nope'] as const] : []),
    ...(existsSync('/proc/self') ? [['below that', () => '/proc/nope/more'] as const] : []),
  ])('refuses an --out that is %s, at once', (_, name) => {
    const out = name();
    expect(check('--out', out)).toMatchObject({
      status: 2,
      stdout: '',
      stderr: expect.stringMatching(/^mintmark: .* cannot be written to \(E[A-Z]+\)\. Name a folder with --out\.\n$/),
    });
  });

  it.each([
    [['/nowhere/at-all'], 'cannot be read'],
    [['test'], 'holds no profile'],
    [['--device', 'a b'], 'is no device id'],
  ])('refuses %j in a sentence', (args, sentence) => {
    expect(check(...args)).toMatchObject({ status: 2, stdout: '', stderr: expect.stringContaining(sentence) });
  });
});

describe('profiles/profile.schema.json', () => {
  it('is what npm run docs makes of the schema', () => {
    const written = readFileSync(new URL('profiles/profile.schema.json', repository), 'utf8');
    expect(JSON.parse(written)).toEqual(JSON.parse(JSON.stringify(profileJsonSchema())));
  });

  it('is named by every shipped profile, for editors', () => {
    for (const name of readdirSync(new URL('profiles/', repository)).filter((each) => each.endsWith('.yaml'))) {
      const [first] = readFileSync(new URL(`profiles/${name}`, repository), 'utf8').split('\n');
      expect(first).toBe('# yaml-language-server: $schema=./profile.schema.json');
    }
  });
});

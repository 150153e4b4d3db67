import { execFileSync } from 'node:child_process';
import { randomBytes, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createLocalKeysInChild } from '../../local/ca/child.ts';
import { createLocalCa, type LocalCa, type LocalCaOptions } from '../../local/ca/local-ca.ts';
import { readInstalled } from '../../local/setup/installed.ts';

const directory = mkdtempSync(join(tmpdir(), 'mintmark-local-ca-'));
const now = Date.UTC(2026, 1, 28, 12, 34, 56, 789);

const options: LocalCaOptions = {
  directory: join(directory, 'tokens'),
  library: readInstalled().softhsm2Library,
  baseUrl: 'http://127.0.0.1:8080',
  issuerId: 'fleet-1',
  crlShardCount: 2,
  now,
};

afterAll(() => rmSync(directory, { recursive: true }));

/** Runs openssl in the directory. */
function openssl(...args: string[]): string {
  return execFileSync('openssl', args, { cwd: directory, encoding: 'utf8' });
}

describe('a local CA', () => {
  let localCa: LocalCa;
  let root: X509Certificate;
  let issuing: X509Certificate;

  beforeAll(async () => {
    ({ localCa } = await createLocalKeysInChild(options));
    root = new X509Certificate(localCa.rootCertificate);
    issuing = new X509Certificate(localCa.issuingCertificate);
    writeFileSync(join(directory, 'root.pem'), root.toString());
    writeFileSync(join(directory, 'issuing.pem'), issuing.toString());
  });

  it('has a chain that openssl verifies strictly', () => {
    const at = ['-attime', String(Math.floor(now / 1000))];
    expect(openssl('verify', '-x509_strict', ...at, '-CAfile', 'root.pem', 'root.pem')).toBe('root.pem: OK\n');
    expect(openssl('verify', '-x509_strict', ...at, '-CAfile', 'root.pem', 'issuing.pem')).toBe('issuing.pem: OK\n');
  });

  it('has an issuing certificate that says what it may do and where its issuer is', () => {
    const text = openssl('x509', '-in', 'issuing.pem', '-noout', '-text');
    expect(text).toContain('X509v3 Basic Constraints: critical\n                CA:TRUE, pathlen:0');
    expect(text).toContain('X509v3 Key Usage: critical\n                Certificate Sign, CRL Sign');
    expect(text).toContain('CA Issuers - URI:http://127.0.0.1:8080/ca/fleet-1-root.cer');
    expect(text).toContain('URI:http://127.0.0.1:8080/crl/fleet-1-root/0.crl');
    expect(text).toMatch(/Subject Key Identifier: *\n/);
    expect(text).toMatch(/Authority Key Identifier: *\n/);
  });

  it('has curves, serial numbers and validity as it should', () => {
    expect(root.publicKey.asymmetricKeyDetails).toMatchObject({ namedCurve: 'secp384r1' });
    expect(issuing.publicKey.asymmetricKeyDetails).toMatchObject({ namedCurve: 'prime256v1' });
    expect(root.serialNumber).not.toBe(issuing.serialNumber);
    expect(new Date(issuing.validFrom).toISOString()).toBe('2026-02-28T11:34:56.000Z');
    expect(new Date(issuing.validTo).toISOString()).toBe('2029-02-28T11:34:55.000Z');
    expect(new Date(root.validTo).toISOString()).toBe('2046-02-28T11:34:55.000Z');
  });

  it('says where its key, its tokens and its CRLs are', () => {
    expect(localCa.signerUri).toBe('pkcs11:token=fleet-1;object=fleet-1;type=private');
    expect(localCa.pin).toMatch(/^crypto_user:[A-Za-z0-9_-]{32}$/);
    expect(localCa.root.pin).not.toContain(localCa.pin?.slice('crypto_user:'.length));
    expect(localCa.crlUrls).toEqual([
      'http://127.0.0.1:8080/crl/fleet-1/0.crl',
      'http://127.0.0.1:8080/crl/fleet-1/1.crl',
    ]);
    expect(statSync(localCa.environment.SOFTHSM2_CONF).mode & 0o777).toBe(0o600);
    expect(statSync(options.directory).mode & 0o777).toBe(0o700);
  });

  it('is not made over one that is there', async () => {
    await expect(createLocalKeysInChild(options)).rejects.toThrow(/token "fleet-1-root" .* already/);
  });

  it('has a serial number in DER whatever the random bytes are', () => {
    // Leading zeros, which an INTEGER must not keep; and a top bit, which a positive one must not have.
    for (const first of [[0, 0, 1], [0, 0x80], [0xff]]) {
      const source = (size: number) => {
        const bytes = randomBytes(size);
        bytes.set(first);
        return bytes;
      };
      const issuerId = `bytes-${first.length}`;
      const made = createLocalCa({ ...options, directory: join(directory, issuerId), issuerId }, source);
      writeFileSync(join(directory, 'serial.pem'), new X509Certificate(made.issuingCertificate).toString());
      const parsed = openssl('x509', '-noout', '-serial', '-in', 'serial.pem');
      // openssl refuses an INTEGER that is too long, and shows a negative one with a sign.
      expect(parsed).toMatch(/^serial=[0-9A-F]+\n$/);
    }
  });

  it.each([
    ['an issuer id that cannot be in a URL', { issuerId: 'Fleet 1' }],
    ['an issuer id that is too long for a token', { issuerId: 'f'.repeat(28) }],
    ['a base URL with a slash at its end', { baseUrl: 'http://127.0.0.1/' }],
    ['a base URL that is not plain http', { baseUrl: 'https://127.0.0.1' }],
    ['no CRL shard', { crlShardCount: 0 }],
  ])('refuses %s', (_, wrong) => {
    expect(() => createLocalCa({ ...options, ...wrong }, randomBytes)).toThrow(RangeError);
  });
});

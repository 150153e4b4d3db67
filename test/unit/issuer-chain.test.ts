import { spawnSync } from 'node:child_process';
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type CaCertificateFields, signCaCertificate } from '../../local/ca/certificate.ts';
import { certificatePem } from '../../shared/issuance/certificate.ts';
import { verifyIssuerChain } from '../../shared/issuance/issuer-chain.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

/** An issuing CA's way to its root, and what openssl says of the same. */

const now = Date.parse('2026-11-22T12:00:00Z');
const year = 365 * 86_400_000;
const folder = temporaryFolder('issuer-chain');

interface Key {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

const [rootKey, policyKey, issuingKey, otherKey] = Array.from({ length: 4 }, () =>
  generateKeyPairSync('ec', { namedCurve: 'P-256' }),
) as [Key, Key, Key, Key];

let serial = 0;
function certify(
  subject: string,
  of: Key,
  issuer: string,
  by: Key,
  over: Partial<CaCertificateFields> = {},
): Uint8Array {
  return signCaCertificate(
    {
      serialNumber: Uint8Array.of(++serial),
      subject,
      issuer,
      publicKey: of.publicKey,
      notBefore: new Date(now - year),
      notAfter: new Date(now + year),
      ...(subject === issuer
        ? {}
        : { issuerUrls: { certificate: 'http://ca.test/root.cer', crl: 'http://ca.test/root.crl' } }),
      ...over,
    },
    { publicKey: by.publicKey, curve: 'P-256', sign: (tbs) => sign('sha256', tbs, by.privateKey) },
  );
}

const ended = { notBefore: new Date(now - 2 * year), notAfter: new Date(now - 1000) };
const unbegun = { notBefore: new Date(now + 1000) };
const root = certify('Root', rootKey, 'Root', rootKey);
const policy = certify('Policy', policyKey, 'Root', rootKey, { pathLenConstraint: 1 });
const issuing = certify('Issuing', issuingKey, 'Policy', policyKey, { pathLenConstraint: 0 });
const leaf = certify('Leaf', otherKey, 'Issuing', issuingKey);
const tampered = issuing.with(-1, (issuing.at(-1) ?? 0) ^ 1);

const ofOpenssl = (certificate: Uint8Array, chain: readonly Uint8Array[]): boolean => {
  const write = (name: string, ...ders: readonly Uint8Array[]): string => {
    const file = join(folder, name);
    writeFileSync(file, ders.map(certificatePem).join(''));
    return file;
  };
  const trusted = write('trusted.pem', ...chain.slice(-1));
  const untrusted = write('untrusted.pem', certificate, ...chain.slice(0, -1));
  // Of a certificate below it, whose way it is that counts.
  const args = ['-attime', String(now / 1000), '-CAfile', trusted, '-untrusted', untrusted, write('leaf.pem', leaf)];
  const { stdout } = spawnSync('openssl', ['verify', '-x509_strict', ...args], { encoding: 'utf8' });
  return stdout.includes(': OK');
};

describe('verifyIssuerChain', () => {
  it('reads the issuing CA', () => {
    const { notAfter, publicKey } = verifyIssuerChain('devices', issuing, [policy, root], now);
    expect(notAfter).toBe(now + year);
    expect(publicKey.equals(issuingKey.publicKey)).toBe(true);
    expect(ofOpenssl(issuing, [policy, root])).toBe(true);
  });

  it('takes a self-signed issuing CA, and times that just hold', () => {
    expect(verifyIssuerChain('devices', root, [], now).notAfter).toBe(now + year);
    const exact = certify('Root', rootKey, 'Root', rootKey, { notBefore: new Date(now), notAfter: new Date(now) });
    expect(verifyIssuerChain('devices', exact, [], now).notAfter).toBe(now);
  });

  it.each<[string, Uint8Array, readonly Uint8Array[], string]>([
    ['another signature', tampered, [policy, root], 'it was not issued by the one that follows it'],
    ['a CA between left out', issuing, [root], 'it was not issued by the one that follows it'],
    ['another order', issuing, [root, policy], 'it was not issued'],
    ['a name that another has', issuing, [certify('Policy', otherKey, 'Root', rootKey), root], 'it was not issued'],
    ['no root', issuing, [policy], 'CN=Policy in its chain is the last one, and is not self-signed'],
    ['nothing above it', issuing, [], 'it is the last one'],
    ['a CA that has ended', certify('Issuing', issuingKey, 'Policy', policyKey, ended), [policy, root], 'it ended on'],
    ['a CA yet to begin', certify('Issuing', issuingKey, 'Policy', policyKey, unbegun), [policy, root], 'before'],
    [
      'a root that has ended',
      issuing,
      [policy, certify('Root', rootKey, 'Root', rootKey, ended)],
      'CN=Root in its chain ended',
    ],
    [
      'a path that is too long',
      issuing,
      [certify('Policy', policyKey, 'Root', rootKey, { pathLenConstraint: 0 }), root],
      'CN=Policy in its chain has a pathLenConstraint of 0, and 1 CAs are below it',
    ],
    ['what is no certificate', issuing, [Uint8Array.of(0x30, 0)], 'certificate 1 of its chain cannot be read'],
  ])('refuses %s, as openssl does', (_, certificate, chain, sentence) => {
    expect(() => verifyIssuerChain('devices', certificate, chain, now)).toThrow(sentence);
    expect(ofOpenssl(certificate, chain)).toBe(false);
  });
});

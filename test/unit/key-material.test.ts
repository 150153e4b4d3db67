import { createPrivateKey, createPublicKey } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { UsageError } from '../../cli/errors.ts';
import { readKeyMaterial } from '../../cli/key-material.ts';
import { keysNamed } from '../../cli/named-keys.ts';
import { certificatePem } from '../../shared/issuance/certificate.ts';
import { parseCertificationRequest } from '../../shared/issuance/certification-request.ts';
import { spkiSha256Of } from '../../shared/issuance/key-standing.ts';
import {
  generateEcKey,
  generateEd25519Key,
  generateKey,
  generateRsaKey,
  makeCsr,
  openssl,
} from '../fixtures/csr/make.ts';
import { makeIssuingCa } from '../support/issuing-ca.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const folder = temporaryFolder('key-material');
const key = generateEcKey('P-256');
const csr = makeCsr(key);
/** How the issuing path calls a key: by the very bytes of its CSR. */
const hashOf = (privateKey: string): string =>
  spkiSha256Of(parseCertificationRequest(makeCsr(privateKey)).subjectPublicKeyInfo);
const hash = hashOf(key);
const { root, issuer } = makeIssuingCa({ notBefore: new Date('2026-01-01'), notAfter: new Date('2036-01-01') });

/** `openssl` of a private key. */
const converted = (privateKey: string, ...args: readonly string[]): Buffer => openssl(args, privateKey);
const pem = (der: Uint8Array, label: string) =>
  `-----BEGIN ${label}-----\n${Buffer.from(der).toString('base64')}\n-----END ${label}-----\n`;

function certificateOf(privateKey: string, ...options: readonly string[]): string {
  const file = join(folder, 'key.pem');
  writeFileSync(file, privateKey);
  return openssl(['req', '-x509', '-new', '-key', file, '-subj', '/CN=door-7', '-days', '2', ...options]).toString();
}
const endEntity = ['-addext', 'basicConstraints=critical,CA:FALSE'];

const hashesIn = (content: string | Uint8Array): string[] =>
  readKeyMaterial(Buffer.from(content)).publicKeys.map(spkiSha256Of);

function refusal(use: () => unknown): UsageError {
  try {
    use();
  } catch (error) {
    if (error instanceof UsageError) return error;
    throw error;
  }
  throw new Error('It was taken.');
}

describe('a file with one key has the hash that its CSR has on the issuing path', () => {
  it.each<[string, () => string | Uint8Array]>([
    ['a private key, PKCS#8', () => key],
    ['a private key, SEC 1, after its parameters', () => converted(key, 'ec', '-param_enc', 'named_curve')],
    ['a private key that spells its curve out', () => converted(key, 'ec', '-param_enc', 'explicit')],
    ['a private key, DER', () => converted(key, 'pkey', '-outform', 'DER')],
    ['a private key, SEC 1, DER', () => converted(key, 'ec', '-outform', 'DER')],
    ['a public key', () => converted(key, 'pkey', '-pubout')],
    ['a public key, DER', () => converted(key, 'pkey', '-pubout', '-outform', 'DER')],
    ['a public key with a compressed point', () => converted(key, 'ec', '-pubout', '-conv_form', 'compressed')],
    ['a CSR', () => pem(csr, 'CERTIFICATE REQUEST')],
    ['a CSR, DER', () => csr],
    ['a CSR, base64 as in a message', () => csr.toString('base64')],
    ['a certificate', () => certificateOf(key, ...endEntity)],
    ['a certificate, DER', () => openssl(['x509', '-outform', 'DER'], certificateOf(key, ...endEntity))],
    ['text around it', () => `Bag Attributes\n${key}\nthat was it\n`],
  ])('%s', (_, content) => {
    expect(hashesIn(content())).toEqual([hash]);
  });

  it.each<[string, () => string, readonly string[]]>([
    ['RSA', () => generateRsaKey(2048), ['rsa', '-traditional']],
    ['RSA, DER', () => generateRsaKey(2048), ['rsa', '-traditional', '-outform', 'DER']],
    ['RSA, public, PKCS#1', () => generateRsaKey(2048), ['rsa', '-RSAPublicKey_out']],
    ['RSA, public, PKCS#1, DER', () => generateRsaKey(2048), ['rsa', '-RSAPublicKey_out', '-outform', 'DER']],
    ['P-384', () => generateEcKey('P-384'), ['pkey']],
    ['P-521', () => generateEcKey('P-521'), ['pkey', '-outform', 'DER']],
    ['Ed25519', generateEd25519Key, ['pkey']],
  ])('%s', (_, generate, args) => {
    const other = generate();
    expect(hashesIn(converted(other, ...args))).toEqual([hashOf(other)]);
  });

  it('which is what other tools call its SPKI pin', () => {
    const spki = createPublicKey(createPrivateKey(key)).export({ type: 'spki', format: 'der' });
    expect(openssl(['dgst', '-sha256', '-r'], spki).toString()).toContain(hash);
  });
});

describe('a file with several', () => {
  const other = generateEcKey('P-256');

  it('gives each', () => {
    expect(hashesIn(`${converted(key, 'pkey', '-pubout').toString()}${other}`)).toEqual([hash, hashOf(other)]);
  });

  it('gives no CA certificates, of which it says how many there were', () => {
    const chain = certificateOf(key, ...endEntity) + certificatePem(issuer.certificate) + certificatePem(root);
    expect(hashesIn(chain)).toEqual([hash]);
    expect(readKeyMaterial(Buffer.from(chain)).caCertificates).toBe(2);
  });
});

describe('what is refused', () => {
  const secret = 'correct horse battery staple';

  it.each<[string, () => string | Uint8Array, RegExp]>([
    ['nothing', () => '', /no key that can be read/],
    ['text', () => 'Dear colleagues', /no key that can be read/],
    ['noise', () => Buffer.alloc(300, 0x30), /no key that can be read/],
    ['PEM without a key', () => converted(key, 'ecparam', '-name', 'prime256v1'), /no key that can be read/],
    ['CA certificates alone', () => certificatePem(issuer.certificate), /CA certificates only/],
    ['a CA certificate in DER', () => issuer.certificate, /CA certificates only/],
    [
      'a private key under a passphrase',
      () => converted(key, 'pkcs8', '-topk8', '-passout', `pass:${secret}`),
      /under a passphrase/,
    ],
    [
      'the same as it was done formerly',
      () => converted(generateRsaKey(2048), 'rsa', '-traditional', '-aes128', '-passout', `pass:${secret}`),
      /under a passphrase/,
    ],
    ['a private key that is cut short', () => pem(Buffer.from('3077020101', 'hex'), 'PRIVATE KEY'), /cannot be read/],
    ['a CSR that is cut short', () => pem(csr.subarray(0, 99), 'CERTIFICATE REQUEST'), /cut short|CSR/],
    ["a key of OpenSSH's", () => pem(Buffer.from('openssh-key-v1'), 'OPENSSH PRIVATE KEY'), /OpenSSH/],
    ['X25519', () => generateKey('-algorithm', 'x25519'), /x25519, which no profile/],
    ['a curve of nobody here', () => generateEcKey('brainpoolP256r1'), /brainpoolP256r1, which no profile/],
    ['RSA-PSS', () => generateKey('-algorithm', 'RSA-PSS', '-pkeyopt', 'rsa_keygen_bits:2048'), /rsa-pss, which/],
  ])('%s', (_, content, said) => {
    const { message, cure } = refusal(() => hashesIn(content()));
    expect(message).toMatch(said);
    expect(cure).toMatch(/^[A-Z].*\.$/);
  });

  it('repeats nothing of a private key that cannot be read', () => {
    const broken = key.replace(/M[A-Za-z]/, 'AA');
    const body = broken.split('\n')[1] ?? 'none';
    const error = refusal(() => hashesIn(broken));
    expect([error.message, error.cure, String(error.cause)].join('\n')).not.toContain(body.slice(8, 24));
  });
});

describe('keysNamed', () => {
  const file = (name: string, content: string) => {
    const path = join(folder, name);
    writeFileSync(path, content);
    return path;
  };
  const silent = () => undefined;

  it('takes files and hashes in either case, and each key once', () => {
    const path = file('door-7.key', key);
    const other = 'ab'.repeat(32);
    expect(keysNamed([path, hash.toUpperCase(), other], silent)).toEqual([
      { spkiSha256: hash, file: path },
      { spkiSha256: other, file: undefined },
    ]);
  });

  it('tells what it passed over', () => {
    const notes: string[] = [];
    const path = file('chain.pem', certificateOf(key, ...endEntity) + certificatePem(issuer.certificate));
    keysNamed([path], (line) => notes.push(line));
    expect(notes).toEqual([`mintmark: ${path}: passed over 1 CA certificate.`]);
  });

  it('names everything that is wrong, and gives nothing then', () => {
    mkdirSync(join(folder, 'inner'));
    const args = [file('good.key', key), join(folder, 'none'), join(folder, 'inner'), hash.slice(1)];
    const { message } = refusal(() => keysNamed(args, silent));
    expect(message).toContain(`${join(folder, 'none')}: There is no such file.`);
    expect(message).toContain(`${join(folder, 'inner')}: It is not a file.`);
    expect(message).toContain(`${hash.slice(1)}: There is no such file.`);
    expect(message).not.toContain('good.key');
  });

  it('tells ten of many', () => {
    const { message } = refusal(() =>
      keysNamed(
        Array.from({ length: 12 }, (_, index) => `none-${index}`),
        silent,
      ),
    );
    expect(message).toMatch(/none-9: There is no such file\. and 2 more\.$/);
  });
});

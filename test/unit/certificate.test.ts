import { constants, createHash, generateKeyPairSync, sign, verify, X509Certificate } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { assembleCertificate, certificatePem, digestOf } from '../../shared/issuance/certificate.ts';
import type { SignatureScheme } from '../../shared/signer/port.ts';
import { refusalOf } from '../fixtures/csr/refusal.ts';
import { newLinted } from '../support/linted.ts';
import { softwareSigner } from '../support/software-signer.ts';

const { tbsCertificate } = newLinted();
const ec = (namedCurve: string) => generateKeyPairSync('ec', { namedCurve });
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const pss = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST };

const schemes: readonly { readonly scheme: SignatureScheme; readonly keys: typeof rsa; readonly padding: object }[] = [
  { scheme: { algorithm: 'ecdsa', hash: 'sha256' }, keys: ec('P-256'), padding: {} },
  { scheme: { algorithm: 'ecdsa', hash: 'sha384' }, keys: ec('P-384'), padding: {} },
  ...(['sha256', 'sha384', 'sha512'] as const).flatMap((hash) => [
    { scheme: { algorithm: 'rsa-pkcs1-v1_5', hash } as const, keys: rsa, padding: {} },
    { scheme: { algorithm: 'rsa-pss', hash } as const, keys: rsa, padding: pss },
  ]),
];

describe.each(schemes)('a certificate signed with $scheme.algorithm, $scheme.hash', ({ scheme, keys, padding }) => {
  const signature = sign(scheme.hash, tbsCertificate, { key: keys.privateKey, ...padding });

  it('is the TBS, the algorithm and the signature', () => {
    const der = Buffer.from(assembleCertificate(tbsCertificate, signature, scheme, keys.publicKey));
    expect(der.includes(Buffer.from(tbsCertificate))).toBe(true);
    expect(der.subarray(-signature.length)).toEqual(signature);
    if (scheme.algorithm !== 'rsa-pss' || scheme.hash !== 'sha256') return;
    // The TBS itself names RSA-PSS with SHA-256, so this one is whole and its reader takes it.
    expect(new X509Certificate(der).verify(keys.publicKey)).toBe(true);
  });

  it('is not made with a signature of other bytes, of another key, or changed', () => {
    const others = [
      sign(scheme.hash, Buffer.concat([tbsCertificate, Buffer.of(0)]), { key: keys.privateKey, ...padding }),
      sign('sha256', tbsCertificate, ec('P-256').privateKey),
      Buffer.from(signature.map((octet, index) => (index === signature.length - 1 ? octet ^ 1 : octet))),
      signature.subarray(1),
      Buffer.concat([signature, Buffer.of(0)]),
      Buffer.alloc(0),
      Buffer.alloc(signature.length),
    ];
    for (const other of others) {
      expect(refusalOf(() => assembleCertificate(tbsCertificate, other, scheme, keys.publicKey)).code).toBe(
        'SIGNATURE_WRONG',
      );
    }
  });
});

describe('a PSS signature', () => {
  it('with a salt of another length is wrong: the certificate says how long it is', () => {
    const signature = sign('sha256', tbsCertificate, { key: rsa.privateKey, ...pss, saltLength: 20 });
    const scheme = { algorithm: 'rsa-pss', hash: 'sha256' } as const;
    expect(refusalOf(() => assembleCertificate(tbsCertificate, signature, scheme, rsa.publicKey)).code).toBe(
      'SIGNATURE_WRONG',
    );
  });

  it('without its leading zero is wrong, though OpenSSL takes it', () => {
    const scheme = { algorithm: 'rsa-pss', hash: 'sha256' } as const;
    const draw = () => sign('sha256', tbsCertificate, { key: rsa.privateKey, ...pss });
    let signature = draw();
    while (signature[0] !== 0) signature = draw();
    expect(verify('sha256', tbsCertificate, { key: rsa.publicKey, ...pss }, signature.subarray(1))).toBe(true);
    expect(
      refusalOf(() => assembleCertificate(tbsCertificate, signature.subarray(1), scheme, rsa.publicKey)).code,
    ).toBe('SIGNATURE_WRONG');
    expect(assembleCertificate(tbsCertificate, signature, scheme, rsa.publicKey).at(-256)).toBe(0);
  });

  it('of a digest alone is right', async () => {
    const signer = softwareSigner('pkcs11:object=test', rsa.privateKey);
    const [result] = await signer.sign([digestOf(tbsCertificate, signer.scheme)], 0);
    if (result === undefined || !('signature' in result)) throw new Error('not signed');
    expect(assembleCertificate(tbsCertificate, result.signature, signer.scheme, rsa.publicKey).length).toBeGreaterThan(
      tbsCertificate.length,
    );
  });
});

describe('digestOf', () => {
  it("is the scheme's hash of the whole TBS", () => {
    for (const { scheme } of schemes) {
      const expected = createHash(scheme.hash).update(tbsCertificate).digest();
      expect(digestOf(tbsCertificate, scheme)).toEqual(expected);
    }
  });
});

describe('certificatePem', () => {
  it.each([1, 47, 48, 49, 96, 1000])('wraps %i bytes in lines of 64 characters, and reads back', (length) => {
    const der = Uint8Array.from({ length }, (_, index) => index % 251);
    const lines = certificatePem(der).split('\n');
    expect(lines[0]).toBe('-----BEGIN CERTIFICATE-----');
    expect(lines.slice(-2)).toEqual(['-----END CERTIFICATE-----', '']);
    const body = lines.slice(1, -2);
    for (const line of body.slice(0, -1)) expect(line).toHaveLength(64);
    expect(body.at(-1)?.length).toBeLessThanOrEqual(64);
    expect(Uint8Array.from(Buffer.from(body.join(''), 'base64'))).toEqual(der);
  });
});

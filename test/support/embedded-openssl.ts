import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { certificatePem } from '../../shared/issuance/certificate.ts';
import { type CsrOptions, makeCsr, openssl, withTemporaryFolder } from '../fixtures/csr/make.ts';

/** The device: `openssl req -new`, as PEM. */
export function makePemCsr(privateKey: string, deviceId: string, options: CsrOptions = {}): string {
  const outform = ['-outform', 'PEM', ...(options.options ?? [])];
  return makeCsr(privateKey, { subject: `/CN=${deviceId}`, ...options, options: outform }).toString();
}

export interface Chain {
  /** DER. */
  readonly leaf: Uint8Array;
  readonly issuing: Uint8Array;
  readonly root: Uint8Array;
}

/**
 * The judge: `openssl verify` with only the root to trust.
 * @returns what openssl says; its refusal is thrown
 */
export function verifyChain({ leaf, issuing, root }: Chain): string {
  return withTemporaryFolder((folder) => {
    const file = (name: string, der: Uint8Array) => {
      const path = join(folder, `${name}.pem`);
      writeFileSync(path, certificatePem(der));
      return path;
    };
    const trust = ['-no-CApath', '-no-CAstore', '-CAfile', file('root', root), '-untrusted', file('issuing', issuing)];
    return openssl(['verify', '-x509_strict', '-purpose', 'sslclient', ...trust, file('leaf', leaf)]).toString();
  });
}

/** The public key, DER SubjectPublicKeyInfo, as openssl reads it out of a certificate. */
export function publicKeyOf(certificate: Uint8Array): Buffer {
  const pem = openssl(['x509', '-inform', 'DER', '-noout', '-pubkey'], certificate);
  return openssl(['pkey', '-pubin', '-outform', 'DER'], pem);
}

/** One extension as openssl writes it out: its name's line and what is indented under it. */
export function printExtension(certificate: Uint8Array, name: string): string {
  return openssl(['x509', '-inform', 'DER', '-noout', '-ext', name], certificate).toString();
}

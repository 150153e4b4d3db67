import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { generateEcKey, makeCsr, openssl } from '../fixtures/csr/make.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const sound = {
  serialNumber: '0x1234',
  basicConstraints: 'critical, CA:FALSE',
  keyUsage: 'critical, digitalSignature',
  extendedKeyUsage: 'clientAuth',
  subjectKeyIdentifier: 'hash',
  authorityKeyIdentifier: 'keyid',
  subjectAltName: 'DNS:pump-7.example.com',
};

/** What is wrong with each, as openssl is told it. */
const faults = {
  'no fault': {},
  'a negative serial number': { serialNumber: '-5' },
  'a serial number of 21 octets': { serialNumber: `0x7f${'ab'.repeat(20)}` },
  'no authority key identifier': { authorityKeyIdentifier: 'none' },
  'the key usage of a CA': { keyUsage: 'critical, digitalSignature, keyCertSign' },
  'a critical subject key identifier': { subjectKeyIdentifier: 'critical, hash' },
  'a relative URI': { subjectAltName: 'URI:pump-7' },
} as const;

export type Fault = keyof typeof faults;

export interface BrokenCertificates {
  /** DER, self-signed; the others' issuer. */
  readonly root: Uint8Array;
  readonly certificates: ReadonlyMap<Fault, Uint8Array>;
}

/** Certificates made by openssl, one of them sound and each of the others with one fault, to see that a judge judges. */
export function makeBrokenCertificates(): BrokenCertificates {
  const folder = temporaryFolder('broken');
  const file = (name: string, content: string) => {
    const path = join(folder, name);
    writeFileSync(path, content);
    return path;
  };
  const caKey = file('ca.key', generateEcKey('P-256'));
  const usage = ['-addext', 'keyUsage = critical, keyCertSign, cRLSign'];
  const root = openssl(['req', '-x509', '-key', caKey, '-subj', '/CN=Control CA', '-days', '30', ...usage]).toString();
  const ca = ['-CA', file('ca.pem', root), '-CAkey', caKey];
  const csr = makeCsr(generateEcKey('P-256'), { options: ['-outform', 'PEM'] });
  const certificates = Object.entries(faults).map(([name, fault]): [Fault, Uint8Array] => {
    const { serialNumber, ...extensions } = { ...sound, ...fault };
    const lines = Object.entries(extensions).map(([extension, value]) => `${extension} = ${value}\n`);
    const extfile = ['-extfile', file('extensions.cnf', lines.join(''))];
    const options = ['-set_serial', serialNumber, '-days', '10', '-outform', 'DER'];
    return [name as Fault, openssl(['x509', '-req', ...ca, ...options, ...extfile], csr)];
  });
  return { root: openssl(['x509', '-outform', 'DER'], root), certificates: new Map(certificates) };
}

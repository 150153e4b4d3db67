import type { webcrypto } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join, parse } from 'node:path';
import { readCsrFile } from '../shared/enrolment/index.ts';
import type { ErrorCode } from '../shared/errors.ts';
import * as x509 from './x509.ts';

/** One CSR to be enqueued. */
export interface Submission {
  /** The file's name, without its folder. */
  readonly file: string;
  readonly deviceId: string;
  /** PEM, or base64 of DER; as the message takes it. */
  readonly csr: string;
  /** Why it cannot be sent at all; it is answered with this. */
  readonly refusal?: { readonly code: ErrorCode; readonly detail: string };
}

/** Every file of a folder, by name; the stem is the device id. */
export function readSubmissions(folder: string): Submission[] {
  return readdirSync(folder)
    .sort()
    .flatMap((file): Submission[] => {
      const read = readCsrFile(join(folder, file));
      if (read.kind === 'folder') return [];
      const submission = { file, deviceId: parse(file).name };
      if (read.kind === 'csr') return [{ ...submission, csr: read.csr }];
      const { code, detail } = read;
      return [{ ...submission, csr: '', refusal: { code, detail } }];
    });
}

const curve = (namedCurve: string): KeyAlgorithm & webcrypto.EcdsaParams => ({
  name: 'ECDSA',
  namedCurve,
  hash: 'SHA-256',
});

const rsa = (modulusLength: number): KeyAlgorithm => ({
  name: 'RSASSA-PKCS1-v1_5',
  modulusLength,
  publicExponent: Uint8Array.of(1, 0, 1),
  hash: 'SHA-256',
});

type KeyAlgorithm = webcrypto.EcKeyGenParams | webcrypto.RsaHashedKeyGenParams | webcrypto.Algorithm;

/** One device of each kind of key that the profile device-tls takes from a common tool chain. */
const fleet: Readonly<Record<string, KeyAlgorithm>> = {
  'sensor-p256': curve('P-256'),
  'sensor-p384': curve('P-384'),
  'sensor-ed25519': { name: 'Ed25519' },
  'gateway-rsa2048': rsa(2048),
  'gateway-rsa3072': rsa(3072),
  'gateway-rsa4096': rsa(4096),
};

/** The CSRs of a small fleet with new keys, which nobody keeps: a device's private key is the device's. */
export async function makeFleet(): Promise<Submission[]> {
  return Promise.all(
    Object.entries(fleet).map(async ([deviceId, algorithm]) => {
      const keys = (await crypto.subtle.generateKey(algorithm, false, ['sign', 'verify'])) as webcrypto.CryptoKeyPair;
      const request = await x509.Pkcs10CertificateRequestGenerator.create({
        name: [{ CN: [deviceId] }],
        keys,
        signingAlgorithm: algorithm as webcrypto.EcdsaParams,
      });
      return { file: `${deviceId}.csr`, deviceId, csr: request.toString('pem') };
    }),
  );
}

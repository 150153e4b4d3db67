import type { webcrypto } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, parse } from 'node:path';
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

/**
 * The most that is read of a file, and sent of one, in bytes: far above every CSR, and far below the 1 MiB that SQS
 * takes.
 */
const maximumBytes = 262_144;

/** Every file of a folder, by name; the stem is the device id. */
export function readSubmissions(folder: string): Submission[] {
  return readdirSync(folder)
    .sort()
    .flatMap((file) => {
      const read = readCsr(join(folder, file));
      return read === 'folder' ? [] : [{ file, deviceId: parse(file).name, ...read }];
    });
}

type Read = Pick<Submission, 'csr' | 'refusal'>;

function readCsr(path: string): Read | 'folder' {
  try {
    const stats = statSync(path);
    if (stats.isDirectory()) return 'folder';
    // Reading a pipe or a device may never end.
    if (!stats.isFile()) return refused('CSR_NOT_DECODABLE', 'This is a pipe, a socket or a device, not a file.');
    if (stats.size > maximumBytes) return tooLarge(stats.size);
    const csr = csrText(readFileSync(path));
    if (/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(csr)) {
      return refused('CSR_NOT_DECODABLE', 'This is a private key, which is sent to nobody; it was left where it is.');
    }
    // JSON takes six bytes for a control character.
    return Buffer.byteLength(JSON.stringify(csr)) > maximumBytes ? tooLarge(stats.size) : { csr };
  } catch (error) {
    return refused(
      'CSR_NOT_DECODABLE',
      `The file cannot be read: ${(error as NodeJS.ErrnoException).code ?? String(error)}.`,
    );
  }
}

const tooLarge = (bytes: number): Read =>
  refused('CSR_TOO_LARGE', `The file has ${bytes} bytes; a CSR has at most 16 KiB of DER.`);

function refused(code: ErrorCode, detail: string): Read {
  return { csr: '', refusal: { code, detail } };
}

/** PEM and base64 are text and go as they are; anything else is taken for DER. */
function csrText(content: Buffer): string {
  const text = content.toString('utf8');
  const isText = text.includes('-----BEGIN ') || /^[A-Za-z0-9+/=\s]*$/.test(text);
  return isText ? text : content.toString('base64');
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

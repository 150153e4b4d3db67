import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { MintmarkError } from '../../../shared/errors.ts';
import { readBasicConstraints } from '../../../shared/issuance/basic-constraints.ts';
import {
  type CertificationRequest,
  parseCertificationRequest,
} from '../../../shared/issuance/certification-request.ts';
import { type GeneralName, readGeneralNames } from '../../../shared/issuance/general-names.ts';
import { asksToSignForOthers } from '../../../shared/issuance/key-usage.ts';
import { objectIdentifiers } from '../../../shared/issuance/object-identifiers.ts';
import { verifyProofOfPossession } from '../../../shared/issuance/proof-of-possession.ts';
import { checkPublicKey, type KeyPolicy } from '../../../shared/issuance/public-key.ts';

export interface Refused {
  readonly refused: string;
}

/** RDNs of [type, tag number, value]. */
export type PycaName = readonly (readonly (readonly [type: string, tag: number, value: string])[])[];

/** What pyca/cryptography read; octets in hexadecimal. */
export interface PycaReading {
  readonly certificationRequestInfo: string;
  readonly subject: PycaName;
  readonly subjectPublicKeyInfo: string;
  readonly signatureAlgorithm: {
    readonly algorithm: string;
    readonly hash: string | null;
    readonly saltLength: number | null;
  };
  readonly signature: string;
  readonly extensions: readonly (readonly [extnID: string, critical: boolean])[];
  readonly subjectAltName: readonly (readonly [kind: string, ...value: readonly unknown[]])[];
}

/** The encodings that OpenSSL makes of what it read, in hexadecimal. */
export interface OpensslReading {
  readonly subject: string;
  readonly subjectPublicKeyInfo: string;
  readonly signatureAlgorithm: string;
}

export interface Verdicts {
  readonly pyca: PycaReading | Refused;
  readonly openssl: OpensslReading | Refused;
}

export interface JudgesVersions {
  readonly pyca: string;
  /** null where there is no libcrypto. */
  readonly openssl: string | null;
}

const script = fileURLToPath(new URL('../python/requests.py', import.meta.url));

export const versionsOf = (python: string): JudgesVersions =>
  JSON.parse(execFileSync(python, ['-W', 'ignore', script], { input: '', encoding: 'utf8' }));

/** Asks both judges of each request, in its place, in one process. */
export async function judge(
  python: string,
  requests: readonly Uint8Array[],
): Promise<{ versions: JudgesVersions; verdicts: Verdicts[] }> {
  const child = spawn(python, ['-W', 'ignore', script], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(child, 'close') as Promise<[number | null]>;
  const lines: unknown[] = [];
  const reading = (async () => {
    for await (const line of createInterface({ input: child.stdout })) lines.push(JSON.parse(line));
  })();
  const frames = requests.map((der) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(der.length);
    return Buffer.concat([length, der]);
  });
  child.stdin.end(Buffer.concat(frames));
  await reading;
  const [code] = await ended;
  const [versions, ...verdicts] = lines as [JudgesVersions, ...Verdicts[]];
  if (code !== 0 || verdicts.length !== requests.length) {
    throw new Error(`requests.py ended with ${code} after ${verdicts.length} of ${requests.length} requests`);
  }
  return { versions, verdicts };
}

/** Every key that any profile may allow. */
const policy: KeyPolicy = {
  ec: { curves: ['P-256', 'P-384', 'P-521'] },
  rsa: { minimumBits: 2048, maximumBits: 4096 },
  ed25519: true,
};

export interface OurReading {
  readonly request: CertificationRequest;
  readonly subjectAltName: readonly GeneralName[];
}

/**
 * What a request goes through before anybody asks which names are granted.
 * @throws Error where it is neither accepted nor refused
 */
export function ourVerdict(der: Uint8Array): OurReading | MintmarkError {
  try {
    const request = parseCertificationRequest(der);
    checkPublicKey(request.publicKey, policy);
    verifyProofOfPossession(request);
    let subjectAltName: readonly GeneralName[] = [];
    for (const { extnID, extnValue } of request.requestedExtensions) {
      if (extnID === objectIdentifiers.subjectAltName) subjectAltName = readGeneralNames(extnValue);
      if (extnID === objectIdentifiers.basicConstraints) readBasicConstraints(extnValue);
      // Whether it asks for a CA's is the profile's to refuse, as every name is; that it can be read is not.
      if (extnID === objectIdentifiers.keyUsage) asksToSignForOthers(extnValue);
    }
    return { request, subjectAltName };
  } catch (error) {
    if (error instanceof MintmarkError && error.disposition.startsWith('reject')) return error;
    throw new Error(`${Buffer.from(der).toString('hex')} was neither accepted nor refused`, { cause: error });
  }
}

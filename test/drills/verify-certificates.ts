import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LocalCloud } from '../../local/local-cloud.ts';
import { certificatePem } from '../../shared/issuance/certificate.ts';
import { keyOf } from '../../shared/ledger/index.ts';
import { openssl } from '../fixtures/csr/make.ts';
import type { Delivery } from '../support/audit.ts';
import type { FleetRequest } from './fleet.ts';

/** How many certificates one openssl is given. */
const chunk = 250;

/**
 * Every certificate, judged by `openssl verify` with only the root to trust, and held against the request that it is for:
 * the device's key, its name.
 * @returns what is wrong, a sentence each
 */
export function verifyCertificates(
  { rootCertificate, issuingCertificate }: Pick<LocalCloud, 'rootCertificate' | 'issuingCertificate'>,
  requests: readonly FleetRequest[],
  delivered: readonly Delivery[],
): string[] {
  const expected = new Map(requests.map((request) => [keyOf(request), request]));
  const problems = delivered.flatMap((delivery) => {
    const { publicKey, subject } = new X509Certificate(delivery.certificate);
    const request = expected.get(keyOf(delivery));
    const isFor =
      request !== undefined &&
      publicKey.equals(request.publicKey) &&
      subject.split('\n').includes(`CN=${request.deviceId}`);
    return isFor ? [] : [`The certificate of ${keyOf(delivery)} is not for its key and name.`];
  });

  const folder = mkdtempSync(join(tmpdir(), 'mintmark-drill-'));
  try {
    const file = (name: string, der: Uint8Array) => {
      const path = join(folder, name);
      writeFileSync(path, certificatePem(der));
      return path;
    };
    const trust = ['-no-CApath', '-no-CAstore', '-CAfile', file('root', rootCertificate)];
    const untrusted = ['-untrusted', file('issuing', issuingCertificate)];
    const files = delivered.map(({ certificate }, index) => file(`${index}.pem`, certificate));
    for (let start = 0; start < files.length; start += chunk) {
      const leaves = files.slice(start, start + chunk);
      try {
        const said = openssl(['verify', '-x509_strict', '-purpose', 'sslclient', ...trust, ...untrusted, ...leaves]);
        const good = said.toString().match(/: OK$/gm)?.length;
        if (good !== leaves.length) problems.push(`openssl finds ${good} of ${leaves.length} certificates good.`);
      } catch (error) {
        problems.push(`openssl refuses certificates: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
  return problems;
}

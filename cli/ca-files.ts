import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { UsageError } from './errors.ts';

const pemCertificate = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

const cure = 'Name a file with certificates in PEM, or with one in DER.';

/**
 * The certificates in a file, in its order: every one of a PEM file, or the one that a DER file is.
 * @returns DER
 * @throws UsageError where there is none, or one that cannot be read
 */
export function readCertificates(file: string): Uint8Array[] {
  let content: Buffer;
  try {
    content = readFileSync(file);
  } catch (cause) {
    throw new UsageError(`${file} cannot be read (${(cause as NodeJS.ErrnoException).code}).`, cure, { cause });
  }
  const blocks = content.toString('latin1').match(pemCertificate) ?? [content];
  return blocks.map((block, index) => {
    try {
      return new Uint8Array(new X509Certificate(block).raw);
    } catch (cause) {
      // What OpenSSL's parser says of it ("wrong tag") helps nobody.
      const which = blocks.length === 1 ? `${file} is` : `Certificate ${index + 1} in ${file} is`;
      throw new UsageError(`${which} no certificate that can be read.`, cure, { cause });
    }
  });
}

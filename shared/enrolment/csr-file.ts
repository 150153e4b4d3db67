import { readFileSync, statSync } from 'node:fs';
import type { ErrorCode } from '../errors.ts';

/** What a file holds: `csr` as the message takes it (PEM, or base64 of DER), or why it cannot be sent at all. */
export type CsrFile =
  | { readonly kind: 'csr'; readonly csr: string }
  | { readonly kind: 'refused'; readonly code: ErrorCode; readonly detail: string }
  | { readonly kind: 'folder' };

/**
 * The most that is read of a file, and sent of one, in bytes: far above every CSR, and far below the 1 MiB that SQS
 * takes.
 */
const maximumBytes = 262_144;

/** Whether it is a CSR at all is not looked at. Throws nothing: whatever keeps the file from being read is a refusal. */
export function readCsrFile(path: string): CsrFile {
  try {
    const stats = statSync(path);
    if (stats.isDirectory()) return { kind: 'folder' };
    // Reading a pipe or a device may never end.
    if (!stats.isFile()) return refused('CSR_NOT_DECODABLE', 'This is a pipe, a socket or a device, not a file.');
    if (stats.size > maximumBytes) return tooLarge(stats.size);
    const csr = csrText(readFileSync(path));
    if (/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(csr)) {
      return refused('CSR_NOT_DECODABLE', 'This is a private key, which is sent to nobody; it was left where it is.');
    }
    // JSON takes six bytes for a control character.
    return Buffer.byteLength(JSON.stringify(csr)) > maximumBytes ? tooLarge(stats.size) : { kind: 'csr', csr };
  } catch (error) {
    return refused(
      'CSR_NOT_DECODABLE',
      `The file cannot be read: ${(error as NodeJS.ErrnoException).code ?? String(error)}.`,
    );
  }
}

const tooLarge = (bytes: number): CsrFile =>
  refused('CSR_TOO_LARGE', `The file has ${bytes} bytes; a CSR has at most 16 KiB of DER.`);

function refused(code: ErrorCode, detail: string): CsrFile {
  return { kind: 'refused', code, detail };
}

/** PEM and base64 are text and go as they are; anything else is taken for DER. */
function csrText(content: Buffer): string {
  const text = content.toString('utf8');
  const isText = text.includes('-----BEGIN ') || /^[A-Za-z0-9+/=\s]*$/.test(text);
  return isText ? text : content.toString('base64');
}

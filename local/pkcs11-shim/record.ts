import { readFileSync } from 'node:fs';
import { digestOfSignInput } from '../../shared/signer/index.ts';

/** One signature that was made, as the shim wrote it down before anybody could see it. */
export interface RecordedSignature {
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly processId: number;
  /** CKM_ number */
  readonly mechanism: number;
  /** What was signed: the digest, without the DigestInfo that CKM_RSA_PKCS has round it. Lower-case hex. */
  readonly digest: string;
  /** CKA_LABEL of the key; empty for one without. */
  readonly keyLabel: string;
}

/**
 * Every signature since the file was made, oldest first; none when there is no file yet.
 *
 * @throws Error at a line that the shim cannot have written
 */
export function readRecord(path: string): RecordedSignature[] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
  return text
    .split('\n')
    .slice(0, -1)
    .map((line, index) => {
      const [, at, processId, mechanism, data, label] =
        /^(\d+) (\d+) ([0-9a-f]+) ((?:[0-9a-f]{2})+) ((?:[0-9a-f]{2})*)$/.exec(line) ?? [];
      if (!at || !processId || !mechanism || !data || label === undefined) {
        throw new Error(`Line ${index + 1} of the record of signatures is not one that the PKCS#11 shim writes`);
      }
      const number = Number.parseInt(mechanism, 16);
      return {
        at: Number(at),
        processId: Number(processId),
        mechanism: number,
        digest: Buffer.from(digestOfSignInput(number, Buffer.from(data, 'hex'))).toString('hex'),
        keyLabel: Buffer.from(label, 'hex').toString('utf8'),
      };
    });
}

import { ivLength, tagLength } from '../token.ts';

/** Pairs that AES-GCM authenticates but does not encrypt (KMS Developer Guide, "Encryption context"). */
export type EncryptionContext = Readonly<Record<string, string>>;

export interface Ciphertext {
  readonly keyId: string;
  readonly iv: Buffer;
  /** The ciphertext proper with its tag. */
  readonly body: Buffer;
}

const formatVersion = 1;
const keyIdLength = 16;
const headerLength = 1 + keyIdLength + ivLength;

/** CiphertextBlob, opaque to callers: version (1 byte), key id (16), IV (12), ciphertext, tag (16). */
export function encodeCiphertext(ciphertext: Ciphertext): Buffer {
  const keyId = Buffer.from(ciphertext.keyId.replaceAll('-', ''), 'hex');
  return Buffer.concat([Buffer.of(formatVersion), keyId, ciphertext.iv, ciphertext.body]);
}

/** @returns undefined for bytes that are no CiphertextBlob of this format */
export function decodeCiphertext(blob: Buffer): Ciphertext | undefined {
  if (blob[0] !== formatVersion || blob.length <= headerLength + tagLength) return undefined;
  const hex = blob.toString('hex', 1, 1 + keyIdLength);
  const parts = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)];
  return {
    keyId: parts.join('-'),
    iv: blob.subarray(1 + keyIdLength, headerLength),
    body: blob.subarray(headerLength),
  };
}

/**
 * AES-GCM's additional authenticated data: key ARN, then the pairs sorted by the key's UTF-8 bytes, every text after
 * its length, so that no two contexts have one encoding.
 */
export function additionalData(keyArn: string, context: EncryptionContext): Buffer {
  const pairs = Object.entries(context)
    .map(([name, value]) => [Buffer.from(name), Buffer.from(value)] as const)
    .sort(([one], [other]) => Buffer.compare(one, other));
  return Buffer.concat([Buffer.from(keyArn), ...pairs.flat()].flatMap((text) => [lengthOf(text), text]));
}

function lengthOf(text: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(text.length);
  return length;
}

import * as z from 'zod';
import { AwsError } from '../aws-error.ts';
import { blob, operation } from '../operation.ts';
import type { Key } from '../state.ts';
import { ivLength } from '../token.ts';
import { additionalData, decodeCiphertext, type EncryptionContext, encodeCiphertext } from './ciphertext.ts';
import { refuseDryRun, requireUsage, unsupported, validation } from './errors.ts';
import { requireUsable } from './key-state.ts';
import { keyMaterialId } from './keys.ts';
import { resolveKey } from './resolve.ts';

const keyId = z.string().min(1).max(2048);
const algorithm = z.enum(['SYMMETRIC_DEFAULT', 'RSAES_OAEP_SHA_1', 'RSAES_OAEP_SHA_256', 'SM2PKE']).optional();
const grantTokens = z.array(z.string().min(1).max(8192)).max(10).optional();

/** Passed through as it came: a copy into a new object would lose a pair named `__proto__`. */
const encryptionContext = z
  .custom<EncryptionContext>(
    (value) => typeof value === 'object' && value !== null && Object.values(value).every(isText),
    'Member must be a map of strings to strings',
  )
  .optional();

/** Text with a lone surrogate has no UTF-8 form of its own. */
function isText(value: unknown): boolean {
  return typeof value === 'string' && value.isWellFormed();
}

/** Encrypt (KMS API reference). */
export const encrypt = operation(
  validation,
  z.object({
    KeyId: keyId,
    Plaintext: blob(1, 4096),
    EncryptionContext: encryptionContext,
    EncryptionAlgorithm: algorithm,
    GrantTokens: grantTokens,
    DryRun: z.boolean().optional(),
  }),
  (state, input, context) => {
    const key = resolveKey(state, input.KeyId, context);
    requireUsable(state, key);
    requireUsage(key, 'ENCRYPT_DECRYPT', 'Encrypt');
    requireAlgorithm(key, input.EncryptionAlgorithm);
    refuseDryRun(input.DryRun);
    const iv = context.randomBytes(ivLength);
    const sealed = { iv, additionalData: additionalData(key.arn, input.EncryptionContext ?? {}) };
    const body = context.token.encrypt(key.keyId, sealed, input.Plaintext);
    return {
      CiphertextBlob: encodeCiphertext({ keyId: key.keyId, iv, body }).toString('base64'),
      KeyId: key.arn,
      EncryptionAlgorithm: 'SYMMETRIC_DEFAULT',
    };
  },
);

/** Decrypt (KMS API reference). The ciphertext names its key; a KeyId in the request must name the same. */
export const decrypt = operation(
  validation,
  z.object({
    CiphertextBlob: blob(1, 6144),
    KeyId: keyId.optional(),
    EncryptionContext: encryptionContext,
    EncryptionAlgorithm: algorithm,
    GrantTokens: grantTokens,
    Recipient: z.object({}).optional(),
    DryRun: z.boolean().optional(),
  }),
  (state, input, context) => {
    if (input.Recipient !== undefined) throw unsupported('The stub does not encrypt for a Recipient (Nitro Enclaves).');
    const named = input.KeyId === undefined ? undefined : resolveKey(state, input.KeyId, context);
    const ciphertext = decodeCiphertext(input.CiphertextBlob);
    const key = ciphertext && state.keys.get(ciphertext.keyId);
    if (ciphertext === undefined || key === undefined) throw invalidCiphertext();
    if (named !== undefined && named !== key) {
      throw new AwsError(
        'IncorrectKeyException',
        'The key ID in the request does not identify a CMK that can perform this operation.',
      );
    }
    requireUsable(state, key);
    requireAlgorithm(key, input.EncryptionAlgorithm);
    const sealed = { iv: ciphertext.iv, additionalData: additionalData(key.arn, input.EncryptionContext ?? {}) };
    const plaintext = context.token.decrypt(key.keyId, sealed, ciphertext.body);
    if (plaintext === undefined) throw invalidCiphertext();
    refuseDryRun(input.DryRun);
    const materialId = keyMaterialId(key);
    return {
      KeyId: key.arn,
      Plaintext: plaintext.toString('base64'),
      EncryptionAlgorithm: 'SYMMETRIC_DEFAULT',
      ...(materialId === undefined ? {} : { KeyMaterialId: materialId }),
    };
  },
);

/** AWS says nothing more, so that nobody learns which part was wrong. */
function invalidCiphertext(): AwsError {
  return new AwsError('InvalidCiphertextException');
}

function requireAlgorithm(key: Key, wanted: string | undefined): void {
  if (wanted === undefined || wanted === key.material.keySpec) return;
  throw new AwsError(
    'InvalidKeyUsageException',
    `Algorithm ${wanted} is incompatible with key spec ${key.material.keySpec}.`,
  );
}

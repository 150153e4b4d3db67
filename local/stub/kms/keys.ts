import * as z from 'zod';
import { AwsError } from '../aws-error.ts';
import type { Context } from '../context.ts';
import { operation, timestamp } from '../operation.ts';
import { page } from '../paging.ts';
import type { Key, KeyMaterial, StubState } from '../state.ts';
import { validation } from './errors.ts';
import { signingKeySpecs } from './key-specs.ts';
import { invalidState, keyStateOf } from './key-state.ts';
import { resolveKey } from './resolve.ts';

const day = 24 * 60 * 60 * 1000;
const keyId = z.string().min(1).max(2048);
const grantTokens = z.array(z.string().min(1).max(8192)).max(10).optional();

/** KeyMetadata (KMS API reference). */
export function keyMetadata(state: StubState, key: Key, context: Context): object {
  const keyState = keyStateOf(state, key);
  return {
    AWSAccountId: context.accountId,
    KeyId: key.keyId,
    Arn: key.arn,
    CreationDate: timestamp(key.createdAt),
    Enabled: keyState === 'Enabled',
    Description: key.description,
    KeyUsage: key.material.keyUsage,
    KeyState: keyState,
    ...(key.deletionDate === undefined ? {} : { DeletionDate: timestamp(key.deletionDate) }),
    Origin: key.origin,
    ...(key.customKeyStoreId === undefined ? {} : { CustomKeyStoreId: key.customKeyStoreId }),
    ...(key.cloudHsmClusterId === undefined ? {} : { CloudHsmClusterId: key.cloudHsmClusterId }),
    KeyManager: 'CUSTOMER',
    CustomerMasterKeySpec: key.material.keySpec,
    KeySpec: key.material.keySpec,
    ...algorithms(key.material),
    MultiRegion: false,
    ...(keyMaterialId(key) === undefined ? {} : { CurrentKeyMaterialId: keyMaterialId(key) }),
  };
}

/** The member that lists what a key can do, as DescribeKey and GetPublicKey have it. */
export function algorithms(material: KeyMaterial): object {
  if (material.keyUsage === 'SIGN_VERIFY') return { SigningAlgorithms: signingKeySpecs[material.keySpec] };
  return { EncryptionAlgorithms: [material.keySpec] };
}

/** Present for symmetric keys that KMS itself holds (KMS API reference, KeyMetadata). */
export function keyMaterialId(key: Key): string | undefined {
  return key.material.keyUsage === 'ENCRYPT_DECRYPT' ? key.material.keyMaterialId : undefined;
}

const describeKeyRequest = z.object({ KeyId: keyId, GrantTokens: grantTokens });

/** DescribeKey (KMS API reference). */
export const describeKey = operation(validation, describeKeyRequest, (state, input, context) => {
  return { KeyMetadata: keyMetadata(state, resolveKey(state, input.KeyId, context), context) };
});

/** ListKeys (KMS API reference). */
export const listKeys = operation(
  validation,
  z.object({ Limit: z.int().min(1).max(1000).optional(), Marker: z.string().min(1).max(1024).optional() }),
  (state, input) => {
    const found = page([...state.keys.values()], (key) => key.keyId, {
      list: 'keys',
      limit: input.Limit ?? 100,
      marker: input.Marker,
    });
    if (found === undefined) throw new AwsError('InvalidMarkerException', 'The marker is not valid.');
    return {
      Keys: found.items.map((key) => ({ KeyId: key.keyId, KeyArn: key.arn })),
      Truncated: found.next !== undefined,
      ...(found.next === undefined ? {} : { NextMarker: found.next }),
    };
  },
);

/** EnableKey and DisableKey (KMS API reference): what they set shows once the key is available. */
export const enableKey = setEnabled(true);
export const disableKey = setEnabled(false);

function setEnabled(enabled: boolean) {
  return operation(validation, z.object({ KeyId: keyId }), (state, input, context) => {
    const key = ownKey(state, input.KeyId, context);
    if (key.deletionDate !== undefined) throw invalidState(`${key.arn} is pending deletion.`);
    key.enabled = enabled;
    return undefined;
  });
}

/** ScheduleKeyDeletion (KMS API reference); the key is gone when its date comes. */
export const scheduleKeyDeletion = operation(
  validation,
  z.object({ KeyId: keyId, PendingWindowInDays: z.int().min(7).max(30).optional() }),
  (state, input, context) => {
    const key = ownKey(state, input.KeyId, context);
    if (key.deletionDate !== undefined) throw invalidState(`${key.arn} is pending deletion.`);
    const days = input.PendingWindowInDays ?? 30;
    key.deletionDate = context.now + days * day;
    return {
      KeyId: key.arn,
      DeletionDate: timestamp(key.deletionDate),
      KeyState: 'PendingDeletion',
      PendingWindowInDays: days,
    };
  },
);

/** CancelKeyDeletion (KMS API reference); the key comes back disabled. */
export const cancelKeyDeletion = operation(validation, z.object({ KeyId: keyId }), (state, input, context) => {
  const key = ownKey(state, input.KeyId, context);
  if (key.deletionDate === undefined) throw invalidState(`${key.arn} is not pending deletion.`);
  delete key.deletionDate;
  key.enabled = false;
  return { KeyId: key.arn };
});

/** Operations that manage a key take its id or ARN, and no alias. */
function ownKey(state: StubState, identifier: string, context: Context): Key {
  if (/(^|:)alias\//.test(identifier)) throw new AwsError('NotFoundException', `Invalid keyId '${identifier}'`);
  return resolveKey(state, identifier, context);
}

/** Removes the keys whose deletion date has come, in the token too, with their aliases. */
export function deleteDueKeys(state: StubState, context: Context): void {
  for (const key of state.keys.values()) {
    if (key.deletionDate === undefined || key.deletionDate > context.now) continue;
    context.token.destroyKey(key.keyId);
    state.keys.delete(key.keyId);
    for (const alias of state.aliases.values()) {
      if (alias.targetKeyId === key.keyId) state.aliases.delete(alias.aliasName);
    }
  }
}

import type { Operation } from '../operation.ts';
import { createAlias, listAliases } from './aliases.ts';
import { createKey } from './create-key.ts';
import {
  connectCustomKeyStore,
  createCustomKeyStore,
  describeCustomKeyStores,
  disconnectCustomKeyStore,
} from './custom-key-stores.ts';
import { decrypt, encrypt } from './encryption.ts';
import { cancelKeyDeletion, describeKey, disableKey, enableKey, listKeys, scheduleKeyDeletion } from './keys.ts';
import { getPublicKey, sign, verify } from './signing.ts';

/** KMS's operations by name (`X-Amz-Target: TrentService.<name>`). */
export const kmsOperations: Readonly<Record<string, Operation>> = {
  CancelKeyDeletion: cancelKeyDeletion,
  ConnectCustomKeyStore: connectCustomKeyStore,
  CreateAlias: createAlias,
  CreateCustomKeyStore: createCustomKeyStore,
  CreateKey: createKey,
  Decrypt: decrypt,
  DescribeCustomKeyStores: describeCustomKeyStores,
  DescribeKey: describeKey,
  DisableKey: disableKey,
  DisconnectCustomKeyStore: disconnectCustomKeyStore,
  EnableKey: enableKey,
  Encrypt: encrypt,
  GetPublicKey: getPublicKey,
  ListAliases: listAliases,
  ListKeys: listKeys,
  ScheduleKeyDeletion: scheduleKeyDeletion,
  Sign: sign,
  Verify: verify,
};

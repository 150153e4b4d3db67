import { randomBytes } from 'node:crypto';
import {
  CancelKeyDeletionCommand,
  ConnectCustomKeyStoreCommand,
  type ConnectionStateType,
  CreateAliasCommand,
  CreateCustomKeyStoreCommand,
  CreateKeyCommand,
  type CreateKeyCommandInput,
  type CustomKeyStoresListEntry,
  DecryptCommand,
  type DecryptCommandInput,
  DescribeCustomKeyStoresCommand,
  DescribeKeyCommand,
  DisableKeyCommand,
  DisconnectCustomKeyStoreCommand,
  EnableKeyCommand,
  EncryptCommand,
  type EncryptCommandInput,
  InvalidCiphertextException,
  ListAliasesCommand,
  ListKeysCommand,
  paginateDescribeCustomKeyStores,
  paginateListAliases,
  paginateListKeys,
  ScheduleKeyDeletionCommand,
} from '@aws-sdk/client-kms';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { accountId, callRaw, region, startTestStub, type TestStub } from './stub-fixture.ts';

let stub: TestStub;
beforeAll(async () => {
  stub = await startTestStub();
});
afterAll(() => stub.stop());
beforeEach(async () => {
  await stub.admin('clock', { offsetSeconds: 0 });
  await stub.admin('faults', { faults: [] });
  await stub.admin('cluster', { state: 'ACTIVE' });
  await stub.admin('hsms', { hsms: ['a', 'b', 'c'].map((zone) => ({ availabilityZone: `${region}${zone}` })) });
  await stub.admin('custom-key-store', { connectionState: 'CONNECTED' });
});

const sealing = 'alias/mintmark-sealing';
const unknownKey = '00000000-0000-4000-8000-000000000000';
const pin = Buffer.from('crypto_user:a PIN that must not be seen');

async function encrypt(input: Partial<EncryptCommandInput> = {}): Promise<Uint8Array> {
  const { CiphertextBlob } = await stub.kms.send(new EncryptCommand({ KeyId: sealing, Plaintext: pin, ...input }));
  if (CiphertextBlob === undefined) throw new Error('Encrypt gave no CiphertextBlob');
  return CiphertextBlob;
}

const decrypt = (input: DecryptCommandInput) => stub.kms.send(new DecryptCommand(input));

async function createKey(input: CreateKeyCommandInput = {}) {
  const { KeyMetadata } = await stub.kms.send(new CreateKeyCommand(input));
  if (KeyMetadata?.KeyId === undefined || KeyMetadata.Arn === undefined) throw new Error('CreateKey gave no key');
  return { ...KeyMetadata, KeyId: KeyMetadata.KeyId, Arn: KeyMetadata.Arn };
}

const keyState = async (KeyId: string) =>
  (await stub.kms.send(new DescribeKeyCommand({ KeyId }))).KeyMetadata?.KeyState;

describe('CreateKey and DescribeKey', () => {
  it('starts with a symmetric key of the custom key store', async () => {
    const { KeyMetadata } = await stub.kms.send(new DescribeKeyCommand({ KeyId: sealing }));
    expect(KeyMetadata).toEqual({
      AWSAccountId: accountId,
      KeyId: stub.sealingKeyId,
      Arn: `arn:aws:kms:${region}:${accountId}:key/${stub.sealingKeyId}`,
      CreationDate: expect.any(Date),
      Enabled: true,
      Description: expect.any(String),
      KeyUsage: 'ENCRYPT_DECRYPT',
      KeyState: 'Enabled',
      Origin: 'AWS_CLOUDHSM',
      CustomKeyStoreId: stub.customKeyStoreId,
      CloudHsmClusterId: stub.clusterId,
      KeyManager: 'CUSTOMER',
      CustomerMasterKeySpec: 'SYMMETRIC_DEFAULT',
      KeySpec: 'SYMMETRIC_DEFAULT',
      EncryptionAlgorithms: ['SYMMETRIC_DEFAULT'],
      MultiRegion: false,
    });
    expect(stub.sealingKeyArn).toBe(KeyMetadata?.Arn);
  });

  it('creates keys in the store and outside of it', async () => {
    const inStore = await createKey({ Origin: 'AWS_CLOUDHSM', CustomKeyStoreId: stub.customKeyStoreId });
    expect(inStore).toMatchObject({ Origin: 'AWS_CLOUDHSM', CloudHsmClusterId: stub.clusterId, KeyState: 'Enabled' });
    const own = await createKey({ Description: 'own', Tags: [{ TagKey: 'a', TagValue: '' }] });
    expect(own).toMatchObject({ Origin: 'AWS_KMS', Description: 'own' });
    expect(own).not.toHaveProperty('CustomKeyStoreId');
    expect(own.CurrentKeyMaterialId).toMatch(/^[0-9a-f]{64}$/);
    expect(inStore).not.toHaveProperty('CurrentKeyMaterialId');
    expect(own.KeyId).not.toBe(inStore.KeyId);
  });

  it.each(['ECC_NIST_P256', 'ECC_NIST_P384', 'RSA_2048', 'HMAC_256'] as const)(
    'refuses a %s key in a custom key store, whatever the state of the store',
    async (KeySpec) => {
      const KeyUsage = KeySpec === 'HMAC_256' ? 'GENERATE_VERIFY_MAC' : 'SIGN_VERIFY';
      const input = { KeySpec, KeyUsage, Origin: 'AWS_CLOUDHSM', CustomKeyStoreId: stub.customKeyStoreId } as const;
      const refusal = { name: 'UnsupportedOperationException', $metadata: { httpStatusCode: 400 } };
      await expect(createKey(input)).rejects.toMatchObject(refusal);
      await stub.admin('custom-key-store', { connectionState: 'DISCONNECTED' });
      await expect(createKey(input)).rejects.toMatchObject(refusal);
    },
  );

  it.each<[string, CreateKeyCommandInput, string]>([
    ['multi-Region in a store', { Origin: 'AWS_CLOUDHSM', MultiRegion: true }, 'UnsupportedOperationException'],
    ['another origin in a store', { Origin: 'AWS_KMS' }, 'ValidationException'],
    ['both key specs', { KeySpec: 'RSA_2048', CustomerMasterKeySpec: 'RSA_2048' }, 'ValidationException'],
  ])('refuses %s', async (_, input, name) => {
    await expect(createKey({ CustomKeyStoreId: stub.customKeyStoreId, ...input })).rejects.toMatchObject({ name });
  });

  it.each<[string, CreateKeyCommandInput, string]>([
    ['an unknown store', { Origin: 'AWS_CLOUDHSM', CustomKeyStoreId: 'cks-0' }, 'CustomKeyStoreNotFoundException'],
    ['a CloudHSM key outside of a store', { Origin: 'AWS_CLOUDHSM' }, 'ValidationException'],
    ['a signing usage of a symmetric key', { KeyUsage: 'SIGN_VERIFY' }, 'ValidationException'],
    ['an unknown key spec', { KeySpec: 'DES' as 'SM2' }, 'ValidationException'],
    ['an asymmetric key without a usage', { KeySpec: 'ECC_NIST_P256' }, 'ValidationException'],
    ['a curve that encrypts', { KeySpec: 'ECC_NIST_P256', KeyUsage: 'ENCRYPT_DECRYPT' }, 'ValidationException'],
    ['a curve it has not', { KeySpec: 'ECC_SECG_P256K1', KeyUsage: 'SIGN_VERIFY' }, 'UnsupportedOperationException'],
    ['RSA encryption', { KeySpec: 'RSA_2048', KeyUsage: 'ENCRYPT_DECRYPT' }, 'UnsupportedOperationException'],
    ['a signing key for CloudHSM', { KeySpec: 'RSA_2048', Origin: 'AWS_CLOUDHSM' }, 'UnsupportedOperationException'],
    ['imported material', { Origin: 'EXTERNAL' }, 'UnsupportedOperationException'],
  ])('refuses %s', async (_, input, name) => {
    await expect(createKey(input)).rejects.toMatchObject({ name });
  });

  it.each(['CONNECTING', 'DISCONNECTED', 'DISCONNECTING'] as const)('needs a connected store: %s', async (state) => {
    await stub.admin('custom-key-store', { connectionState: state });
    const call = createKey({ Origin: 'AWS_CLOUDHSM', CustomKeyStoreId: stub.customKeyStoreId });
    await expect(call).rejects.toMatchObject({ name: 'CustomKeyStoreInvalidStateException' });
  });

  it('needs active HSMs in two Availability Zones', async () => {
    await stub.admin('hsms', { hsms: [{ availabilityZone: `${region}a` }, { availabilityZone: `${region}a` }] });
    const call = createKey({ Origin: 'AWS_CLOUDHSM', CustomKeyStoreId: stub.customKeyStoreId });
    await expect(call).rejects.toMatchObject({ name: 'CloudHsmClusterInvalidConfigurationException' });
  });

  it('finds a key by id, ARN, alias and alias ARN, and says what it does not find', async () => {
    const aliasArn = `arn:aws:kms:${region}:${accountId}:${sealing}`;
    for (const KeyId of [stub.sealingKeyId, stub.sealingKeyArn, sealing, aliasArn]) {
      const { KeyMetadata } = await stub.kms.send(new DescribeKeyCommand({ KeyId }));
      expect(KeyMetadata?.KeyId).toBe(stub.sealingKeyId);
    }
    const refused: [string, string][] = [
      [unknownKey, 'NotFoundException'],
      ['alias/none', 'NotFoundException'],
      ['not-a-key', 'NotFoundException'],
      [`arn:aws:kms:us-east-1:${accountId}:key/${stub.sealingKeyId}`, 'NotFoundException'],
      [`arn:aws:kms:${region}:999999999999:key/${stub.sealingKeyId}`, 'AccessDeniedException'],
      ['arn:aws:s3:::bucket', 'InvalidArnException'],
    ];
    for (const [KeyId, name] of refused) {
      await expect(stub.kms.send(new DescribeKeyCommand({ KeyId })), KeyId).rejects.toMatchObject({ name });
    }
  });
});

describe('Encrypt and Decrypt', () => {
  it('decrypts what it encrypted, with and without a KeyId', async () => {
    const EncryptionContext = { purpose: 'pin', user: 'crypto_user' };
    const CiphertextBlob = await encrypt({ EncryptionContext });
    const expected = { KeyId: stub.sealingKeyArn, EncryptionAlgorithm: 'SYMMETRIC_DEFAULT' };
    const bare = await decrypt({ CiphertextBlob, EncryptionContext });
    expect(bare).toMatchObject(expected);
    expect(Buffer.from(bare.Plaintext ?? [])).toEqual(pin);
    for (const KeyId of [sealing, stub.sealingKeyId, stub.sealingKeyArn]) {
      const { Plaintext } = await decrypt({ CiphertextBlob, EncryptionContext, KeyId });
      expect(Buffer.from(Plaintext ?? [])).toEqual(pin);
    }
    expect(Buffer.from(CiphertextBlob).includes(pin)).toBe(false);
  });

  it('encrypts the same thing differently each time', async () => {
    expect(await encrypt()).not.toEqual(await encrypt());
  });

  it.each([
    ['another value', { purpose: 'PIN' }],
    ['one pair more', { purpose: 'pin', user: 'x' }],
    ['none', undefined],
  ])('refuses another context: %s', async (_, other) => {
    const CiphertextBlob = await encrypt({ EncryptionContext: { purpose: 'pin' } });
    const input = other === undefined ? { CiphertextBlob } : { CiphertextBlob, EncryptionContext: other };
    await expect(decrypt(input)).rejects.toBeInstanceOf(InvalidCiphertextException);
  });

  it('takes the pairs of a context in any order, and an empty one for none', async () => {
    const one = await encrypt({ EncryptionContext: { a: '1', b: '2', é: '3' } });
    await expect(
      decrypt({ CiphertextBlob: one, EncryptionContext: { é: '3', b: '2', a: '1' } }),
    ).resolves.toBeDefined();
    const other = await encrypt({ EncryptionContext: {} });
    await expect(decrypt({ CiphertextBlob: other })).resolves.toBeDefined();
  });

  it('binds the ciphertext to its encryption context', async () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 12 });
    // The SDK copies the map and would lose a pair named __proto__; test/unit/stub-ciphertext.test.ts has that one.
    const name = text.filter((candidate) => candidate !== '__proto__');
    const contexts = fc.dictionary(name, text, { maxKeys: 4, noNullPrototype: true });
    await fc.assert(
      fc.asyncProperty(
        contexts,
        contexts,
        fc.uint8Array({ minLength: 1, maxLength: 200 }),
        async (one, other, data) => {
          const CiphertextBlob = await encrypt({ EncryptionContext: one, Plaintext: data });
          const { Plaintext } = await decrypt({ CiphertextBlob, EncryptionContext: one });
          expect(Buffer.from(Plaintext ?? [])).toEqual(Buffer.from(data));
          const same = JSON.stringify(Object.entries(one).sort()) === JSON.stringify(Object.entries(other).sort());
          if (!same) {
            const call = decrypt({ CiphertextBlob, EncryptionContext: other });
            await expect(call).rejects.toBeInstanceOf(InvalidCiphertextException);
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  it('refuses a ciphertext with any byte changed, cut off or added', async () => {
    const good = Buffer.from(await encrypt({ Plaintext: Buffer.from('secret') }));
    const refused = (CiphertextBlob: Buffer) =>
      expect(decrypt({ CiphertextBlob })).rejects.toMatchObject({
        name: 'InvalidCiphertextException',
        $metadata: { httpStatusCode: 400 },
      });
    for (let index = 0; index < good.length; index += 1) {
      const changed = Buffer.from(good);
      changed.writeUInt8(changed.readUInt8(index) ^ 0x01, index);
      await refused(changed);
      if (index > 0) await refused(good.subarray(0, index));
    }
    await refused(Buffer.concat([good, Buffer.of(0)]));
    await expect(decrypt({ CiphertextBlob: good })).resolves.toBeDefined();
  });

  it('says nothing with InvalidCiphertextException, as AWS does', async () => {
    const body = JSON.stringify({ CiphertextBlob: randomBytes(80).toString('base64') });
    const response = await callRaw(stub.endpoint, 'TrentService.Decrypt', body);
    expect(await response.json()).toEqual({ __type: 'InvalidCiphertextException' });
  });

  it('refuses to decrypt with another key than the one that encrypted', async () => {
    const CiphertextBlob = await encrypt();
    const other = await createKey();
    await expect(decrypt({ CiphertextBlob, KeyId: other.KeyId })).rejects.toMatchObject({
      name: 'IncorrectKeyException',
    });
    await expect(decrypt({ CiphertextBlob, KeyId: unknownKey })).rejects.toMatchObject({ name: 'NotFoundException' });
  });

  it('takes 1 to 4096 bytes', async () => {
    const largest = randomBytes(4096);
    const CiphertextBlob = await encrypt({ Plaintext: largest });
    expect(Buffer.from((await decrypt({ CiphertextBlob })).Plaintext ?? [])).toEqual(largest);
    await expect(encrypt({ Plaintext: randomBytes(4097) })).rejects.toMatchObject({
      name: 'ValidationException',
      message:
        "1 validation error detected: Value at 'plaintext' failed to satisfy constraint: " +
        'Member must have length less than or equal to 4096',
    });
    await expect(encrypt({ Plaintext: Buffer.alloc(0) })).rejects.toMatchObject({ name: 'ValidationException' });
    const large = { CiphertextBlob: randomBytes(6145) };
    await expect(decrypt(large)).rejects.toMatchObject({ name: 'ValidationException' });
  });

  it('refuses an algorithm that the key does not have, and a dry run that would succeed', async () => {
    await expect(encrypt({ EncryptionAlgorithm: 'RSAES_OAEP_SHA_256' })).rejects.toMatchObject({
      name: 'InvalidKeyUsageException',
      message: 'Algorithm RSAES_OAEP_SHA_256 is incompatible with key spec SYMMETRIC_DEFAULT.',
    });
    await expect(encrypt({ DryRun: true })).rejects.toMatchObject({ name: 'DryRunOperationException' });
    const CiphertextBlob = await encrypt();
    await expect(decrypt({ CiphertextBlob, DryRun: true })).rejects.toMatchObject({ name: 'DryRunOperationException' });
  });

  it.each<[ConnectionStateType, object]>([
    ['FAILED', { connectionErrorCode: 'INVALID_CREDENTIALS' }],
    ['DISCONNECTED', {}],
    ['DISCONNECTING', {}],
    ['CONNECTING', {}],
  ])('works with a connected store only: %s', async (connectionState, details) => {
    const CiphertextBlob = await encrypt();
    await stub.admin('custom-key-store', { connectionState, ...details });
    expect(await keyState(sealing)).toBe('Unavailable');
    await expect(encrypt()).rejects.toMatchObject({ name: 'KMSInvalidStateException' });
    await expect(decrypt({ CiphertextBlob })).rejects.toMatchObject({ name: 'KMSInvalidStateException' });
    await stub.admin('custom-key-store', { connectionState: 'CONNECTED' });
    await expect(decrypt({ CiphertextBlob })).resolves.toBeDefined();
  });

  it('needs an active HSM although the store says CONNECTED, and one is enough', async () => {
    const CiphertextBlob = await encrypt();
    await stub.admin('hsms', { hsms: [{ availabilityZone: `${region}a`, state: 'DEGRADED' }] });
    await expect(decrypt({ CiphertextBlob })).rejects.toMatchObject({ name: 'KMSInvalidStateException' });
    await stub.admin('hsms', { hsms: [{ availabilityZone: `${region}a` }] });
    await expect(decrypt({ CiphertextBlob })).resolves.toBeDefined();
  });
});

describe('key states', () => {
  it('disables and enables', async () => {
    const { KeyId, Arn } = await createKey();
    const CiphertextBlob = await encrypt({ KeyId });
    await stub.kms.send(new DisableKeyCommand({ KeyId }));
    expect(await keyState(KeyId)).toBe('Disabled');
    const disabled = { name: 'DisabledException', message: `${Arn} is disabled.` };
    await expect(encrypt({ KeyId })).rejects.toMatchObject(disabled);
    await expect(decrypt({ CiphertextBlob })).rejects.toMatchObject(disabled);
    await stub.kms.send(new EnableKeyCommand({ KeyId }));
    await expect(decrypt({ CiphertextBlob })).resolves.toBeDefined();
    const byAlias = stub.kms.send(new DisableKeyCommand({ KeyId: sealing }));
    await expect(byAlias).rejects.toMatchObject({ name: 'NotFoundException' });
  });

  it('deletes a key when its date comes, and not before', async () => {
    const { KeyId, Arn } = await createKey();
    const CiphertextBlob = await encrypt({ KeyId });
    const schedule = () => stub.kms.send(new ScheduleKeyDeletionCommand({ KeyId, PendingWindowInDays: 7 }));
    expect(await schedule()).toMatchObject({ KeyId: Arn, KeyState: 'PendingDeletion', PendingWindowInDays: 7 });
    await expect(encrypt({ KeyId })).rejects.toMatchObject({
      name: 'KMSInvalidStateException',
      message: `${Arn} is pending deletion.`,
    });
    await expect(schedule()).rejects.toMatchObject({ name: 'KMSInvalidStateException' });
    await stub.kms.send(new CancelKeyDeletionCommand({ KeyId }));
    expect(await keyState(KeyId)).toBe('Disabled');
    await expect(stub.kms.send(new CancelKeyDeletionCommand({ KeyId }))).rejects.toMatchObject({
      name: 'KMSInvalidStateException',
    });

    await stub.kms.send(new CreateAliasCommand({ AliasName: 'alias/doomed', TargetKeyId: KeyId }));
    await schedule();
    await stub.admin('clock', { offsetSeconds: 6 * 24 * 3600 });
    expect(await keyState('alias/doomed')).toBe('PendingDeletion');
    await stub.admin('clock', { offsetSeconds: 8 * 24 * 3600 });
    await expect(keyState(KeyId)).rejects.toMatchObject({ name: 'NotFoundException' });
    await expect(keyState('alias/doomed')).rejects.toMatchObject({ name: 'NotFoundException' });
    await expect(decrypt({ CiphertextBlob })).rejects.toMatchObject({ name: 'InvalidCiphertextException' });
  });

  it('lists the keys page by page', async () => {
    const made = await createKey();
    const { Keys } = await stub.kms.send(new ListKeysCommand({}));
    expect(Keys).toContainEqual({ KeyId: made.KeyId, KeyArn: made.Arn });
    const paged: unknown[] = [];
    for await (const answer of paginateListKeys({ client: stub.kms, pageSize: 2 }, {}))
      paged.push(...(answer.Keys ?? []));
    expect(paged).toEqual(Keys);
  });
});

describe('aliases', () => {
  it('creates, resolves and lists them', async () => {
    const { KeyId } = await createKey();
    for (const name of ['alias/one', 'alias/two', 'alias/three/and_more']) {
      await stub.kms.send(new CreateAliasCommand({ AliasName: name, TargetKeyId: KeyId }));
    }
    const CiphertextBlob = await encrypt({ KeyId: 'alias/one' });
    await expect(decrypt({ CiphertextBlob, KeyId: 'alias/two' })).resolves.toBeDefined();
    const { Aliases, Truncated } = await stub.kms.send(new ListAliasesCommand({ KeyId }));
    expect(Truncated).toBe(false);
    expect(Aliases?.[0]).toEqual({
      AliasName: 'alias/one',
      AliasArn: `arn:aws:kms:${region}:${accountId}:alias/one`,
      TargetKeyId: KeyId,
      CreationDate: expect.any(Date),
      LastUpdatedDate: expect.any(Date),
    });
    const pages: number[] = [];
    const names: (string | undefined)[] = [];
    for await (const answer of paginateListAliases({ client: stub.kms, pageSize: 2 }, { KeyId })) {
      pages.push(answer.Aliases?.length ?? 0);
      names.push(...(answer.Aliases ?? []).map((alias) => alias.AliasName));
    }
    expect(pages).toEqual([2, 1]);
    expect(names).toEqual(['alias/one', 'alias/two', 'alias/three/and_more']);
  });

  it.each<[string, string, string]>([
    ['taken', sealing, 'AlreadyExistsException'],
    ['without its prefix', 'mintmark', 'ValidationException'],
    ["of AWS's own", 'alias/aws/ebs', 'InvalidAliasNameException'],
    ['with a colon', 'alias/a:b', 'InvalidAliasNameException'],
  ])('refuses a name %s', async (_, AliasName, name) => {
    const call = stub.kms.send(new CreateAliasCommand({ AliasName, TargetKeyId: stub.sealingKeyId }));
    await expect(call).rejects.toMatchObject({ name });
  });

  it('refuses an unknown key, an alias of an alias, and a marker that it did not give', async () => {
    const create = (TargetKeyId: string) =>
      stub.kms.send(new CreateAliasCommand({ AliasName: 'alias/x', TargetKeyId }));
    await expect(create(unknownKey)).rejects.toMatchObject({ name: 'NotFoundException' });
    await expect(create(sealing)).rejects.toMatchObject({ name: 'ValidationException' });
    const list = stub.kms.send(new ListAliasesCommand({ Marker: 'elsewhere' }));
    await expect(list).rejects.toMatchObject({ name: 'InvalidMarkerException' });
    const unknown = stub.kms.send(new ListAliasesCommand({ KeyId: unknownKey }));
    await expect(unknown).rejects.toMatchObject({ name: 'NotFoundException' });
  });
});

describe('custom key stores', () => {
  const describeStore = async (CustomKeyStoreId = stub.customKeyStoreId): Promise<CustomKeyStoresListEntry> => {
    const { CustomKeyStores } = await stub.kms.send(new DescribeCustomKeyStoresCommand({ CustomKeyStoreId }));
    return CustomKeyStores?.[0] ?? {};
  };
  const connect = (CustomKeyStoreId = stub.customKeyStoreId) =>
    stub.kms.send(new ConnectCustomKeyStoreCommand({ CustomKeyStoreId }));
  const disconnect = (CustomKeyStoreId = stub.customKeyStoreId) =>
    stub.kms.send(new DisconnectCustomKeyStoreCommand({ CustomKeyStoreId }));

  it('describes the store by id and by name', async () => {
    const byName = new DescribeCustomKeyStoresCommand({ CustomKeyStoreName: 'mintmark' });
    const { CustomKeyStores, Truncated } = await stub.kms.send(byName);
    expect(Truncated).toBe(false);
    expect(CustomKeyStores).toEqual([await describeStore()]);
    expect(CustomKeyStores?.[0]).toEqual({
      CustomKeyStoreId: expect.stringMatching(/^cks-[0-9a-f]{17}$/),
      CustomKeyStoreName: 'mintmark',
      CloudHsmClusterId: stub.clusterId,
      TrustAnchorCertificate: expect.stringMatching(/^-----BEGIN CERTIFICATE-----\n/),
      ConnectionState: 'CONNECTED',
      CreationDate: expect.any(Date),
      CustomKeyStoreType: 'AWS_CLOUDHSM',
    });
  });

  it('refuses an unknown id or name, and both at once', async () => {
    const find = (input: object) => stub.kms.send(new DescribeCustomKeyStoresCommand(input));
    const missing = { name: 'CustomKeyStoreNotFoundException' };
    await expect(find({ CustomKeyStoreId: 'cks-0' })).rejects.toMatchObject(missing);
    await expect(find({ CustomKeyStoreName: 'none' })).rejects.toMatchObject(missing);
    const both = find({ CustomKeyStoreId: stub.customKeyStoreId, CustomKeyStoreName: 'mintmark' });
    await expect(both).rejects.toMatchObject({ name: 'ValidationException' });
    await expect(find({ Marker: 'elsewhere' })).rejects.toMatchObject({ name: 'InvalidMarkerException' });
    await expect(connect('cks-0')).rejects.toMatchObject(missing);
    await expect(disconnect('cks-0')).rejects.toMatchObject(missing);
  });

  it('connects and disconnects in time, not at once', async () => {
    const failed = { connectionState: 'FAILED', connectionErrorCode: 'USER_LOGGED_IN' };
    await stub.admin('custom-key-store', failed);
    expect(await describeStore()).toMatchObject({ ConnectionState: 'FAILED', ConnectionErrorCode: 'USER_LOGGED_IN' });
    await expect(connect()).rejects.toMatchObject({ name: 'CustomKeyStoreInvalidStateException' });
    await disconnect();
    expect((await describeStore()).ConnectionState).toBe('DISCONNECTING');
    await expect(disconnect()).rejects.toMatchObject({ name: 'CustomKeyStoreInvalidStateException' });
    await expect(connect()).rejects.toMatchObject({ name: 'CustomKeyStoreInvalidStateException' });
    await stub.admin('clock', { offsetSeconds: 60 });
    const disconnected = await describeStore();
    expect(disconnected.ConnectionState).toBe('DISCONNECTED');
    expect(disconnected).not.toHaveProperty('ConnectionErrorCode');
    await expect(disconnect()).rejects.toMatchObject({ name: 'CustomKeyStoreInvalidStateException' });
    await connect();
    expect((await describeStore()).ConnectionState).toBe('CONNECTING');
    await stub.admin('clock', { offsetSeconds: 120 });
    expect((await describeStore()).ConnectionState).toBe('CONNECTED');
    await connect();
    expect((await describeStore()).ConnectionState).toBe('CONNECTED');
  });

  it('fails to connect when the last HSM goes meanwhile', async () => {
    await stub.admin('custom-key-store', { connectionState: 'DISCONNECTED' });
    await connect();
    await stub.admin('hsms', { hsms: [] });
    await stub.admin('clock', { offsetSeconds: 60 });
    expect(await describeStore()).toMatchObject({
      ConnectionState: 'FAILED',
      ConnectionErrorCode: 'INSUFFICIENT_CLOUDHSM_HSMS',
    });
  });

  it('refuses to connect without a working cluster', async () => {
    await stub.admin('custom-key-store', { connectionState: 'DISCONNECTED' });
    await stub.admin('hsms', { hsms: [] });
    await expect(connect()).rejects.toMatchObject({ name: 'CloudHsmClusterInvalidConfigurationException' });
    await stub.admin('cluster', { state: 'INITIALIZED' });
    await expect(connect()).rejects.toMatchObject({ name: 'CloudHsmClusterNotActiveException' });
  });

  it('creates a store on another cluster, connects it and makes a key in it', async () => {
    const made = await stub.admin('clusters', { hsmCount: 2 });
    const cluster = { id: String(made.clusterId), trustAnchor: String(made.trustAnchorCertificate) };
    const create = (changes: object = {}) =>
      stub.kms.send(
        new CreateCustomKeyStoreCommand({
          CustomKeyStoreName: 'second',
          CloudHsmClusterId: cluster.id,
          TrustAnchorCertificate: cluster.trustAnchor,
          KeyStorePassword: 'kmsuser-password',
          ...changes,
        }),
      );
    const { TrustAnchorCertificate: otherAnchor } = await describeStore();
    const refused: [object, string][] = [
      [{ CustomKeyStoreName: 'mintmark' }, 'CustomKeyStoreNameInUseException'],
      [{ CloudHsmClusterId: 'cluster-aaaaaaaaaaa' }, 'CloudHsmClusterNotFoundException'],
      [{ CloudHsmClusterId: stub.clusterId }, 'CloudHsmClusterInUseException'],
      [{ TrustAnchorCertificate: otherAnchor }, 'IncorrectTrustAnchorException'],
      [{ TrustAnchorCertificate: 'not a certificate' }, 'IncorrectTrustAnchorException'],
      [{ KeyStorePassword: 'short' }, 'ValidationException'],
      [{ KeyStorePassword: undefined }, 'ValidationException'],
      [{ CustomKeyStoreType: 'EXTERNAL_KEY_STORE' }, 'ValidationException'],
    ];
    for (const [changes, name] of refused) await expect(create(changes), name).rejects.toMatchObject({ name });
    await stub.admin('cluster', { clusterId: cluster.id, state: 'INITIALIZED' });
    await expect(create()).rejects.toMatchObject({ name: 'CloudHsmClusterNotActiveException' });
    await stub.admin('cluster', { clusterId: cluster.id, state: 'ACTIVE' });

    const { CustomKeyStoreId = '' } = await create();
    expect(await describeStore(CustomKeyStoreId)).toMatchObject({ ConnectionState: 'DISCONNECTED' });
    await connect(CustomKeyStoreId);
    await stub.admin('clock', { offsetSeconds: 60 });
    const key = await createKey({ Origin: 'AWS_CLOUDHSM', CustomKeyStoreId });
    expect(key).toMatchObject({ CustomKeyStoreId, CloudHsmClusterId: cluster.id });

    const pages: (string | undefined)[][] = [];
    for await (const answer of paginateDescribeCustomKeyStores({ client: stub.kms, pageSize: 1 }, {})) {
      pages.push((answer.CustomKeyStores ?? []).map((store) => store.CustomKeyStoreName));
    }
    expect(pages).toEqual([['mintmark'], ['second']]);

    const { clusterId, trustAnchorCertificate } = await stub.admin('clusters', { hsmCount: 1 });
    const tooFew = create({
      CustomKeyStoreName: 'third',
      CloudHsmClusterId: clusterId,
      TrustAnchorCertificate: trustAnchorCertificate,
    });
    await expect(tooFew).rejects.toMatchObject({ name: 'CloudHsmClusterInvalidConfigurationException' });
  });
});

it('logs no plaintext, ciphertext or password', async () => {
  const CiphertextBlob = Buffer.from(await encrypt({ EncryptionContext: { purpose: 'pin' } }));
  await expect(decrypt({ CiphertextBlob })).rejects.toBeInstanceOf(InvalidCiphertextException);
  await expect(
    callRaw(stub.endpoint, 'TrentService.Encrypt', `{"Plaintext": "${pin.toString('base64')}", oops`),
  ).resolves.toMatchObject({ status: 400 });
  const lines = JSON.stringify(stub.log);
  expect(lines).toContain('TrentService.Encrypt');
  for (const secret of [
    pin.toString(),
    pin.toString('base64'),
    CiphertextBlob.toString('base64'),
    'kmsuser-password',
  ]) {
    expect(lines).not.toContain(secret);
  }
  expect(stub.log.filter((entry) => entry.defect !== undefined)).toEqual([]);
});

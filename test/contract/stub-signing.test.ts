import { constants, createHash, createPublicKey, randomBytes, verify } from 'node:crypto';
import {
  CreateKeyCommand,
  type CreateKeyCommandInput,
  DescribeKeyCommand,
  DisableKeyCommand,
  DisconnectCustomKeyStoreCommand,
  EncryptCommand,
  GetPublicKeyCommand,
  type KeySpec,
  KMSInvalidSignatureException,
  ScheduleKeyDeletionCommand,
  SignCommand,
  type SignCommandInput,
  type SigningAlgorithmSpec,
  VerifyCommand,
} from '@aws-sdk/client-kms';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ecdsaFromDer } from '../../local/stub/kms/ecdsa-signature.ts';
import { ecdsaSignatureToDer } from '../../shared/signer/index.ts';
import { region, startTestStub, type TestStub } from './stub-fixture.ts';

let stub: TestStub;
const started: TestStub[] = [];

/** One SoftHSM2 in a process: the groups below come one after another, each with its stub. */
function withStub(settings: Parameters<typeof startTestStub>[0] = {}): void {
  beforeAll(async () => {
    stub = await startTestStub(settings);
    started.push(stub);
  });
  afterAll(async () => {
    await started.pop()?.stop();
  });
  beforeEach(async () => {
    stub.setFaults([]);
    await stub.admin('custom-key-store', { connectionState: 'CONNECTED' });
  });
}

async function createKey(KeySpec: KeySpec, input: CreateKeyCommandInput = {}): Promise<string> {
  const { KeyMetadata } = await stub.kms.send(new CreateKeyCommand({ KeySpec, KeyUsage: 'SIGN_VERIFY', ...input }));
  if (KeyMetadata?.Arn === undefined) throw new Error('CreateKey gave no key');
  return KeyMetadata.Arn;
}

const message = Buffer.from('to be signed');
const digestOf = (algorithm: SigningAlgorithmSpec) =>
  createHash(`sha${algorithm.slice(-3)}`)
    .update(message)
    .digest();

async function sign(KeyId: string, input: Partial<SignCommandInput> = {}): Promise<Buffer> {
  const SigningAlgorithm = 'ECDSA_SHA_256';
  const { Signature } = await stub.kms.send(new SignCommand({ KeyId, Message: message, SigningAlgorithm, ...input }));
  if (Signature === undefined) throw new Error('Sign gave no Signature');
  return Buffer.from(Signature);
}

/** The oracle: OpenSSL, by way of node:crypto, with the public key that GetPublicKey gave. */
async function isSignature(KeyId: string, algorithm: SigningAlgorithmSpec, signature: Uint8Array): Promise<boolean> {
  const { PublicKey } = await stub.kms.send(new GetPublicKeyCommand({ KeyId }));
  const key = createPublicKey({ key: Buffer.from(PublicKey ?? []), format: 'der', type: 'spki' });
  const pss = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST };
  const hash = `sha${algorithm.slice(-3)}`;
  return verify(hash, message, { key, ...(algorithm.startsWith('RSASSA_PSS') ? pss : {}) }, signature);
}

const rsa = ['PKCS1_V1_5', 'PSS'].flatMap((padding) =>
  [256, 384, 512].map((bits) => `RSASSA_${padding}_SHA_${bits}` as SigningAlgorithmSpec),
);
const specs: readonly [KeySpec, readonly SigningAlgorithmSpec[]][] = [
  ['ECC_NIST_P256', ['ECDSA_SHA_256']],
  ['ECC_NIST_P384', ['ECDSA_SHA_384']],
  ['ECC_NIST_P521', ['ECDSA_SHA_512']],
  ['RSA_2048', rsa],
  ['RSA_3072', rsa],
  ['RSA_4096', rsa],
];

describe('Sign, Verify and GetPublicKey', () => {
  withStub();

  it.each(specs)(
    '%s signs with its algorithms, messages and digests alike',
    async (KeySpec, algorithms) => {
      const KeyId = await createKey(KeySpec);
      const { KeyMetadata } = await stub.kms.send(new DescribeKeyCommand({ KeyId }));
      expect(KeyMetadata).toMatchObject({ KeySpec, CustomerMasterKeySpec: KeySpec, KeyUsage: 'SIGN_VERIFY' });
      expect(KeyMetadata).toMatchObject({ Origin: 'AWS_KMS', SigningAlgorithms: algorithms });
      expect(KeyMetadata).not.toHaveProperty('EncryptionAlgorithms');
      expect(KeyMetadata).not.toHaveProperty('CurrentKeyMaterialId');
      const { PublicKey, $metadata: _, ...shown } = await stub.kms.send(new GetPublicKeyCommand({ KeyId }));
      expect(PublicKey).toBeInstanceOf(Uint8Array);
      const common = { KeyId, KeySpec, CustomerMasterKeySpec: KeySpec, KeyUsage: 'SIGN_VERIFY' };
      expect(shown).toEqual({ ...common, SigningAlgorithms: algorithms });

      for (const SigningAlgorithm of algorithms) {
        const raw = await sign(KeyId, { SigningAlgorithm });
        const digest = digestOf(SigningAlgorithm);
        const ofDigest = await sign(KeyId, { SigningAlgorithm, MessageType: 'DIGEST', Message: digest });
        expect(await isSignature(KeyId, SigningAlgorithm, raw), SigningAlgorithm).toBe(true);
        expect(await isSignature(KeyId, SigningAlgorithm, ofDigest), SigningAlgorithm).toBe(true);
        const verified = { KeyId, SigningAlgorithm, Signature: ofDigest };
        expect(await stub.kms.send(new VerifyCommand({ ...verified, Message: message }))).toMatchObject({
          KeyId,
          SignatureValid: true,
          SigningAlgorithm,
        });
        const wrong = new VerifyCommand({ ...verified, Message: randomBytes(12) });
        await expect(stub.kms.send(wrong)).rejects.toBeInstanceOf(KMSInvalidSignatureException);
      }
    },
    60_000,
  );

  it('takes a signature in its one encoding, and nothing like it', async () => {
    const KeyId = await createKey('ECC_NIST_P256');
    const good = await sign(KeyId);
    const check = (Signature: Uint8Array) =>
      stub.kms.send(new VerifyCommand({ KeyId, Message: message, Signature, SigningAlgorithm: 'ECDSA_SHA_256' }));
    expect(await check(good)).toMatchObject({ SignatureValid: true });
    const raw = ecdsaFromDer(good, 32) ?? Buffer.alloc(0);
    const bad = [Buffer.from(good), good.subarray(1), Buffer.concat([good, Buffer.of(0)]), raw, Buffer.of(0x30, 0)];
    bad[0]?.writeUInt8((good.at(-1) ?? 0) ^ 1, good.length - 1);
    for (const signature of bad) await expect(check(signature)).rejects.toBeInstanceOf(KMSInvalidSignatureException);
  });

  it.each<[string, Partial<SignCommandInput>, string, RegExp]>([
    [
      "another type's algorithm",
      { SigningAlgorithm: 'RSASSA_PSS_SHA_256' },
      'InvalidKeyUsageException',
      /key spec ECC/,
    ],
    ["another curve's hash", { SigningAlgorithm: 'ECDSA_SHA_384' }, 'InvalidKeyUsageException', /ECC_NIST_P256/],
    ['an unknown algorithm', { SigningAlgorithm: 'MD5' as 'SM2DSA' }, 'ValidationException', /'signingAlgorithm'/],
    ['a short digest', { MessageType: 'DIGEST' }, 'ValidationException', /Digest is invalid length/],
    ['a mu', { MessageType: 'EXTERNAL_MU' }, 'ValidationException', /EXTERNAL_MU/],
    ['an empty message', { Message: new Uint8Array() }, 'ValidationException', /'message'/],
    ['a long message', { Message: new Uint8Array(4097) }, 'ValidationException', /'message'/],
    ['a dry run', { DryRun: true }, 'DryRunOperationException', /DryRun/],
    ['an unknown key', { KeyId: '00000000-0000-4000-8000-000000000000' }, 'NotFoundException', /does not exist/],
    ['a symmetric key', { KeyId: 'alias/mintmark-sealing' }, 'InvalidKeyUsageException', /ENCRYPT_DECRYPT/],
  ])('Sign refuses %s, and nothing is signed', async (_, input, name, text) => {
    const key = await createKey('ECC_NIST_P256');
    const before = stub.signatures().length;
    await expect(sign(key, input)).rejects.toMatchObject({ name, message: expect.stringMatching(text) as string });
    expect(stub.signatures()).toHaveLength(before);
  });

  it('keeps each key to its usage', async () => {
    const KeyId = await createKey('RSA_2048');
    const encrypting = stub.kms.send(new EncryptCommand({ KeyId, Plaintext: message }));
    await expect(encrypting).rejects.toMatchObject({ name: 'InvalidKeyUsageException' });
    const publicKey = stub.kms.send(new GetPublicKeyCommand({ KeyId: 'alias/mintmark-sealing' }));
    await expect(publicKey).rejects.toMatchObject({ name: 'UnsupportedOperationException' });
  });

  it('signs with no key that is disabled, pending deletion or deleted', async () => {
    const KeyId = await createKey('ECC_NIST_P256');
    await stub.kms.send(new DisableKeyCommand({ KeyId }));
    await expect(sign(KeyId)).rejects.toMatchObject({ name: 'DisabledException' });
    await stub.kms.send(new ScheduleKeyDeletionCommand({ KeyId, PendingWindowInDays: 7 }));
    await expect(sign(KeyId)).rejects.toMatchObject({ name: 'KMSInvalidStateException' });
    await stub.admin('clock', { offsetSeconds: 8 * 24 * 3600 });
    await expect(sign(KeyId)).rejects.toMatchObject({ name: 'NotFoundException' });
    await stub.admin('clock', { offsetSeconds: 0 });
  });
});

describe('faults of Sign', () => {
  let key: string;
  withStub();
  beforeAll(async () => {
    key = await createKey('ECC_NIST_P256');
  });

  const operation = 'TrentService.Sign';
  const digest = (byte: number) => Buffer.alloc(32, byte);
  const signDigest = (byte: number) => sign(key, { Message: digest(byte), MessageType: 'DIGEST' });
  /** By the first byte of each digest. */
  const signedSince = (count: number) =>
    stub
      .signatures()
      .slice(count)
      .map((each) => Number.parseInt(each.digest.slice(0, 2), 16));

  it('records what it signed, in order, for other processes too', async () => {
    const before = stub.signatures().length;
    for (const byte of [3, 1, 2]) await signDigest(byte);
    expect(signedSince(before)).toEqual([3, 1, 2]);
    const response = await fetch(`${stub.endpoint}/_stub/signatures`);
    const { signatures } = (await response.json()) as { signatures: unknown[] };
    expect(signatures).toEqual(stub.signatures());
    expect(signatures.at(-1)).toEqual({
      at: expect.any(Number) as number,
      keyId: key.split('/')[1],
      signingAlgorithm: 'ECDSA_SHA_256',
      digest: '02'.repeat(32),
    });
  });

  it.each(['ThrottlingException', 'KMSInternalException'])('%s for the next calls, nothing signed', async (code) => {
    const before = stub.signatures().length;
    stub.setFaults([{ operation, code, count: 2 }]);
    await expect(signDigest(1)).rejects.toMatchObject({ name: code });
    await expect(signDigest(2)).rejects.toMatchObject({ name: code });
    await signDigest(3);
    expect(signedSince(before)).toEqual([3]);
  });

  it('fails for as long as it is told', async () => {
    stub.setFaults([{ operation, code: 'ThrottlingException', count: -1 }]);
    for (const byte of [1, 2, 3]) await expect(signDigest(byte)).rejects.toMatchObject({ name: 'ThrottlingException' });
    stub.setFaults([]);
    await expect(signDigest(4)).resolves.toBeInstanceOf(Buffer);
  });

  it.each([
    ['before', []],
    ['after', [1]],
  ] as const)('drops the connection %s it signed', async (when, signed) => {
    const before = stub.signatures().length;
    await stub.admin('faults', { faults: [{ operation, effect: 'connection-dropped', when }] });
    await expect(signDigest(1)).rejects.toMatchObject({ code: 'ECONNRESET' });
    expect(signedSince(before)).toEqual(signed);
    expect(stub.log.at(-1)).toMatchObject({ target: operation, httpStatus: 0, errorCode: 'ConnectionDropped' });
    await expect(signDigest(2)).resolves.toBeInstanceOf(Buffer);
  });

  it.each(['ECC_NIST_P256', 'RSA_2048'] as const)('%s gives one wrong signature, still in form', async (KeySpec) => {
    const KeyId = await createKey(KeySpec);
    const SigningAlgorithm = KeySpec === 'RSA_2048' ? 'RSASSA_PKCS1_V1_5_SHA_256' : 'ECDSA_SHA_256';
    stub.setFaults([{ operation, effect: 'corrupt-signature' }]);
    const corrupt = await sign(KeyId, { SigningAlgorithm });
    expect(await isSignature(KeyId, SigningAlgorithm, corrupt)).toBe(false);
    if (KeySpec === 'ECC_NIST_P256') expect(ecdsaFromDer(corrupt, 32)).toBeDefined();
    expect(await isSignature(KeyId, SigningAlgorithm, await sign(KeyId, { SigningAlgorithm }))).toBe(true);
  });

  it('goes one call after another: what comes after a slow one is signed after it', async () => {
    const before = stub.signatures().length;
    stub.setFaults([{ operation, effect: 'slow', milliseconds: 50 }]);
    const slow = signDigest(1);
    await expect.poll(async () => (await stateOf(stub)).faults).toEqual([]);
    await Promise.all([slow, signDigest(2)]);
    expect(signedSince(before)).toEqual([1, 2]);
  });

  it('keeps no other operation waiting, and stops while calls are waiting without carrying them out', async () => {
    const other = await startOther();
    other.stub.setFaults([{ operation, effect: 'slow', milliseconds: 3_600_000 }]);
    const calls = Promise.allSettled([other.sign(), other.sign()]);
    await expect.poll(async () => (await stateOf(other.stub)).faults).toEqual([]);
    await expect(other.stub.kms.send(new DescribeKeyCommand({ KeyId: other.key }))).resolves.toBeDefined();
    await other.stub.stop();
    expect((await calls).map((result) => result.status)).toEqual(['rejected', 'rejected']);
    expect(other.stub.signatures()).toEqual([]);
    // In place of the group's own, which had to go: a process has one SoftHSM2 at a time.
    stub = await startTestStub();
    started.push(stub);
  });

  async function stateOf({ endpoint }: TestStub): Promise<{ faults: unknown[] }> {
    return (await fetch(`${endpoint}/_stub/state`)).json() as Promise<{ faults: unknown[] }>;
  }

  async function startOther() {
    const only = started.pop();
    await only?.stop();
    const other = await startTestStub();
    const { KeyMetadata } = await other.kms.send(
      new CreateKeyCommand({ KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' }),
    );
    const input = { KeyId: KeyMetadata?.KeyId, Message: message, SigningAlgorithm: 'ECDSA_SHA_256' } as const;
    return { stub: other, key: KeyMetadata?.KeyId, sign: () => other.kms.send(new SignCommand(input)) };
  }
});

describe('with the switch that lets custom key stores take signing keys', () => {
  withStub({ allowAsymmetricKeysInCustomKeyStores: true });
  const inStore = () => ({ Origin: 'AWS_CLOUDHSM', CustomKeyStoreId: stub.customKeyStoreId }) as const;

  it.each(specs)(
    '%s is made in the store, and signs',
    async (KeySpec, algorithms) => {
      const KeyId = await createKey(KeySpec, inStore());
      const { KeyMetadata } = await stub.kms.send(new DescribeKeyCommand({ KeyId }));
      expect(KeyMetadata).toMatchObject({
        Origin: 'AWS_CLOUDHSM',
        CustomKeyStoreId: stub.customKeyStoreId,
        CloudHsmClusterId: stub.clusterId,
        KeySpec,
        KeyUsage: 'SIGN_VERIFY',
        SigningAlgorithms: algorithms,
      });
      const [SigningAlgorithm = 'SM2DSA'] = algorithms;
      const Signature = await sign(KeyId, { SigningAlgorithm });
      expect(await isSignature(KeyId, SigningAlgorithm, Signature)).toBe(true);
      const verifying = new VerifyCommand({ KeyId, SigningAlgorithm, Signature, Message: message });
      expect(await stub.kms.send(verifying)).toMatchObject({ SignatureValid: true });
    },
    60_000,
  );

  it("obeys the store's state", async () => {
    const KeyId = await createKey('ECC_NIST_P256', inStore());
    await stub.kms.send(new DisconnectCustomKeyStoreCommand({ CustomKeyStoreId: stub.customKeyStoreId }));
    const invalid = { name: 'KMSInvalidStateException' };
    await expect(sign(KeyId)).rejects.toMatchObject(invalid);
    await expect(stub.kms.send(new GetPublicKeyCommand({ KeyId }))).rejects.toMatchObject(invalid);
    const { KeyMetadata } = await stub.kms.send(new DescribeKeyCommand({ KeyId }));
    expect(KeyMetadata).toMatchObject({ KeyState: 'Unavailable', Enabled: false });
    const creating = createKey('ECC_NIST_P256', inStore());
    await expect(creating).rejects.toMatchObject({ name: 'CustomKeyStoreInvalidStateException' });
    await stub.admin('custom-key-store', { connectionState: 'CONNECTED' });
    await stub.admin('hsms', { hsms: [{ availabilityZone: `${region}a`, state: 'DEGRADED' }] });
    await expect(sign(KeyId)).rejects.toMatchObject(invalid);
    await stub.admin('hsms', { hsms: ['a', 'b'].map((zone) => ({ availabilityZone: `${region}${zone}` })) });
    expect(await isSignature(KeyId, 'ECDSA_SHA_256', await sign(KeyId))).toBe(true);
  });

  it.each<[string, CreateKeyCommandInput]>([
    ['an HMAC key', { KeySpec: 'HMAC_256', KeyUsage: 'GENERATE_VERIFY_MAC' }],
    ['a curve that it has not', { KeySpec: 'ECC_SECG_P256K1', KeyUsage: 'SIGN_VERIFY' }],
    ['a multi-Region key', { KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY', MultiRegion: true }],
  ])('still refuses %s', async (_, input) => {
    const call = stub.kms.send(new CreateKeyCommand({ ...inStore(), ...input }));
    await expect(call).rejects.toMatchObject({ name: 'UnsupportedOperationException' });
  });
});

describe("ECDSA signatures between KMS's form and PKCS#11's", () => {
  it('are the same numbers, in one form only', () => {
    const number = (size: number) => fc.oneof(fc.uint8Array({ minLength: size, maxLength: size }), leadingZeros(size));
    const leadingZeros = (size: number) =>
      fc.integer({ min: 1, max: size }).map((zeros) => Buffer.alloc(size, 0xff).fill(0, 0, zeros));
    const raws = fc.constantFrom(32, 48, 66).chain((size) => fc.tuple(number(size), number(size)));
    fc.assert(
      fc.property(raws, ([r, s]) => {
        const raw = Buffer.concat([r, s]);
        expect(ecdsaFromDer(Buffer.from(ecdsaSignatureToDer(raw)), r.length)).toEqual(raw);
      }),
    );
    const bytes = fc.tuple(fc.constantFrom(32, 48, 66), fc.uint8Array({ maxLength: 140 }));
    fc.assert(
      fc.property(bytes, ([size, der]) => {
        const raw = ecdsaFromDer(Buffer.from(der), size);
        if (raw !== undefined) expect(Buffer.from(ecdsaSignatureToDer(raw))).toEqual(Buffer.from(der));
      }),
    );
  });
});

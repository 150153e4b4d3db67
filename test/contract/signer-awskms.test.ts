import { createHash, createPublicKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import {
  CreateKeyCommand,
  DisableKeyCommand,
  EnableKeyCommand,
  GetPublicKeyCommand,
  type KeySpec,
  KMSClient,
  ScheduleKeyDeletionCommand,
} from '@aws-sdk/client-kms';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { FaultRequest } from '../../local/stub/faults.ts';
import { readIssuerCertificate } from '../../shared/issuance/issuer-certificate.ts';
import { openIssuerSigner } from '../../shared/issuance/issuer-signer.ts';
import type { SignatureCounts } from '../../shared/issuance/signature-counts.ts';
import { type AwsKmsSignerOptions, openAwsKmsSigner } from '../../shared/signer/awskms.ts';
import type { SignatureScheme, Signer } from '../../shared/signer/port.ts';
import { makeIssuingCa } from '../support/issuing-ca.ts';
import { describeSignerContract, isSignatureOf, type SignerFaults } from './signer.ts';
import { accountId, region, startTestStub, type TestStub } from './stub-fixture.ts';

const secretAccessKey = randomBytes(30).toString('base64');

let stub: TestStub;
/** With the SDK's own retries, as the functions have it. */
let kms: KMSClient;
/** How often a signature was asked for again, as the functions tell it. */
let askedAgain = 0;

beforeAll(async () => {
  stub = await startTestStub({ allowAsymmetricKeysInCustomKeyStores: true });
  const credentials = { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey };
  kms = new KMSClient({ region, credentials, endpoint: stub.endpoint });
});

afterEach(() => stub.setFaults([]));

afterAll(async () => {
  kms?.destroy();
  await stub?.stop();
});

const operation = 'TrentService.Sign';

const faults: SignerFaults = {
  busy: (count) => stub.setFaults([{ operation, count, code: 'ThrottlingException' }]),
  sessionLost: (count) => stub.setFaults([{ operation, count, effect: 'connection-dropped' }]),
  replyLost: (count) => stub.setFaults([{ operation, count, code: 'KMSInternalException', when: 'after' }]),
  corrupt: (count) => stub.setFaults([{ operation: 'TrentService.Sign', count, effect: 'corrupt-signature' }]),
  slow: (count, milliseconds) => stub.setFaults([{ operation, count, effect: 'slow', milliseconds }]),
  none: () => stub.setFaults([]),
};

interface TestKey {
  readonly uri: string;
  readonly arn: string;
  readonly publicKey: KeyObject;
}

async function createKey(keySpec: KeySpec, customKeyStoreId?: string): Promise<TestKey> {
  const { KeyMetadata: created } = await kms.send(
    new CreateKeyCommand({
      KeySpec: keySpec,
      KeyUsage: 'SIGN_VERIFY',
      ...(customKeyStoreId === undefined ? {} : { Origin: 'AWS_CLOUDHSM', CustomKeyStoreId: customKeyStoreId }),
    }),
  );
  const arn = created?.Arn ?? '';
  const { PublicKey: spki = new Uint8Array() } = await kms.send(new GetPublicKeyCommand({ KeyId: arn }));
  const publicKey = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' });
  return { uri: `awskms:key-id=${arn}`, arn, publicKey };
}

function open(key: TestKey, options: Partial<AwsKmsSignerOptions> = {}): Promise<Signer> {
  return openAwsKmsSigner({
    kms,
    uri: key.uri,
    certificatePublicKey: key.publicKey,
    deadline: Date.now() + 10_000,
    now: Date.now,
    onAskedAgain: () => (askedAgain += 1),
    ...options,
  });
}

const soon = (): number => Date.now() + 10_000;

async function signs(signer: Signer): Promise<boolean> {
  const message = randomBytes(40);
  const [result] = await signer.sign([createHash(signer.scheme.hash).update(message).digest()], soon());
  return result !== undefined && 'signature' in result && isSignatureOf(signer, message, result.signature);
}

const contracts: readonly (readonly [KeySpec, SignatureScheme | undefined, inKeyStore: boolean])[] = [
  ['ECC_NIST_P256', undefined, false],
  ['ECC_NIST_P384', undefined, false],
  ['RSA_2048', undefined, false],
  ['RSA_2048', { algorithm: 'rsa-pss', hash: 'sha256' }, false],
  ['ECC_NIST_P256', undefined, true],
];

for (const [keySpec, scheme, inKeyStore] of contracts) {
  const name = `an awskms: signer with ${keySpec}${scheme === undefined ? '' : ' by PSS'}${inKeyStore ? ' in the custom key store' : ''}`;
  describeSignerContract(name, async () => {
    const key = await createKey(keySpec, inKeyStore ? stub.customKeyStoreId : undefined);
    const signer = await open(key, scheme === undefined ? {} : { scheme });
    return {
      signer,
      faults,
      inOrder: false,
      atATime: 1,
      uri: key.uri,
      signedDigests: () => stub.signatures().map(({ digest }) => digest),
      secrets: [secretAccessKey],
    };
  });
}

describe('an awskms: signer', () => {
  it.each([
    ['ECC_NIST_P521', undefined],
    ['RSA_3072', undefined],
    ['RSA_4096', { algorithm: 'rsa-pkcs1-v1_5', hash: 'sha512' }],
    ['RSA_2048', { algorithm: 'rsa-pkcs1-v1_5', hash: 'sha384' }],
    ['RSA_2048', { algorithm: 'rsa-pss', hash: 'sha384' }],
    ['RSA_2048', { algorithm: 'rsa-pss', hash: 'sha512' }],
  ] satisfies [KeySpec, SignatureScheme | undefined][])('signs with %s by %o', async (keySpec, scheme) => {
    const signer = await open(await createKey(keySpec), scheme === undefined ? {} : { scheme });
    expect(await signs(signer)).toBe(true);
  });

  it('asks again, by itself, what KMS throttled or did not answer', async () => {
    const signer = await open(await createKey('ECC_NIST_P256'));
    for (const fault of [
      { operation, code: 'ThrottlingException' },
      { operation, code: 'KMSInternalException' },
      { operation, effect: 'connection-dropped' },
    ] as const) {
      stub.setFaults([fault]);
      const before = stub.signatures().length;
      expect(await signs(signer)).toBe(true);
      expect(stub.signatures()).toHaveLength(before + 1);
    }
  });

  it('has the same digest signed twice when the first answer was lost, and tells that it asked again', async () => {
    const signer = await open(await createKey('ECC_NIST_P256'));
    const [signedBefore, toldBefore] = [stub.signatures().length, askedAgain];
    stub.setFaults([{ operation, effect: 'connection-dropped', when: 'after' }]);
    expect(await signs(signer)).toBe(true);
    const [first, second, ...more] = stub.signatures().slice(signedBefore);
    expect(second?.digest).toBe(first?.digest);
    expect(more).toEqual([]);
    expect(askedAgain - toldBefore).toBe(1);
  });

  it.each([
    ['nothing in the way', []],
    ['one answer lost', [{ operation, effect: 'connection-dropped', when: 'after' }]],
    [
      'several lost, before and after it signed',
      [
        { operation, count: 2, effect: 'connection-dropped', when: 'after' },
        { operation, count: 2, effect: 'connection-dropped' },
      ],
    ],
    ['throttled', [{ operation, count: 2, code: 'ThrottlingException' }]],
    ['every answer lost', [{ operation, count: -1, effect: 'connection-dropped', when: 'after' }]],
    ['a key that is refused', [{ operation, count: -1, code: 'AccessDeniedException' }]],
  ] satisfies [string, FaultRequest[]][])('asks KMS as often as is told: %s', async (_, set) => {
    const signer = await open(await createKey('ECC_NIST_P256'));
    const asked = () => stub.log.filter(({ target }) => target === operation).length;
    const [askedBefore, toldBefore] = [asked(), askedAgain];
    stub.setFaults(set);
    await signer.sign([randomBytes(32), randomBytes(32), randomBytes(32)], soon());
    expect(asked() - askedBefore).toBe(3 + askedAgain - toldBefore);
  });

  it('tells it of its issuer, as one signature more that was asked for', async () => {
    const key = await createKey('ECC_NIST_P256');
    const told: SignatureCounts[] = [];
    const ca = makeIssuingCa({ notBefore: new Date(0), notAfter: new Date(8.64e13) });
    const signer = await openIssuerSigner(
      {
        kms,
        region,
        stage: 'test',
        library: '',
        workerUrl: new URL('file:///none'),
        sessions: 1,
        now: Date.now,
        random: Math.random,
        onRecovered: () => undefined,
        onSigned: (counts) => told.push(counts),
      },
      { ...ca.issuer, issuerId: 'in-kms', signerUri: key.uri },
      { ...readIssuerCertificate('in-kms', ca.issuer.certificate), publicKey: key.publicKey },
      soon(),
      'standing',
    );
    expect(await signs(signer)).toBe(true);
    expect(told).toEqual([]);
    stub.setFaults([{ operation, effect: 'connection-dropped', when: 'after' }]);
    expect(await signs(signer)).toBe(true);
    expect(told).toEqual([{ issuerId: 'in-kms', requested: 1 }]);
  });

  it('tells before it asks again: what cannot be told is not asked for', async () => {
    const signer = await open(await createKey('ECC_NIST_P256'), {
      onAskedAgain: () => {
        throw new Error('The log is gone.');
      },
    });
    const before = stub.signatures().length;
    stub.setFaults([{ operation, effect: 'connection-dropped', when: 'after' }]);
    expect(await signer.sign([randomBytes(32)], soon())).toMatchObject([{ error: { code: 'SIGNER_UNAVAILABLE' } }]);
    expect(stub.signatures()).toHaveLength(before + 1);
  });

  it.each([
    ['ThrottlingException', 'SIGNER_UNAVAILABLE'],
    ['KeyUnavailableException', 'SIGNER_UNAVAILABLE'],
    ['AccessDeniedException', 'SIGNER_MISCONFIGURED'],
    ['NotFoundException', 'SIGNER_MISCONFIGURED'],
  ])('answers %s with %s', async (name, expected) => {
    const signer = await open(await createKey('ECC_NIST_P256'));
    stub.setFaults([{ operation, count: -1, code: name }]);
    const [result] = await signer.sign([randomBytes(32)], soon());
    expect(result).toMatchObject({ error: { code: expected, message: expect.stringContaining(name) } });
  });

  it('answers with the state of a key that was disabled meanwhile, and signs when it is enabled', async () => {
    const key = await createKey('ECC_NIST_P256');
    const signer = await open(key);
    await kms.send(new DisableKeyCommand({ KeyId: key.arn }));
    const [result] = await signer.sign([randomBytes(32)], soon());
    expect(result).toMatchObject({ error: { code: 'SIGNER_MISCONFIGURED' } });
    await kms.send(new EnableKeyCommand({ KeyId: key.arn }));
    expect(await signs(signer)).toBe(true);
  });

  it('says of a key that is to be deleted that nothing passes by itself, asking once for a whole batch', async () => {
    const key = await createKey('ECC_NIST_P256');
    const signer = await open(key);
    await kms.send(new ScheduleKeyDeletionCommand({ KeyId: key.arn, PendingWindowInDays: 7 }));
    const describeKey = 'TrentService.DescribeKey';
    const asked = () => stub.log.filter(({ target }) => target === describeKey).length;
    const before = asked();
    const results = await signer.sign([randomBytes(32), randomBytes(32), randomBytes(32)], soon());
    for (const result of results) {
      expect(result).toMatchObject({
        error: { code: 'SIGNER_MISCONFIGURED', message: expect.stringContaining('PendingDeletion') },
      });
    }
    expect(asked()).toBe(before + 1);
  });

  it('waits for the key store of a key in it', async () => {
    const key = await createKey('ECC_NIST_P256', stub.customKeyStoreId);
    const signer = await open(key);
    await stub.admin('custom-key-store', { connectionState: 'DISCONNECTED' });
    try {
      const [result] = await signer.sign([randomBytes(32)], soon());
      expect(result).toMatchObject({ error: { code: 'SIGNER_UNAVAILABLE' } });
      await expect(open(key)).rejects.toMatchObject({ code: 'SIGNER_UNAVAILABLE' });
    } finally {
      await stub.admin('custom-key-store', { connectionState: 'CONNECTED' });
    }
    expect(await signs(signer)).toBe(true);
  });
});

describe('opening an awskms: signer', () => {
  const refused = (message: RegExp) => ({ code: 'SIGNER_MISCONFIGURED', message: expect.stringMatching(message) });

  it('says that a key of the custom key store is symmetric and cannot sign', async () => {
    const key: TestKey = {
      uri: `awskms:key-id=${stub.sealingKeyArn}`,
      arn: stub.sealingKeyArn,
      publicKey: generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey,
    };
    await expect(open(key)).rejects.toMatchObject(
      refused(
        /is symmetric, as AWS wants every key of a custom key store .*Origin AWS_KMS, or sign with a pkcs11: key/,
      ),
    );
  });

  it('refuses a key for something else', async () => {
    const { KeyMetadata: created } = await kms.send(new CreateKeyCommand({}));
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const key = { uri: `awskms:key-id=${created?.Arn}`, arn: '', publicKey };
    await expect(open(key)).rejects.toMatchObject(refused(/has the KeyUsage ENCRYPT_DECRYPT, not SIGN_VERIFY/));
  });

  it("refuses a key that is not the one in the issuer's certificate", async () => {
    const key = await createKey('ECC_NIST_P256');
    const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey;
    await expect(open({ ...key, publicKey: other })).rejects.toMatchObject(refused(/not the one in the issuer's/));
  });

  it('refuses a scheme that the key does not have', async () => {
    const key = await createKey('ECC_NIST_P384');
    const scheme: SignatureScheme = { algorithm: 'ecdsa', hash: 'sha256' };
    await expect(open(key, { scheme })).rejects.toMatchObject(
      refused(/ECC_NIST_P384\) cannot sign with ECDSA_SHA_256/),
    );
  });

  it('refuses a key that is not enabled', async () => {
    const key = await createKey('ECC_NIST_P256');
    await kms.send(new ScheduleKeyDeletionCommand({ KeyId: key.arn, PendingWindowInDays: 7 }));
    await expect(open(key)).rejects.toMatchObject(refused(/is PendingDeletion, not Enabled/));
  });

  it('refuses a key of another Region, with how a multi-Region key is named', async () => {
    const key = await createKey('ECC_NIST_P256');
    const uri = key.uri.replace(region, 'us-east-1');
    await expect(open({ ...key, uri })).rejects.toMatchObject(
      refused(/names a key in us-east-1, and this function runs in .*mrk-/),
    );
  });

  it('refuses a key of a kind that signs no digests', async () => {
    const key = await createKey('ECC_NIST_P256');
    const { publicKey } = generateKeyPairSync('ed25519');
    await expect(open({ ...key, publicKey })).rejects.toMatchObject(refused(/of the kind ed25519/));
  });

  it('refuses a key that is not there', async () => {
    const key = await createKey('ECC_NIST_P256');
    const uri = `awskms:key-id=arn:aws:kms:${region}:${accountId}:key/00000000-0000-4000-8000-000000000000`;
    await expect(open({ ...key, uri })).rejects.toMatchObject(refused(/NotFoundException/));
  });

  it('says unavailable when KMS is busy or silent, and late when the time is over', async () => {
    const key = await createKey('ECC_NIST_P256');
    const describeKey = 'TrentService.DescribeKey';
    stub.setFaults([{ operation: describeKey, count: -1, code: 'ThrottlingException' }]);
    await expect(open(key)).rejects.toMatchObject({ code: 'SIGNER_UNAVAILABLE' });
    stub.setFaults([{ operation: describeKey, count: -1, effect: 'connection-dropped' }]);
    await expect(open(key)).rejects.toMatchObject({ code: 'SIGNER_UNAVAILABLE' });
    stub.setFaults([{ operation: describeKey, count: -1, effect: 'slow', milliseconds: 1_000 }]);
    await expect(open(key, { deadline: Date.now() + 200 })).rejects.toMatchObject({ code: 'SIGNER_DEADLINE' });
    await expect(open(key, { deadline: Date.now() - 1 })).rejects.toMatchObject({ code: 'SIGNER_DEADLINE' });
  });
});

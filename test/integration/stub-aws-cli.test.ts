import { type ExecFileException, execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { orWhyNot, unavailable } from './localstack-fixture.ts';
import { awsCli, type StubForClients, startStubForClients } from './stub-client.ts';

const run = promisify(execFile);

describe.skipIf(unavailable !== undefined)(`the stub used by the AWS CLI${orWhyNot}`, () => {
  let stub: StubForClients;
  const folder = mkdtempSync(join(tmpdir(), 'mintmark-stub-cli-'));
  const path = (name: string) => join(folder, name);
  beforeAll(async () => {
    stub = await startStubForClients();
  });
  afterAll(async () => {
    await stub?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  /** What the CLI prints, as JSON. */
  async function aws<Answer>(...args: readonly string[]): Promise<Answer> {
    const { stdout } = await run(awsCli(), [...args, '--output', 'json'], { env: stub.environment });
    return (stdout === '' ? undefined : JSON.parse(stdout)) as Answer;
  }

  /** What version 1 of it prints where it fails because the service refused. */
  async function refused(...args: readonly string[]): Promise<string> {
    const error: unknown = await aws(...args).catch((reason: unknown) => reason);
    const { code, stderr } = error as ExecFileException & { stderr: string };
    expect(code, stderr).toBe(255);
    return stderr;
  }

  async function admin<Answer>(command: string, body: object): Promise<Answer> {
    const response = await fetch(`${stub.endpoint}/_stub/${command}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    expect(response.status).toBe(200);
    return response.json() as Promise<Answer>;
  }

  interface Key {
    readonly KeyMetadata: { readonly KeyId: string; readonly Arn: string; readonly KeyState: string };
  }

  it('creates a custom key store, connects it, makes a key in it, and seals with that', async () => {
    const cluster = await admin<{ clusterId: string; trustAnchorCertificate: string }>('clusters', {});
    writeFileSync(path('customerCA.crt'), cluster.trustAnchorCertificate);
    const { CustomKeyStoreId: store } = await aws<{ CustomKeyStoreId: string }>(
      'kms',
      'create-custom-key-store',
      '--custom-key-store-name',
      'cli',
      '--cloud-hsm-cluster-id',
      cluster.clusterId,
      '--trust-anchor-certificate',
      `file://${path('customerCA.crt')}`,
      '--key-store-password',
      'kmsuser-password',
    );
    const inStore = ['kms', 'create-key', '--origin', 'AWS_CLOUDHSM', '--custom-key-store-id', store];
    expect(await refused(...inStore)).toContain('(CustomKeyStoreInvalidStateException)');
    await aws('kms', 'connect-custom-key-store', '--custom-key-store-id', store);
    await admin('clock', { offsetSeconds: 60 });
    const { CustomKeyStores } = await aws<{ CustomKeyStores: object[] }>(
      'kms',
      'describe-custom-key-stores',
      '--custom-key-store-id',
      store,
    );
    expect(CustomKeyStores).toMatchObject([{ ConnectionState: 'CONNECTED', CloudHsmClusterId: cluster.clusterId }]);
    const { KeyMetadata } = await aws<Key>(...inStore);
    expect(KeyMetadata).toMatchObject({ Origin: 'AWS_CLOUDHSM', CustomKeyStoreId: store, KeyState: 'Enabled' });

    writeFileSync(path('pin'), 'crypto_user:a PIN');
    const context = ['--encryption-context', 'purpose=signer PIN,issuer=fleet'];
    const { CiphertextBlob } = await aws<{ CiphertextBlob: string }>(
      'kms',
      'encrypt',
      '--key-id',
      KeyMetadata.Arn,
      '--plaintext',
      `fileb://${path('pin')}`,
      ...context,
    );
    writeFileSync(path('sealed'), Buffer.from(CiphertextBlob, 'base64'));
    const decrypt = ['kms', 'decrypt', '--ciphertext-blob', `fileb://${path('sealed')}`];
    const { Plaintext } = await aws<{ Plaintext: string }>(...decrypt, ...context);
    expect(Buffer.from(Plaintext, 'base64').toString()).toBe('crypto_user:a PIN');
    expect(await refused(...decrypt)).toContain('(InvalidCiphertextException)');

    await aws('kms', 'disconnect-custom-key-store', '--custom-key-store-id', store);
    expect(await refused(...decrypt, ...context)).toContain('(KMSInvalidStateException)');
  });

  it.each([
    ['ECC_NIST_P256', 'ECDSA_SHA_256', []],
    ['RSA_3072', 'RSASSA_PSS_SHA_384', ['-sigopt', 'rsa_padding_mode:pss', '-sigopt', 'rsa_pss_saltlen:digest']],
  ])('signs with %s and %s, as openssl verifies', async (spec, algorithm, options) => {
    const { KeyMetadata } = await aws<Key>('kms', 'create-key', '--key-spec', spec, '--key-usage', 'SIGN_VERIFY');
    const name = (what: string) => path(`${spec}.${what}`);
    const key = ['--key-id', KeyMetadata.KeyId];
    const { PublicKey } = await aws<{ PublicKey: string }>('kms', 'get-public-key', ...key);
    writeFileSync(name('der'), Buffer.from(PublicKey, 'base64'));
    writeFileSync(name('message'), `signed with ${spec}`);
    const common = [...key, '--message', `fileb://${name('message')}`, '--signing-algorithm', algorithm];
    const { Signature } = await aws<{ Signature: string }>('kms', 'sign', ...common);
    writeFileSync(name('signature'), Buffer.from(Signature, 'base64'));
    const { stdout } = await run('openssl', [
      'dgst',
      `-sha${algorithm.slice(-3)}`,
      '-verify',
      name('der'),
      '-keyform',
      'DER',
      '-signature',
      name('signature'),
      ...options,
      name('message'),
    ]);
    expect(stdout).toBe('Verified OK\n');
    const given = ['--signature', `fileb://${name('signature')}`];
    const verified = await aws('kms', 'verify', ...common, ...given);
    expect(verified).toMatchObject({ SignatureValid: true, SigningAlgorithm: algorithm });
    writeFileSync(name('message'), 'something else');
    expect(await refused('kms', 'verify', ...common, ...given)).toContain('(KMSInvalidSignatureException)');
  });

  it("looks up who signed with a key, page by page, in CloudTrail's event history", async () => {
    const options = ['--key-spec', 'ECC_NIST_P256', '--key-usage', 'SIGN_VERIFY'];
    const { KeyMetadata } = await aws<Key>('kms', 'create-key', ...options);
    writeFileSync(path('looked-up'), 'signed');
    const message = ['--message', `fileb://${path('looked-up')}`, '--signing-algorithm', 'ECDSA_SHA_256'];
    await aws('kms', 'sign', '--key-id', KeyMetadata.KeyId, ...message);
    const attribute = `AttributeKey=ResourceName,AttributeValue=${KeyMetadata.Arn}`;
    const lookUp = ['cloudtrail', 'lookup-events', '--lookup-attributes', attribute];
    const { Events } = await aws<{ Events: readonly object[] }>(...lookUp, '--page-size', '1');
    expect(Events).toMatchObject([
      { EventName: 'Sign', Username: 'any', EventSource: 'kms.amazonaws.com' },
      { EventName: 'CreateKey' },
    ]);
    const other = 'AttributeKey=EventName,AttributeValue=Sign';
    expect(await refused(...lookUp, other)).toContain('(InvalidLookupAttributesException)');
  });

  it('refuses a signing key in a custom key store, as AWS does', async () => {
    const message = await refused(
      'kms',
      'create-key',
      '--origin',
      'AWS_CLOUDHSM',
      '--custom-key-store-id',
      stub.customKeyStoreId,
      '--key-spec',
      'ECC_NIST_P256',
      '--key-usage',
      'SIGN_VERIFY',
    );
    expect(message).toMatch(
      /^\n.*\(UnsupportedOperationException\) when calling the CreateKey operation: KeySpec ECC_/,
    );
  });

  it('lists aliases by pages of its own and by a token that it hands back', async () => {
    const names = ['alias/mintmark-sealing', 'alias/cli-one', 'alias/cli-two'];
    for (const alias of names.slice(1)) {
      await aws('kms', 'create-alias', '--alias-name', alias, '--target-key-id', stub.sealingKeyArn);
    }
    interface Listed {
      readonly Aliases: readonly { readonly AliasName: string }[];
      readonly NextToken?: string;
    }
    const list = ['kms', 'list-aliases', '--key-id', stub.sealingKeyArn];
    const whole = await aws<Listed>(...list, '--page-size', '1');
    expect(whole.Aliases.map((alias) => alias.AliasName)).toEqual(names);
    const first = await aws<Listed>(...list, '--max-items', '2');
    const rest = await aws<Listed>(...list, '--starting-token', first.NextToken ?? '');
    expect([...first.Aliases, ...rest.Aliases].map((alias) => alias.AliasName)).toEqual(names);
    expect(rest.NextToken).toBeUndefined();
    const keys = await aws<{ Keys: readonly object[] }>('kms', 'list-keys', '--page-size', '1');
    expect(keys.Keys).toContainEqual(expect.objectContaining({ KeyArn: stub.sealingKeyArn }));
  });

  it('describes clusters and backups page by page', async () => {
    await admin('backups', { backups: [1, 2, 3].map((age) => ({ ageSeconds: age * 3600 })) });
    const { Backups } = await aws<{ Backups: readonly object[] }>(
      'cloudhsmv2',
      'describe-backups',
      '--filters',
      `clusterIds=${stub.clusterId}`,
      '--page-size',
      '2',
    );
    expect(Backups).toHaveLength(3);
    await admin('clusters', {});
    const described = await aws<{ Clusters: readonly { readonly ClusterId: string }[] }>(
      'cloudhsmv2',
      'describe-clusters',
      '--filters',
      'states=ACTIVE',
      '--page-size',
      '1',
    );
    expect(described.Clusters.length).toBeGreaterThan(1);
    expect(described.Clusters[0]).toMatchObject({ ClusterId: stub.clusterId, State: 'ACTIVE' });
    const unknown = await refused('cloudhsmv2', 'describe-clusters', '--filters', 'colour=red');
    expect(unknown).toContain('(CloudHsmInvalidRequestException)');
  });

  it('disables, deletes and brings back a key', async () => {
    const { KeyMetadata } = await aws<Key>('kms', 'create-key');
    const key = ['--key-id', KeyMetadata.KeyId];
    writeFileSync(path('x'), 'x');
    const encrypt = ['kms', 'encrypt', ...key, '--plaintext', `fileb://${path('x')}`];
    await aws('kms', 'disable-key', ...key);
    expect(await refused(...encrypt)).toContain('(DisabledException)');
    await aws('kms', 'schedule-key-deletion', ...key, '--pending-window-in-days', '7');
    expect(await refused('kms', 'enable-key', ...key)).toContain('(KMSInvalidStateException)');
    await aws('kms', 'cancel-key-deletion', ...key);
    await aws('kms', 'enable-key', ...key);
    expect(await aws(...encrypt)).toMatchObject({ KeyId: KeyMetadata.Arn });
    expect(await refused('kms', 'describe-key', '--key-id', 'alias/none')).toContain('(NotFoundException)');
  });
});

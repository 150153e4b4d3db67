import { randomBytes } from 'node:crypto';
import { type AttributeValue, UpdateItemCommand } from '@aws-sdk/client-dynamodb';
import { KMSClient, SignCommand } from '@aws-sdk/client-kms';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { EmbeddedCloud } from '../../local/embedded/cloud.ts';
import { startEmbeddedLocalCloud } from '../../local/embedded-cloud.ts';
import type { Cloud, LocalCloud } from '../../local/local-cloud.ts';
import { IssuanceRecords, Issuers } from '../../shared/ledger/index.ts';
import { parseAwsKmsUri } from '../../shared/signer/index.ts';
import { generateEcKey } from '../fixtures/csr/make.ts';
import { CloudUnderTest } from '../support/cloud-under-test.ts';
import { makePemCsr } from '../support/embedded-openssl.ts';
import { MintmarkCommand } from '../support/mintmark-command.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const key = generateEcKey('P-256');
const folder = temporaryFolder('audit-signatures');

let cloud: CloudUnderTest<LocalCloud<EmbeddedCloud & Cloud>>;
let issuers: Issuers;
/** Of the CA's key. */
let keyId: string;

const mintmark = new MintmarkCommand(() => ({ HOME: folder, ...cloud.local.cloud.environment }));

/** The issuing function's role, as the local cloud calls it. */
const role = 'arn:aws:sts::000000000000:assumed-role/LOCALISSUE';
const issuing = `${role}/mintmark-local-issue`;

beforeAll(async () => {
  const signing = { signer: 'awskms', allowAsymmetric: false } as const;
  cloud = new CloudUnderTest(await startEmbeddedLocalCloud({ signing, onFunctionLog: () => undefined }));
  issuers = new Issuers(cloud.local.clients.dynamoDB, cloud.local.cloud.resources['IssuersTable']?.ref ?? '');
  keyId = parseAwsKmsUri((await issuers.read('devices'))?.signerUri ?? '').keyId;
  for (const name of ['one', 'two', 'three']) {
    const deviceId = await cloud.newDevice(name);
    await cloud.request({ deviceId, requestId: 'r', csr: makePemCsr(key, deviceId) });
    await cloud.issued({ deviceId, requestId: 'r' });
  }
  // The function's log is read after its row was written.
  const counted = () =>
    cloud.local.cloud.metrics.filter(
      ({ name, dimensions }) => name === 'SignaturesMade' && dimensions['Issuer'] === 'devices',
    );
  await cloud.until(() => counted().reduce((sum, { value }) => sum + value, 0) === 3, 'three signatures counted');
});
afterAll(() => cloud?.stop());

/** Until now: the local CloudTrail is not late. */
const audit = async (...args: readonly string[]) => {
  const until = new Date().toISOString();
  return mintmark.run(['audit', 'signatures', '--until', until, ...args]);
};
const auditJson = async (...args: readonly string[]) => {
  const { code, stdout } = await audit('--json', ...args);
  return { code, value: JSON.parse(stdout) as unknown };
};

/** kms:Sign with the CA's key, by whoever has this access key; with a session's name, by who has the role of this name. */
async function sign(accessKeyId: string, digest: Uint8Array, sessionName?: string): Promise<void> {
  const { AWS_ENDPOINT_URL_KMS: endpoint = '', AWS_REGION: region = '' } = cloud.local.cloud.environment;
  const session = sessionName === undefined ? {} : { sessionToken: `${sessionName}:any` };
  const credentials = { accessKeyId, secretAccessKey: 'any', ...session };
  const kms = new KMSClient({ endpoint, region, credentials });
  const how = { MessageType: 'DIGEST', SigningAlgorithm: 'ECDSA_SHA_256' } as const;
  await kms.send(new SignCommand({ KeyId: keyId, Message: digest, ...how })).finally(() => kms.destroy());
}

it('every signature is the issuing function’s, counted, and in a certificate', async () => {
  const { code, value } = await auditJson();
  expect(value).toMatchObject({
    stage: 'local',
    critical: 0,
    notes: 0,
    expected: [
      { function: 'mintmark-local-issue', role: 'arn:aws:iam::000000000000:role/LOCALISSUE' },
      { function: 'mintmark-local-reconcile', role: 'arn:aws:iam::000000000000:role/LOCALRECONCILE' },
    ],
    findings: [],
    issuers: [
      {
        issuerId: 'devices',
        keyId,
        signed: 3,
        callers: [{ caller: issuing, function: null, expected: true, signed: 3, refused: 0 }],
        requested: 3,
        counted: 3,
        repeated: 0,
        issued: 3,
        unfinished: 0,
        verified: 3,
        notVerified: 0,
        notDated: 0,
        sameKey: [],
        findings: [],
      },
    ],
  });
  expect(code).toBe(0);
});

it('of a key in CloudHSM it says that nobody at AWS records signatures', async () => {
  const devices = await issuers.read('devices');
  if (devices === undefined) throw new Error('There is no issuer.');
  const signerUri = 'pkcs11:token=hsm;object=gateways;type=private';
  await issuers.add({ ...devices, issuerId: 'gateways', signerUri, state: 'retired' });
  const ended = await audit('--issuer', 'gateways');
  expect(ended).toMatchObject({ code: 0, stdout: expect.stringContaining("CloudHSM's audit logs record logins") });
  expect(ended.stdout).toMatch(/^gateways +CloudHSM +unknown +0 +0 +0 +0 +0$/m);
  expect(ended.stdout).toContain('gateways: there is no certificate to verify.');
  // What CloudTrail has, and for how long, is nothing to it.
  expect(ended.stderr).not.toContain('CloudTrail');
  const since = new Date(Date.now() - 100 * 86_400_000).toISOString();
  expect(await audit('--issuer', 'gateways', '--since', since)).toMatchObject({ code: 0 });
  const both = await audit('--since', since);
  expect(both).toMatchObject({ code: 2, stdout: '' });
  expect(both.stderr).toContain('more than 90 days ago');
  expect(both.stderr).toContain('with --issuer at one whose key is in CloudHSM');
  expect((await auditJson('--issuer', 'gateways')).value).toMatchObject({
    issuers: [{ issuerId: 'gateways', keyId: null, signed: null, callers: null }],
  });
});

it('without an issuer’s name it takes the retired ones, too; two of one key are compared together', async () => {
  const devices = await issuers.read('devices');
  if (devices === undefined) throw new Error('There is no issuer.');
  // As when its certificate was renewed: two issuers, and one key.
  await issuers.add({ ...devices, issuerId: 'devices-2025', state: 'retired' });
  const ended = await audit();
  expect(ended).toMatchObject({ code: 0, stdout: expect.stringContaining('devices, devices-2025 have one key') });
  expect(ended.stderr).toContain('with the roles that they have now');
  expect(ended.stdout).toContain(
    "devices, devices-2025: of 3 certificates in the table, of whatever time, 3 were verified with the CA key's public half.",
  );
  const key = { keyId, signed: 3, findings: [] };
  for (const args of [[], ['--issuer', 'devices-2025']]) {
    const { value } = await auditJson(...args);
    expect(value).toMatchObject({
      critical: 0,
      issuers: [
        { ...key, issuerId: 'devices', sameKey: ['devices-2025'], counted: 3 },
        { ...key, issuerId: 'devices-2025', sameKey: ['devices'], counted: 0 },
        ...(args.length === 0 ? [{ issuerId: 'gateways', keyId: null }] : []),
      ],
    });
  }
});

it('a call that gave no signature is no signature', async () => {
  await expect(sign('LOCALCLUMSY', randomBytes(20))).rejects.toMatchObject({ name: 'ValidationException' });
  const { code, value } = await auditJson();
  expect(value).toMatchObject({
    critical: 0,
    notes: 1,
    issuers: [
      { signed: 3, findings: [{ code: 'UNEXPECTED_CALLER_REFUSED', severity: 'note' }] },
      { signed: 3, findings: [] },
      { signed: null, findings: [] },
    ],
  });
  expect(code).toBe(0);
});

it('whoever else signs with the CA key is named, and the exit code is 1', async () => {
  await sign('LOCALINTRUDER', randomBytes(32));
  const ended = await audit();
  expect(ended.code).toBe(1);
  const name = 'arn:aws:iam::000000000000:user/LOCALINTRUDER';
  expect(ended.stdout).toContain(`critical: devices, devices-2025: ${name} signed once with the CA key`);
  expect(ended.stdout).toMatch(new RegExp(`^${name} +unexpected +1 +0$`, 'm'));
  expect(ended.stdout).toMatch(/^1 critical, 1 note in stage local from \S+ until \S+$/m);
  expect(ended.stderr).toContain('5 calls of kms:Sign read from CloudTrail');
  expect(ended.stderr).toContain('may not have everything of the last 15 minutes yet');
  // By default it ends before that, 15 minutes ago.
  const usual = await mintmark.run(['audit', 'signatures', '--json']);
  expect(usual.code).toBe(0);
  expect(usual.stderr).not.toContain('may not have everything');
  expect(JSON.parse(usual.stdout)).toMatchObject({ issuers: [{ signed: 0 }, { signed: 0 }, { signed: null }] });
  const unknown = await audit('--issuer', 'nobody');
  expect(unknown.code).toBe(2);
  expect(unknown.stderr).toMatch(/^mintmark: There is no issuer nobody\./);
});

it('another function with the role of issue is not expected', async () => {
  await sign('LOCALISSUE', randomBytes(32), 'another-function');
  const { stdout, code } = await audit();
  expect(code).toBe(1);
  expect(stdout).toMatch(new RegExp(`^${role}/another-function +unexpected +1 +0$`, 'm'));
  expect(stdout).toContain('with the role of a function that issues, and is none of these functions');
});

it('rows that no function wrote are found, whatever was counted', async () => {
  const { dynamoDB } = cloud.local.clients;
  const table = cloud.local.cloud.resources['IssuanceTable']?.ref ?? '';
  const records = new IssuanceRecords(dynamoDB, table);
  const serialNumbers = new Map<string, string>();
  for await (const { record } of records.find({ by: 'nothing' })) {
    serialNumbers.set(record.deviceId, record.serialNumber ?? '');
  }
  const [one = '', two = '', three = ''] = serialNumbers.keys();
  const update = (deviceId: string, UpdateExpression: string, value?: AttributeValue) =>
    dynamoDB.send(
      new UpdateItemCommand({
        TableName: table,
        Key: { deviceId: { S: deviceId }, requestId: { S: 'r' } },
        UpdateExpression,
        ...(value === undefined ? {} : { ExpressionAttributeValues: { ':value': value } }),
      }),
    );
  await update(one, 'SET serialNumber = :value', { S: serialNumbers.get(two) ?? '' });
  await update(two, 'REMOVE issuedAt');
  await update(three, 'SET issuerId = :value', { S: 'nobody' });
  const { stdout, code } = await audit();
  expect(code).toBe(1);
  expect(stdout).toContain(`${one}/r (the certificate of another row)`);
  expect(stdout).toMatch(/^devices, devices-2025: of \d+ certificates in the table, of whatever time, 1 was verified/m);
  expect(stdout).toMatch(/^critical: devices, devices-2025: .* \(ISSUED_NOT_VERIFIED\)$/m);
  expect(stdout).toContain(`${two}/r (no issuedAt)`);
  expect(stdout).toMatch(/^critical: devices, devices-2025: .* \(ISSUED_NOT_DATED\)$/m);
  expect(stdout).toContain(`${three}/r (issuer nobody)`);
  expect(stdout).toMatch(/^critical: One row .* \(ISSUER_UNKNOWN\)$/m);
  expect((await auditJson()).value).toMatchObject({
    critical: 5,
    findings: [{ code: 'ISSUER_UNKNOWN' }],
    issuers: [{ notVerified: 1, notDated: 1 }, { notVerified: 0 }, { notVerified: 0 }],
  });
});

it('says what is wrong with how it is used', async () => {
  const wrong: readonly (readonly [args: readonly string[], sentence: string])[] = [
    [['--since', '2999-01-01'], '2999-01-01T00:00:00Z is not yet.'],
    [['--since', '2020-01-01'], 'is more than 90 days ago'],
    [['--since', '2026-02-30'], 'A time is written as in'],
    [['--issuer', 'nobody'], 'There is no issuer nobody. The issuers are: devices, devices-2025, gateways.'],
  ];
  await Promise.all(
    wrong.map(async ([args, sentence]) =>
      expect(await mintmark.run(['audit', 'signatures', ...args])).toMatchObject({
        code: 2,
        stdout: '',
        stderr: expect.stringContaining(sentence),
      }),
    ),
  );
});

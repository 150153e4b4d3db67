import { type ChildProcess, fork, spawn } from 'node:child_process';
import { createHash, createPublicKey, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { json, text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { inspect } from 'node:util';
import { CloudHSMV2Client } from '@aws-sdk/client-cloudhsm-v2';
import {
  CreateTableCommand,
  DeleteItemCommand,
  DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  UpdateItemCommand,
} from '@aws-sdk/client-dynamodb';
import {
  CancelKeyDeletionCommand,
  CreateKeyCommand,
  DisableKeyCommand,
  EnableKeyCommand,
  KMSClient,
  ScheduleKeyDeletionCommand,
} from '@aws-sdk/client-kms';
import { build } from 'esbuild';
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { createLocalCanary } from '../../local/ca/canary.ts';
import { createLocalCa } from '../../local/ca/local-ca.ts';
import type { Gateway } from '../../local/embedded/gateway.ts';
import { writeFaults } from '../../local/pkcs11-shim/faults.ts';
import { readRecord } from '../../local/pkcs11-shim/record.ts';
import { readInstalled } from '../../local/setup/installed.ts';
import { assess, gaugeName } from '../../shared/cluster/assess.ts';
import {
  type CanaryRecord,
  canaryPinPurpose,
  canaryRowKey,
  encryptCanary,
  writeCanary,
} from '../../shared/cluster/canary-record.ts';
import { CanarySigner, canaryText } from '../../shared/cluster/canary-signer.ts';
import { observe, type Sources } from '../../shared/cluster/describe.ts';
import type { Finding } from '../../shared/cluster/rule.ts';
import { rules } from '../../shared/cluster/rules/index.ts';
import { readThresholds, type Thresholds } from '../../shared/cluster/thresholds.ts';
import { type Issuer, Issuers } from '../../shared/ledger/issuers.ts';
import { sealPin, unsealPin } from '../../shared/signer/pin.ts';
import { openPkcs11Signer } from '../../shared/signer/pkcs11.ts';
import type { Signer } from '../../shared/signer/port.ts';
import { startDynamoDB } from '../support/dynamodb.ts';
import { certificateForKmsKey } from '../support/kms-key-certificate.ts';
import { gaugesOf } from '../unit/cluster-fixture.ts';

const region = 'eu-central-1';
const stage = 'test';
const issuersTable = 'issuers';
const hour = 3_600;
const directory = mkdtempSync(join(tmpdir(), 'mintmark-check-cluster-'));
const tokens = { directory: join(directory, 'tokens'), library: readInstalled().softhsm2Library };
const shim = { record: join(directory, 'record'), faults: join(directory, 'faults') };
const credentials = { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: 'any' };

interface RunningStub {
  readonly endpoint: string;
  readonly clusterId: string;
  readonly customKeyStoreId: string;
  readonly sealingKeyArn: string;
}

let stubProcess: ChildProcess;
let stub: RunningStub;
let dynamoDB: Gateway;
let clients: Required<Pick<Sources, 'dynamoDB' | 'cloudHsm' | 'kms'>>;
let record: CanaryRecord;
let canaryPin: string;
let signer: CanarySigner;
let opened = 0;

beforeAll(async () => {
  Object.assign(process.env, {
    PKCS11_SHIM_LIBRARY: tokens.library,
    PKCS11_SHIM_RECORD: shim.record,
    PKCS11_SHIM_FAULTS: shim.faults,
  });
  stubProcess = fork(fileURLToPath(new URL('../../local/stub/main.ts', import.meta.url)), ['--region', region], {
    env: { ...process.env, MINTMARK_STUB_DIRECTORY: directory },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  [stub] = (await once(stubProcess, 'message')) as [RunningStub];
  dynamoDB = await startDynamoDB(region);
  const common = { region, credentials, endpoint: stub.endpoint };
  clients = {
    dynamoDB: new DynamoDBClient({ ...common, endpoint: dynamoDB.endpoint }),
    cloudHsm: new CloudHSMV2Client(common),
    kms: new KMSClient(common),
  };
  await clients.dynamoDB.send(
    new CreateTableCommand({
      TableName: issuersTable,
      BillingMode: 'PAY_PER_REQUEST',
      AttributeDefinitions: [{ AttributeName: 'issuerId', AttributeType: 'S' }],
      KeySchema: [{ AttributeName: 'issuerId', KeyType: 'HASH' }],
    }),
  );
  await setUp();
});

/** What the local cloud, and a ceremony, would do: a CA, and the canary's key, ciphertext and sealed PIN. */
async function setUp(): Promise<void> {
  const { clusterId, customKeyStoreId, sealingKeyArn } = stub;
  const baseUrl = 'http://127.0.0.1:8080';
  const ca = createLocalCa({ ...tokens, baseUrl, issuerId: 'devices', crlShardCount: 1, now: Date.now() }, randomBytes);
  await new Issuers(clients.dynamoDB, issuersTable).add({
    issuerId: 'devices',
    state: 'active',
    certificate: ca.issuingCertificate,
    chain: [ca.rootCertificate],
    signerUri: ca.signerUri,
    clusterId,
    sealedPins: {},
    baseUrl,
    crlShardCount: 1,
  });
  const canary = createLocalCanary(tokens, randomBytes);
  canaryPin = canary.pin;
  record = {
    clusterId,
    customKeyStoreId,
    ciphertext: await encryptCanary(clients.kms, sealingKeyArn, { clusterId, stage }),
    signerUri: canary.signerUri,
    publicKey: canary.publicKey,
    sealedPin: await sealPin(clients.kms, sealingKeyArn, canary.pin, canaryPinPurpose(clusterId, stage)),
  };
  await writeCanary(clients.dynamoDB, issuersTable, region, record);
  signer = newSigner();
}

function newSigner(): CanarySigner {
  return new CanarySigner({ openSigner, stage, now: Date.now });
}

async function openSigner(row: CanaryRecord, deadline: number): Promise<Signer> {
  opened += 1;
  const pin = await unsealPin(clients.kms, row.sealedPin, canaryPinPurpose(row.clusterId, stage));
  return openPkcs11Signer({
    uri: row.signerUri,
    library: readInstalled().pkcs11Shim,
    pin,
    certificatePublicKey: createPublicKey({ key: Buffer.from(row.publicKey), format: 'der', type: 'spki' }),
    workerUrl: new URL('../../shared/signer/pkcs11-worker.ts', import.meta.url),
    deadline,
    now: Date.now,
    random: Math.random,
  });
}

afterAll(async () => {
  await signer.close();
  for (const client of Object.values(clients)) client.destroy();
  await dynamoDB.close();
  stubProcess.kill('SIGTERM');
  await once(stubProcess, 'exit');
  rmSync(directory, { recursive: true, force: true });
});

async function admin(command: string, body: object): Promise<void> {
  const response = await fetch(`${stub.endpoint}/_stub/${command}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  expect(response.status, await response.text()).toBe(200);
}

const zone = (letter: string, state = 'ACTIVE') => ({ availabilityZone: `${region}${letter}`, state });

afterEach(async () => {
  writeFaults(shim.faults, []);
  await admin('faults', { faults: [] });
  await admin('cluster', { state: 'ACTIVE' });
  await admin('hsms', { hsms: ['a', 'b', 'c'].map((letter) => zone(letter)) });
  await admin('backups', { backups: [{ ageSeconds: hour }] });
  await admin('custom-key-store', { connectionState: 'CONNECTED' });
});

interface Changes extends Partial<Omit<Sources, 'cloudHsm'>> {
  readonly cloudHsm?: 'absent';
}

/** A signature on a busy machine may take longer than one in production should. */
const patient: Thresholds = { ...readThresholds({}), canarySignWarningMilliseconds: 60_000 };

async function look({ cloudHsm, ...changes }: Changes = {}, thresholds: Partial<Thresholds> = {}) {
  const { dynamoDB: table, kms } = clients;
  const sources: Sources = {
    dynamoDB: table,
    kms,
    ...(cloudHsm === 'absent' ? {} : { cloudHsm: clients.cloudHsm }),
    issuersTable,
    region,
    stage,
    signer,
    now: Date.now,
    partMilliseconds: 10_000,
    signMilliseconds: 10_000,
    ...changes,
  };
  const observation = await observe(sources);
  const assessment = assess(observation, rules, { ...patient, ...thresholds }, Date.now());
  expect(inspect([observation, assessment], { depth: 10 })).not.toContain(canaryPin);
  return assessment;
}

const brief = ({ rule, severity, subject, observed }: Finding) => [rule, severity, subject, observed];
const findings = async (...parameters: Parameters<typeof look>) => (await look(...parameters)).findings.map(brief);

describe('where all is well', () => {
  it('finds nothing, and measures everything', async () => {
    const { findings: found, measurements } = await look();
    expect(found).toEqual([]);
    const values = Object.fromEntries(measurements.map(({ name, value }) => [name, value]));
    expect(values).toMatchObject({ HsmCount: 3, AvailabilityZoneCount: 3, DescribedFinding: 0 });
    expect(values.BackupAgeHours).toBeLessThan(2);
    expect(values.IssuerDaysLeft).toBeGreaterThan(1_000);
    expect(values.CanarySignMilliseconds).toBeLessThan(10_000);
    expect(Object.keys(values)).toHaveLength(rules.length + 5);
  });

  it('has signed one digest, of its own text', async () => {
    const texts: Buffer[] = [];
    const before = readRecord(shim.record).length;
    const moment = Date.now();
    const fixed = new CanarySigner({ openSigner, stage, now: () => moment });
    onTestFinished(() => fixed.close());
    texts.push(canaryText(stage, stub.clusterId, moment));
    await fixed.sign(record, moment + 10_000);
    const signed = readRecord(shim.record).slice(before);
    expect(signed.map(({ digest }) => digest)).toEqual(
      texts.map((text) => createHash('sha256').update(text).digest('hex')),
    );
    // No TBSCertificate, TBSCertList or ResponseData begins so: each is a SEQUENCE.
    expect(texts[0]?.[0]).not.toBe(0x30);
  });

  it('reads every page: the only READY backup is on the third', async () => {
    const pending = Array.from({ length: 119 }, (_, index) => ({ ageSeconds: index * 60, state: 'PENDING_DELETION' }));
    await admin('backups', { backups: [...pending, { ageSeconds: 2 * hour }] });
    expect(await findings()).toEqual([]);
  });

  it('can do without a signer', async () => {
    const { signer: _, ...others } = { ...clients, issuersTable, region, stage, signer, now: Date.now };
    const observation = await observe({ ...others, partMilliseconds: 10_000, signMilliseconds: 10_000 });
    expect(observation.signingCanary).toMatchObject({ failure: { reason: 'not-asked' } });
    expect(assess(observation, rules, readThresholds({}), Date.now()).findings).toEqual([]);
  });
});

describe('each fault is its own finding and no other', () => {
  it('a backup gap', async () => {
    await admin('backups', { backups: [{ ageSeconds: 29.9 * hour }, { ageSeconds: 60 * hour }] });
    expect(await findings()).toEqual([]);
    await admin('backups', { backups: [{ ageSeconds: 31 * hour }, { ageSeconds: hour, state: 'CREATE_IN_PROGRESS' }] });
    expect(await findings()).toEqual([
      ['backup-age', 'critical', stub.clusterId, expect.stringMatching(/^31\.0 h, from 20/)],
    ]);
  });

  it('no backup at all', async () => {
    await admin('backups', { backups: [] });
    expect(await findings()).toEqual([
      ['backup-age', 'critical', stub.clusterId, expect.stringMatching(/^no backup since/)],
    ]);
  });

  it('an HSM degraded', async () => {
    await admin('hsms', { hsms: [zone('a'), zone('b', 'DEGRADED'), zone('c')] });
    expect(await findings()).toEqual([['hsm-state', 'warning', expect.stringMatching(/^hsm-/), 'DEGRADED']]);
  });

  it('one zone only', async () => {
    await admin('hsms', { hsms: [zone('a'), zone('a'), zone('a')] });
    expect(await findings()).toEqual([['az-spread', 'critical', stub.clusterId, `${region}a`]]);
  });

  it('all HSMs gone: one finding, two gauges', async () => {
    await admin('hsms', { hsms: [] });
    const assessment = await look();
    expect(assessment.findings.filter(({ rule }) => rule === 'hsm-count' || rule === 'az-spread').map(brief)).toEqual([
      ['hsm-count', 'critical', stub.clusterId, '0 ACTIVE'],
    ]);
    expect(gaugesOf(assessment)).toMatchObject({ 'hsm-count': 2, 'az-spread': 2 });
  });

  it('an HSM too few', async () => {
    await admin('hsms', { hsms: [zone('a'), zone('b')] });
    expect(await findings()).toEqual([['hsm-count', 'warning', stub.clusterId, '2']]);
    await admin('hsms', { hsms: [zone('a')] });
    expect(await findings()).toEqual([['hsm-count', 'critical', stub.clusterId, '1 ACTIVE']]);
  });

  it('the cluster degraded', async () => {
    await admin('cluster', { state: 'DEGRADED', stateMessage: 'It is told so.' });
    expect(await findings()).toEqual([['cluster-state', 'critical', stub.clusterId, 'DEGRADED']]);
  });

  it.each([
    [{ connectionState: 'DISCONNECTED' }, 'DISCONNECTED'],
    [{ connectionState: 'FAILED', connectionErrorCode: 'USER_LOCKED_OUT' }, 'FAILED, USER_LOCKED_OUT'],
  ])(
    'the key store %o, to a warm signer and to a cold one; the gauges say what else it breaks',
    async (body, observed) => {
      expect(await findings()).toEqual([]);
      await admin('custom-key-store', body);
      const expected = [['key-store-state', 'critical', stub.customKeyStoreId, observed]];
      const broken = { 'key-store-state': 2, 'key-store-canary': 2 };
      const warm = await look();
      expect([warm.findings.map(brief), gaugesOf(warm)]).toEqual([expected, broken]);
      const cold = await look({ signer: newSigner() });
      expect([cold.findings.map(brief), gaugesOf(cold)]).toEqual([expected, { ...broken, 'signing-canary': 2 }]);
    },
  );

  it('the key store CONNECTING, which decrypts nothing meanwhile', async () => {
    expect(await findings()).toEqual([]);
    await admin('custom-key-store', { connectionState: 'CONNECTING' });
    const expected = [
      ['key-store-state', 'warning', stub.customKeyStoreId, 'CONNECTING'],
      ['key-store-canary', 'critical', stub.customKeyStoreId, expect.stringContaining('KMSInvalidState')],
    ];
    expect(await findings()).toEqual(expected);
    const cold = await look({ signer: newSigner() });
    expect(cold.findings.map(brief)).toEqual(expected);
    expect(gaugesOf(cold)).toEqual({ 'key-store-state': 1, 'key-store-canary': 2, 'signing-canary': 2 });
  });

  it('a connected key store that does not decrypt', async () => {
    expect(await findings()).toEqual([]);
    await clients.kms.send(new DisableKeyCommand({ KeyId: stub.sealingKeyArn }));
    onTestFinished(async () => {
      await clients.kms.send(new EnableKeyCommand({ KeyId: stub.sealingKeyArn }));
    });
    const expected = [
      ['key-store-canary', 'critical', stub.customKeyStoreId, expect.stringContaining('DisabledException')],
    ];
    expect(await findings()).toEqual(expected);
    expect(await findings({ signer: newSigner() })).toEqual(expected);
  });

  it.each([
    ['BaldrApiService.DescribeClusters', 'CloudHsmAccessDeniedException', 'critical', 'cloudhsm:DescribeClusters'],
    ['BaldrApiService.DescribeBackups', 'ThrottlingException', 'warning', 'cloudhsm:DescribeBackups'],
    ['TrentService.DescribeCustomKeyStores', 'AccessDeniedException', 'critical', 'kms:DescribeCustomKeyStores'],
    ['TrentService.Decrypt', 'ThrottlingException', 'warning', 'kms:Decrypt of the canary ciphertext'],
  ])('%s answering %s, until it no longer does', async (operation, code, severity, subject) => {
    expect(await findings()).toEqual([]);
    await admin('faults', { faults: [{ operation, code, count: 20 }] });
    expect(await findings()).toEqual([['described', severity, subject, expect.stringContaining(code)]]);
    await admin('faults', { faults: [] });
    expect(await findings()).toEqual([]);
  });

  it('a fault that one retry outlives is none', async () => {
    await admin('faults', { faults: [{ operation: 'BaldrApiService.DescribeBackups', code: 'ThrottlingException' }] });
    expect(await findings()).toEqual([]);
  });
});

describe('AWS out of reach', () => {
  const elsewhere = (endpoint: string) => new KMSClient({ region, credentials, endpoint, maxAttempts: 1 });

  it('is a finding for each part of that service', async () => {
    expect(await findings()).toEqual([]);
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    expect(await findings({ kms: elsewhere(`http://127.0.0.1:${port}`) })).toEqual([
      ['described', 'warning', 'kms:DescribeCustomKeyStores', expect.stringContaining('unreachable')],
      ['described', 'warning', 'kms:Decrypt of the canary ciphertext', expect.stringContaining('unreachable')],
    ]);
  });

  it('does not make the watch wait beyond its deadline', async () => {
    expect(await findings()).toEqual([]);
    const silent = createServer(() => undefined).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = silent.address() as AddressInfo;
    const kms = elsewhere(`http://127.0.0.1:${port}`);
    onTestFinished(() => {
      kms.destroy();
      silent.close();
    });
    const startedAt = Date.now();
    const found = await findings({ kms, partMilliseconds: 500 });
    expect(Date.now() - startedAt).toBeLessThan(5_000);
    expect(found).toEqual([
      ['described', 'warning', 'kms:DescribeCustomKeyStores', expect.stringContaining('deadline')],
      // No answer in time to a Decrypt is what a cold start would get.
      ['key-store-canary', 'critical', stub.customKeyStoreId, expect.stringContaining('No answer within')],
    ]);
  });
});

describe('the signature', () => {
  it('is too slow', async () => {
    expect(await findings()).toEqual([]);
    writeFaults(shim.faults, [{ fault: 'slow', count: 1, milliseconds: 300 }]);
    expect(await findings({}, { canarySignWarningMilliseconds: 250 })).toEqual([
      ['signing-canary', 'warning', stub.clusterId, expect.stringMatching(/^\d+ ms$/)],
    ]);
  });

  it('is wrong', async () => {
    writeFaults(shim.faults, [{ fault: 'corrupt', count: 1 }]);
    expect(await findings()).toEqual([
      ['signing-canary', 'critical', stub.clusterId, 'a signature that does not verify'],
    ]);
    expect(await findings()).toEqual([]);
  });

  it('is not made, then is again', async () => {
    // The signer asks a busy HSM five times.
    writeFaults(shim.faults, [{ fault: 'busy', count: 5 }]);
    expect(await findings()).toEqual([['signing-canary', 'critical', stub.clusterId, 'SIGNER_UNAVAILABLE']]);
    expect(await findings()).toEqual([]);
  });

  it('does not come in time', async () => {
    const slow = newSigner();
    onTestFinished(() => slow.close());
    expect(await findings({ signer: slow })).toEqual([]);
    writeFaults(shim.faults, [{ fault: 'slow', count: 1, milliseconds: 1_500 }]);
    expect(await findings({ signer: slow, signMilliseconds: 700 })).toEqual([
      ['signing-canary', 'critical', stub.clusterId, 'SIGNER_DEADLINE'],
    ]);
    await expect.poll(() => findings({ signer: slow }), { timeout: 10_000 }).toEqual([]);
  });
});

describe('the canary row', () => {
  afterEach(() => writeCanary(clients.dynamoDB, issuersTable, region, record));

  it('is missing', async () => {
    const Key = { issuerId: { S: canaryRowKey(region) } };
    await clients.dynamoDB.send(new DeleteItemCommand({ TableName: issuersTable, Key }));
    const { findings: found, measurements } = await look();
    expect(found.map(brief)).toEqual([
      ['described', 'critical', expect.stringContaining('canary row'), expect.stringContaining(canaryRowKey(region))],
    ]);
    expect(measurements.map(({ name }) => name)).toEqual([
      'DescribedFinding',
      'IssuerExpiryFinding',
      'IssuerDaysLeft',
      'IssuerKeyFinding',
    ]);
  });

  it('lacks an attribute', async () => {
    const Item = { issuerId: { S: canaryRowKey(region) }, clusterId: { S: stub.clusterId } };
    await clients.dynamoDB.send(new PutItemCommand({ TableName: issuersTable, Item }));
    expect(await findings()).toEqual([
      ['described', 'critical', expect.stringContaining('canary row'), expect.stringContaining('customKeyStoreId')],
    ]);
  });

  it('names a cluster and a key store that are not there', async () => {
    const row = { ...record, clusterId: 'cluster-bbbbbbbbbbb', customKeyStoreId: 'cks-00000000000000000' };
    await writeCanary(clients.dynamoDB, issuersTable, region, row);
    const found = await findings();
    expect(found.slice(0, 2)).toEqual([
      ['described', 'critical', 'cloudhsm:DescribeClusters', expect.stringContaining('absent')],
      ['described', 'critical', 'kms:DescribeCustomKeyStores', expect.stringContaining('absent')],
    ]);
    expect(found.slice(2).map(([rule]) => rule)).toEqual(['backup-age', 'key-store-canary', 'issuer-cluster']);
    expect(found.at(-1)).toEqual(['issuer-cluster', 'critical', 'devices', stub.clusterId]);
  });

  it('holds a PIN that the HSM refuses: it is sent once', async () => {
    const purpose = canaryPinPurpose(stub.clusterId, stage);
    const sealedPin = await sealPin(clients.kms, stub.sealingKeyArn, 'canary_user:incorrect', purpose);
    await signer.close();
    await writeCanary(clients.dynamoDB, issuersTable, region, { ...record, sealedPin });
    const before = opened;
    const expected = [['signing-canary', 'critical', stub.clusterId, 'SIGNER_PIN_REFUSED']];
    expect([await findings(), await findings()]).toEqual([expected, expected]);
    expect(opened - before).toBe(1);
    await writeCanary(clients.dynamoDB, issuersTable, region, record);
    expect(await findings()).toEqual([]);
  });
});

it('finds that there is no issuers table', async () => {
  expect(await findings({ issuersTable: 'another' })).toEqual([
    ['described', 'critical', 'dynamodb:Scan, the issuers table', expect.stringContaining('ResourceNotFoundException')],
  ]);
});

describe('another issuer', () => {
  const others = () => new Issuers(clients.dynamoDB, issuersTable);
  const Key = { issuerId: { S: 'odd' } };

  /** As the one that is there, but for these. */
  async function add(changes: Partial<Issuer>): Promise<void> {
    const issuer = await others().read('devices');
    if (issuer === undefined) throw new Error('There is no issuer.');
    await others().add({ ...issuer, issuerId: 'odd', ...changes });
  }

  afterEach(() => clients.dynamoDB.send(new DeleteItemCommand({ TableName: issuersTable, Key })));

  it('whose certificate is none is found', async () => {
    await add({ certificate: Buffer.from('no DER') });
    expect(await findings()).toEqual([['issuer-expiry', 'critical', 'odd', 'no certificate that can be read']]);
  });

  it('whose key is in another cluster is found, until it is retired', async () => {
    await add({});
    expect(await findings()).toEqual([]);
    await clients.dynamoDB.send(new DeleteItemCommand({ TableName: issuersTable, Key }));
    await add({ clusterId: 'cluster-bbbbbbbbbbb' });
    expect(await findings()).toEqual([['issuer-cluster', 'critical', 'odd', 'cluster-bbbbbbbbbbb']]);
    await clients.dynamoDB.send(new DeleteItemCommand({ TableName: issuersTable, Key }));
    await add({ clusterId: 'cluster-bbbbbbbbbbb', state: 'retired' });
    expect(await findings()).toEqual([]);
  });

  it('whose key is in KMS is on no cluster', async () => {
    const row = await clients.dynamoDB.send(
      new GetItemCommand({ TableName: issuersTable, Key: { issuerId: { S: 'devices' } } }),
    );
    const { clusterId: _, ...item } = row.Item ?? {};
    const { KeyMetadata: created } = await clients.kms.send(signingKey());
    const signerUri = { S: `awskms:key-id=${created?.Arn}` };
    const certificate = { B: await certificateForKmsKey(clients.kms, created?.Arn ?? '') };
    const Item = { ...item, ...Key, signerUri, certificate };
    const command = new PutItemCommand({ TableName: issuersTable, Item });
    await clients.dynamoDB.send(command);
    expect(await findings()).toEqual([]);
    await clients.dynamoDB.send(new PutItemCommand({ TableName: issuersTable, Item: { ...item, ...Key } }));
    expect(await findings()).toEqual([['issuer-cluster', 'critical', 'odd', 'no cluster']]);
  });
});

const signingKey = () => new CreateKeyCommand({ KeyUsage: 'SIGN_VERIFY', KeySpec: 'ECC_NIST_P256' });

describe('an issuer whose key is in KMS', () => {
  let keyArn: string;
  let certificate: Uint8Array;
  const keyId = () => ({ KeyId: keyArn });

  /** As the one that is there, but with its key in KMS; the ids are of the row, not of the key. */
  async function put(issuerId: string, signerUri: string, state: Issuer['state'] = 'active'): Promise<void> {
    const issuer = await new Issuers(clients.dynamoDB, issuersTable).read('devices');
    if (issuer === undefined) throw new Error('There is no issuer.');
    const { clusterId: _, ...others } = issuer;
    await new Issuers(clients.dynamoDB, issuersTable).add({ ...others, issuerId, state, signerUri, certificate });
    onTestFinished(async () => {
      const Key = { issuerId: { S: issuerId } };
      await clients.dynamoDB.send(new DeleteItemCommand({ TableName: issuersTable, Key }));
    });
  }

  beforeAll(async () => {
    const { KeyMetadata: created } = await clients.kms.send(signingKey());
    keyArn = created?.Arn ?? '';
    certificate = await certificateForKmsKey(clients.kms, keyArn);
  });

  it('is found to have the key of another certificate', async () => {
    const { KeyMetadata: another } = await clients.kms.send(signingKey());
    await put('kms', `awskms:key-id=${another?.Arn}`);
    expect(await findings()).toEqual([['issuer-key', 'critical', 'kms', 'another public key']]);
  });

  it('is found to have a key that is disabled, until it is enabled', async () => {
    await put('kms', `awskms:key-id=${keyArn}`);
    expect(await findings()).toEqual([]);
    await clients.kms.send(new DisableKeyCommand(keyId()));
    const assessment = await look();
    expect(assessment.findings.map(brief)).toEqual([['issuer-key', 'critical', 'kms', 'Disabled']]);
    expect(gaugesOf(assessment)).toEqual({ 'issuer-key': 2 });
    await clients.kms.send(new EnableKeyCommand(keyId()));
    expect(await findings()).toEqual([]);
  });

  it('is found to have a key that KMS is going to delete, and when, until that is cancelled', async () => {
    await put('kms', `awskms:key-id=${keyArn}`);
    const command = new ScheduleKeyDeletionCommand({ ...keyId(), PendingWindowInDays: 7 });
    const { DeletionDate: date } = await clients.kms.send(command);
    expect(await findings()).toEqual([['issuer-key', 'critical', 'kms', `PendingDeletion, on ${date?.toISOString()}`]]);
    await clients.kms.send(new CancelKeyDeletionCommand(keyId()));
    expect(await findings()).toEqual([['issuer-key', 'critical', 'kms', 'Disabled']]);
    await clients.kms.send(new EnableKeyCommand(keyId()));
    expect(await findings()).toEqual([]);
  });

  it('hides no other issuer, and is hidden by none', async () => {
    await put('kms', `awskms:key-id=${keyArn}`);
    await put('none', 'awskms:key-id=1234abcd-12ab-34cd-56ef-1234567890ab');
    await put('elsewhere', `awskms:key-id=${keyArn.replace(region, 'eu-west-1')}`);
    await put('unreadable', 'awskms:key-id=alias/devices');
    await put('symmetric', `awskms:key-id=${stub.sealingKeyArn}`);
    await put('retired', 'awskms:key-id=alias/devices', 'retired');
    const found = await findings();
    expect(found.toSorted(([, , one], [, , other]) => String(one).localeCompare(String(other)))).toEqual([
      ['issuer-key', 'critical', 'elsewhere', expect.stringContaining('is in eu-west-1, the stage in eu-central-1')],
      ['issuer-key', 'critical', 'none', expect.stringMatching(/^absent: NotFoundException/)],
      ['issuer-key', 'critical', 'symmetric', 'ENCRYPT_DECRYPT'],
      ['issuer-key', 'critical', 'unreadable', expect.stringContaining('an alias can be moved')],
    ]);
  });

  it('whose key nobody may describe is critical', async () => {
    await put('kms', `awskms:key-id=${keyArn}`);
    const operation = 'TrentService.DescribeKey';
    await admin('faults', { faults: [{ operation, code: 'AccessDeniedException', count: 20 }] });
    expect(await findings()).toEqual([
      ['issuer-key', 'critical', 'kms', expect.stringMatching(/^denied: AccessDeniedException/)],
    ]);
  });

  describe('in a stage without CloudHSM', () => {
    const ofSuchAStage = ['described', 'issuer-expiry', 'issuer-cluster', 'issuer-key'];

    it('is all there is to look at', async () => {
      await put('kms', `awskms:key-id=${keyArn}`);
      const { dynamoDB: table } = clients;
      const Key = { issuerId: { S: 'devices' } };
      const retire = (to: string) =>
        table.send(
          new UpdateItemCommand({
            TableName: issuersTable,
            Key,
            UpdateExpression: 'SET #state = :state',
            ExpressionAttributeNames: { '#state': 'state' },
            ExpressionAttributeValues: { ':state': { S: to } },
          }),
        );
      await retire('retired');
      onTestFinished(() => retire('active').then(() => undefined));
      // Nor does it ask: of the canary row, the cluster or the key store, which would all be found wanting.
      await admin('custom-key-store', { connectionState: 'DISCONNECTED' });
      await admin('backups', { backups: [] });
      const { findings: found, measurements } = await look({ cloudHsm: 'absent' });
      expect(found).toEqual([]);
      expect(measurements.map(({ name }) => name).toSorted()).toEqual(
        [...ofSuchAStage.map(gaugeName), 'IssuerDaysLeft'].toSorted(),
      );
      expect(measurements.filter(({ name, value }) => name.endsWith('Finding') && value !== 0)).toEqual([]);
      await clients.kms.send(new DisableKeyCommand(keyId()));
      expect(await findings({ cloudHsm: 'absent' })).toEqual([['issuer-key', 'critical', 'kms', 'Disabled']]);
      await clients.kms.send(new EnableKeyCommand(keyId()));
    });

    it('does not make up for one whose key is in a cluster', async () => {
      await put('kms', `awskms:key-id=${keyArn}`);
      expect(await findings({ cloudHsm: 'absent' })).toEqual([
        ['issuer-cluster', 'critical', 'devices', stub.clusterId],
      ]);
    });

    it('is missed when the issuers table cannot be read', async () => {
      const { findings: found, measurements } = await look({ cloudHsm: 'absent', issuersTable: 'another' });
      expect(found.map(brief).map(([rule, severity]) => [rule, severity])).toEqual([['described', 'critical']]);
      expect(measurements.map(({ name }) => name)).toEqual([gaugeName('described')]);
    });
  });
});

describe('the function', () => {
  const bundles = join(directory, 'bundle');
  const published: PublishedMetrics[] = [];
  let answer = 200;
  const cloudWatch = createHttpServer((request, response) => {
    void json(request).then((body) => {
      if (request.headers['x-amz-target']?.toString().endsWith('.PutMetricData') === true) {
        published.push(body as PublishedMetrics);
      }
      response.writeHead(answer, { 'content-type': 'application/x-amz-json-1.0' }).end('{}');
    });
  });

  interface PublishedMetrics {
    readonly Namespace: string;
    readonly MetricData: readonly { MetricName: string; Dimensions: unknown; Unit: string; Value: number }[];
  }

  beforeAll(async () => {
    await build({
      entryPoints: { index: 'functions/check-cluster.ts', 'pkcs11-worker': 'shared/signer/pkcs11-worker.ts' },
      absWorkingDir: fileURLToPath(new URL('../../', import.meta.url)),
      outdir: bundles,
      outExtension: { '.js': '.mjs' },
      bundle: true,
      format: 'esm',
      platform: 'node',
      external: ['pkcs11js'],
      banner: { js: "import { createRequire as cr } from 'node:module'; const require = cr(import.meta.url);" },
    });
    symlinkSync(fileURLToPath(new URL('../../node_modules', import.meta.url)), join(bundles, 'node_modules'));
    cloudWatch.listen(0, '127.0.0.1');
    await once(cloudWatch, 'listening');
  });

  afterAll(() => {
    cloudWatch.closeAllConnections();
    cloudWatch.close();
  });

  /** Loads the bundle and calls its handler, in a process of its own. */
  async function invoke(changes: Record<string, string | undefined> = {}) {
    const script = `
      const { handler } = await import(${JSON.stringify(join(bundles, 'index.mjs'))});
      const answer = await handler();
      process.stdout.write(JSON.stringify({ answer }) + '\\n', () => process.exit(0));
    `;
    const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: process.env.PATH,
        SOFTHSM2_CONF: process.env.SOFTHSM2_CONF,
        AWS_REGION: region,
        AWS_ACCESS_KEY_ID: credentials.accessKeyId,
        AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
        AWS_MAX_ATTEMPTS: '1',
        AWS_ENDPOINT_URL_DYNAMODB: dynamoDB.endpoint,
        AWS_ENDPOINT_URL_KMS: stub.endpoint,
        AWS_ENDPOINT_URL_CLOUDHSM_V2: stub.endpoint,
        AWS_ENDPOINT_URL_CLOUDWATCH: `http://127.0.0.1:${(cloudWatch.address() as AddressInfo).port}`,
        ISSUERS_TABLE: issuersTable,
        PKCS11_LIBRARY: tokens.library,
        SEALING_KEY_ARN: stub.sealingKeyArn,
        STAGE: stage,
        ...changes,
      },
    });
    const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]);
    expect(stdout + stderr).not.toContain(canaryPin);
    return { code: code as number, stdout, output: stdout + stderr };
  }

  it('publishes what it measured and logs what it found', async () => {
    published.length = 0;
    await admin('backups', { backups: [{ ageSeconds: 31 * hour }] });
    const { code, stdout, output } = await invoke();
    expect(code, output).toBe(0);
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines.at(-1)).toMatchObject({ answer: { findings: [{ rule: 'backup-age', severity: 'critical' }] } });
    expect(output).toContain('"message":"finding"');
    expect(published).toHaveLength(1);
    expect(published[0]?.Namespace).toBe(`Mintmark/${stage}`);
    const data = published[0]?.MetricData ?? [];
    expect(data).toHaveLength(rules.length + 5);
    for (const { Dimensions } of data) expect(Dimensions).toEqual([{ Name: 'Stage', Value: stage }]);
    const valueOf = (name: string) => data.find(({ MetricName }) => MetricName === name)?.Value;
    expect([valueOf('BackupAgeFinding'), valueOf('SigningCanaryFinding'), valueOf('HsmCount')]).toEqual([2, 0, 3]);
    expect(valueOf('BackupAgeHours')).toBeCloseTo(31, 1);
  });

  it('looks at no cluster in a stage without CloudHSM', async () => {
    published.length = 0;
    await admin('backups', { backups: [{ ageSeconds: 31 * hour }] });
    const { code, stdout, output } = await invoke({ SEALING_KEY_ARN: '' });
    expect(code, output).toBe(0);
    expect(JSON.parse(stdout.trim().split('\n').at(-1) ?? '')).toMatchObject({
      answer: { findings: [{ rule: 'issuer-cluster', severity: 'critical', subject: 'devices' }] },
    });
    const names = published.flatMap(({ MetricData }) => MetricData.map(({ MetricName }) => MetricName));
    expect(names).toContain('IssuerKeyFinding');
    expect(names).not.toContain('BackupAgeFinding');
  });

  it('is told whether the stage has CloudHSM', async () => {
    const { code, output } = await invoke({ SEALING_KEY_ARN: undefined });
    expect(code).not.toBe(0);
    expect(output).toContain('SEALING_KEY_ARN is not set');
  });

  it('fails when nobody hears it', async () => {
    answer = 500;
    onTestFinished(() => {
      answer = 200;
    });
    const { code, output } = await invoke();
    expect(code, output).not.toBe(0);
    expect(output).toContain('"message":"checked"');
  });

  it('says everything that is wrong with its configuration at once', async () => {
    const { code, output } = await invoke({ ISSUERS_TABLE: '', STAGE: '', HSM_COUNT_MINIMUM: 'two' });
    expect(code).not.toBe(0);
    for (const name of ['ISSUERS_TABLE', 'STAGE', 'HSM_COUNT_MINIMUM']) expect(output).toContain(name);
  });
});

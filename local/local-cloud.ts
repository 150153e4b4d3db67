import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { KMSClient } from '@aws-sdk/client-kms';
import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { SQSClient } from '@aws-sdk/client-sqs';
import { Devices, Failures, IssuanceLedger, Issuers } from '../shared/ledger/index.ts';
import { sealPin } from '../shared/signer/index.ts';
import { createLocalCaInChild } from './ca/child.ts';
import { type EmbeddedCloud, startEmbeddedCloud } from './embedded/cloud.ts';
import { readInstalled } from './setup/installed.ts';
import { tokenEnvironment } from './softhsm/token.ts';
import { removeAbandonedState, statePrefix } from './state-folder.ts';

/** What may differ from one local cloud to the next; the rest is the deployment's. */
export interface LocalCloudOptions {
  /** Values of `${param:x}` in deploy/*.yml, over `localParameters`. */
  readonly parameters?: Readonly<Record<string, string>>;
  /** A line that a function wrote to its log. */
  readonly onFunctionLog: (line: { readonly function: string; readonly pid: number; readonly text: string }) => void;
}

export interface LocalCloud {
  readonly cloud: EmbeddedCloud;
  /** Of the stub: KMS and CloudHSM v2. */
  readonly stubEndpoint: string;
  readonly clients: { readonly sqs: SQSClient; readonly dynamoDB: DynamoDBClient };
  readonly ledger: IssuanceLedger;
  readonly devices: Devices;
  readonly failures: Failures;
  readonly requestsQueueUrl: string;
  /** DER. */
  readonly rootCertificate: Uint8Array;
  readonly issuingCertificate: Uint8Array;
  /** What the PKCS#11 shim writes (local/pkcs11-shim/record.ts) and reads (faults.ts). */
  readonly shim: { readonly record: string; readonly faults: string };
  stop(): Promise<void>;
}

const region = 'eu-central-1';
const accountId = '000000000000';
const stage = 'local';
const issuerId = 'devices';

/** The parameters of the stage `local`: as in production, but for names, paths and patience. */
const localParameters: Readonly<Record<string, string>> = {
  prefix: 'mintmark-local',
  publicBucket: 'mintmark-local-public',
  visibilityTimeout: '180',
  maxReceiveCount: '100',
  signBeforeSeconds: '900',
  giveUpAfterSeconds: '300',
  retryBaseSeconds: '1',
  issueConcurrency: '2',
};

/**
 * The whole of Mintmark on this machine: the SoftHSM2 stub in a process of its own, the embedded cloud, the functions
 * from their bundles, a root and an issuing CA in SoftHSM2, its PIN sealed by the stub's custom key store.
 */
export async function startLocalCloud(options: LocalCloudOptions): Promise<LocalCloud> {
  removeAbandonedState();
  const folder = mkdtempSync(join(tmpdir(), statePrefix()));
  const cleanUps: CleanUp[] = [() => rmSync(folder, { recursive: true, force: true })];
  const stop = () => cleanUp(cleanUps.splice(0).reverse());
  try {
    const stub = await startStub(join(folder, 'stub'));
    cleanUps.push(stub.stop);
    const { softhsm2Library, pkcs11Shim } = readInstalled();
    const tokens = join(folder, 'tokens');
    const shim = { record: join(folder, 'signatures'), faults: join(folder, 'faults') };
    const cloud = await startEmbeddedCloud({
      definitions: new URL('../deploy/', import.meta.url),
      distribution: new URL('../dist/', import.meta.url),
      region,
      accountId,
      stage,
      parameters: { ...localParameters, pkcs11Library: pkcs11Shim, ...options.parameters },
      stubEndpoint: stub.endpoint,
      functionEnvironment: {
        ...tokenEnvironment(tokens),
        PKCS11_SHIM_LIBRARY: softhsm2Library,
        PKCS11_SHIM_RECORD: shim.record,
        PKCS11_SHIM_FAULTS: shim.faults,
      },
      onFunctionLog: options.onFunctionLog,
      now: Date.now,
    });
    cleanUps.push(() => cloud.stop());
    const clients = clientsFor(cloud, stub.endpoint);
    cleanUps.push(() => Object.values(clients).forEach((client) => client.destroy()));
    return { ...(await furnish(cloud, clients, stub, { tokens, library: softhsm2Library })), shim, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

type CleanUp = () => Promise<void> | void;

/** All of them, in turn, whatever one of them says. */
async function cleanUp(cleanUps: readonly CleanUp[]): Promise<void> {
  const errors: unknown[] = [];
  for (const one of cleanUps) {
    try {
      await one();
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length > 0) throw new AggregateError(errors, 'The local cloud did not stop cleanly.');
}

/** Makes the CA, publishes its certificates, and registers it as the issuer. */
async function furnish(
  cloud: EmbeddedCloud,
  clients: ReturnType<typeof clientsFor>,
  stub: RunningStub,
  token: { tokens: string; library: string },
) {
  const bucket = cloud.resources.PublicBucket?.ref ?? '';
  const baseUrl = `${cloud.endpoint}/${bucket}`;
  const crlShardCount = 4;
  const ca = await createLocalCaInChild({
    directory: token.tokens,
    library: token.library,
    baseUrl,
    issuerId,
    crlShardCount,
    now: Date.now(),
  });
  for (const [key, body] of [
    [`ca/${issuerId}.cer`, ca.issuingCertificate],
    [`ca/${issuerId}-root.cer`, ca.rootCertificate],
  ] as const) {
    // RFC 5280 section 4.2.2.1: application/pkix-cert
    await clients.s3.send(
      new PutObjectCommand({ Bucket: bucket, Key: key, Body: body, ContentType: 'application/pkix-cert' }),
    );
  }
  const purpose = { clusterId: stub.clusterId, issuerId, stage };
  await new Issuers(clients.dynamoDB, cloud.resources.IssuersTable?.ref ?? '').add({
    issuerId,
    state: 'active',
    certificate: ca.issuingCertificate,
    chain: [ca.rootCertificate],
    signerUri: ca.signerUri,
    clusterId: stub.clusterId,
    sealedPins: { [region]: await sealPin(clients.kms, stub.sealingKeyArn, ca.pin, purpose) },
    baseUrl,
    crlShardCount,
  });
  return {
    cloud,
    stubEndpoint: stub.endpoint,
    clients,
    ledger: new IssuanceLedger(clients.dynamoDB, cloud.resources.IssuanceTable?.ref ?? ''),
    devices: new Devices(clients.dynamoDB, cloud.resources.DevicesTable?.ref ?? ''),
    failures: new Failures(clients.dynamoDB, cloud.resources.FailuresTable?.ref ?? ''),
    requestsQueueUrl: cloud.resources.RequestsQueue?.url ?? '',
    rootCertificate: ca.rootCertificate,
    issuingCertificate: ca.issuingCertificate,
  };
}

/** This process's own clients: its environment stays as it is, so several clouds can run in one process. */
function clientsFor(cloud: EmbeddedCloud, stubEndpoint: string) {
  const { AWS_ACCESS_KEY_ID: accessKeyId = '', AWS_SECRET_ACCESS_KEY: secretAccessKey = '' } = cloud.environment;
  const common = { region, endpoint: cloud.endpoint, credentials: { accessKeyId, secretAccessKey } };
  return {
    sqs: new SQSClient({ ...common, useQueueUrlAsEndpoint: false }),
    dynamoDB: new DynamoDBClient(common),
    s3: new S3Client({ ...common, forcePathStyle: true }),
    kms: new KMSClient({ ...common, endpoint: stubEndpoint }),
  };
}

interface RunningStub {
  readonly endpoint: string;
  readonly clusterId: string;
  readonly sealingKeyArn: string;
  readonly stop: () => Promise<void>;
}

/** The stub, in a process group of its own: a Ctrl-C is for this process, which ends the stub when it is done with it. */
async function startStub(directory: string): Promise<RunningStub> {
  mkdirSync(directory);
  const child = spawn(
    process.execPath,
    [fileURLToPath(new URL('./stub/main.ts', import.meta.url)), '--directory', directory, '--region', region],
    { stdio: ['ignore', 'ignore', 'inherit', 'ipc'], detached: true },
  );
  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
  });
  const ready = await new Promise<Omit<RunningStub, 'stop'>>((resolve, reject) => {
    child.once('message', (message) => resolve(message as Omit<RunningStub, 'stop'>));
    child.once('error', reject);
    void exited.then(() => reject(new Error('The SoftHSM2 stub ended before it was ready.')));
  });
  return { ...ready, stop: () => ended(child, exited) };
}

async function ended(child: ChildProcess, exited: Promise<void>): Promise<void> {
  child.kill('SIGTERM');
  await exited;
}

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { KMSClient } from '@aws-sdk/client-kms';
import { S3Client } from '@aws-sdk/client-s3';
import { SQSClient } from '@aws-sdk/client-sqs';
import { Devices, Failures, IssuanceLedger } from '../shared/ledger/index.ts';
import { type EmbeddedCloud, startEmbeddedCloud } from './embedded/cloud.ts';
import { type Furniture, furnish } from './furnish.ts';
import { readInstalled } from './setup/installed.ts';
import { tokenEnvironment } from './softhsm/token.ts';
import { removeAbandonedState, statePrefix } from './state-folder.ts';
import { startStub } from './stub-process.ts';

/** What may differ from one local cloud to the next; the rest is the deployment's. */
export interface LocalCloudOptions {
  /** Values of `${param:x}` in deploy/*.yml, over those of the stage in deploy/parameters.yml. */
  readonly parameters?: Readonly<Record<string, string>>;
  /** A line that a function wrote to its log. */
  readonly onFunctionLog: (line: { readonly function: string; readonly pid: number; readonly text: string }) => void;
}

export interface LocalCloud extends Furniture {
  readonly cloud: EmbeddedCloud;
  /** Of the stub: KMS and CloudHSM v2. */
  readonly stubEndpoint: string;
  readonly clients: { readonly sqs: SQSClient; readonly dynamoDB: DynamoDBClient };
  readonly ledger: IssuanceLedger;
  readonly devices: Devices;
  readonly failures: Failures;
  readonly requestsQueueUrl: string;
  /** What the PKCS#11 shim writes (local/pkcs11-shim/record.ts) and reads (faults.ts). */
  readonly shim: { readonly record: string; readonly faults: string };
  stop(): Promise<void>;
}

const region = 'eu-central-1';
const accountId = '000000000000';
const stage = 'local';

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
    const stub = await startStub(join(folder, 'stub'), region);
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
      parameters: { pkcs11Library: pkcs11Shim, ...options.parameters },
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
    const bucket = cloud.resources.PublicBucket?.ref ?? '';
    const tableOf = (logicalId: string): string => cloud.resources[logicalId]?.ref ?? '';
    const furniture = await furnish({
      region,
      stage,
      baseUrl: `${cloud.endpoint}/${bucket}`,
      publicBucket: bucket,
      issuersTable: tableOf('IssuersTable'),
      clients,
      stub,
      tokens: { directory: tokens, library: softhsm2Library },
    });
    return {
      ...furniture,
      cloud,
      stubEndpoint: stub.endpoint,
      clients,
      ledger: new IssuanceLedger(clients.dynamoDB, tableOf('IssuanceTable')),
      devices: new Devices(clients.dynamoDB, tableOf('DevicesTable')),
      failures: new Failures(clients.dynamoDB, tableOf('FailuresTable')),
      requestsQueueUrl: cloud.resources.RequestsQueue?.url ?? '',
      shim,
      stop,
    };
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

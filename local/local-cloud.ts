import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { KMSClient } from '@aws-sdk/client-kms';
import { S3Client } from '@aws-sdk/client-s3';
import { SQSClient } from '@aws-sdk/client-sqs';
import { Devices, Failures, IssuanceLedger, SenderRecords } from '../shared/ledger/index.ts';
import { type Furniture, furnish, type LocalSigner } from './furnish.ts';
import { readInstalled } from './setup/installed.ts';
import { tokenEnvironment } from './softhsm/token.ts';
import { removeAbandonedState, statePrefix } from './state-folder.ts';
import { type RunningStub, startStub } from './stub-process.ts';

/** What the parts of AWS that Mintmark uses have in common, whatever plays them, with the stage `local` deployed. */
export interface Cloud {
  /** `http://127.0.0.1:PORT`, one for every service. */
  readonly endpoint: string;
  /** What an AWS SDK needs to talk to it, and nothing else. */
  readonly environment: Readonly<Record<string, string>>;
  /** What SQS attests of whoever has that environment, and who that is to IAM, where it says. */
  readonly sender: { readonly principalId: string; readonly arn?: string };
  /** Tables, queues, topics and buckets by logical id; `ref` is what CloudFormation's Ref gives, of a queue its URL. */
  readonly resources: Readonly<Record<string, { readonly ref: string }>>;
  /** Resolves with what happened if the cloud ends without having been stopped. Never rejects. */
  readonly died: Promise<Error>;
  /** Leaves nothing behind. */
  stop(): Promise<void>;
}

/** What is there before a cloud is, and what its functions need of it. */
export interface Ground {
  readonly region: string;
  readonly accountId: string;
  readonly stage: string;
  /** Of this cloud alone; it goes when the cloud stops. */
  readonly folder: string;
  readonly stub: RunningStub;
  /** Values of `${param:x}` that belong to this machine. */
  readonly parameters: Readonly<Record<string, string>>;
  /** Variables that every function has besides its own. */
  readonly functionEnvironment: Readonly<Record<string, string>>;
}

/** A stage that issues. */
export interface LocalCloud<C extends Cloud = Cloud> extends Furniture {
  readonly cloud: C;
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

/** Who signs. */
export interface SigningChoice {
  readonly signer: LocalSigner;
  /** The stub takes asymmetric keys in the custom key store, which AWS refuses. */
  readonly allowAsymmetric: boolean;
}

const usualSigning: SigningChoice = { signer: 'pkcs11', allowAsymmetric: false };

const region = 'eu-central-1';
const accountId = '000000000000';
export const stage = 'local';

/**
 * The whole of Mintmark on this machine: the SoftHSM2 stub in a process of its own, a cloud with the stage deployed, a
 * root and an issuing CA in SoftHSM2, its PIN sealed by the stub's custom key store.
 *
 * @param startCloud the cloud; what it started is its own to end when it throws
 */
export async function startOnThisMachine<C extends Cloud>(
  startCloud: (ground: Ground) => Promise<C>,
  signing: SigningChoice = usualSigning,
): Promise<LocalCloud<C>> {
  removeAbandonedState();
  const folder = mkdtempSync(join(tmpdir(), statePrefix()));
  const cleanUps: CleanUp[] = [() => rmSync(folder, { recursive: true, force: true })];
  const stop = () => cleanUp(cleanUps.splice(0).reverse());
  try {
    const stub = await startStub(join(folder, 'stub'), region, {
      allowAsymmetricKeysInCustomKeyStores: signing.allowAsymmetric,
    });
    cleanUps.push(stub.stop);
    const { softhsm2Library, pkcs11Shim } = readInstalled();
    const tokens = join(folder, 'tokens');
    const shim = { record: join(folder, 'signatures'), faults: join(folder, 'faults') };
    const cloud = await startCloud({
      region,
      accountId,
      stage,
      folder,
      stub,
      parameters: { pkcs11Library: pkcs11Shim },
      functionEnvironment: {
        ...tokenEnvironment(tokens),
        PKCS11_SHIM_LIBRARY: softhsm2Library,
        PKCS11_SHIM_RECORD: shim.record,
        PKCS11_SHIM_FAULTS: shim.faults,
      },
    });
    cleanUps.push(() => cloud.stop());
    const clients = clientsFor(cloud, stub.endpoint);
    cleanUps.push(() => Object.values(clients).forEach((client) => client.destroy()));
    const refOf = (logicalId: string): string => {
      const ref = cloud.resources[logicalId]?.ref;
      if (ref === undefined) throw new Error(`The deployed stage has no ${logicalId}.`);
      return ref;
    };
    const bucket = refOf('PublicBucket');
    const furniture = await furnish({
      region,
      stage,
      baseUrl: `${cloud.endpoint}/${bucket}`,
      publicBucket: bucket,
      issuersTable: refOf('IssuersTable'),
      clients,
      stub,
      tokens: { directory: tokens, library: softhsm2Library },
      signer: signing.signer,
    });
    const senders = new SenderRecords(clients.dynamoDB, refOf('SendersTable'));
    const note = 'Whoever has the variables that npm start prints';
    await senders.add({ ...cloud.sender, fleets: '*', profiles: '*', note }, Date.now());
    return {
      ...furniture,
      cloud,
      stubEndpoint: stub.endpoint,
      clients,
      ledger: new IssuanceLedger(clients.dynamoDB, refOf('IssuanceTable')),
      devices: new Devices(clients.dynamoDB, refOf('DevicesTable')),
      failures: new Failures(clients.dynamoDB, refOf('FailuresTable')),
      requestsQueueUrl: refOf('RequestsQueue'),
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
function clientsFor(cloud: Cloud, stubEndpoint: string) {
  const { AWS_ACCESS_KEY_ID: accessKeyId = '', AWS_SECRET_ACCESS_KEY: secretAccessKey = '' } = cloud.environment;
  const common = { region, endpoint: cloud.endpoint, credentials: { accessKeyId, secretAccessKey } };
  return {
    sqs: new SQSClient({ ...common, useQueueUrlAsEndpoint: false }),
    dynamoDB: new DynamoDBClient(common),
    s3: new S3Client({ ...common, forcePathStyle: true }),
    kms: new KMSClient({ ...common, endpoint: stubEndpoint }),
  };
}

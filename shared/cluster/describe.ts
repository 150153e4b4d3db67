import type {
  CloudHSMV2Client,
  Backup as DescribedBackup,
  Cluster as DescribedCluster,
} from '@aws-sdk/client-cloudhsm-v2';
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { type CustomKeyStoresListEntry, type KMSClient, paginateDescribeCustomKeyStores } from '@aws-sdk/client-kms';
import { type CanaryRecord, decryptCanary } from './canary-record.ts';
import type { CanarySigner } from './canary-signer.ts';
import { observed, PartError } from './failure.ts';
import { describeIssuerKeys } from './issuer-keys.ts';
import { type IssuersTable, readIssuersTable } from './issuers-table.ts';
import type { Backup, Cluster, KeyStore, KeyStoreCanary, Observation, Observed, SigningCanary } from './observation.ts';

export interface Sources {
  readonly dynamoDB: DynamoDBClient;
  /** Absent in a stage without CloudHSM: there is then no canary row to miss, no cluster, no backup and no key store. */
  readonly cloudHsm?: CloudHSMV2Client;
  readonly kms: KMSClient;
  readonly issuersTable: string;
  readonly region: string;
  readonly stage: string;
  /** Absent where no HSM can be reached, such as on an operator's machine: the signing canary is then not asked. */
  readonly signer?: CanarySigner;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** The longest that any one part may take, but for the signature; retries of the clients included. */
  readonly partMilliseconds: number;
  /** The longest that opening the canary's key and signing may take. */
  readonly signMilliseconds: number;
}

/** What a signature's answer takes on its way back from the HSM's worker, after its own deadline. */
const signReserveMilliseconds = 250;

/**
 * Looks at everything once: the issuers table, which says where to look, then all the rest at the same time. Never
 * throws for what it finds: a part that cannot be seen says why in its own place.
 */
export async function observe(sources: Sources): Promise<Observation> {
  const { dynamoDB, issuersTable, region, partMilliseconds } = sources;
  const table = await observed(partMilliseconds, (signal) => readIssuersTable(dynamoDB, issuersTable, region, signal));
  if ('failure' in table) {
    const nothing = notAsked('the issuers table');
    return { issuers: table, issuerKeys: nothing, canary: nothing, ...withoutCanary('the issuers table') };
  }
  const { issuers, issuersInKms, canary } = table.value;
  const [issuerKeys, others] = await Promise.all([
    describeIssuerKeys(sources, issuersInKms),
    lookAtCloudHsm(sources, canary),
  ]);
  return { issuers: { value: issuers }, issuerKeys: { value: issuerKeys }, ...others };
}

type PartsOfCluster = Omit<Observation, 'issuers' | 'issuerKeys' | 'canary'>;

async function lookAtCloudHsm(
  sources: Sources,
  canary: IssuersTable['canary'],
): Promise<PartsOfCluster & Pick<Observation, 'canary'>> {
  const { cloudHsm } = sources;
  if (cloudHsm === undefined) return { canary: { value: {} }, ...withoutCanary('that the stage has no CloudHSM') };
  if ('failure' in canary) return { canary, ...withoutCanary('the canary row') };
  return { canary, ...(await lookAround(sources, cloudHsm, canary.value)) };
}

async function lookAround(sources: Sources, cloudHsm: CloudHSMV2Client, canary: CanaryRecord): Promise<PartsOfCluster> {
  const { kms, stage, partMilliseconds, signMilliseconds, signer, now } = sources;
  const { clusterId, customKeyStoreId } = canary;
  const [cluster, backups, keyStore, keyStoreCanary, signingCanary] = await Promise.all([
    observed(partMilliseconds, (signal) => describeCluster(cloudHsm, clusterId, signal)),
    observed(partMilliseconds, (signal) => describeBackups(cloudHsm, clusterId, signal)),
    observed(partMilliseconds, (signal) => describeKeyStore(kms, customKeyStoreId, signal)),
    decrypt(partMilliseconds, (signal) => decryptCanary(kms, canary.ciphertext, { clusterId, stage }, signal)),
    signer === undefined
      ? notAsked('that no signer was given')
      : observed(signMilliseconds, (): Promise<SigningCanary> => {
          return signer.sign(canary, now() + signMilliseconds - signReserveMilliseconds);
        }),
  ]);
  return { cluster, backups, keyStore, keyStoreCanary, signingCanary };
}

function notAsked(because: string): { readonly failure: { readonly reason: 'not-asked'; readonly detail: string } } {
  return { failure: { reason: 'not-asked', detail: `Not looked at, because of ${because}.` } };
}

function withoutCanary(because: string): PartsOfCluster {
  const nothing = notAsked(because);
  return {
    cluster: nothing,
    backups: nothing,
    keyStore: nothing,
    keyStoreCanary: nothing,
    signingCanary: nothing,
  };
}

/** Loaded when it is used: whoever has a client has loaded it, and whoever wants another part of this folder need not. */
const cloudHsmV2 = () => import('@aws-sdk/client-cloudhsm-v2');

async function describeCluster(client: CloudHSMV2Client, clusterId: string, signal: AbortSignal): Promise<Cluster> {
  const { paginateDescribeClusters } = await cloudHsmV2();
  const pages = paginateDescribeClusters({ client }, { Filters: { clusterIds: [clusterId] } }, { abortSignal: signal });
  for (const { Clusters: clusters = [] } of await every(pages)) {
    const found = clusters.find(({ ClusterId }) => ClusterId === clusterId);
    if (found !== undefined) return clusterOf(clusterId, found);
  }
  throw new PartError('absent', `DescribeClusters knows no cluster ${clusterId}.`);
}

/** All pages, or an error: half of the backups would give a wrong newest one. */
async function describeBackups(client: CloudHSMV2Client, clusterId: string, signal: AbortSignal): Promise<Backup[]> {
  const { paginateDescribeBackups } = await cloudHsmV2();
  const pages = paginateDescribeBackups({ client }, { Filters: { clusterIds: [clusterId] } }, { abortSignal: signal });
  const backups = (await every(pages)).flatMap((page) => page.Backups ?? []);
  return backups.filter(({ ClusterId }) => ClusterId === clusterId).map(backupOf);
}

async function describeKeyStore(client: KMSClient, customKeyStoreId: string, signal: AbortSignal): Promise<KeyStore> {
  const pages = paginateDescribeCustomKeyStores(
    { client },
    { CustomKeyStoreId: customKeyStoreId },
    { abortSignal: signal },
  );
  for (const { CustomKeyStores: keyStores = [] } of await every(pages)) {
    const found = keyStores.find(({ CustomKeyStoreId }) => CustomKeyStoreId === customKeyStoreId);
    if (found !== undefined) return keyStoreOf(customKeyStoreId, found);
  }
  throw new PartError('absent', `DescribeCustomKeyStores knows no key store ${customKeyStoreId}.`);
}

async function every<Page>(pages: AsyncIterable<Page>): Promise<Page[]> {
  const all: Page[] = [];
  for await (const page of pages) all.push(page);
  return all;
}

/**
 * Denied, throttled or not reached, nothing is known of the key store; any other answer than a plaintext, and none in
 * time, is the key store's own.
 */
async function decrypt(
  milliseconds: number,
  run: (signal: AbortSignal) => Promise<boolean>,
): Promise<Observed<KeyStoreCanary>> {
  const decrypted = await observed(milliseconds, run);
  if ('value' in decrypted) return { value: { outcome: decrypted.value ? 'decrypted' : 'wrong' } };
  const { reason, detail } = decrypted.failure;
  if (reason === 'denied' || reason === 'throttled' || reason === 'unreachable' || reason === 'unexpected') {
    return decrypted;
  }
  return { value: { outcome: 'failed', detail } };
}

// What AWS leaves out stays absent: exactOptionalPropertyTypes knows no property that is undefined.

function clusterOf(clusterId: string, described: DescribedCluster): Cluster {
  const { State: state, StateMessage: stateMessage, CreateTimestamp: created, Hsms: hsms = [] } = described;
  return {
    clusterId,
    ...(state === undefined ? {} : { state }),
    ...(stateMessage === undefined ? {} : { stateMessage }),
    ...(created === undefined ? {} : { createdAt: created.getTime() }),
    hsms: hsms.map(({ HsmId, State, StateMessage, AvailabilityZone }) => ({
      hsmId: HsmId ?? 'an HSM without an id',
      ...(State === undefined ? {} : { state: State }),
      ...(StateMessage === undefined ? {} : { stateMessage: StateMessage }),
      ...(AvailabilityZone === undefined ? {} : { availabilityZone: AvailabilityZone }),
    })),
  };
}

function backupOf({ BackupId, BackupState, CreateTimestamp }: DescribedBackup): Backup {
  return {
    backupId: BackupId ?? 'a backup without an id',
    ...(BackupState === undefined ? {} : { state: BackupState }),
    ...(CreateTimestamp === undefined ? {} : { createdAt: CreateTimestamp.getTime() }),
  };
}

function keyStoreOf(customKeyStoreId: string, described: CustomKeyStoresListEntry): KeyStore {
  const { ConnectionState, ConnectionErrorCode, CloudHsmClusterId } = described;
  return {
    customKeyStoreId,
    ...(ConnectionState === undefined ? {} : { connectionState: ConnectionState }),
    ...(ConnectionErrorCode === undefined ? {} : { connectionErrorCode: ConnectionErrorCode }),
    ...(CloudHsmClusterId === undefined ? {} : { clusterId: CloudHsmClusterId }),
  };
}

import type { Context } from '../context.ts';
import { cloudHsmId, hexId } from '../identifiers.ts';
import type { Backup, BackupState, Cluster, Hsm } from '../state.ts';
import type { ClusterCertificates } from './certificates.ts';

const hsmType = 'hsm2m.medium';
const day = 24 * 60 * 60 * 1000;

/** An ACTIVE cluster with subnets in the Region's first three Availability Zones and `hsmCount` HSMs spread over them. */
export function newCluster(certificates: ClusterCertificates, hsmCount: number, context: Context): Cluster {
  const zones = ['a', 'b', 'c'].map((letter) => `${context.region}${letter}`);
  const cluster: Cluster = {
    clusterId: cloudHsmId('cluster', context.randomBytes),
    createdAt: context.now,
    hsmType,
    mode: 'FIPS',
    vpcId: hexId('vpc', context.randomBytes),
    securityGroup: hexId('sg', context.randomBytes),
    subnetMapping: Object.fromEntries(zones.map((zone) => [zone, hexId('subnet', context.randomBytes)])),
    backupRetentionDays: 90,
    ...certificates,
    state: 'ACTIVE',
    hsms: [],
    automaticBackups: true,
  };
  for (let index = 0; index < hsmCount; index += 1) {
    cluster.hsms.push(newHsm(cluster, zones[index % zones.length] ?? context.region, context));
  }
  return cluster;
}

/** An ACTIVE HSM, with an address in the subnet of its Availability Zone. */
export function newHsm(cluster: Cluster, availabilityZone: string, context: Context): Hsm {
  const subnet = Object.keys(cluster.subnetMapping).indexOf(availabilityZone);
  return {
    hsmId: cloudHsmId('hsm', context.randomBytes),
    availabilityZone,
    subnetId: cluster.subnetMapping[availabilityZone] ?? hexId('subnet', context.randomBytes),
    eniId: hexId('eni', context.randomBytes),
    // The first four addresses of a subnet are AWS's own.
    eniIp: `10.0.${subnet + 1}.${4 + (context.randomBytes(1).readUInt8() % 250)}`,
    state: 'ACTIVE',
  };
}

/** The Availability Zones in which the cluster has an ACTIVE HSM. */
export function activeZones(cluster: Cluster): Set<string> {
  return new Set(cluster.hsms.filter((hsm) => hsm.state === 'ACTIVE').map((hsm) => hsm.availabilityZone));
}

export interface BackupRequest {
  readonly createdAt: number;
  readonly state?: BackupState | undefined;
  readonly neverExpires?: boolean | undefined;
  readonly copiedAt?: number | undefined;
  readonly sourceRegion?: string | undefined;
  readonly sourceBackup?: string | undefined;
  readonly sourceCluster?: string | undefined;
}

export function newBackup(cluster: Cluster, request: BackupRequest, context: Context): Backup {
  return {
    backupId: cloudHsmId('backup', context.randomBytes),
    clusterId: cluster.clusterId,
    createdAt: request.createdAt,
    state: request.state ?? 'READY',
    neverExpires: request.neverExpires ?? false,
    hsmType: cluster.hsmType,
    mode: cluster.mode,
    ...(request.copiedAt === undefined ? {} : { copiedAt: request.copiedAt }),
    ...(request.sourceRegion === undefined ? {} : { sourceRegion: request.sourceRegion }),
    ...(request.sourceBackup === undefined ? {} : { sourceBackup: request.sourceBackup }),
    ...(request.sourceCluster === undefined ? {} : { sourceCluster: request.sourceCluster }),
    // A deleted backup can be restored for 7 days (CloudHSM User Guide, "Delete and restore backups").
    ...(request.state === 'PENDING_DELETION' ? { deleteAt: context.now + 7 * day } : {}),
  };
}

/**
 * The backups after the time that has passed: one for every 24 hours of an active cluster, and those past the
 * cluster's retention gone (CloudHSM User Guide, "Cluster backups").
 */
export function backupsByNow(backups: readonly Backup[], cluster: Cluster, context: Context): Backup[] {
  const result = [...backups];
  if (cluster.automaticBackups && cluster.state === 'ACTIVE') {
    const own = backups.filter((backup) => backup.clusterId === cluster.clusterId && backup.copiedAt === undefined);
    const newest = own.length === 0 ? cluster.createdAt : Math.max(...own.map((backup) => backup.createdAt));
    for (let createdAt = newest + day; createdAt <= context.now; createdAt += day) {
      result.push(newBackup(cluster, { createdAt }, context));
    }
  }
  const oldest = context.now - cluster.backupRetentionDays * day;
  return result.filter((backup) => {
    return backup.clusterId !== cluster.clusterId || backup.neverExpires || backup.createdAt >= oldest;
  });
}

import type { Context } from '../context.ts';
import { backupArn } from '../identifiers.ts';
import { timestamp } from '../operation.ts';
import type { Backup, Cluster, Hsm } from '../state.ts';

/** Cluster as DescribeClusters gives it (CloudHSM v2 API reference, Cluster). A TagList has at least one tag, so none is given. */
export function clusterShape(cluster: Cluster): object {
  return {
    BackupPolicy: 'DEFAULT',
    BackupRetentionPolicy: { Type: 'DAYS', Value: String(cluster.backupRetentionDays) },
    Certificates: { ClusterCertificate: cluster.clusterCertificate },
    ClusterId: cluster.clusterId,
    CreateTimestamp: timestamp(cluster.createdAt),
    HsmType: cluster.hsmType,
    Hsms: cluster.hsms.map((hsm) => hsmShape(cluster, hsm)),
    Mode: cluster.mode,
    NetworkType: 'IPV4',
    SecurityGroup: cluster.securityGroup,
    State: cluster.state,
    ...(cluster.stateMessage === undefined ? {} : { StateMessage: cluster.stateMessage }),
    SubnetMapping: cluster.subnetMapping,
    VpcId: cluster.vpcId,
  };
}

function hsmShape(cluster: Cluster, hsm: Hsm): object {
  return {
    AvailabilityZone: hsm.availabilityZone,
    ClusterId: cluster.clusterId,
    EniId: hsm.eniId,
    EniIp: hsm.eniIp,
    HsmId: hsm.hsmId,
    HsmType: cluster.hsmType,
    State: hsm.state,
    ...(hsm.stateMessage === undefined ? {} : { StateMessage: hsm.stateMessage }),
    SubnetId: hsm.subnetId,
  };
}

/** Backup as DescribeBackups gives it (CloudHSM v2 API reference, Backup). */
export function backupShape(backup: Backup, context: Context): object {
  return {
    BackupArn: backupArn(context, backup.backupId),
    BackupId: backup.backupId,
    BackupState: backup.state,
    ClusterId: backup.clusterId,
    CreateTimestamp: timestamp(backup.createdAt),
    HsmType: backup.hsmType,
    Mode: backup.mode,
    NeverExpires: backup.neverExpires,
    ...(backup.copiedAt === undefined ? {} : { CopyTimestamp: timestamp(backup.copiedAt) }),
    ...(backup.deleteAt === undefined ? {} : { DeleteTimestamp: timestamp(backup.deleteAt) }),
    ...(backup.sourceRegion === undefined ? {} : { SourceRegion: backup.sourceRegion }),
    ...(backup.sourceBackup === undefined ? {} : { SourceBackup: backup.sourceBackup }),
    ...(backup.sourceCluster === undefined ? {} : { SourceCluster: backup.sourceCluster }),
  };
}

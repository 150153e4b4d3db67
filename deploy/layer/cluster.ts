import { type CloudHSMV2Client, type Cluster, DescribeClustersCommand } from '@aws-sdk/client-cloudhsm-v2';
import { LayerError } from '../../shared/layer/index.ts';

export interface DescribedCluster {
  /** Of the HSMs that are ACTIVE, in one order however AWS lists them. */
  readonly hsmAddresses: readonly string[];
  /** PEM; undefined before the cluster is initialised. */
  readonly certificate: string | undefined;
}

/**
 * What `configure-pkcs11 --cluster-id` asks, too (CloudHSM user guide, "Client SDK 5 configuration parameters").
 * @throws LayerError where there is no such cluster or no HSM that works
 */
export async function describeCluster(client: CloudHSMV2Client, clusterId: string): Promise<DescribedCluster> {
  const cluster = await find(client, clusterId);
  if (cluster === undefined) {
    throw new LayerError(`There is no cluster ${clusterId} here.`, 'Check AWS_REGION, the account and the id.');
  }
  const hsmAddresses = (cluster.Hsms ?? [])
    .flatMap(({ State: state, EniIp: address }) => (state === 'ACTIVE' && address !== undefined ? [address] : []))
    .sort();
  if (hsmAddresses.length === 0) {
    throw new LayerError(`${clusterId} has no HSM that is ACTIVE.`, 'Create one, or give addresses with --hsm-ips.');
  }
  return { hsmAddresses, certificate: cluster.Certificates?.ClusterCertificate };
}

async function find(client: CloudHSMV2Client, clusterId: string): Promise<Cluster | undefined> {
  try {
    const { Clusters: clusters = [] } = await client.send(
      new DescribeClustersCommand({ Filters: { clusterIds: [clusterId] } }),
    );
    return clusters.find(({ ClusterId: id }) => id === clusterId);
  } catch (cause) {
    throw new LayerError(
      `${clusterId} cannot be described: ${cause instanceof Error ? cause.message : String(cause)}`,
      'Check AWS_PROFILE, AWS_REGION and that cloudhsm:DescribeClusters is allowed; or give addresses with --hsm-ips.',
      { cause },
    );
  }
}

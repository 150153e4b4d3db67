import {
  CloudHsmInternalFailureException,
  CloudHsmInvalidRequestException,
  DescribeBackupsCommand,
  DescribeClustersCommand,
  paginateDescribeBackups,
  paginateDescribeClusters,
} from '@aws-sdk/client-cloudhsm-v2';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { accountId, callRaw, region, startTestStub, type TestStub } from './stub-fixture.ts';

const hour = 3600;
let stub: TestStub;
beforeAll(async () => {
  stub = await startTestStub();
});
afterAll(() => stub.stop());
beforeEach(async () => {
  await stub.admin('clock', { offsetSeconds: 0 });
  await stub.admin('faults', { faults: [] });
});

async function backups(input: ConstructorParameters<typeof DescribeBackupsCommand>[0] = {}) {
  // The clusters of other tests have backups of their own.
  const Filters = { clusterIds: [stub.clusterId], ...input.Filters };
  const { Backups } = await stub.cloudHsm.send(new DescribeBackupsCommand({ ...input, Filters }));
  return Backups ?? [];
}

describe('DescribeClusters', () => {
  it("starts with one ACTIVE cluster of three HSMs in three zones, its members in AWS's forms", async () => {
    const { Clusters, NextToken } = await stub.cloudHsm.send(new DescribeClustersCommand({}));
    expect(NextToken).toBeUndefined();
    expect(Clusters).toHaveLength(1);
    const cluster = Clusters?.[0];
    expect(cluster).toMatchObject({
      ClusterId: expect.stringMatching(/^cluster-[2-7a-zA-Z]{11,16}$/),
      State: 'ACTIVE',
      HsmType: 'hsm2m.medium',
      BackupPolicy: 'DEFAULT',
      BackupRetentionPolicy: { Type: 'DAYS', Value: '90' },
      VpcId: expect.stringMatching(/^vpc-[0-9a-f]{17}$/),
      SecurityGroup: expect.stringMatching(/^sg-[0-9a-f]{17}$/),
      CreateTimestamp: expect.any(Date),
    });
    expect(cluster?.Certificates?.ClusterCertificate).toMatch(/^-----BEGIN CERTIFICATE-----\n/);
    expect(cluster?.Hsms).toHaveLength(3);
    for (const hsm of cluster?.Hsms ?? []) {
      expect(hsm).toMatchObject({
        HsmId: expect.stringMatching(/^hsm-[2-7a-zA-Z]{11,16}$/),
        ClusterId: cluster?.ClusterId,
        State: 'ACTIVE',
        EniId: expect.stringMatching(/^eni-[0-9a-f]{17}$/),
        EniIp: expect.stringMatching(/^(\d{1,3}\.){3}\d{1,3}$/),
      });
      expect(hsm.SubnetId).toBe(cluster?.SubnetMapping?.[hsm.AvailabilityZone ?? '']);
    }
    const zones = (cluster?.Hsms ?? []).map((hsm) => hsm.AvailabilityZone);
    expect(new Set(zones)).toEqual(new Set([`${region}a`, `${region}b`, `${region}c`]));
  });

  it('gives the members that came to the API later', async () => {
    const response = await callRaw(stub.endpoint, 'BaldrApiService.DescribeClusters', '{}');
    const { Clusters } = (await response.json()) as { Clusters: Record<string, unknown>[] };
    expect(Clusters[0]).toMatchObject({
      Mode: 'FIPS',
      NetworkType: 'IPV4',
      Hsms: [{ HsmType: 'hsm2m.medium' }, {}, {}],
    });
  });

  it('filters by id, state and VPC, all of which must match', async () => {
    const find = async (Filters: Record<string, string[]>) => {
      const { Clusters } = await stub.cloudHsm.send(new DescribeClustersCommand({ Filters }));
      return (Clusters ?? []).map((cluster) => cluster.ClusterId);
    };
    const { Clusters } = await stub.cloudHsm.send(new DescribeClustersCommand({}));
    const vpc = Clusters?.[0]?.VpcId ?? '';
    expect(await find({ clusterIds: [stub.clusterId] })).toEqual([stub.clusterId]);
    expect(await find({ clusterIds: ['cluster-aaaaaaaaaaa'] })).toEqual([]);
    expect(await find({ states: ['DELETED', 'ACTIVE'], vpcIds: [vpc] })).toEqual([stub.clusterId]);
    expect(await find({ states: ['ACTIVE'], vpcIds: ['vpc-00000000'] })).toEqual([]);
    await expect(find({ colour: ['red'] })).rejects.toBeInstanceOf(CloudHsmInvalidRequestException);
    await expect(find({ toString: ['x'] })).rejects.toBeInstanceOf(CloudHsmInvalidRequestException);
  });

  it('shows the states that a drill sets', async () => {
    await stub.admin('cluster', { state: 'DEGRADED', stateMessage: 'drill' });
    const { Clusters } = await stub.cloudHsm.send(new DescribeClustersCommand({}));
    expect(Clusters?.[0]).toMatchObject({ State: 'DEGRADED', StateMessage: 'drill' });
    const hsmId = Clusters?.[0]?.Hsms?.[1]?.HsmId;
    await stub.admin('cluster', { state: 'ACTIVE' });
    await stub.admin('hsm', { hsmId, state: 'DEGRADED' });
    const after = await stub.cloudHsm.send(new DescribeClustersCommand({}));
    expect(after.Clusters?.[0]).not.toHaveProperty('StateMessage');
    expect(after.Clusters?.[0]?.Hsms?.map((hsm) => hsm.State)).toEqual(['ACTIVE', 'DEGRADED', 'ACTIVE']);

    await stub.admin('hsms', { hsms: [{ availabilityZone: `${region}b` }, { availabilityZone: `${region}b` }] });
    const { Clusters: oneZone } = await stub.cloudHsm.send(new DescribeClustersCommand({}));
    expect(oneZone?.[0]?.Hsms?.map((hsm) => hsm.AvailabilityZone)).toEqual([`${region}b`, `${region}b`]);
  });

  it('pages', async () => {
    const added: unknown[] = [];
    for (let count = 0; count < 3; count += 1) added.push((await stub.admin('clusters', { hsmCount: 1 })).clusterId);
    const pages: (string | undefined)[][] = [];
    for await (const answer of paginateDescribeClusters({ client: stub.cloudHsm, pageSize: 3 }, {})) {
      pages.push((answer.Clusters ?? []).map((cluster) => cluster.ClusterId));
    }
    expect(pages).toEqual([[stub.clusterId, added[0], added[1]], [added[2]]]);
  });

  it.each([0, 26, -1])('refuses MaxResults %i', async (MaxResults) => {
    const call = stub.cloudHsm.send(new DescribeClustersCommand({ MaxResults }));
    await expect(call).rejects.toMatchObject({
      name: 'CloudHsmInvalidRequestException',
      message: expect.stringContaining("'maxResults'"),
      $metadata: { httpStatusCode: 400 },
    });
  });
});

describe('DescribeBackups', () => {
  beforeEach(() => stub.admin('backups', { backups: [0, 5, 3, 1, 4, 2].map((age) => ({ ageSeconds: age * hour })) }));

  it('gives a backup in the form of the API', async () => {
    await stub.admin('backups', { backups: [{ ageSeconds: hour, neverExpires: true }] });
    const response = await callRaw(stub.endpoint, 'BaldrApiService.DescribeBackups', '{}');
    const { Backups } = (await response.json()) as { Backups: Record<string, unknown>[] };
    expect(Backups).toEqual([
      {
        BackupArn: `arn:aws:cloudhsm:${region}:${accountId}:backup/${Backups[0]?.BackupId}`,
        BackupId: expect.stringMatching(/^backup-[2-7a-zA-Z]{11,16}$/),
        BackupState: 'READY',
        ClusterId: stub.clusterId,
        CreateTimestamp: expect.any(Number),
        HsmType: 'hsm2m.medium',
        Mode: 'FIPS',
        NeverExpires: true,
      },
    ]);
  });

  it('sorts by CreateTimestamp, newest first unless SortAscending', async () => {
    const times = (await backups()).map((backup) => backup.CreateTimestamp?.getTime() ?? 0);
    expect(times).toHaveLength(6);
    expect(times).toEqual(times.toSorted((one, other) => other - one));
    const ascending = await backups({ SortAscending: true });
    expect(ascending.map((backup) => backup.CreateTimestamp?.getTime())).toEqual(times.toReversed());
  });

  it('pages through every backup once, in order', async () => {
    const all = (await backups({ SortAscending: true })).map((backup) => backup.BackupId);
    const pages: (string | undefined)[][] = [];
    const paginator = paginateDescribeBackups({ client: stub.cloudHsm, pageSize: 4 }, { SortAscending: true });
    for await (const answer of paginator) pages.push((answer.Backups ?? []).map((backup) => backup.BackupId));
    expect(pages.map((items) => items.length)).toEqual([4, 2]);
    expect(pages.flat()).toEqual(all);
  });

  it('gives no NextToken with a last page that is full, and refuses a token that is not its own', async () => {
    const last = await stub.cloudHsm.send(new DescribeBackupsCommand({ MaxResults: 6 }));
    expect(last.NextToken).toBeUndefined();
    const { NextToken } = await stub.cloudHsm.send(new DescribeBackupsCommand({ MaxResults: 1 }));
    expect(NextToken).toEqual(expect.any(String));
    await expect(backups({ NextToken: 'elsewhere' })).rejects.toBeInstanceOf(CloudHsmInvalidRequestException);
    const other = stub.cloudHsm.send(new DescribeClustersCommand({ NextToken: NextToken ?? '' }));
    await expect(other).rejects.toBeInstanceOf(CloudHsmInvalidRequestException);
  });

  it('filters by ids, source, cluster, state and neverExpires', async () => {
    const { backupIds } = (await stub.admin('backups', {
      backups: [
        { ageSeconds: hour },
        { ageSeconds: 2 * hour, neverExpires: true },
        { ageSeconds: 3 * hour, state: 'PENDING_DELETION' },
        { ageSeconds: 4 * hour, copiedAgeSeconds: hour, sourceBackup: 'backup-source22222', sourceRegion: 'us-east-1' },
      ],
    })) as { backupIds: string[] };
    const find = async (Filters: Record<string, string[]>) => (await backups({ Filters })).map((b) => b.BackupId);
    expect(await find({ backupIds: [backupIds[1] ?? '', backupIds[2] ?? ''] })).toEqual([backupIds[1], backupIds[2]]);
    expect(await find({ sourceBackupIds: ['backup-source22222'] })).toEqual([backupIds[3]]);
    expect(await find({ clusterIds: ['cluster-aaaaaaaaaaa'] })).toEqual([]);
    expect(await find({ states: ['PENDING_DELETION'] })).toEqual([backupIds[2]]);
    expect(await find({ neverExpires: ['true'] })).toEqual([backupIds[1]]);
    expect(await find({ neverExpires: ['false'], states: ['READY'] })).toEqual([backupIds[0], backupIds[3]]);
    const [copy] = await backups({ Filters: { sourceBackupIds: ['backup-source22222'] } });
    expect(copy).toMatchObject({ CopyTimestamp: expect.any(Date), SourceRegion: 'us-east-1' });
    const [pending] = await backups({ Filters: { states: ['PENDING_DELETION'] } });
    expect(pending?.DeleteTimestamp).toEqual(expect.any(Date));
  });

  it('makes a backup for every 24 hours of its clock and drops those past the retention', async () => {
    const ages = async () => {
      const now = Date.now() + 1000 * 3600 * 24 * 10;
      return (await backups()).map((backup) =>
        Math.round((now - (backup.CreateTimestamp?.getTime() ?? 0)) / 3_600_000),
      );
    };
    await stub.admin('backups', { automatic: true, backups: [{ ageSeconds: hour }, { ageSeconds: 85 * 24 * hour }] });
    await stub.admin('clock', { offsetSeconds: 10 * 24 * hour });
    expect(await ages()).toEqual([1, 25, 49, 73, 97, 121, 145, 169, 193, 217, 241]);
  });

  it('makes none where a drill wants a gap', async () => {
    await stub.admin('backups', { backups: [{ ageSeconds: 30 * hour }] });
    await stub.admin('clock', { offsetSeconds: 10 * 24 * hour });
    expect(await backups()).toHaveLength(1);
  });

  it('fails as told, then works again', async () => {
    await stub.admin('faults', {
      faults: [
        { operation: 'BaldrApiService.DescribeBackups', code: 'CloudHsmInternalFailureException' },
        { operation: 'BaldrApiService.DescribeBackups', code: 'ThrottlingException' },
      ],
    });
    const failed = await backups().catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(CloudHsmInternalFailureException);
    expect(failed).toMatchObject({ $metadata: { httpStatusCode: 500 } });
    await expect(backups()).rejects.toMatchObject({ name: 'ThrottlingException', message: 'Rate exceeded' });
    expect(await backups()).toHaveLength(6);
  });
});

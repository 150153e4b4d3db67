import * as z from 'zod';
import { AwsError } from '../aws-error.ts';
import { operation } from '../operation.ts';
import { type Page, type PageRequest, page } from '../paging.ts';
import type { Backup, Cluster } from '../state.ts';
import { backupShape, clusterShape } from './shapes.ts';

const invalidRequest = 'CloudHsmInvalidRequestException';
const filters = z.record(z.string().regex(/^[a-zA-Z0-9_-]+$/), z.array(z.string())).optional();
const nextToken = z.string().max(256).optional();

type Filters = z.output<typeof filters>;
type Tests<Item> = Readonly<Record<string, (item: Item, values: readonly string[]) => boolean>>;

const clusterFilters: Tests<Cluster> = {
  clusterIds: (cluster, ids) => ids.includes(cluster.clusterId),
  states: (cluster, states) => states.includes(cluster.state),
  vpcIds: (cluster, ids) => ids.includes(cluster.vpcId),
};

const backupFilters: Tests<Backup> = {
  backupIds: (backup, ids) => ids.includes(backup.backupId),
  sourceBackupIds: (backup, ids) => backup.sourceBackup !== undefined && ids.includes(backup.sourceBackup),
  clusterIds: (backup, ids) => ids.includes(backup.clusterId),
  states: (backup, states) => states.includes(backup.state),
  neverExpires: (backup, values) => values.some((value) => value.toLowerCase() === String(backup.neverExpires)),
};

/** DescribeClusters (CloudHSM v2 API reference). */
export const describeClusters = operation(
  invalidRequest,
  z.object({ Filters: filters, NextToken: nextToken, MaxResults: z.int().min(1).max(25).optional() }),
  (state, input) => {
    const clusters = matching([...state.clusters.values()], clusterFilters, input.Filters);
    const { items, next } = pageOf(clusters, (cluster) => cluster.clusterId, {
      list: 'clusters',
      limit: input.MaxResults ?? 25,
      marker: input.NextToken,
    });
    return { Clusters: items.map(clusterShape), ...(next === undefined ? {} : { NextToken: next }) };
  },
);

/** DescribeBackups (CloudHSM v2 API reference). Newest first unless SortAscending; nothing is shared with this account. */
export const describeBackups = operation(
  invalidRequest,
  z.object({
    Filters: filters,
    NextToken: nextToken,
    MaxResults: z.int().min(1).max(50).optional(),
    Shared: z.boolean().optional(),
    SortAscending: z.boolean().optional(),
  }),
  (state, input, context) => {
    const owned = input.Shared === true ? [] : state.backups;
    const direction = input.SortAscending === true ? 1 : -1;
    const sorted = matching(owned, backupFilters, input.Filters).toSorted(
      (one, other) => direction * (one.createdAt - other.createdAt || compare(one.backupId, other.backupId)),
    );
    const { items, next } = pageOf(sorted, (backup) => backup.backupId, {
      list: 'backups',
      limit: input.MaxResults ?? 50,
      marker: input.NextToken,
    });
    return {
      Backups: items.map((backup) => backupShape(backup, context)),
      ...(next === undefined ? {} : { NextToken: next }),
    };
  },
);

function compare(one: string, other: string): number {
  if (one === other) return 0;
  return one < other ? -1 : 1;
}

/** Every filter must match; within one, any value. */
function matching<Item>(items: readonly Item[], tests: Tests<Item>, wanted: Filters): Item[] {
  const conditions = Object.entries(wanted ?? {}).map(([name, values]) => {
    const test = Object.hasOwn(tests, name) ? tests[name] : undefined;
    if (test === undefined) throw new AwsError(invalidRequest, `Invalid filter: ${name}`);
    return (item: Item) => test(item, values);
  });
  return items.filter((item) => conditions.every((condition) => condition(item)));
}

function pageOf<Item>(items: readonly Item[], idOf: (item: Item) => string, request: PageRequest): Page<Item> {
  const found = page(items, idOf, request);
  if (found === undefined) throw new AwsError(invalidRequest, 'Invalid NextToken');
  return found;
}

import * as z from 'zod';
import { AdminError } from './admin-error.ts';
import { makeClusterCertificates } from './cloudhsm/certificates.ts';
import { newBackup, newCluster, newHsm } from './cloudhsm/cluster.ts';
import type { Context } from './context.ts';
import { faultSchema, setFaults } from './faults.ts';
import { setConnection } from './kms/custom-key-stores.ts';
import { keyStateOf } from './kms/key-state.ts';
import type { Seed } from './seed.ts';
import { settle } from './settle.ts';
import {
  backupStates,
  type Cluster,
  type ConnectionErrorCode,
  clusterStates,
  connectionErrorCodes,
  connectionStates,
  hsmStates,
  type StubState,
} from './state.ts';

export interface Admin {
  readonly state: StubState;
  readonly seed: Seed;
  /** The context as of now; made anew by every request, since one moves the clock. */
  readonly context: () => Context;
}

type Command = (admin: Admin, body: unknown) => object;

function command<Schema extends z.ZodType>(
  schema: Schema,
  run: (admin: Admin, body: z.output<Schema>) => object,
): Command {
  return (admin, body) => {
    const parsed = schema.safeParse(body);
    if (!parsed.success) throw new AdminError(z.prettifyError(parsed.error));
    return run(admin, parsed.data);
  };
}

/** The commands by path below /_stub/, each a POST with a JSON body; see README.md. */
export const commands: Readonly<Record<string, Command>> = {
  clock: command(z.strictObject({ offsetSeconds: z.number() }), (admin, body) => {
    admin.state.clockOffset = body.offsetSeconds * 1000;
    return describeState(admin);
  }),

  'custom-key-store': command(
    z
      .strictObject({
        customKeyStoreId: z.string().optional(),
        connectionState: z.enum(connectionStates),
        connectionErrorCode: z.enum(connectionErrorCodes).optional(),
      })
      .refine((body) => (body.connectionState === 'FAILED') === (body.connectionErrorCode !== undefined), {
        message: 'connectionErrorCode goes with connectionState FAILED and with no other',
      }),
    (admin, body) => {
      const id = body.customKeyStoreId ?? admin.seed.customKeyStoreId;
      const store = admin.state.customKeyStores.get(id);
      if (store === undefined) throw new AdminError(`No custom key store ${id}`);
      const errorCode: ConnectionErrorCode | undefined = body.connectionErrorCode;
      setConnection(store, body.connectionState, { errorCode });
      return describeState(admin);
    },
  ),

  cluster: command(
    z.strictObject({
      clusterId: z.string().optional(),
      state: z.enum(clusterStates),
      stateMessage: z.string().max(300).optional(),
    }),
    (admin, body) => {
      const cluster = clusterOf(admin, body.clusterId);
      cluster.state = body.state;
      delete cluster.stateMessage;
      if (body.stateMessage !== undefined) cluster.stateMessage = body.stateMessage;
      return describeState(admin);
    },
  ),

  /** A second cluster, to make a custom key store on. */
  clusters: command(z.strictObject({ hsmCount: z.int().min(0).max(28).default(3) }), (admin, body) => {
    const context = admin.context();
    const certificates = makeClusterCertificates(context.now, context.randomBytes);
    const cluster = newCluster(certificates, body.hsmCount, context);
    admin.state.clusters.set(cluster.clusterId, cluster);
    return { clusterId: cluster.clusterId, trustAnchorCertificate: cluster.trustAnchorCertificate };
  }),

  hsm: command(
    z.strictObject({ hsmId: z.string(), state: z.enum(hsmStates), stateMessage: z.string().optional() }),
    (admin, body) => {
      const hsm = [...admin.state.clusters.values()]
        .flatMap((cluster) => cluster.hsms)
        .find((candidate) => candidate.hsmId === body.hsmId);
      if (hsm === undefined) throw new AdminError(`No HSM ${body.hsmId}`);
      hsm.state = body.state;
      delete hsm.stateMessage;
      if (body.stateMessage !== undefined) hsm.stateMessage = body.stateMessage;
      return describeState(admin);
    },
  ),

  /** All HSMs of a cluster, new ones in place of those it had. */
  hsms: command(
    z.strictObject({
      clusterId: z.string().optional(),
      hsms: z.array(z.strictObject({ availabilityZone: z.string(), state: z.enum(hsmStates).default('ACTIVE') })),
    }),
    (admin, body) => {
      const cluster = clusterOf(admin, body.clusterId);
      const zones = Object.keys(cluster.subnetMapping);
      const stray = body.hsms.find((hsm) => !zones.includes(hsm.availabilityZone));
      if (stray) throw new AdminError(`${stray.availabilityZone} is none of the cluster's zones: ${zones.join(', ')}`);
      cluster.hsms = body.hsms.map((hsm) => {
        return { ...newHsm(cluster, hsm.availabilityZone, admin.context()), state: hsm.state };
      });
      return describeState(admin);
    },
  ),

  /** All backups of a cluster, in place of those it had; no more are made unless `automatic` says so. */
  backups: command(
    z.strictObject({
      clusterId: z.string().optional(),
      automatic: z.boolean().default(false),
      backups: z.array(
        z.strictObject({
          ageSeconds: z.number().min(0),
          state: z.enum(backupStates).optional(),
          neverExpires: z.boolean().optional(),
          copiedAgeSeconds: z.number().min(0).optional(),
          sourceRegion: z.string().optional(),
          sourceBackup: z.string().optional(),
          sourceCluster: z.string().optional(),
        }),
      ),
    }),
    (admin, body) => {
      const cluster = clusterOf(admin, body.clusterId);
      const context = admin.context();
      const made = body.backups.map(({ ageSeconds, copiedAgeSeconds, ...backup }) => {
        const copiedAt = copiedAgeSeconds === undefined ? undefined : context.now - copiedAgeSeconds * 1000;
        return newBackup(cluster, { ...backup, createdAt: context.now - ageSeconds * 1000, copiedAt }, context);
      });
      cluster.automaticBackups = body.automatic;
      admin.state.backups = admin.state.backups.filter((backup) => backup.clusterId !== cluster.clusterId);
      admin.state.backups.push(...made);
      return { backupIds: made.map((backup) => backup.backupId) };
    },
  ),

  faults: command(z.strictObject({ faults: z.array(faultSchema) }), (admin, body) => {
    setFaults(admin.state, body.faults);
    return describeState(admin);
  }),
};

function clusterOf(admin: Admin, id: string | undefined): Cluster {
  const cluster = admin.state.clusters.get(id ?? admin.seed.clusterId);
  if (cluster === undefined) throw new AdminError(`No cluster ${id}`);
  return cluster;
}

/** What `GET /_stub/state` answers: ids and states, nothing secret (the token's PINs are not part of the state). */
export function describeState(admin: Admin): object {
  const { state } = admin;
  const context = admin.context();
  settle(state, context);
  return {
    ...admin.seed,
    region: context.region,
    accountId: context.accountId,
    now: new Date(context.now).toISOString(),
    clockOffsetSeconds: state.clockOffset / 1000,
    clusters: [...state.clusters.values()].map((cluster) => ({
      clusterId: cluster.clusterId,
      state: cluster.state,
      automaticBackups: cluster.automaticBackups,
      hsms: cluster.hsms.map((hsm) => ({
        hsmId: hsm.hsmId,
        availabilityZone: hsm.availabilityZone,
        state: hsm.state,
      })),
    })),
    backups: state.backups.map((backup) => ({
      backupId: backup.backupId,
      clusterId: backup.clusterId,
      state: backup.state,
      ageSeconds: (context.now - backup.createdAt) / 1000,
    })),
    customKeyStores: [...state.customKeyStores.values()].map((store) => ({
      customKeyStoreId: store.customKeyStoreId,
      customKeyStoreName: store.customKeyStoreName,
      connectionState: store.connectionState,
      connectionErrorCode: store.connectionErrorCode,
    })),
    keys: [...state.keys.values()].map((key) => ({
      keyId: key.keyId,
      origin: key.origin,
      keySpec: key.material.keySpec,
      keyState: keyStateOf(state, key),
    })),
    aliases: [...state.aliases.values()].map((alias) => ({
      aliasName: alias.aliasName,
      targetKeyId: alias.targetKeyId,
    })),
    faults: state.faults,
  };
}

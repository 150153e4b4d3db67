import { randomBytes, randomUUID } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { MintmarkError } from '../../shared/errors.ts';
import { announcementOf } from '../../shared/issuance/announce.ts';
import type { Authority } from '../../shared/issuance/authority.ts';
import { issueBatch } from '../../shared/issuance/issue-batch.ts';
import { OpenIssuers } from '../../shared/issuance/open-issuers.ts';
import type { Outcome, QueuedRequest } from '../../shared/issuance/outcome.ts';
import type { Profile } from '../../shared/issuance/profile.ts';
import type { SignatureCounts } from '../../shared/issuance/signature-counts.ts';
import { CompromisedKeys } from '../../shared/ledger/compromised-keys.ts';
import { DeviceRows } from '../../shared/ledger/device-rows.ts';
import { Devices } from '../../shared/ledger/devices.ts';
import { Failures } from '../../shared/ledger/failures.ts';
import { FirstLogins } from '../../shared/ledger/first-logins.ts';
import { IssuanceLedger } from '../../shared/ledger/issuance.ts';
import { IssuerNames } from '../../shared/ledger/issuer-names.ts';
import { Issuers } from '../../shared/ledger/issuers.ts';
import { KeyClaims } from '../../shared/ledger/key-claims.ts';
import { RateBuckets } from '../../shared/ledger/rate-buckets.ts';
import { Revocations } from '../../shared/ledger/revocations.ts';
import { Senders } from '../../shared/ledger/senders.ts';
import { makeRequest, newPrivateKey } from './csr.ts';
import type { IssuingCa } from './issuing-ca.ts';
import { deviceTls } from './profile.ts';
import { type SoftwareSigner, softwareSigner } from './software-signer.ts';
import { type Tables, tables } from './tables.ts';
import { type WrappedClient, wrapClient } from './wrapped-client.ts';

export const minute = 60_000;

/** One worker of the queue: a process's authority on shared tables, with a clock and a signer of the test's. */
export interface Worker {
  readonly authority: Authority;
  readonly signer: SoftwareSigner;
  readonly dynamoDB: WrappedClient;
  /** What was published, in order; empty again with each `issue`. */
  readonly announced: Outcome[];
  /** What each call to the signer came to. */
  readonly signed: readonly SignatureCounts[];
  /** Outcomes that the topic refuses. */
  refusesToPublish: (outcome: Outcome) => boolean;
  /** What opening the signer throws. */
  openingFails: Error | undefined;
  issue(...batch: readonly QueuedRequest[]): Promise<Outcome[]>;
}

export interface WorkerOptions {
  readonly tables: Tables;
  readonly ca: IssuingCa;
  /** Further ones, each with a signer of its own. */
  readonly otherCas?: readonly IssuingCa[];
  readonly now: () => number;
  readonly profiles?: readonly Profile[];
  /** Which item of a rate bucket it writes. */
  readonly rateShard?: number;
}

export function startWorker(options: WorkerOptions): Worker {
  const { tables: store, ca, otherCas = [], now, profiles = [deviceTls], rateShard = 0 } = options;
  const dynamoDB = wrapClient(store.newClient());
  const { client } = dynamoDB;
  const signer = softwareSigner(ca.issuer.signerUri, ca.privateKey);
  const otherSigners = new Map(
    otherCas.map(({ issuer, privateKey }) => [issuer.issuerId, softwareSigner(issuer.signerUri, privateKey)]),
  );
  const deployed = new Map(profiles.map((profile) => [profile.name, profile]));
  const announced: Outcome[] = [];
  const signed: SignatureCounts[] = [];
  const worker: Worker = {
    signer,
    dynamoDB,
    announced,
    signed,
    refusesToPublish: () => false,
    openingFails: undefined,
    authority: {
      profiles: deployed,
      ledger: new IssuanceLedger(client, tables.issuance),
      revocations: new Revocations(client, tables.revocations),
      devices: new Devices(client, tables.devices),
      senders: new Senders(client, tables.senders),
      compromisedKeys: new CompromisedKeys(client, tables.keys),
      keyClaims: new KeyClaims(client, tables.keys),
      deviceRows: new DeviceRows(client, tables.issuance),
      rateBuckets: new RateBuckets(client, tables.quotas, rateShard),
      failures: new Failures(client, tables.failures),
      issuerNames: new IssuerNames(client, tables.issuers),
      issuers: new OpenIssuers({
        issuers: new Issuers(client, tables.issuers),
        openSigner: async ({ issuerId }) => {
          if (worker.openingFails !== undefined) throw worker.openingFails;
          return otherSigners.get(issuerId) ?? signer;
        },
        firstLogins: new FirstLogins(client, tables.issuers),
        now,
        wait,
      }),
      publish: async (outcomes) => {
        const due = outcomes.filter((outcome) => announcementOf(outcome, deployed) !== undefined);
        const refused = due.filter(worker.refusesToPublish);
        announced.push(...due.filter((outcome) => !refused.includes(outcome)));
        return new Map(refused.map((outcome) => [outcome, new MintmarkError('STORE_UNAVAILABLE', 'No topic today.')]));
      },
      onSigned: (counts) => signed.push(counts),
      now,
      randomBytes,
      signBeforeSeconds: 900,
      giveUpAfterSeconds: 3600,
    },
    issue: (...batch) => {
      announced.length = 0;
      return issueBatch(worker.authority, batch, now() + 10_000);
    },
  };
  return worker;
}

export interface MessageFields {
  readonly deviceId: string;
  readonly requestId?: string;
  readonly profile?: string;
  /** PEM or base64; a good one of a new key otherwise. */
  readonly csr?: string;
}

export const base64 = (der: Uint8Array): string => Buffer.from(der).toString('base64');

/** A first delivery, sent now. */
export function queue(now: number, fields: MessageFields, attributes: Partial<QueuedRequest> = {}): QueuedRequest {
  const { deviceId, requestId = 'request-1', profile = 'device-tls' } = fields;
  const csr = fields.csr ?? base64(makeRequest(newPrivateKey()));
  return {
    messageId: randomUUID(),
    body: JSON.stringify({ version: 1, requestId, deviceId, profile, csr }),
    senderId: 'AROAEXAMPLEROLEID:gateway-1',
    sentAt: now,
    receiveCount: 1,
    ...attributes,
  };
}

/** The same message once more. */
export const redelivered = (message: QueuedRequest): QueuedRequest => ({
  ...message,
  receiveCount: message.receiveCount + 1,
});

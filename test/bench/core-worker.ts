/** A worker process of the core bench: options and phases come, and rates go, over IPC (core.ts). */
import { createHash, generateKeyPairSync, randomBytes, randomInt, sign, verify, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { announce } from '../../shared/issuance/announce.ts';
import type { Authority } from '../../shared/issuance/authority.ts';
import { issueBatch } from '../../shared/issuance/issue-batch.ts';
import { OpenIssuers } from '../../shared/issuance/open-issuers.ts';
import type { QueuedRequest } from '../../shared/issuance/outcome.ts';
import { readProfiles } from '../../shared/issuance/profile.ts';
import { CompromisedKeys } from '../../shared/ledger/compromised-keys.ts';
import { DeviceRows } from '../../shared/ledger/device-rows.ts';
import { Devices } from '../../shared/ledger/devices.ts';
import { Failures } from '../../shared/ledger/failures.ts';
import { IssuanceLedger } from '../../shared/ledger/issuance.ts';
import type { Issuer, Issuers } from '../../shared/ledger/issuers.ts';
import { KeyClaims } from '../../shared/ledger/key-claims.ts';
import { RateBuckets } from '../../shared/ledger/rate-buckets.ts';
import { Revocations } from '../../shared/ledger/revocations.ts';
import { Senders } from '../../shared/ledger/senders.ts';
import { openPkcs11Signer } from '../../shared/signer/pkcs11.ts';
import type { Signer } from '../../shared/signer/port.ts';
import { makeRequest, newPrivateKey } from '../support/csr.ts';
import { provedLogins } from '../support/first-logins.ts';
import { absentDynamoDB, instantDynamoDB, instantSNS, tables } from './absent-aws.ts';
import { rateOf } from './measure.ts';

export interface CoreWorkerOptions {
  readonly issuer: Issuer;
  readonly pin: string;
  readonly library: string;
  /** Of messages in a batch, as Lambda hands them over. */
  readonly batchSize: number;
}

export interface CorePhase {
  readonly milliseconds: number;
  /**
   * `core`: the pipeline from the message to the stored certificate, without AWS's clients. `clients`: the same with
   * the AWS SDK's, down to where they would go to the network, and the announcement.
   */
  readonly phase: 'verify' | 'sign' | 'core' | 'clients';
}

/** Each a second. */
export type CoreRate = number;

const far = () => Date.now() + 3_600_000;

/** A batch of new requests, each of a device of its own. */
function newBatch(size: number, csrs: readonly string[]): QueuedRequest[] {
  return Array.from({ length: size }, () => {
    const deviceId = `device-${randomBytes(8).toString('hex')}`;
    const csr = csrs[randomInt(csrs.length)];
    return {
      messageId: deviceId,
      body: JSON.stringify({ version: 1, requestId: 'first', deviceId, profile: 'device-tls', csr }),
      senderId: 'AROABENCH:gateway',
      sentAt: Date.now(),
      receiveCount: 1,
    };
  });
}

type Aws = Pick<Authority, 'publish'> & { readonly dynamoDB: DynamoDBClient };

function authorityOf(issuer: Issuer, signer: Signer, { dynamoDB, publish }: Aws): Authority {
  return {
    profiles: readProfiles(new URL('../../profiles/', import.meta.url)),
    ledger: new IssuanceLedger(dynamoDB, tables.issuance),
    revocations: new Revocations(dynamoDB, tables.revocations),
    devices: new Devices(dynamoDB, tables.devices),
    senders: new Senders(dynamoDB, tables.senders),
    compromisedKeys: new CompromisedKeys(dynamoDB, tables.keys),
    keyClaims: new KeyClaims(dynamoDB, tables.keys),
    deviceRows: new DeviceRows(dynamoDB, tables.issuance),
    rateBuckets: new RateBuckets(dynamoDB, tables.quotas, 0),
    failures: new Failures(dynamoDB, tables.failures),
    issuerNames: {
      resolve: async (name) => name,
      resolveNow: async (name) => name,
      lastTargets: async (name) => [name],
    },
    issuers: new OpenIssuers({
      ...provedLogins,
      issuers: { read: async () => issuer, readCertificates: async () => [issuer] } as unknown as Issuers,
      openSigner: async () => signer,
      now: Date.now,
    }),
    publish,
    onSigned: () => undefined,
    now: Date.now,
    randomBytes,
    signBeforeSeconds: 900,
    giveUpAfterSeconds: 3600,
  };
}

/** Verifications of ECDSA P-256 over a message of a TBSCertificate's size, as proof of possession and self-check are. */
function verifier(): () => number {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const message = randomBytes(600);
  const signature = sign('sha256', message, privateKey);
  return () => {
    for (let count = 0; count < 100; count++) {
      if (!verify('sha256', message, publicKey, signature)) throw new Error('OpenSSL does not verify its signature.');
    }
    return 100;
  };
}

async function run({ issuer, pin, library, batchSize }: CoreWorkerOptions): Promise<void> {
  const signer = await openPkcs11Signer({
    uri: issuer.signerUri,
    library,
    pin: Buffer.from(pin),
    certificatePublicKey: new X509Certificate(issuer.certificate).publicKey,
    workerUrl: new URL('../../shared/signer/pkcs11-worker.ts', import.meta.url),
    deadline: far(),
    now: Date.now,
    random: Math.random,
  });
  const sns = instantSNS();
  const core = authorityOf(issuer, signer, { dynamoDB: absentDynamoDB(), publish: async () => new Map() });
  const clients = authorityOf(issuer, signer, {
    dynamoDB: instantDynamoDB(),
    publish: (outcomes) =>
      announce(sns, 'arn:aws:sns:eu-central-1:111122223333:certificates', clients.profiles, outcomes),
  });
  const csrs = Array.from({ length: 200 }, () => Buffer.from(makeRequest(newPrivateKey())).toString('base64'));
  const digests = Array.from({ length: batchSize }, () => createHash('sha256').update(randomBytes(600)).digest());
  /** Made outside what is timed. */
  let waiting: QueuedRequest[][] = [];

  const steps: Record<CorePhase['phase'], () => number | Promise<number>> = {
    verify: verifier(),
    sign: async () => {
      const results = await signer.sign(digests, far());
      for (const result of results) if ('error' in result) throw result.error;
      return results.length;
    },
    core: () => issueNext(core),
    clients: () => issueNext(clients),
  };

  async function issueNext(authority: Authority): Promise<number> {
    const batch = waiting.pop();
    if (batch === undefined) throw new Error('All requests that were made beforehand are issued.');
    const outcomes = await issueBatch(authority, batch, far());
    const other = outcomes.find(({ kind }) => kind !== 'issued');
    if (other !== undefined) throw new Error(`A request was not issued: ${JSON.stringify(other)}`);
    return outcomes.length;
  }

  // What the first invocations of an environment compile is not what a busy one runs.
  waiting = Array.from({ length: 200 }, () => newBatch(batchSize, csrs));
  while (waiting.length > 0) await (waiting.length % 2 === 0 ? steps.core() : steps.clients());
  process.send?.('ready');
  for await (const [message] of phases()) {
    if (message === 'end') break;
    const { phase, milliseconds } = message;
    const issues = phase === 'core' || phase === 'clients';
    // More than can be issued meanwhile; and nobody's garbage is another's time.
    waiting = issues ? Array.from({ length: milliseconds }, () => newBatch(batchSize, csrs)) : [];
    globalThis.gc?.();
    process.send?.('prepared');
    await once(process, 'message');
    process.send?.(await rateOf(milliseconds, steps[phase]));
  }
  await signer.close();
  process.disconnect();
}

async function* phases(): AsyncGenerator<[CorePhase | 'end']> {
  for (;;) yield (await once(process, 'message')) as [CorePhase | 'end'];
}

const [options] = (await once(process, 'message')) as [CoreWorkerOptions];
await run(options);

import { randomBytes } from 'node:crypto';
import { CloudTrailClient } from '@aws-sdk/client-cloudtrail';
import { CloudWatchClient } from '@aws-sdk/client-cloudwatch';
import { KMSClient, SignCommand } from '@aws-sdk/client-kms';
import { LambdaClient } from '@aws-sdk/client-lambda';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { ApiCall, AroundCall } from '../../local/embedded/api-call.ts';
import type { EmbeddedCloud } from '../../local/embedded/cloud.ts';
import { startEmbeddedLocalCloud } from '../../local/embedded-cloud.ts';
import { type Cloud, type LocalCloud, stage } from '../../local/local-cloud.ts';
import {
  CallerCounts,
  compare,
  type Finding,
  IssuedRows,
  lookUpSignEvents,
  readCounted,
  readFunctionRoles,
} from '../../shared/audit/index.ts';
import { IssuanceRecords, Issuers } from '../../shared/ledger/index.ts';
import { parseAwsKmsUri } from '../../shared/signer/index.ts';
import { stepOf } from '../drills/steps.ts';
import { generateEcKey } from '../fixtures/csr/make.ts';
import { CloudUnderTest } from '../support/cloud-under-test.ts';
import { makePemCsr } from '../support/embedded-openssl.ts';

/** What the audit says of functions that were killed between signing, counting and storing, with a key in KMS. */

const minute = 60_000;
const key = generateEcKey('P-256');

/** Where the issue function's processes are still to be killed, each once. */
const kills: ('before signing' | 'after signing' | 'after storing')[] = [];
const placeOf = (call: ApiCall): string =>
  call.service === 'kms' && call.operation === 'Sign'
    ? 'signing'
    : stepOf(call) === 'store the certificate'
      ? 'storing'
      : 'elsewhere';
const around: AroundCall = async (call, perform) => {
  const { caller } = call;
  const [next] = kills;
  if (caller?.function !== 'issue' || next?.endsWith(` ${placeOf(call)}`) !== true) return perform();
  kills.shift();
  if (next.startsWith('after ')) await perform();
  await caller.kill();
  return undefined;
};

let cloud: CloudUnderTest<LocalCloud<EmbeddedCloud & Cloud>>;
let keyId: string;

beforeAll(async () => {
  cloud = new CloudUnderTest(
    await startEmbeddedLocalCloud({
      signing: { signer: 'awskms', allowAsymmetric: false },
      parameters: { visibilityTimeout: '3', issueConcurrency: '1' },
      conditions: { around },
      onFunctionLog: () => undefined,
    }),
  );
  const issuers = new Issuers(cloud.local.clients.dynamoDB, cloud.local.cloud.resources['IssuersTable']?.ref ?? '');
  keyId = parseAwsKmsUri((await issuers.read('devices'))?.signerUri ?? '').keyId;
});
afterAll(() => cloud?.stop());

/** The sum of a metric of the issuer. */
const counted = (metric: string): number =>
  cloud.local.cloud.metrics
    .filter(({ name, dimensions }) => name === metric && dimensions['Issuer'] === 'devices')
    .reduce((sum, { value }) => sum + value, 0);

/** A certificate, however often the function is killed on the way to it. */
async function issueDespite(...places: typeof kills): Promise<void> {
  kills.push(...places);
  const deviceId = await cloud.newDevice('killed');
  await cloud.request({ deviceId, requestId: 'r', csr: makePemCsr(key, deviceId) });
  await cloud.issued({ deviceId, requestId: 'r' });
  await cloud.until(() => kills.length === 0, 'every kill');
}

/** As `mintmark audit signatures` asks it, in ten minutes: what was just signed is compared then. */
async function auditLater(): Promise<{ signed: number; findings: readonly Finding[] }> {
  const { environment, resources } = cloud.local.cloud;
  const { AWS_REGION: region = '', AWS_ENDPOINT_URL: endpoint = '' } = environment;
  const own = { region, credentials: { accessKeyId: 'LOCALOPERATOR', secretAccessKey: 'local' } };
  const [lambda, cloudWatch] = [new LambdaClient({ ...own, endpoint }), new CloudWatchClient({ ...own, endpoint })];
  const trail = environment['AWS_ENDPOINT_URL_CLOUDTRAIL'] ?? endpoint;
  const cloudTrail = new CloudTrailClient({ ...own, endpoint: trail });
  const now = Date.now();
  const end = Math.ceil(now / minute) * minute;
  const period = { from: end - 30 * minute, to: end + 10 * minute, granularity: 60 };
  try {
    const roles = await readFunctionRoles(lambda, ['mintmark-local-issue', 'mintmark-local-reconcile']);
    const callers = new CallerCounts(new Map([[keyId, [keyId]]]), roles, period);
    for await (const events of lookUpSignEvents(cloudTrail, { period, pace: () => Promise.resolve() })) {
      for (const event of events) callers.add(event);
    }
    const certificate = cloud.local.issuingCertificate;
    const rows = new IssuedRows([{ issuerId: 'devices', keyId, certificate }], ['devices'], period, now);
    const records = new IssuanceRecords(cloud.local.clients.dynamoDB, resources['IssuanceTable']?.ref ?? '');
    for await (const { record } of records.find({ by: 'nothing' })) rows.add(record);
    const counts = await readCounted(cloudWatch, stage, ['devices'], period);
    const ofDevices = counts.get('devices');
    if (ofDevices === undefined) throw new Error('Nothing was counted.');
    const issuers = [{ counted: ofDevices, issued: rows.of('devices') }];
    const signing = callers.of(keyId);
    const findings = compare({ issuers, callers: signing, isMultiRegion: false });
    return { signed: signing.reduce((sum, { signed }) => sum + signed, 0), findings };
  } finally {
    for (const client of [lambda, cloudWatch, cloudTrail]) client.destroy();
  }
}

/** kms:Sign with the issuing function's own credentials, by somebody who has them. */
async function forge(): Promise<void> {
  const { AWS_ENDPOINT_URL_KMS: endpoint = '', AWS_REGION: region = '' } = cloud.local.cloud.environment;
  const credentials = {
    accessKeyId: 'LOCALISSUE',
    secretAccessKey: 'any',
    sessionToken: 'mintmark-local-issue:any',
  };
  const kms = new KMSClient({ endpoint, region, credentials });
  const how = { MessageType: 'DIGEST', SigningAlgorithm: 'ECDSA_SHA_256' } as const;
  await kms.send(new SignCommand({ KeyId: keyId, Message: randomBytes(32), ...how })).finally(() => kms.destroy());
}

const codes = (findings: readonly Finding[]) => findings.map(({ severity, code }) => `${severity} ${code}`);

it('nothing, of one killed after it stored, before it could say so: what was signed had been counted', async () => {
  await issueDespite('after storing');
  await cloud.until(() => counted('SignaturesMade') === 1, 'count of the signature');
  expect(await auditLater()).toEqual({ signed: 1, findings: [] });
});

it('a note, of one killed twice with a signature in its hands: it had asked for each', async () => {
  await issueDespite('after signing', 'after signing');
  await cloud.until(() => counted('SignaturesMade') === 2, 'count of the signature');
  const { signed, findings } = await auditLater();
  expect([signed, counted('SignaturesRequested')]).toEqual([4, 4]);
  expect(codes(findings)).toEqual(['note SIGNED_NOT_ANSWERED']);
  expect(findings[0]?.sentence).toContain('not seen to get 2 of what was signed: not more than the 2 that they asked');
});

it('somebody else with its credentials has the room of what it asked for and did not get, and no more', async () => {
  await issueDespite('before signing');
  await cloud.until(() => counted('SignaturesMade') === 3, 'count of the signature');
  expect([(await auditLater()).signed, counted('SignaturesRequested')]).toEqual([5, 6]);
  await forge();
  const hidden = await auditLater();
  expect([hidden.signed, ...codes(hidden.findings)]).toEqual([6, 'note SIGNED_NOT_ANSWERED']);
  await forge();
  const found = await auditLater();
  expect([found.signed, ...codes(found.findings)]).toEqual([7, 'critical SIGNED_NOT_COUNTED']);
});

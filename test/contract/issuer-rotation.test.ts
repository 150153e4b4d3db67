import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { GetItemCommand, PutItemCommand } from '@aws-sdk/client-dynamodb';
import { beforeEach, describe, expect, it } from 'vitest';
import { readBoard } from '../../shared/breaker/board.ts';
import { Breakers } from '../../shared/breaker/breakers.ts';
import { Gatekeeper } from '../../shared/breaker/gate.ts';
import { readIssuersTable } from '../../shared/cluster/issuers-table.ts';
import { AdmittedIssuers } from '../../shared/issuance/admitted-issuers.ts';
import { certificatePem } from '../../shared/issuance/certificate.ts';
import { issueBatch } from '../../shared/issuance/issue-batch.ts';
import type { Outcome, QueuedRequest } from '../../shared/issuance/outcome.ts';
import { reconcile } from '../../shared/issuance/reconcile.ts';
import { Devices } from '../../shared/ledger/devices.ts';
import { readIssuerCertificates } from '../../shared/ledger/issuer-certificates.ts';
import { IssuerNameRecords } from '../../shared/ledger/issuer-name-records.ts';
import { IssuerNames } from '../../shared/ledger/issuer-names.ts';
import { Issuers } from '../../shared/ledger/issuers.ts';
import { OpenIntents } from '../../shared/ledger/open-intents.ts';
import { runOnTables } from '../support/command-on-tables.ts';
import { minute, queue, redelivered, startWorker, type Worker } from '../support/issuing.ts';
import { type IssuingCa, makeIssuingCa } from '../support/issuing-ca.ts';
import { deviceTlsYaml } from '../support/profile.ts';
import { startTables, type Tables, tables } from '../support/tables.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { wrapClient } from '../support/wrapped-client.ts';

/** A stage's issuing CA is replaced by another while requests come: by a name's row, without a deployment. */

const start = Date.parse('2026-11-22T12:00:00Z');
const validity = { notBefore: new Date(start - 86_400_000), notAfter: new Date(start + 10 * 365 * 86_400_000) };
const oldCa = makeIssuingCa({ issuerId: 'devices', ...validity });
const newCa = makeIssuingCa({ issuerId: 'devices-2', ...validity });

const folder = temporaryFolder('issuer-rotation');
writeFileSync(join(folder, 'device-tls.yaml'), deviceTlsYaml);
const chainFile = (ca: IssuingCa): string => join(folder, `${ca.issuer.issuerId}.pem`);
for (const ca of [oldCa, newCa]) {
  writeFileSync(chainFile(ca), [ca.issuer.certificate, ca.root].map(certificatePem).join(''));
}

let store: Tables;
let issuers: Issuers;
let names: IssuerNameRecords;
let now: number;
let devices = 0;

beforeEach(async () => {
  store = await startTables();
  issuers = new Issuers(store.client, tables.issuers);
  names = new IssuerNameRecords(store.client, tables.issuers);
  await issuers.add(oldCa.issuer);
  now = start;
  return () => store.close();
});

const newWorker = (clock: () => number = () => now): Worker =>
  startWorker({ tables: store, ca: oldCa, otherCas: [newCa], now: clock });

const mintmark = (...words: readonly string[]) => runOnTables(store, () => now, ...words);
const withProfiles = ['--profiles', folder];

const newIssuer = {
  '--id': 'devices-2',
  '--signer-uri': 'awskms:key-id=12345678-1234-1234-1234-123456789012',
  '--base-url': 'http://ca-2.example.com',
  '--crl-shards': '4',
  '--signature-algorithm': 'rsa-pss-sha256',
};
/** The key is a test's own; what KMS is asked of one: issuer-commands.test.ts. */
const withoutKms = ['--unchecked-key'];
const add = () =>
  mintmark('issuers', 'add', chainFile(newCa), ...Object.entries(newIssuer).flat(), ...withProfiles, ...withoutKms);
const activate = (issuerId = 'devices-2') =>
  mintmark('issuers', 'activate', issuerId, '--name', 'devices', ...withProfiles, ...withoutKms);
const retire = (issuerId = 'devices', ...more: readonly string[]) =>
  mintmark('issuers', 'retire', issuerId, ...withProfiles, ...more);

async function newMessage(): Promise<QueuedRequest> {
  const deviceId = `device-${++devices}`;
  await new Devices(store.client, tables.devices).register({ deviceId, state: 'active' });
  return queue(now, { deviceId });
}

function issued(outcome: Outcome | undefined) {
  if (outcome?.kind !== 'issued') throw new Error(`Not issued: ${JSON.stringify(outcome)}`);
  return outcome.row;
}

/** As whoever verifies has it: the root, and the issuing CA's certificate. @throws unless openssl says OK */
function verify(ca: IssuingCa, certificate: Uint8Array): void {
  const [root, issuing, leaf] = [ca.root, ca.issuer.certificate, certificate].map((der, index) => {
    const file = join(folder, `verified-${index}.pem`);
    writeFileSync(file, certificatePem(der));
    return file;
  });
  const at = String(Math.floor(now / 1000));
  const args = [
    'verify',
    '-x509_strict',
    '-attime',
    at,
    '-CAfile',
    root ?? '',
    '-untrusted',
    issuing ?? '',
    leaf ?? '',
  ];
  expect(execFileSync('openssl', args, { encoding: 'utf8' })).toContain(': OK');
}

describe('a switch from one issuing CA to another', () => {
  it('leaves no request without its certificate, and no serial number twice', async () => {
    // Their clocks differ, and each has read the name at another moment.
    const workers = [0, 7_000, -11_000].map((skew) => newWorker(() => now + skew));
    const rows: ReturnType<typeof issued>[] = [];
    const seconds = 10;
    const operator: Readonly<Record<number, () => Promise<{ readonly exitCode: number }>>> = {
      60: add,
      120: activate,
      // Twice a minute later nobody remembers the name as it was.
      260: retire,
    };
    for (let second = 0; second < 400; second += seconds) {
      const batches = await Promise.all(
        workers.map(async (worker) => [worker, [await newMessage(), await newMessage()]] as const),
      );
      const working = Promise.all(batches.map(([worker, batch]) => worker.issue(...batch)));
      expect(await operator[second]?.()).toEqual(operator[second] && expect.objectContaining({ exitCode: 0 }));
      for (const outcomes of await working) rows.push(...outcomes.map(issued));
      now += seconds * 1000;
    }
    expect(rows).toHaveLength(40 * 3 * 2);
    expect(new Set(rows.map(({ serialNumber }) => serialNumber)).size).toBe(rows.length);
    const [byOld, byNew] = [oldCa, newCa].map(({ issuer }) =>
      rows.filter(({ issuerId }) => issuerId === issuer.issuerId),
    );
    expect((byOld?.length ?? 0) + (byNew?.length ?? 0)).toBe(rows.length);
    // All of the first two minutes' by the old, all after the third minute's by the new, whatever the worker's clock.
    expect(byOld?.length).toBeGreaterThanOrEqual(12 * 6);
    expect(byNew?.length).toBeGreaterThanOrEqual(20 * 6);
    for (const [ca, signed] of [
      [oldCa, byOld],
      [newCa, byNew],
    ] as const) {
      for (const row of [signed?.[0], signed?.at(-1)]) verify(ca, row?.certificate ?? new Uint8Array());
      const key = new X509Certificate(ca.issuer.certificate).publicKey;
      expect(signed?.every(({ certificate }) => new X509Certificate(certificate).verify(key))).toBe(true);
    }
    expect((await issuers.read('devices'))?.state).toBe('retired');
  });

  it('goes on in the same delivery where the old CA is retired before the name is read anew', async () => {
    // Remembers the name as it was, and has not read the issuer.
    const stale = newWorker();
    await stale.authority.issuerNames.resolve('devices', now);
    await add();
    await activate();
    expect((await retire()).exitCode).toBe(1);
    expect((await retire('devices', '--force')).exitCode).toBe(0);
    now += minute - 1;
    expect(issued((await stale.issue(await newMessage()))[0]).issuerId).toBe('devices-2');
  });

  it('lets what was begun under the old CA end under it, by a redelivery and by reconciliation', async () => {
    const [worker, ...others] = [newWorker(), newWorker(), newWorker()];
    const [first, second] = [await newMessage(), await newMessage()];
    worker.signer.faults.push('unavailable', 'unavailable');
    expect((await worker.issue(first, second)).map(({ kind }) => kind)).toEqual(['retry', 'retry']);
    await add();
    await activate();
    now += 4 * minute;
    expect(await retire()).toMatchObject({
      exitCode: 1,
      json: { change: 'refused', reasons: [expect.stringContaining('2 open intents are of it')] },
    });
    const row = issued((await others[0]?.issue(redelivered(first)))?.[0]);
    expect(row.issuerId).toBe('devices');
    verify(oldCa, row.certificate);
    const { requests } = await reconcile({
      authority: (others[1] ?? worker).authority,
      openIntents: new OpenIntents(store.client, tables.issuance),
      patience: 3 * minute,
      firstShard: 0,
      deadline: now + 40_000,
    });
    expect(requests.map(({ became }) => became)).toEqual(['finished']);
    expect(issued((await worker.issue(redelivered(second)))[0]).issuerId).toBe('devices');
    expect((await retire()).exitCode).toBe(0);
    expect(issued((await newWorker().issue(await newMessage()))[0]).issuerId).toBe('devices-2');
  });

  it('leaves a CA whose breaker is open, since the name is read before any breaker', async () => {
    const breakers = new Breakers(store.client, tables.issuers);
    await breakers.hold(
      await breakers.read('devices'),
      { reason: 'SIGNER_UNAVAILABLE', detail: 'The HSM is away.' },
      now,
    );
    const worker = newWorker();
    const gatekeeper = new Gatekeeper({
      breakers,
      pausedSeconds: 60,
      checkSignerSeconds: 60,
      now: () => now,
      onError: (error) => {
        throw error;
      },
    });
    const issue = async (message: QueuedRequest) => {
      const gate = gatekeeper.newGate(`batch-${now}`);
      const admitted = new AdmittedIssuers(worker.authority.issuers, gate, () => undefined);
      const [outcome] = await issueBatch({ ...worker.authority, issuers: admitted }, [message], now + 10_000);
      await gate.report();
      return outcome;
    };
    const message = await newMessage();
    expect(await issue(message)).toMatchObject({ kind: 'retry', error: { code: 'SIGNER_PAUSED' } });
    await add();
    await activate();
    now += minute;
    expect(issued(await issue(redelivered(message))).issuerId).toBe('devices-2');
    expect((await breakers.read('devices')).state).toBe('open');
  });
});

describe('the names of issuers', () => {
  const reads = (sent: readonly object[]) =>
    sent.filter(
      (command) =>
        command instanceof GetItemCommand && command.input.Key?.['issuerId']?.S?.startsWith('#issuing#') === true,
    ).length;

  it('are read once a minute, whether there is a row or none', async () => {
    await add();
    const worker = newWorker();
    const batch = [await newMessage(), await newMessage(), await newMessage()];
    for (const outcome of await worker.issue(...batch)) expect(issued(outcome).issuerId).toBe('devices');
    expect(reads(worker.dynamoDB.commands)).toBe(1);
    await activate();
    now += minute - 1;
    expect(issued((await worker.issue(await newMessage()))[0]).issuerId).toBe('devices');
    expect(reads(worker.dynamoDB.commands)).toBe(1);
    now += 1;
    expect(issued((await worker.issue(await newMessage()))[0]).issuerId).toBe('devices-2');
    expect(reads(worker.dynamoDB.commands)).toBe(2);
    now += minute - 1;
    await worker.issue(await newMessage());
    expect(reads(worker.dynamoDB.commands)).toBe(2);
  });

  it('are asked for again after DynamoDB did not answer', async () => {
    const other = wrapClient(store.newClient());
    const resolver = new IssuerNames(other.client, tables.issuers);
    other.fail((command) => command instanceof GetItemCommand, 'not-written');
    const asked = [resolver.resolve('devices', now), resolver.resolve('devices', now)];
    expect((await Promise.allSettled(asked)).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(await resolver.resolve('devices', now)).toBe('devices');
  });

  it.each([
    ['no target', {}],
    ['an empty one', { target: { S: '' } }],
    ['one of another type', { target: { N: '1' } }],
    ['a row that is no issuer', { target: { S: '#breaker#devices' } }],
  ])('with %s lead nowhere, least of all to the issuer of that id', async (_, attributes) => {
    const Item = { issuerId: { S: '#issuing#devices' }, ...attributes };
    await store.client.send(new PutItemCommand({ TableName: tables.issuers, Item }));
    const [outcome] = await newWorker().issue(await newMessage());
    expect(outcome).toMatchObject({ kind: 'retry', error: { code: 'CONFIGURATION_INVALID' } });
    expect(await names.list()).toMatchObject({ names: [], unreadable: [{ name: 'devices' }] });
  });

  it('change only from what they were, of two at once, one; and remember what they led to', async () => {
    const both = await Promise.all([
      names.point('fleet', 'one', undefined, now),
      names.point('fleet', 'two', undefined, now),
    ]);
    expect(both.toSorted()).toEqual([false, true]);
    const winner = both[0] ? 'one' : 'two';
    const [first] = (await names.list()).names;
    expect(first).toEqual({
      name: 'fleet',
      target: winner,
      previousTarget: 'fleet',
      activatedAt: now,
      recentTargets: [{ issuerId: 'fleet', until: now }],
    });
    if (first === undefined) throw new Error('There is no name.');
    expect(await names.point('fleet', 'three', { ...first, target: 'elsewhere' }, now)).toBe(false);
    expect(await names.point('fleet', 'three', first, now + 1)).toBe(true);
    expect(await names.list()).toEqual({
      names: [
        {
          name: 'fleet',
          target: 'three',
          previousTarget: winner,
          activatedAt: now + 1,
          recentTargets: [
            { issuerId: 'fleet', until: now },
            { issuerId: winner, until: now + 1 },
          ],
        },
      ],
      unreadable: [],
    });
    expect(await names.point('fleet', 'four', first, now + 2)).toBe(false);
  });

  it('are no issuers to whoever lists those', async () => {
    await add();
    await activate();
    const ids = ['devices', 'devices-2'];
    const [certificates, board, watched] = await Promise.all([
      readIssuerCertificates(store.client, tables.issuers),
      readBoard(store.client, tables.issuers),
      readIssuersTable(store.client, tables.issuers, 'eu-west-1', new AbortController().signal),
    ]);
    expect(certificates.map(({ issuerId }) => issuerId)).toEqual(ids);
    expect(board.issuers.map(({ issuerId }) => issuerId)).toEqual(ids);
    expect(board.unreadable).toEqual([]);
    expect(watched.issuers.map(({ issuerId }) => issuerId).toSorted()).toEqual(ids);
  });
});

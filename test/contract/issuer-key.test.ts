import { ScanCommand } from '@aws-sdk/client-dynamodb';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Devices } from '../../shared/ledger/devices.ts';
import { IssuerNameRecords } from '../../shared/ledger/issuer-name-records.ts';
import { Issuers } from '../../shared/ledger/issuers.ts';
import { generateRsaKey, makeCsr } from '../fixtures/csr/make.ts';
import { base64, queue, startWorker } from '../support/issuing.ts';
import { type IssuingCa, makeIssuingCa } from '../support/issuing-ca.ts';
import { deviceTls } from '../support/profile.ts';
import { startTables, type Tables, tables } from '../support/tables.ts';

const start = Date.parse('2026-11-22T12:00:00Z');
const day = 86_400_000;

let store: Tables;
let ca: IssuingCa;
let next: IssuingCa;
let others: IssuingCa;

beforeAll(async () => {
  store = await startTables();
  ca = makeIssuingCa({ notBefore: new Date(start - day), notAfter: new Date(start + 10 * 365 * day) });
  const validity = { notBefore: new Date(start - day), notAfter: new Date(start + 10 * 365 * day) };
  next = makeIssuingCa({ ...validity, issuerId: 'devices-next' });
  others = makeIssuingCa({ ...validity, issuerId: 'others' });
  await new Issuers(store.client, tables.issuers).add(ca.issuer);
  for (const deviceId of ['device-1', 'device-2', 'device-3', 'device-4']) {
    await new Devices(store.client, tables.devices).register({ deviceId, state: 'active' });
  }
});

afterAll(() => store.close());

const csrWithKeyOf = ({ privateKey }: IssuingCa, deviceId: string): string =>
  base64(makeCsr(privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), { subject: `/CN=${deviceId}` }));

it("a CSR with the issuing CA's own key is rejected, and nothing is signed for it; another RSA key's is issued", async () => {
  const worker = startWorker({ tables: store, ca, now: () => start });
  const [own] = await worker.issue(queue(start, { deviceId: 'device-1', csr: csrWithKeyOf(ca, 'device-1') }));
  expect(own).toMatchObject({ kind: 'rejected', code: 'KEY_BELONGS_TO_ISSUER' });
  expect(worker.signed).toEqual([]);

  const csr = base64(makeCsr(generateRsaKey(2048), { subject: '/CN=device-2' }));
  expect(await worker.issue(queue(start, { deviceId: 'device-2', csr }))).toMatchObject([{ kind: 'issued' }]);
});

it('so is one with the key of any other CA of the table: one that another name leads to, one that issued before', async () => {
  const issuers = new Issuers(store.client, tables.issuers);
  await issuers.add(others.issuer);
  await issuers.add(next.issuer);
  await new IssuerNameRecords(store.client, tables.issuers).point('devices', 'devices-next', undefined, start);
  const worker = startWorker({ tables: store, ca, otherCas: [next, others], now: () => start });
  const refused = async (deviceId: string, requestId: string, of: IssuingCa) => {
    const [outcome] = await worker.issue(queue(start, { deviceId, requestId, csr: csrWithKeyOf(of, deviceId) }));
    expect(outcome).toMatchObject({ kind: 'rejected', code: 'KEY_BELONGS_TO_ISSUER' });
  };
  await refused('device-3', 'own', next);
  await refused('device-3', 'before', ca);
  await refused('device-3', 'other', others);
  await issuers.retire('devices', start);
  await refused('device-3', 'retired', ca);
  expect(worker.signed).toEqual([]);
  const csr = base64(makeCsr(generateRsaKey(2048), { subject: '/CN=device-3' }));
  expect(await worker.issue(queue(start, { deviceId: 'device-3', csr }))).toMatchObject([{ kind: 'issued' }]);
});

it('a CA that was added a moment ago issues nothing with its own key, though the others are remembered without it', async () => {
  const issuers = new Issuers(store.client, tables.issuers);
  const added = makeIssuingCa({
    issuerId: 'added',
    notBefore: new Date(start - day),
    notAfter: new Date(start + 10 * 365 * day),
  });
  const profile = { ...deviceTls, name: 'of-added', issuer: 'added' };
  let now = start;
  const worker = startWorker({
    tables: store,
    ca,
    otherCas: [next, added],
    profiles: [deviceTls, profile],
    now: () => now,
  });
  const first = base64(makeCsr(generateRsaKey(2048), { subject: '/CN=device-4' }));
  expect(await worker.issue(queue(start, { deviceId: 'device-4', csr: first }))).toMatchObject([{ kind: 'issued' }]);
  await issuers.add(added.issuer);
  const asked = (requestId: string, name: string) =>
    worker.issue(queue(now, { deviceId: 'device-4', requestId, profile: name, csr: csrWithKeyOf(added, 'device-4') }));
  expect(await asked('own', 'of-added')).toMatchObject([{ code: 'KEY_BELONGS_TO_ISSUER' }]);
  now += 60_000;
  expect(await asked('another', 'device-tls')).toMatchObject([{ code: 'KEY_BELONGS_TO_ISSUER' }]);
  expect(worker.dynamoDB.commands.filter((command) => command instanceof ScanCommand)).toHaveLength(2);
});

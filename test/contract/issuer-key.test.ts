import { afterAll, beforeAll, expect, it } from 'vitest';
import { Devices } from '../../shared/ledger/devices.ts';
import { Issuers } from '../../shared/ledger/issuers.ts';
import { generateRsaKey, makeCsr } from '../fixtures/csr/make.ts';
import { base64, queue, startWorker } from '../support/issuing.ts';
import { type IssuingCa, makeIssuingCa } from '../support/issuing-ca.ts';
import { startTables, type Tables, tables } from '../support/tables.ts';

const start = Date.parse('2026-11-22T12:00:00Z');
const day = 86_400_000;

let store: Tables;
let ca: IssuingCa;

beforeAll(async () => {
  store = await startTables();
  ca = makeIssuingCa({ notBefore: new Date(start - day), notAfter: new Date(start + 10 * 365 * day) });
  await new Issuers(store.client, tables.issuers).add(ca.issuer);
  for (const deviceId of ['device-1', 'device-2']) {
    await new Devices(store.client, tables.devices).register({ deviceId, state: 'active' });
  }
});

afterAll(() => store.close());

it("a CSR with the issuing CA's own key is rejected, and nothing is signed for it; another RSA key's is issued", async () => {
  const worker = startWorker({ tables: store, ca, now: () => start });
  const issuers = ca.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const [own] = await worker.issue(queue(start, { deviceId: 'device-1', csr: base64(makeCsr(issuers)) }));
  expect(own).toMatchObject({ kind: 'rejected', code: 'KEY_BELONGS_TO_ISSUER' });
  expect(worker.signed).toEqual([]);

  const csr = base64(makeCsr(generateRsaKey(2048), { subject: '/CN=device-2' }));
  expect(await worker.issue(queue(start, { deviceId: 'device-2', csr }))).toMatchObject([{ kind: 'issued' }]);
});

import { type DynamoDBClient, type GetItemCommand, QueryCommand, ScanCommand } from '@aws-sdk/client-dynamodb';
import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Outcome, QueuedRequest } from '../../shared/issuance/outcome.ts';
import { reconcile } from '../../shared/issuance/reconcile.ts';
import { Devices } from '../../shared/ledger/devices.ts';
import type { Item, OpenIntents } from '../../shared/ledger/index.ts';
import { Issuers } from '../../shared/ledger/issuers.ts';
import { type Audit, audit, type Delivery, mustBeEmpty } from '../support/audit.ts';
import { makeRequest, newPrivateKey } from '../support/csr.ts';
import { type Fate, Interleaving } from '../support/interleaving.ts';
import { base64, minute, queue, redelivered, startWorker, type Worker } from '../support/issuing.ts';
import { type IssuingCa, makeIssuingCa } from '../support/issuing-ca.ts';
import { startTables, type Tables, tables } from '../support/tables.ts';

/**
 * The issue function's own way of a batch, by several workers at once and reconciliation beside them, with every call to DynamoDB and to the signer in
 * an order, and with a fate, that the test chooses: failed and not done, failed but done, the worker killed before or
 * after it. In the end every request has its one certificate, and every signature its intent.
 */

const start = Date.parse('2026-11-22T12:00:00Z');

const requestIds = ['request-1', 'request-2'];

let store: Tables;
let ca: IssuingCa;
let devices: Devices;
let runs = 0;

beforeAll(async () => {
  store = await startTables();
  ca = makeIssuingCa({ notBefore: new Date(start - 86_400_000), notAfter: new Date(start + 10 * 365 * 86_400_000) });
  await new Issuers(store.client, tables.issuers).add(ca.issuer);
  devices = new Devices(store.client, tables.devices);
});

afterAll(() => store.close());

type Step =
  /** A batch of these messages comes to a worker of its own. */
  | { readonly deliver: readonly number[] }
  | { readonly choice: number; readonly fate: Fate }
  | { readonly wait: number }
  | { readonly device: 'active' | 'blocked' }
  /** functions/reconcile.ts looks at both requests. */
  | { readonly reconcile: true };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 20,
    arbitrary: fc.record({
      choice: fc.nat({ max: 5 }),
      fate: fc.oneof(
        { weight: 12, arbitrary: fc.constant<Fate>('done') },
        { weight: 1, arbitrary: fc.constantFrom<Fate>('not-done', 'reply-lost', 'killed-before', 'killed-after') },
      ),
    }),
  },
  { weight: 2, arbitrary: fc.record({ deliver: fc.subarray([0, 1, 2, 3], { minLength: 1 }) }) },
  { weight: 1, arbitrary: fc.constant({ reconcile: true } as const) },
  { weight: 1, arbitrary: fc.record({ wait: fc.constantFrom(minute, 16 * minute) }) },
  { weight: 1, arbitrary: fc.record({ device: fc.constantFrom('active' as const, 'blocked' as const) }) },
);

class World {
  readonly deviceId = `device-${++runs}`;
  readonly #interleaving = new Interleaving();
  readonly #workers: Worker[] = [];
  readonly #delivered: Delivery[] = [];
  readonly #messages: QueuedRequest[];
  now = start;

  constructor() {
    const key = newPrivateKey();
    const message = (requestId: string, privateKey: string) =>
      queue(this.now, { deviceId: this.deviceId, requestId, csr: base64(makeRequest(privateKey)) });
    this.#messages = [
      message('request-1', key),
      // The same request, signed anew: ECDSA differs.
      message('request-1', key),
      // Another one under its id.
      message('request-1', newPrivateKey()),
      message('request-2', newPrivateKey()),
    ];
  }

  async take(next: Step): Promise<void> {
    if ('deliver' in next) void this.deliver(next.deliver);
    else if ('reconcile' in next) void this.reconcile();
    else if ('wait' in next) this.now += next.wait;
    else if ('device' in next) await devices.register({ deviceId: this.deviceId, state: next.device });
    else await this.#interleaving.step(next.choice, next.fate);
  }

  /** @returns what comes of it, if the worker lives to tell */
  deliver(indexes: readonly number[]): Promise<Outcome[]> {
    const batch = indexes.map((index) => {
      const message = redelivered(this.#messages[index] as QueuedRequest);
      this.#messages[index] = message;
      return message;
    });
    return this.#newWorker().issue(...batch);
  }

  async reconcile(): Promise<void> {
    const { deviceId } = this;
    // Not by the index, which other runs' requests are in, too: what it names is read again in any case.
    async function* both() {
      yield requestIds.map((requestId) => ({ deviceId, requestId }));
    }
    const openIntents: Pick<OpenIntents, 'due' | 'pending'> = { due: both, pending: both };
    await reconcile({
      authority: this.#newWorker().authority,
      openIntents: openIntents as OpenIntents,
      patience: minute / 2,
      firstShard: 0,
      deadline: this.now + 60 * minute,
    });
  }

  #newWorker(): Worker {
    const name = `worker ${this.#workers.length}`;
    const call = <Answer>(run: () => Promise<Answer>) => this.#interleaving.call(name, run);
    // An object of its own for each worker, over one client: its calls stop at the gate and are sent by the other.
    const newClient = (): DynamoDBClient =>
      Object.assign(Object.create(store.client) as DynamoDBClient, {
        send: (command: GetItemCommand) => call(() => store.client.send(command)),
      });
    const worker = startWorker({ tables: { ...store, newClient }, ca, now: () => this.now });
    worker.signer.beforeSigning = () => call(async () => undefined);
    this.#workers.push(worker);
    return worker;
  }

  /** Nothing goes wrong any more, and everything is delivered until it is answered. */
  async calmDown(): Promise<void> {
    for (let choice = 0; await this.#interleaving.step(choice, 'done'); choice++);
    await devices.register({ deviceId: this.deviceId, state: 'active' });
    // Past every cache of a device, and a new try for what may have been given up.
    this.now += 2 * minute;
    for (const index of this.#messages.keys()) {
      const message = this.#messages[index] as QueuedRequest;
      this.#messages[index] = { ...message, sentAt: this.now };
      for (let outcome: Outcome | undefined; outcome === undefined || outcome.kind === 'retry'; ) {
        const answered = this.deliver([index]);
        for (let choice = 0; await this.#interleaving.step(choice, 'done'); choice++);
        outcome = (await answered)[0];
        if (outcome?.kind === 'failed') throw new Error(`Given up: ${outcome.code}: ${outcome.detail}`);
      }
    }
  }

  async audit(): Promise<Audit> {
    for (const { announced } of this.#workers) {
      for (const outcome of announced) if (outcome.kind === 'issued') this.#delivered.push(outcome.row);
    }
    return audit({
      signatures: this.#workers.flatMap(({ signer }) => signer.calls.flat()),
      issuance: await this.#issuance(),
      revocations: (await store.client.send(new ScanCommand({ TableName: tables.revocations }))).Items ?? [],
      requests: requestIds.map((requestId) => ({ deviceId: this.deviceId, requestId })),
      deliveries: this.#delivered,
    });
  }

  async #issuance(): Promise<Item[]> {
    const command = new QueryCommand({
      TableName: tables.issuance,
      ConsistentRead: true,
      KeyConditionExpression: 'deviceId = :deviceId',
      ExpressionAttributeValues: { ':deviceId': { S: this.deviceId } },
    });
    return (await store.client.send(command)).Items ?? [];
  }
}

it('issues one certificate for each request, whoever dies and whatever is lost on the way', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 80, size: 'max' }), async (steps) => {
      const world = new World();
      await devices.register({ deviceId: world.deviceId, state: 'active' });
      void world.deliver([0, 3]);
      for (const next of steps) await world.take(next);
      await world.calmDown();
      const found = await world.audit();
      expect(found).toMatchObject(Object.fromEntries(mustBeEmpty.map((name) => [name, []])));
      expect(found).toMatchObject({ issued: 2, rejected: 0, rowsWithoutCertificate: [] });
    }),
    // The last: a busy machine does fewer, in a minute.
    { numRuns: 30, interruptAfterTimeLimit: 60_000, markInterruptAsFailure: false },
  );
}, 120_000);

import { type DynamoDBClient, type GetItemCommand, QueryCommand } from '@aws-sdk/client-dynamodb';
import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Outcome, QueuedRequest } from '../../shared/issuance/outcome.ts';
import type { Profile } from '../../shared/issuance/profile.ts';
import { reconcile } from '../../shared/issuance/reconcile.ts';
import { Devices } from '../../shared/ledger/devices.ts';
import type { Item, OpenIntents } from '../../shared/ledger/index.ts';
import { Issuers } from '../../shared/ledger/issuers.ts';
import { type Fate, Interleaving } from '../support/interleaving.ts';
import { minute, queue, redelivered, startWorker, type Worker } from '../support/issuing.ts';
import { type IssuingCa, makeIssuingCa } from '../support/issuing-ca.ts';
import { deviceTls } from '../support/profile.ts';
import { startTables, type Tables, tables } from '../support/tables.ts';

/**
 * Several requests of one device under a quota, or a renewal's window, by the issue function's own way of a batch, by several workers at once whose
 * clocks differ, and reconciliation beside them, with every call to DynamoDB and to the signer in an order, and with a fate,
 * that the test chooses. At no time does the device have more certificates than it may.
 */

const start = Date.parse('2026-11-22T12:00:00Z');
const day = 86_400_000;
const requestIds = ['request-1', 'request-2', 'request-3', 'request-4'];

type Limits = Pick<Profile, 'quota' | 'renewal'>;

let store: Tables;
let ca: IssuingCa;
let devices: Devices;
let runs = 0;

beforeAll(async () => {
  store = await startTables();
  ca = makeIssuingCa({ notBefore: new Date(start - day), notAfter: new Date(start + 10 * 365 * day) });
  await new Issuers(store.client, tables.issuers).add(ca.issuer);
  devices = new Devices(store.client, tables.devices);
});

afterAll(() => store.close());

type Step =
  | { readonly deliver: readonly number[]; readonly skew: number }
  | { readonly choice: number; readonly fate: Fate }
  | { readonly wait: number }
  | { readonly reconcile: true; readonly skew: number };

/** Of a clock, in milliseconds: more than any that is looked after, less than what an intent has to be signed. */
const skew = fc.integer({ min: -5 * minute, max: 5 * minute });

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 24,
    arbitrary: fc.record({
      choice: fc.nat({ max: 7 }),
      fate: fc.oneof(
        { weight: 12, arbitrary: fc.constant<Fate>('done') },
        { weight: 1, arbitrary: fc.constantFrom<Fate>('not-done', 'reply-lost', 'killed-before', 'killed-after') },
      ),
    }),
  },
  { weight: 2, arbitrary: fc.record({ deliver: fc.subarray([0, 1, 2, 3], { minLength: 1 }), skew }) },
  { weight: 1, arbitrary: fc.record({ reconcile: fc.constant(true as const), skew }) },
  { weight: 1, arbitrary: fc.record({ wait: fc.constantFrom(minute, 16 * minute) }) },
);

const limits: fc.Arbitrary<Limits> = fc.oneof(
  fc.record({ quota: fc.record({ liveCertificatesPerDevice: fc.integer({ min: 1, max: 2 }) }) }),
  fc.record({ quota: fc.record({ perDevicePerDay: fc.integer({ min: 1, max: 2 }) }) }),
  // Long before the window of the first certificate there is no second one.
  fc.constant({ renewal: { windowDays: 30, key: 'either' as const } }),
);

const limitOf = ({ quota, renewal }: Limits): number =>
  renewal === undefined ? (quota?.liveCertificatesPerDevice ?? quota?.perDevicePerDay ?? Number.NaN) : 1;

class World {
  readonly deviceId = `device-${++runs}`;
  readonly #interleaving = new Interleaving();
  readonly #profile: Profile;
  readonly #messages: QueuedRequest[];
  #workers = 0;
  now = start;

  constructor(limited: Limits) {
    this.#profile = { ...deviceTls, ...limited };
    this.#messages = requestIds.map((requestId) => queue(this.now, { deviceId: this.deviceId, requestId }));
  }

  async take(next: Step): Promise<void> {
    if ('deliver' in next) void this.deliver(next.deliver, next.skew);
    else if ('reconcile' in next) void this.#reconcile(next.skew);
    else if ('wait' in next) this.now += next.wait;
    else await this.#interleaving.step(next.choice, next.fate);
  }

  /** @returns what comes of it, if the worker lives to tell */
  deliver(indexes: readonly number[], clockSkew: number): Promise<Outcome[]> {
    const batch = indexes.map((index) => {
      const message = redelivered(this.#messages[index] as QueuedRequest);
      this.#messages[index] = message;
      return message;
    });
    return this.#newWorker(clockSkew).issue(...batch);
  }

  async #reconcile(clockSkew: number): Promise<void> {
    const { deviceId } = this;
    async function* all() {
      yield requestIds.map((requestId) => ({ deviceId, requestId }));
    }
    const openIntents: Pick<OpenIntents, 'due' | 'pending'> = { due: all, pending: all };
    await reconcile({
      authority: this.#newWorker(clockSkew).authority,
      openIntents: openIntents as OpenIntents,
      patience: minute / 2,
      firstShard: 0,
      deadline: this.now + 60 * minute,
    });
  }

  #newWorker(clockSkew: number): Worker {
    const name = `worker ${this.#workers++}`;
    const call = <Answer>(run: () => Promise<Answer>) => this.#interleaving.call(name, run);
    const newClient = (): DynamoDBClient =>
      Object.assign(Object.create(store.client) as DynamoDBClient, {
        send: (command: GetItemCommand) => call(() => store.client.send(command)),
      });
    const worker = startWorker({
      tables: { ...store, newClient },
      ca,
      profiles: [this.#profile],
      now: () => this.now + clockSkew,
    });
    worker.signer.beforeSigning = () => call(async () => undefined);
    return worker;
  }

  /** Everything that waits goes on, in the order that `choices` gives. */
  async runOn(choices: Iterator<number> = [].values()): Promise<void> {
    while (await this.#interleaving.step(choices.next().value ?? 0, 'done'));
  }

  /** Nothing goes wrong any more, and each request is delivered until it is answered. */
  async calmDown(): Promise<void> {
    await this.runOn();
    for (const index of this.#messages.keys()) {
      for (let outcome: Outcome | undefined; outcome === undefined || outcome.kind === 'retry'; ) {
        const message = this.#messages[index] as QueuedRequest;
        this.#messages[index] = { ...message, sentAt: this.now };
        const answered = this.deliver([index], 0);
        await this.runOn();
        outcome = (await answered)[0];
      }
    }
  }

  async rows(): Promise<Item[]> {
    const command = new QueryCommand({
      TableName: tables.issuance,
      ConsistentRead: true,
      KeyConditionExpression: 'deviceId = :deviceId',
      ExpressionAttributeValues: { ':deviceId': { S: this.deviceId } },
    });
    return (await store.client.send(command)).Items ?? [];
  }

  async statesOf(): Promise<string[]> {
    return (await this.rows()).map(({ state }) => state?.S ?? '').toSorted();
  }
}

const issuedIn = (states: readonly string[]): number => states.filter((state) => state === 'issued').length;

it('never gives a device more than it may have, whoever dies, whatever is lost and whose clock is wrong', async () => {
  await fc.assert(
    fc.asyncProperty(limits, fc.array(step, { minLength: 30, maxLength: 120, size: 'max' }), async (limited, steps) => {
      const world = new World(limited);
      await devices.register({ deviceId: world.deviceId, state: 'active' });
      for (const index of requestIds.keys()) void world.deliver([index], (index - 2) * 2 * minute);
      for (const next of steps) await world.take(next);
      // Nothing leads out of `issued`, and none ends or is revoked here: what was too many once would be so now.
      expect(issuedIn(await world.statesOf())).toBeLessThanOrEqual(limitOf(limited));
      await world.calmDown();
      // Whoever gave way did so for those who went on: in the end there are as many as there may be.
      const states = await world.statesOf();
      expect(states).toEqual([
        ...Array.from({ length: limitOf(limited) }, () => 'issued'),
        ...Array.from({ length: requestIds.length - limitOf(limited) }, () => 'rejected'),
      ]);
    }),
    // The last: a busy machine does fewer.
    { numRuns: 30, interruptAfterTimeLimit: 45_000, markInterruptAsFailure: false },
  );
}, 120_000);

it('gives up no attempt for a limit where there is one worker', async () => {
  const batches = fc.array(fc.subarray([0, 1, 2, 3], { minLength: 1 }), { minLength: 1, maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(limits, batches, fc.infiniteStream(fc.nat({ max: 7 })), async (limited, some, choices) => {
      const world = new World(limited);
      await devices.register({ deviceId: world.deviceId, state: 'active' });
      const order = choices[Symbol.iterator]();
      for (const batch of some) {
        const answered = world.deliver(batch, 0);
        await world.runOn(order);
        for (const { kind } of await answered) expect(kind).toMatch(/^(issued|rejected)$/);
      }
      const rows = await world.rows();
      expect(rows.flatMap(({ abandonedSerialNumbers: given }) => given?.L ?? [])).toEqual([]);
      const asked = new Set(some.flat()).size;
      expect(issuedIn(await world.statesOf())).toBe(Math.min(asked, limitOf(limited)));
    }),
    { numRuns: 25, interruptAfterTimeLimit: 20_000, markInterruptAsFailure: false },
  );
}, 120_000);

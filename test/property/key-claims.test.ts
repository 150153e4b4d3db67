import { randomBytes } from 'node:crypto';
import type { DynamoDBClient, GetItemCommand } from '@aws-sdk/client-dynamodb';
import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { claimOutlivesNotAfterBy, KeyClaims } from '../../shared/ledger/key-claims.ts';
import { type Fate, Interleaving } from '../support/interleaving.ts';
import { minute } from '../support/issuing.ts';
import { startTables, type Tables, tables } from '../support/tables.ts';

/**
 * Several devices claim one key, by workers whose clocks differ, with every call to DynamoDB in an order and with a fate that
 * the test chooses: at no moment does the key live in two devices' certificates, and it is never stuck.
 */

const start = Date.parse('2026-11-22T12:00:00Z');
const deviceIds = ['door-1', 'door-2', 'door-3'];

let store: Tables;

beforeAll(async () => {
  store = await startTables();
});

afterAll(() => store.close());

type Step =
  /** `clock`: how far the worker's is ahead, in milliseconds. */
  | { readonly device: number; readonly clock: number; readonly lifetime: number }
  | { readonly choice: number; readonly fate: Fate }
  | { readonly wait: number };

/** Two clocks are less than this apart. */
const clock = fc.integer({ min: -claimOutlivesNotAfterBy / 2 + 1, max: claimOutlivesNotAfterBy / 2 - 1 });

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ device: fc.nat({ max: 2 }), clock, lifetime: fc.integer({ min: 1, max: 3 * minute }) }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      choice: fc.nat({ max: 5 }),
      fate: fc.oneof(
        { weight: 8, arbitrary: fc.constant<Fate>('done') },
        { weight: 1, arbitrary: fc.constantFrom<Fate>('not-done', 'reply-lost', 'killed-before', 'killed-after') },
      ),
    }),
  },
  { weight: 2, arbitrary: fc.record({ wait: fc.integer({ min: 1, max: 2 * minute }) }) },
);

/** A device that was told that the key is its own; from then on there may be a certificate. */
interface Granted {
  readonly deviceId: string;
  readonly from: number;
  readonly notAfter: number;
}

class World {
  readonly key = randomBytes(32).toString('hex');
  readonly granted: Granted[] = [];
  readonly refused: string[] = [];
  readonly #interleaving = new Interleaving();
  #workers = 0;
  now = start;

  async take(next: Step): Promise<void> {
    if ('device' in next) void this.claim(deviceIds[next.device] ?? '', next.clock, next.lifetime);
    else if ('wait' in next) this.now += next.wait;
    else await this.#interleaving.step(next.choice, next.fate);
  }

  async claim(deviceId: string, ahead: number, lifetime: number): Promise<void> {
    const name = `worker ${this.#workers++}`;
    const client = Object.assign(Object.create(store.client) as DynamoDBClient, {
      send: (command: GetItemCommand) => this.#interleaving.call(name, () => store.client.send(command)),
    });
    const local = this.now + ahead;
    const notAfter = local + lifetime;
    const told = await new KeyClaims(client, tables.keys)
      .claim(this.key, { deviceId, requestId: name, notAfter }, local)
      .catch((error: unknown) => error);
    if (told === undefined) this.granted.push({ deviceId, from: this.now, notAfter });
    else this.refused.push(deviceId);
  }

  async calmDown(): Promise<void> {
    for (let choice = 0; await this.#interleaving.step(choice, 'done'); choice++);
  }
}

/** Pairs of devices that have the key at one moment. */
const together = (granted: readonly Granted[]): (readonly [Granted, Granted])[] =>
  granted.flatMap((one, index) =>
    granted
      .slice(index + 1)
      .filter(
        (other) =>
          other.deviceId !== one.deviceId && Math.max(one.from, other.from) <= Math.min(one.notAfter, other.notAfter),
      )
      .map((other) => [one, other] as const),
  );

it('is never live for two devices, and once nobody has it, is had by one of all who ask', async () => {
  let [grants, handovers] = [0, 0];
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 60, size: 'max' }), async (steps) => {
      const world = new World();
      for (const next of steps) await world.take(next);
      await world.calmDown();
      expect(together(world.granted)).toEqual([]);
      grants += world.granted.length;
      handovers += new Set(world.granted.map(({ deviceId }) => deviceId)).size > 1 ? 1 : 0;
      // Whatever was left behind, no certificate of a claim lives longer than this.
      world.now += 10 * minute;
      const before = world.granted.length;
      const all = deviceIds.map((deviceId) => world.claim(deviceId, 0, minute));
      await world.calmDown();
      await Promise.all(all);
      expect(world.granted.slice(before)).toHaveLength(1);
      expect(together(world.granted)).toEqual([]);
    }),
    { numRuns: 60, interruptAfterTimeLimit: 60_000, markInterruptAsFailure: false },
  );
  // The steps are such that there was something to get wrong.
  expect(grants).toBeGreaterThan(20);
  expect(handovers).toBeGreaterThan(0);
}, 120_000);

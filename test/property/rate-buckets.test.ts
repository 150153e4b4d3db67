import { setImmediate as nextTurn } from 'node:timers/promises';
import { type DynamoDBClient, ScanCommand, type UpdateItemCommand } from '@aws-sdk/client-dynamodb';
import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { RateBuckets, type RateLimit, rateReadInterval, rateWindow } from '../../shared/ledger/rate-buckets.ts';
import { startTables, type Tables, tables } from '../support/tables.ts';

/**
 * Environments that take batches at the same time, against the bound of docs/profiles.md: a limit is passed by no more than
 * environments x batch size + what is recorded between two reads, and nothing is refused before it is reached, whatever
 * comes of the places that are taken.
 */

const start = Date.parse('2026-11-22T12:00:00Z');
const batchSize = 10;

let store: Tables;
let runs = 0;

beforeAll(async () => {
  store = await startTables();
});

afterAll(() => store.close());

type Step =
  /** An environment that is idle takes a batch and records what it may; one that is not adds what it recorded. */
  | { readonly environment: number; readonly places: readonly boolean[]; readonly addingFails: boolean }
  | { readonly wait: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      environment: fc.nat({ max: 5 }),
      // Of each request of a batch, whether it comes to an intent where it has a place.
      places: fc.array(fc.boolean(), { minLength: 1, maxLength: batchSize }),
      addingFails: fc.integer({ min: 0, max: 9 }).map((one) => one === 0),
    }),
  },
  { weight: 2, arbitrary: fc.record({ wait: fc.integer({ min: 1, max: 1500 }) }) },
);

class Environment {
  readonly #buckets: RateBuckets;
  addingFails = false;
  hasBatch = false;

  constructor(shard: number) {
    const client = Object.assign(Object.create(store.client) as DynamoDBClient, {
      send: (command: UpdateItemCommand) => {
        if ('UpdateExpression' in command.input && this.addingFails) {
          return Promise.reject(Object.assign(new Error('socket hang up'), { name: 'TimeoutError' }));
        }
        return store.client.send(command);
      },
    });
    this.#buckets = new RateBuckets(client, tables.quotas, shard);
  }

  /** A batch, whose requests all ask before one of them knows what it comes to. */
  async begin(
    { scope, limit }: RateLimit,
    places: readonly boolean[],
    now: number,
    told: { readonly recorded: () => void; readonly refused: () => void },
  ): Promise<void> {
    this.hasBatch = true;
    await Promise.all(
      places.map(async (isRecorded) => {
        const place = await this.#buckets.reserve([{ scope, limit }], now);
        if ('exhausted' in place) return told.refused();
        await nextTurn();
        if (!isRecorded) return place.release();
        place.keep();
        told.recorded();
      }),
    );
  }

  async end(now: number): Promise<void> {
    const added = await this.#buckets.flush(now).then(
      () => true,
      () => false,
    );
    // What was not added is the environment's to add, before it takes another batch.
    this.hasBatch = !added;
  }
}

/** What the table says of a scope, of all windows and shards. */
async function countedIn(scope: string): Promise<number> {
  const { Items: items = [] } = await store.client.send(new ScanCommand({ TableName: tables.quotas }));
  return items
    .filter(({ bucket }) => bucket?.S?.startsWith(`${scope}#`))
    .reduce((total, { count }) => total + Number(count?.N), 0);
}

/** The most that was recorded within any time between two reads of an environment. */
function mostBetweenReads(recorded: readonly { readonly at: number; readonly count: number }[]): number {
  return recorded.reduce((most, { at: from }) => {
    const within = recorded.filter(({ at }) => at >= from && at - from <= rateReadInterval);
    return Math.max(
      most,
      within.reduce((total, { count }) => total + count, 0),
    );
  }, 0);
}

it('keeps many environments within the bound, and refuses nothing below the limit', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 2, max: 6 }),
      fc.integer({ min: 0, max: 150 }),
      fc.array(step, { minLength: 60, maxLength: 250, size: 'max' }),
      async (count, limit, steps) => {
        const scope = `run-${++runs}`;
        const environments = Array.from({ length: count }, (_, index) => new Environment(index % 3));
        const recorded: { at: number; count: number }[] = [];
        const total = () => recorded.reduce((sum, one) => sum + one.count, 0);
        let now = start;
        for (const next of steps) {
          if ('wait' in next) {
            now += next.wait;
            continue;
          }
          const environment = environments[next.environment % count] as Environment;
          environment.addingFails = next.addingFails;
          if (environment.hasBatch) {
            await environment.end(now);
            continue;
          }
          await environment.begin({ scope, limit }, next.places, now, {
            recorded: () => recorded.push({ at: now, count: 1 }),
            refused: () => expect(total()).toBeGreaterThanOrEqual(limit),
          });
        }
        // All of it within one window, whose limit it is.
        expect(now).toBeLessThan(start + rateWindow);
        expect(total()).toBeLessThanOrEqual(limit + count * batchSize + mostBetweenReads(recorded));
        for (const environment of environments) {
          environment.addingFails = false;
          await environment.end(now);
        }
        expect(await countedIn(scope)).toBe(total());
      },
    ),
    { numRuns: 40, interruptAfterTimeLimit: 30_000, markInterruptAsFailure: false },
  );
}, 90_000);

import { BatchGetItemCommand, type DynamoDBClient, UpdateItemCommand } from '@aws-sdk/client-dynamodb';
import { expect, it } from 'vitest';
import { RateBuckets, rateReadInterval } from '../../shared/ledger/rate-buckets.ts';

const start = Date.parse('2026-11-22T12:00:00Z');

/** The quotas table in memory: reads of a scope fail, or wait, as the test says; a read is of when it goes on. */
class QuotasTable {
  readonly #counts = new Map<string, number>();
  readonly #waiting: (() => void)[] = [];
  /** Scopes whose reads fail, and whose reads wait for `goOn`. */
  failing: string | undefined;
  held: string | undefined;

  readonly client = { send: (command: object) => this.#send(command) } as unknown as DynamoDBClient;

  async #send(command: object): Promise<object> {
    if (command instanceof UpdateItemCommand) {
      const { Key: key, ExpressionAttributeValues: values } = command.input;
      const bucket = key?.['bucket']?.S ?? '';
      this.#counts.set(bucket, (this.#counts.get(bucket) ?? 0) + Number(values?.[':count']?.N));
      return {};
    }
    if (!(command instanceof BatchGetItemCommand)) throw new Error('No such command.');
    const [[table, { Keys: keys = [] }] = ['', {}]] = Object.entries(command.input.RequestItems ?? {});
    const buckets = keys.map((key) => key['bucket']?.S ?? '');
    const isOf = (scope: string | undefined) => scope !== undefined && buckets[0]?.startsWith(`${scope}#`) === true;
    if (isOf(this.failing)) throw Object.assign(new Error('socket hang up'), { name: 'TimeoutError' });
    if (isOf(this.held)) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    const items = buckets.flatMap((bucket) => {
      const count = this.#counts.get(bucket);
      return count === undefined ? [] : [{ bucket: { S: bucket }, count: { N: `${count}` } }];
    });
    return { Responses: { [table]: items } };
  }

  goOn(): void {
    this.held = undefined;
    for (const resume of this.#waiting.splice(0)) resume();
  }
}

it('takes for others only what others counted, also where it adds while a read is on its way', async () => {
  const table = new QuotasTable();
  const buckets = new RateBuckets(table.client, 'quotas', 0);
  const [fleet, profile] = [
    { scope: 'fleet', limit: 10 },
    { scope: 'profile', limit: 2 },
  ];
  const first = await buckets.reserve([profile], start);
  if ('exhausted' in first) throw new Error('There is no place.');
  first.keep();

  // Of two reads one fails, and what asked for both is over before the other is.
  const later = start + rateReadInterval;
  [table.failing, table.held] = ['fleet', 'profile'];
  await expect(buckets.reserve([fleet, profile], later)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  const flushed = buckets.flush(later);
  table.goOn();
  await flushed;

  table.failing = undefined;
  const second = await buckets.reserve([fleet, profile], later);
  expect(second).not.toHaveProperty('exhausted');
  if (!('exhausted' in second)) second.keep();
  expect(await buckets.reserve([profile], later)).toMatchObject({ exhausted: profile });
});

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { project } from '../../local/setup/machine.mjs';
import { pkcs11Sessions } from '../../shared/configuration.ts';

/** AWS CloudHSM quotas; and docs/capacity.md's own numbers. */
const clusterConnections = 900;
const operators = 20;
const share = 0.7;
/** Pollers of the redrive queue. */
const redriveConcurrency = 2;

interface FunctionDefinition {
  readonly reservedConcurrency?: number | string;
  readonly environment?: Readonly<Record<string, unknown>>;
  readonly events: readonly { readonly sqs?: { readonly maximumConcurrency?: number | string } }[];
}

const read = (path: string): string => readFileSync(join(project, path), 'utf8');
const parameters = parse(read('deploy/parameters.yml')) as Record<string, Record<string, unknown>>;
const functions = parse(read('deploy/functions.yml')) as Record<string, FunctionDefinition>;

/** Of a value in deploy/functions.yml, at a stage that has no parameters of its own. */
function valueOf(value: number | string | undefined): number {
  const [, name] = /^\$\{param:(\w+)\}$/.exec(String(value)) ?? [];
  return Number(name === undefined ? value : parameters.default?.[name]);
}

/** Cells of the rows of the document's first table, as numbers. */
const examples = read('docs/capacity.md')
  .split('\n')
  .filter((line) => /^\| \d+ \|/.test(line))
  .map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => Number(cell)),
  );

const concurrencyFor = (cluster: number, environment: number): number => Math.ceil((share * cluster) / environment);

const withSigner = Object.entries(functions).filter(([, { environment }]) => environment?.PKCS11_LIBRARY !== undefined);

describe('docs/capacity.md', () => {
  it('has examples for 2, 3 and 6 HSMs', () => {
    expect(new Set(examples.map(([hsms]) => hsms))).toEqual(new Set([2, 3, 6]));
  });

  it.each(examples)(
    '%i HSMs, %i/s, %i/s: the formulas give what the table says',
    (_, cluster, environment, concurrency, reserved, connections) => {
      expect(concurrency).toBe(concurrencyFor(cluster ?? 0, environment ?? 0));
      expect(reserved).toBe((concurrency ?? 0) + redriveConcurrency);
      expect(connections).toBe(2 * (reserved ?? 0));
      expect((connections ?? 0) + operators).toBeLessThanOrEqual(clusterConnections / 2);
    },
  );

  it('says what the defaults are, and they are right for the smallest cluster of the table', () => {
    const [concurrency, reserved] = [
      functions.issue?.events[0]?.sqs?.maximumConcurrency,
      functions.issue?.reservedConcurrency,
    ];
    expect(read('docs/capacity.md')).toContain(`The defaults, ${valueOf(concurrency)} and ${valueOf(reserved)},`);
    for (const [, cluster, environment] of examples) {
      expect(valueOf(concurrency)).toBeLessThanOrEqual(concurrencyFor(cluster ?? 0, environment ?? 0));
    }
  });
});

describe('sessions with an HSM', () => {
  const signing = Object.entries(functions).filter(([, { environment }]) => environment?.PKCS11_SESSIONS !== undefined);

  it('are of the functions that issue', () => {
    expect(signing.map(([name]) => name).toSorted()).toEqual(['issue', 'reconcile']);
  });

  it.each(signing)("leave %s as many of libuv's threads as Node.js has by itself", (_, { environment }) => {
    const threads = Number(environment?.UV_THREADPOOL_SIZE);
    const most = Array.from({ length: threads + 1 }, (_unused, count) => count)
      .filter((count) => pkcs11Sessions.safeParse(String(count)).success)
      .at(-1);
    expect(most).toBe(threads - 4);
    expect(pkcs11Sessions.parse(valueOf(environment?.PKCS11_SESSIONS as string))).toBeGreaterThan(1);
  });
});

describe('the connection budget', () => {
  it('is kept by the defaults', () => {
    const reserved = withSigner.map(([, { reservedConcurrency }]) => valueOf(reservedConcurrency));
    expect(reserved.length).toBeGreaterThan(1);
    const connections = 2 * reserved.reduce((sum, one) => sum + one, 0) + operators;
    expect(connections).toBeLessThanOrEqual(clusterConnections / 2);
  });

  it.each(withSigner)('%s, which opens a signer, has a reserved concurrency', (_, { reservedConcurrency }) => {
    expect(valueOf(reservedConcurrency)).toBeGreaterThan(0);
  });

  it("issue's is what polls its queues, so that no poller is turned away", () => {
    const pollers = functions.issue?.events.map(({ sqs }) => valueOf(sqs?.maximumConcurrency)) ?? [];
    expect(pollers).toHaveLength(2);
    expect(pollers[1]).toBe(redriveConcurrency);
    expect(valueOf(functions.issue?.reservedConcurrency)).toBe(pollers.reduce((sum, one) => sum + one, 0));
    // Lambda's least and most (API reference, ScalingConfig).
    for (const one of pollers) {
      expect(one).toBeGreaterThanOrEqual(2);
      expect(one).toBeLessThanOrEqual(1000);
    }
  });
});

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname } from 'node:path';
import { CreateTableCommand, DynamoDBClient, ListTablesCommand } from '@aws-sdk/client-dynamodb';
import { afterEach, describe, expect, it } from 'vitest';
import type { LocalStack } from '../../local/localstack/start.ts';
import { LocalStackDied, startLocalStack } from '../../local/localstack/start.ts';
import { SetUpError } from '../../local/setup/machine.mjs';
import { Api, hasProc, localStackOptions, orWhyNot, processesWith, region, unavailable } from './localstack-fixture.ts';

const limit = 180_000;

describe.skipIf(unavailable !== undefined)(`LocalStack as a child of this process${orWhyNot}`, () => {
  const started: LocalStack[] = [];
  afterEach(async () => {
    for (const each of started.splice(0)) await each.stop();
  }, 60_000);

  /** With a function's process and DynamoDB Local's JVM running too. */
  async function startWhole(): Promise<LocalStack> {
    const localStack = await startLocalStack(localStackOptions());
    started.push(localStack);
    await useWhole(localStack.endpoint);
    return localStack;
  }

  it.skipIf(!hasProc)(
    'starts, listens on loopback only, and is gone with all its processes and files after stop',
    async () => {
      const localStack = await startWhole();
      const folder = dirname(localStack.logFile);
      const pids = processesWith(folder);
      // LocalStack, the JVM, the function.
      expect(pids.length).toBeGreaterThanOrEqual(3);
      const addresses = new Set(pids.flatMap(listeningAddresses));
      expect(addresses.size).toBeGreaterThan(0);
      for (const address of addresses) expect(loopback).toContain(address);

      await localStack.stop();
      await expect.poll(() => processesWith(folder), { timeout: 10_000 }).toEqual([]);
      expect(existsSync(folder)).toBe(false);
      expect(await localStack.exited).toBeUndefined();
    },
    limit,
  );

  it.skipIf(!hasProc)(
    'is gone with all its processes when the process that started it is killed',
    async () => {
      const script = `
        const { startLocalStack } = await import(${JSON.stringify(new URL('../../local/localstack/start.ts', import.meta.url).href)});
        const { endpoint, logFile } = await startLocalStack(${JSON.stringify(localStackOptions())});
        process.send({ endpoint, logFile });`;
      const starter = spawn(process.execPath, ['--input-type=module', '--eval', script], {
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      });
      const [{ endpoint, logFile }] = (await once(starter, 'message')) as [{ endpoint: string; logFile: string }];
      await useWhole(endpoint);
      expect(processesWith(dirname(logFile)).length).toBeGreaterThanOrEqual(3);
      starter.kill('SIGKILL');
      await expect.poll(() => processesWith(dirname(logFile)), { timeout: 10_000 }).toEqual([]);
    },
    limit,
  );

  it.skipIf(!hasProc)(
    "says so, with its log's last lines, when it dies, and leaves nothing running",
    async () => {
      const localStack = await startWhole();
      const folder = dirname(localStack.logFile);
      const main = processesWith(folder).find((pid) =>
        readFileSync(`/proc/${pid}/cmdline`, 'utf8').endsWith('-m\0mintmark_localstack\0'),
      );
      expect(main).toBeDefined();
      process.kill(main ?? 0, 'SIGKILL');
      const died = await localStack.exited;
      expect(died).toBeInstanceOf(LocalStackDied);
      expect(died?.message).toMatch(/^LocalStack ended by itself \(SIGKILL\)\. Its log ends:\n {2}\S/);
      await expect.poll(() => processesWith(folder), { timeout: 10_000 }).toEqual([]);
    },
    limit,
  );

  it('refuses a port that is taken, in one sentence', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const start = startLocalStack({ ...localStackOptions(), port });
    await expect(start).rejects.toThrow(SetUpError);
    await expect(start).rejects.toThrow(
      `Port ${port} on 127.0.0.1 is taken by another program: end that one, or choose another port (EADDRINUSE).`,
    );
    server.close();
  });

  it(
    'says what its log says when it does not come up',
    async () => {
      const options = localStackOptions();
      const installation = { ...options.installation, python: '/bin/false' };
      await expect(startLocalStack({ ...options, installation })).rejects.toThrow(
        /^LocalStack ended by itself \(exit code 1\)/,
      );
    },
    limit,
  );
});

async function useWhole(endpoint: string): Promise<void> {
  const dynamoDB = new DynamoDBClient({
    region,
    endpoint,
    credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
  });
  await dynamoDB.send(
    new CreateTableCommand({
      TableName: 'table',
      BillingMode: 'PAY_PER_REQUEST',
      KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
      AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
    }),
  );
  expect((await dynamoDB.send(new ListTablesCommand({}))).TableNames).toEqual(['table']);
  dynamoDB.destroy();
  const api = new Api(endpoint);
  await api.createFunction('function', `export const handler = async () => 'here';`);
  expect((await api.invoke('function', {})).payload).toBe('here');
}

/** In /proc/net/tcp's form: bytes in reverse, in hexadecimal; the second is IPv4's in IPv6. */
const loopback = ['0100007F', '0000000000000000FFFF00000100007F', '00000000000000000000000001000000'];

/** The addresses that a process listens on for TCP. */
function listeningAddresses(pid: number): string[] {
  const inodes = new Set(sockets(pid));
  return ['tcp', 'tcp6'].flatMap((table) =>
    readFileSync(`/proc/net/${table}`, 'utf8')
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(/\s+/))
      // 0A: TCP_LISTEN
      .filter(([, , , state, , , , , , inode]) => state === '0A' && inodes.has(inode ?? ''))
      .map(([, local = '']) => local.split(':')[0] ?? ''),
  );
}

function sockets(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`).flatMap(
    (descriptor) => /^socket:\[(\d+)\]$/.exec(target(pid, descriptor))?.[1] ?? [],
  );
}

/** Empty for a descriptor that was closed in the meantime. */
function target(pid: number, descriptor: string): string {
  try {
    return readlinkSync(`/proc/${pid}/fd/${descriptor}`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { CreateTableCommand, DynamoDBClient, ListTablesCommand } from '@aws-sdk/client-dynamodb';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { LocalStack } from '../../local/localstack/start.ts';
import { claimPort, LocalStackDied, startLocalStack } from '../../local/localstack/start.ts';
import { SetUpError } from '../../local/setup/machine.mjs';
import { statePrefix } from '../../local/state-folder.ts';
import {
  Api,
  hasProc,
  isRunning,
  localStackOptions,
  orNoProc,
  orWhyNot,
  processesWith,
  region,
  unavailable,
} from './localstack-fixture.ts';

const limit = 180_000;

describe.skipIf(unavailable !== undefined)(`LocalStack as a child of this process${orWhyNot}`, () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'mintmark-process-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const started: LocalStack[] = [];
  afterEach(async () => {
    for (const each of started.splice(0)) await each.stop();
  }, 60_000);

  /** Options for a LocalStack whose Python is a shell script of this text; `$0` is in a folder of the test's own. */
  function withPython(script: string): ReturnType<typeof localStackOptions> {
    const python = join(folder, 'python');
    writeFileSync(python, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    const options = localStackOptions();
    return { ...options, logKeptIn: folder, installation: { ...options.installation, python } };
  }

  const stateFolders = () => readdirSync(tmpdir()).filter((name) => name.startsWith(statePrefix()));

  /** With a function's process and DynamoDB Local's JVM running too. */
  async function startWhole(): Promise<LocalStack> {
    const localStack = await startLocalStack({ ...localStackOptions(), logKeptIn: folder });
    started.push(localStack);
    await useWhole(localStack.endpoint);
    return localStack;
  }

  it.skipIf(!hasProc)(
    `starts, listens on loopback only, and is gone with all its processes and files after stop${orNoProc}`,
    async () => {
      const localStack = await startWhole();
      const state = dirname(localStack.logFile);
      const pids = processesWith(state);
      // LocalStack, the JVM, the function, its supervisor, what it has left behind.
      expect(pids.length).toBeGreaterThanOrEqual(5);
      const addresses = new Set(pids.flatMap(listeningAddresses));
      expect(addresses.size).toBeGreaterThan(0);
      for (const address of addresses) expect(loopback).toContain(address);
      // What it unpacks and stores is in its own folder.
      const libraries = pids.flatMap(mappedFiles).filter((path) => path.includes('libsqlite4java'));
      expect(libraries.length).toBeGreaterThan(0);
      for (const path of libraries) expect(path.startsWith(`${state}/`)).toBe(true);
      expect(
        readdirSync(state, { recursive: true }).filter((path) => String(path).endsWith(`/${bucket}`)),
      ).toHaveLength(1);

      await localStack.stop();
      await expect.poll(() => processesWith(state), { timeout: 10_000 }).toEqual([]);
      expect(existsSync(state)).toBe(false);
      expect(await localStack.exited).toBeUndefined();
    },
    limit,
  );

  it.skipIf(!hasProc)(
    `is gone with all its processes when the process that started it is killed${orNoProc}`,
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
      expect(processesWith(dirname(logFile)).length).toBeGreaterThanOrEqual(5);
      starter.kill('SIGKILL');
      await expect.poll(() => processesWith(dirname(logFile)), { timeout: 10_000 }).toEqual([]);
    },
    limit,
  );

  it.skipIf(!hasProc)(
    `says so, with the cure and its log's last lines, when it dies, and leaves nothing running${orNoProc}`,
    async () => {
      const localStack = await startWhole();
      const state = dirname(localStack.logFile);
      const main = processesWith(state).find((pid) =>
        readFileSync(`/proc/${pid}/cmdline`, 'utf8').endsWith('-m\0mintmark_localstack\0'),
      );
      expect(main).toBeDefined();
      process.kill(main ?? 0, 'SIGKILL');
      const died = await localStack.exited;
      expect(died).toBeInstanceOf(LocalStackDied);
      const [, kept = ''] =
        /^LocalStack ended by itself \(SIGKILL\)\. Something else killed it, [^\n]+, then run the same again\. Its log is in (\S+), ending:\n {2}\S/.exec(
          died?.message ?? '',
        ) ?? [];
      expect(readFileSync(kept, 'utf8')).toContain('LocalStack version: 4.14.0');
      await expect.poll(() => processesWith(state), { timeout: 10_000 }).toEqual([]);
    },
    limit,
  );

  it(
    "is no web page's to call: not its maker's, not this machine's",
    async () => {
      const localStack = await startLocalStack({ ...localStackOptions(), logKeptIn: folder });
      started.push(localStack);
      const { endpoint } = localStack;
      const ask = async (headers: Record<string, string>) =>
        (await fetch(`${endpoint}/_localstack/health`, { headers })).status;
      expect(await ask({})).toBe(200);
      for (const origin of ['https://app.localstack.cloud', endpoint.replace('127.0.0.1', 'localhost'), 'file://']) {
        expect(await ask({ origin }), origin).toBe(403);
        if (origin !== 'file://') expect(await ask({ referer: `${origin}/` }), origin).toBe(403);
      }
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
    'says so when another program answers on its port, having taken it since it was found free',
    async () => {
      const python = JSON.stringify(localStackOptions().installation.python);
      const script = `${python} - "$GATEWAY_LISTEN" "$0.listens" <<'END' &
import http.server, pathlib, sys
class Answers(http.server.BaseHTTPRequestHandler):
  def do_GET(self):
    self.send_response(200)
    self.end_headers()
    self.wfile.write(b'{"services": {}, "version": "4.14.0"}')
server = http.server.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1].split(':')[1])), Answers)
pathlib.Path(sys.argv[2]).touch()
server.serve_forever()
END
while [ ! -e "$0.listens" ]; do sleep 0.1; done
exec ${python} "$@"`;
      const port = await claimPort(0);
      await expect(startLocalStack({ ...withPython(script), port })).rejects.toThrow(
        /^LocalStack ended by itself \(exit code 98\)\. Another program took port \d+ on 127\.0\.0\.1 before LocalStack had it: run the same again\. [^]+LocalStack cannot listen: \[Errno \d+\]/,
      );
    },
    limit,
  );

  it('says what happened, and what to do, when it does not come up', async () => {
    const before = stateFolders();
    await expect(startLocalStack(withPython('echo one; echo two >&2; exit 1'))).rejects.toThrow(
      /^LocalStack ended by itself \(exit code 1\)\. Run the same again; if it ends like this each time, remove [^\n]+\. Its log is in \S+, ending:\n {2}one\n {2}two$/,
    );
    const nowhere = { ...localStackOptions().installation, python: join(folder, 'none') };
    await expect(startLocalStack({ ...localStackOptions(), logKeptIn: folder, installation: nowhere })).rejects.toThrow(
      /^LocalStack could not be started \(spawn [^\n]+ ENOENT\)\. Run the same again[^\n]+ is empty\.$/,
    );
    await expect(startLocalStack({ ...withPython('exec sleep 600'), startLimit: 1 })).rejects.toThrow(
      /^LocalStack did not answer within 0\.001 s\./,
    );
    expect(stateFolders()).toEqual(before);
  });

  it('is ended when its start is given up, and leaves nothing', async () => {
    const before = stateFolders();
    const givenUp = new AbortController();
    const starting = startLocalStack({
      ...withPython('echo $$ > "$0.pid.new"; mv "$0.pid.new" "$0.pid"; exec sleep 600'),
      signal: givenUp.signal,
    });
    const pid = join(folder, 'python.pid');
    await expect.poll(() => existsSync(pid), { timeout: 10_000 }).toBe(true);
    givenUp.abort(new Error('Enough.'));
    await expect(starting).rejects.toThrow(/^Enough\.$/);
    expect(isRunning(Number(readFileSync(pid, 'utf8')))).toBe(false);
    expect(stateFolders()).toEqual(before);
    await expect(startLocalStack({ ...localStackOptions(), signal: givenUp.signal })).rejects.toThrow(/^Enough\.$/);
    expect(stateFolders()).toEqual(before);
  });
});

const bucket = 'kept-in-its-own-folder';

async function useWhole(endpoint: string): Promise<void> {
  const common = { region, endpoint, credentials: { accessKeyId: 'local', secretAccessKey: 'local' } };
  const s3 = new S3Client({ ...common, forcePathStyle: true });
  await s3.send(new CreateBucketCommand({ Bucket: bucket, CreateBucketConfiguration: { LocationConstraint: region } }));
  s3.destroy();
  const dynamoDB = new DynamoDBClient(common);
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
  const leavesOneBehind = `import { spawn } from 'node:child_process';
    spawn('sleep', ['600'], { stdio: 'ignore', detached: true }).unref();
    export const handler = async () => 'here';`;
  await api.createFunction('function', leavesOneBehind);
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

function mappedFiles(pid: number): string[] {
  return readFileSync(`/proc/${pid}/maps`, 'utf8')
    .split('\n')
    .flatMap((line) => /\/.*$/.exec(line)?.[0] ?? []);
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

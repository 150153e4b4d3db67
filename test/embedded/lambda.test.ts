import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { FunctionConfiguration } from '../../local/lambda/execution-environment.ts';
import { ExecutionEnvironment } from '../../local/lambda/execution-environment.ts';
import { FunctionPool } from '../../local/lambda/function-pool.ts';
import type { InvocationOutcome } from '../../local/lambda/protocol.ts';

const bundles: Readonly<Record<string, string>> = {
  echo: `export const handler = async (event, context) => {
    console.log('line one\\nline two');
    console.error('on stderr');
    return { event, context, left: context.getRemainingTimeInMillis(), environment: process.env, pid: process.pid };
  };`,
  nothing: `export const handler = async () => {};`,
  fails: `export const handler = async () => { throw new RangeError('out of it'); };`,
  throwsText: `export const handler = () => { throw 'just text'; };`,
  rejectsLater: `export const handler = () => new Promise(() => { void Promise.reject(new TypeError('nobody waits')); });`,
  throwsLater: `export const handler = () => new Promise(() => { setTimeout(() => { throw new Error('later'); }); });`,
  exits: `export const handler = async () => { process.exit(7); };`,
  exitsWell: `export const handler = async () => { process.exit(0); };`,
  kills: `export const handler = async () => { process.kill(process.pid, 'SIGKILL'); return new Promise(() => {}); };`,
  hangs: `import { spawn } from 'node:child_process';
    export const handler = async ({ busy }) => {
      const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
      console.log('child ' + child.pid);
      if (busy) for (;;);
      return new Promise(() => {});
    };`,
  broken: `export const handler = ;`,
  throwsAtLoad: `throw new Error('no configuration');`,
  missingImport: `import 'not-a-package-of-ours'; export const handler = () => {};`,
  nothingExported: `export const other = 1;`,
  slowToLoad: `import { existsSync, writeFileSync } from 'node:fs';
    const marker = process.env.MARKER;
    if (!existsSync(marker)) { writeFileSync(marker, ''); await new Promise(() => { setInterval(() => {}, 1000); }); }
    export const handler = async () => 'loaded';`,
};

let taskRoot: string;
beforeAll(async () => {
  taskRoot = await mkdtemp(join(tmpdir(), 'embedded-lambda-'));
  for (const [name, source] of Object.entries(bundles)) {
    await mkdir(join(taskRoot, 'dist', name), { recursive: true });
    await writeFile(join(taskRoot, 'dist', name, 'index.mjs'), source);
  }
});
afterAll(() => rm(taskRoot, { recursive: true }));

const configurationOf = (name: string, more: Partial<FunctionConfiguration> = {}): FunctionConfiguration => ({
  functionName: `mintmark-local-${name}`,
  functionArn: `arn:aws:lambda:eu-central-1:000000000000:function:mintmark-local-${name}`,
  handler: `dist/${name}/index.handler`,
  taskRoot,
  timeout: 10,
  memorySize: 256,
  environment: { OWN: 'variable' },
  region: 'eu-central-1',
  ...more,
});

async function invokeOnce(
  configuration: FunctionConfiguration,
  event: unknown = {},
  initLimit?: number,
): Promise<{ outcome: InvocationOutcome; pidAfter: number | undefined; log: string[] }> {
  const log: string[] = [];
  const environment = new ExecutionEnvironment(configuration, {
    now: () => Date.UTC(2026, 10, 22),
    onLog: ({ text }) => log.push(text),
    ...(initLimit === undefined ? {} : { initLimit }),
  });
  try {
    const outcome = await environment.invoke('request-1', JSON.stringify(event));
    return { outcome, pidAfter: environment.pid, log };
  } finally {
    await environment.kill();
  }
}

const payloadOf = (outcome: InvocationOutcome): Record<string, unknown> => {
  if ('error' in outcome) throw new Error(JSON.stringify(outcome.error));
  return JSON.parse(outcome.payload) as Record<string, unknown>;
};

/** Resolves when the process is gone: an orphan may stay a zombie where nothing reaps it, and is as dead. */
async function gone(pid: number): Promise<void> {
  await expect
    .poll(
      () =>
        readFile(`/proc/${pid}/stat`, 'utf8').then(
          (stat) => stat.split(') ')[1]?.[0] === 'Z',
          () => true,
        ),
      {
        timeout: 5_000,
        interval: 10,
      },
    )
    .toBe(true);
}

describe('an execution environment', () => {
  it('gives the handler its event, a context, and no variable but its own and those of Lambda', async () => {
    process.env['SECRET_OF_THE_PARENT'] = 'never';
    const { outcome, log } = await invokeOnce(configurationOf('echo'), { a: [1, null] });
    const { event, context, left, environment } = payloadOf(outcome);
    expect(event).toEqual({ a: [1, null] });
    expect(context).toEqual({
      awsRequestId: 'request-1',
      callbackWaitsForEmptyEventLoop: true,
      functionName: 'mintmark-local-echo',
      functionVersion: '$LATEST',
      invokedFunctionArn: 'arn:aws:lambda:eu-central-1:000000000000:function:mintmark-local-echo',
      logGroupName: '/aws/lambda/mintmark-local-echo',
      logStreamName: expect.stringMatching(/^2026\/11\/22\/\[\$LATEST\][0-9a-f]{32}$/),
      memoryLimitInMB: '256',
    });
    expect(left).toBeGreaterThan(9_000);
    expect(left).toBeLessThanOrEqual(10_000);
    const names = Object.keys(environment as object).filter((name) => !name.startsWith('AWS_') && name !== 'OWN');
    // NODE_CHANNEL_*: Node takes them out when it opens the channel, or leaves the serialization mode.
    expect(names.filter((name) => !name.startsWith('NODE_CHANNEL_')).toSorted()).toEqual(
      ['LAMBDA_TASK_ROOT', 'LANG', 'PATH', 'TZ', '_HANDLER'].toSorted(),
    );
    expect(environment).toMatchObject({ OWN: 'variable', TZ: 'UTC', AWS_LAMBDA_FUNCTION_MEMORY_SIZE: '256' });
    await expect.poll(() => log).toEqual(expect.arrayContaining(['line one', 'line two', 'on stderr']));
  });

  it('answers null for a handler that returns nothing', async () => {
    expect((await invokeOnce(configurationOf('nothing'))).outcome).toEqual({ payload: 'null' });
  });

  it('keeps its process from one invocation to the next, also after an error that the handler threw', async () => {
    const environment = new ExecutionEnvironment(configurationOf('echo'), { now: Date.now, onLog: () => {} });
    const pids = [];
    for (const requestId of ['1', '2', '3']) pids.push(payloadOf(await environment.invoke(requestId, '{}'))['pid']);
    expect(new Set(pids)).toEqual(new Set([environment.pid]));
    await environment.kill();
    expect((await invokeOnce(configurationOf('fails'))).pidAfter).toBeTypeOf('number');
  });

  it('reports what the handler throws', async () => {
    const { outcome, log } = await invokeOnce(configurationOf('fails'));
    expect(outcome).toMatchObject({ error: { errorType: 'RangeError', errorMessage: 'out of it' } });
    expect('error' in outcome && outcome.error.trace?.[0]).toBe('RangeError: out of it');
    expect(log.join('\n')).toContain('Invoke Error');
    expect((await invokeOnce(configurationOf('throwsText'))).outcome).toMatchObject({
      error: { errorType: 'string', errorMessage: 'just text' },
    });
  });

  it.each([
    ['rejectsLater', { errorType: 'Runtime.UnhandledPromiseRejection', errorMessage: 'TypeError: nobody waits' }],
    ['throwsLater', { errorType: 'Error', errorMessage: 'later' }],
    ['exits', { errorType: 'Runtime.ExitError', errorMessage: expect.stringContaining('exit status 7') }],
    ['exitsWell', { errorType: 'Runtime.ExitError', errorMessage: expect.stringContaining('without providing') }],
    ['kills', { errorType: 'Runtime.ExitError', errorMessage: expect.stringContaining('signal: SIGKILL') }],
  ])('%s: the invocation fails and the process is gone', async (name, error) => {
    const { outcome, pidAfter } = await invokeOnce(configurationOf(name));
    expect(outcome).toMatchObject({ error });
    expect(pidAfter).toBeUndefined();
  });

  it.each([
    ['broken', 'Runtime.UserCodeSyntaxError', 'SyntaxError'],
    ['throwsAtLoad', 'Error', 'no configuration'],
    ['missingImport', 'Runtime.ImportModuleError', 'not-a-package-of-ours'],
    ['nothingExported', 'Runtime.HandlerNotFound', 'undefined or not exported'],
    ['noSuchBundle', 'Runtime.ImportModuleError', "Cannot find module 'index'"],
  ])('%s: an init error', async (name, errorType, message) => {
    const { outcome, pidAfter } = await invokeOnce(configurationOf(name));
    expect(outcome).toMatchObject({ error: { errorType, errorMessage: expect.stringContaining(message) } });
    expect(pidAfter).toBeUndefined();
  });

  it.each([false, true])('is killed with its children at the timeout (busy: %s)', async (busy) => {
    const { outcome, pidAfter, log } = await invokeOnce(configurationOf('hangs', { timeout: 1 }), { busy });
    expect(outcome).toEqual({
      error: {
        errorType: 'Sandbox.Timedout',
        errorMessage: 'RequestId: request-1 Error: Task timed out after 1.00 seconds',
      },
    });
    expect(pidAfter).toBeUndefined();
    const child = Number(log.find((text) => text.startsWith('child '))?.slice('child '.length));
    expect(child).toBeGreaterThan(0);
    await gone(child);
  });

  it('starts an init phase over that takes too long', async () => {
    const MARKER = join(taskRoot, 'slow-once');
    const slow = configurationOf('slowToLoad', { environment: { MARKER } });
    const { outcome, log } = await invokeOnce(slow, {}, 1_500);
    expect(outcome).toEqual({ payload: '"loaded"' });
    expect(log.join('\n')).toContain('INIT_REPORT Phase: init Status: timeout');
  });
});

describe('a function pool', () => {
  it('gives concurrent invocations an environment each, and uses idle ones again', async () => {
    const pool = new FunctionPool(configurationOf('echo'), { now: Date.now, onLog: () => {} });
    const pidOf = async () => payloadOf(await pool.invoke({}))['pid'];
    const together = await Promise.all([pidOf(), pidOf()]);
    expect(new Set(together).size).toBe(2);
    expect(together).toContain(await pidOf());
    expect(pool.pids.toSorted()).toEqual(together.toSorted());
    await pool.stop();
    expect(pool.pids).toEqual([]);
  });

  it('lets running invocations end before it stops', async () => {
    const pool = new FunctionPool(configurationOf('echo'), { now: Date.now, onLog: () => {} });
    const running = pool.invoke({ last: true });
    await pool.stop();
    expect(payloadOf(await running)['event']).toEqual({ last: true });
  });
});

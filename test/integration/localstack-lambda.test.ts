import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CreateQueueCommand,
  GetQueueAttributesCommand,
  ReceiveMessageCommand,
  SendMessageBatchCommand,
  SQSClient,
} from '@aws-sdk/client-sqs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { LocalStack } from '../../local/localstack/start.ts';
import { startLocalStack } from '../../local/localstack/start.ts';
import { sendRequests } from '../../shared/enrolment/index.ts';
import {
  Api,
  Door,
  hasProc,
  isRunning,
  localStackOptions,
  orNoProc,
  orWhyNot,
  region,
  unavailable,
} from './localstack-fixture.ts';

describe.skipIf(unavailable !== undefined)(`the Lambda executor${orWhyNot}`, () => {
  let localStack: LocalStack;
  let api: Api;

  beforeAll(async () => {
    const stub = 'http://127.0.0.1:9';
    localStack = await startLocalStack(
      localStackOptions({
        AWS_ENDPOINT_URL_KMS: stub,
        AWS_ENDPOINT_URL_CLOUDHSM_V2: stub,
        SOFTHSM2_CONF: '/tokens.conf',
      }),
    );
    api = new Api(localStack.endpoint);
  }, 180_000);
  afterAll(() => localStack?.stop(), 60_000);

  /** For what functions leave behind. */
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'mintmark-lambda-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it('answers with what the handler returns, and null for nothing', async () => {
    await api.createFunction(
      'echo',
      `export const handler = async (event) => event.nothing ? undefined : { got: event };`,
    );
    expect(await api.invoke('echo', { text: 'Größe — 大\n' })).toMatchObject({
      payload: { got: { text: 'Größe — 大\n' } },
      functionError: null,
    });
    expect((await api.invoke('echo', { nothing: true })).payload).toBeNull();
  });

  it("runs Node 24 with Lambda's variables, the function's own, those handed in, and no other", async () => {
    await api.createFunction(
      'environment',
      `export const handler = async () => ({ version: process.version, cwd: process.cwd(), environment: process.env });`,
      { environment: { OWN: 'yes', SOFTHSM2_CONF: 'overridden', AWS_REGION_HINT: 'kept' } },
    );
    const { payload } = await api.invoke('environment', {});
    const { version, cwd, environment } = payload as {
      version: string;
      cwd: string;
      environment: Record<string, string>;
    };
    expect(version).toBe(process.version);
    expect(cwd).toBe(environment.LAMBDA_TASK_ROOT);
    expect(environment).toMatchObject({
      _HANDLER: 'index.handler',
      AWS_ENDPOINT_URL: localStack.endpoint,
      AWS_ENDPOINT_URL_KMS: 'http://127.0.0.1:9',
      AWS_EXECUTION_ENV: 'AWS_Lambda_nodejs24.x',
      AWS_LAMBDA_FUNCTION_MEMORY_SIZE: '256',
      AWS_LAMBDA_FUNCTION_VERSION: '$LATEST',
      AWS_REGION: region,
      OWN: 'yes',
      SOFTHSM2_CONF: '/tokens.conf',
    });
    expect(Object.keys(environment).sort()).toEqual(
      [
        ['_HANDLER', 'LAMBDA_TASK_ROOT', 'LANG', 'NODE_PATH', 'PATH', 'TZ'],
        ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN', 'AWS_DEFAULT_REGION', 'AWS_REGION'],
        ['AWS_ENDPOINT_URL', 'AWS_ENDPOINT_URL_CLOUDHSM_V2', 'AWS_ENDPOINT_URL_KMS', 'AWS_EXECUTION_ENV'],
        ['AWS_LAMBDA_FUNCTION_MEMORY_SIZE', 'AWS_LAMBDA_FUNCTION_NAME', 'AWS_LAMBDA_FUNCTION_VERSION'],
        ['AWS_LAMBDA_INITIALIZATION_TYPE', 'AWS_LAMBDA_LOG_GROUP_NAME', 'AWS_LAMBDA_LOG_STREAM_NAME'],
        ['AWS_REGION_HINT', 'OWN', 'SOFTHSM2_CONF'],
      ]
        .flat()
        .sort(),
    );
  });

  it('finds the modules that bundles leave out', async () => {
    const source = `import { createRequire } from 'node:module';
      const { PKCS11 } = createRequire(import.meta.url)('pkcs11js');
      export const handler = async () => typeof PKCS11;`;
    await api.createFunction('native', source);
    expect((await api.invoke('native', {})).payload).toBe('function');
  });

  it('gives a real context', async () => {
    const source = `export const handler = async (event, context) => {
      const before = context.getRemainingTimeInMillis();
      while (context.getRemainingTimeInMillis() === before);
      return { ...context, before, after: context.getRemainingTimeInMillis() };
    };`;
    await api.createFunction('context', source, { timeout: 20 });
    const { payload, requestId } = await api.invoke('context', {});
    const context = payload as Record<string, string | number>;
    expect(context).toMatchObject({
      awsRequestId: requestId,
      functionName: 'context',
      functionVersion: '$LATEST',
      invokedFunctionArn: `arn:aws:lambda:${region}:000000000000:function:context`,
      logGroupName: '/aws/lambda/context',
      logStreamName: expect.stringMatching(/^\d{4}\/\d\d\/\d\d\/\[\$LATEST\][0-9a-f]{32}$/),
      memoryLimitInMB: '256',
    });
    expect(context.before).toBeLessThanOrEqual(20_000);
    expect(context.after).toBeLessThan(Number(context.before));
  });

  it("answers a handler's error as Lambda does, and keeps the environment", async () => {
    const source = `let count = 0;
      export const handler = async (event) => { count += 1; if (event.fail) throw new RangeError('too much'); return count; };`;
    await api.createFunction('throwing', source);
    const failed = await api.invoke('throwing', { fail: true });
    expect(failed.functionError).toBe('Unhandled');
    expect(failed.payload).toMatchObject({
      errorType: 'RangeError',
      errorMessage: 'too much',
      trace: expect.arrayContaining([expect.stringContaining('index.mjs')]),
    });
    expect(failed.log).toMatch(/\tERROR\tInvoke Error\t\{"errorType": ?"RangeError"/);
    expect((await api.invoke('throwing', {})).payload).toBe(2);
  });

  it.each([
    ['cannot-import', `import 'no-such-module';`, 'Runtime.ImportModuleError', /no-such-module/],
    ['cannot-parse', `export const handler = async () => {;`, 'Runtime.UserCodeSyntaxError', /SyntaxError/],
    ['no-handler', `export const other = 1;`, 'Runtime.HandlerNotFound', /index\.handler is undefined/],
    ['init-throws', `throw new TypeError('at start');`, 'TypeError', /at start/],
  ])(
    'reports an init phase that fails, and fails again when it is started over: %s',
    async (name, source, kind, what) => {
      await api.createFunction(name, source);
      const { payload, functionError, requestId, log } = await api.invoke(name, {});
      expect(functionError).toBe('Unhandled');
      expect(payload).toMatchObject({ errorType: kind, errorMessage: expect.stringMatching(what) });
      const uncaught = [expect.stringMatching(/\tundefined\tERROR\tUncaught Exception \t\{"errorType": ?"/)];
      expect(lines(log)).toEqual([
        ...uncaught,
        `INIT_REPORT Init Duration: # ms\tPhase: init\tStatus: error\tError Type: ${kind}`,
        ...uncaught,
        `INIT_REPORT Init Duration: # ms\tPhase: invoke\tStatus: error\tError Type: ${kind}`,
        ...startEndReport(requestId, kind),
      ]);
    },
  );

  it('reports an init phase that exits, and exits again when it is started over', async () => {
    await api.createFunction('init-exits', `console.log('begun'); process.exit(7);`);
    const { payload, requestId, log } = await api.invoke('init-exits', {});
    const errorMessage = `RequestId: ${requestId} Error: Runtime exited with error: exit status 7`;
    expect(payload).toEqual({ errorType: 'Runtime.ExitError', errorMessage });
    const [start = '', ...rest] = startEndReport(requestId, 'Runtime.ExitError');
    expect(lines(log)).toEqual([
      'begun',
      'INIT_REPORT Init Duration: # ms\tPhase: init\tStatus: error\tError Type: Runtime.ExitError',
      'begun',
      'INIT_REPORT Init Duration: # ms\tPhase: invoke\tStatus: error\tError Type: Runtime.ExitError',
      start,
      errorMessage,
      'Runtime.ExitError',
      ...rest,
    ]);
  });

  it('starts an init phase that failed over, as part of the invocation', async () => {
    await api.createFunction(
      'second-init',
      `${inits()} if (inits === 1) throw new TypeError('at start');
      export const handler = async () => inits;`,
    );
    const first = await api.invoke('second-init', {});
    expect(first.functionError).toBeNull();
    expect(first.payload).toBe(2);
    expect(lines(first.log)).toEqual([
      expect.stringContaining('Uncaught Exception'),
      'INIT_REPORT Init Duration: # ms\tPhase: init\tStatus: error\tError Type: TypeError',
      ...startEndReport(first.requestId),
    ]);
    expect((await api.invoke('second-init', {})).payload).toBe(2);
  });

  it('starts one that takes longer than ten seconds over, as part of the invocation', async () => {
    await api.createFunction(
      'long-init',
      `${inits()} if (inits === 1) await new Promise(() => setInterval(() => {}, 1000));
      export const handler = async () => inits;`,
    );
    const { payload, requestId, log } = await api.invoke('long-init', {});
    expect(payload).toBe(2);
    const timeout = 'INIT_REPORT Init Duration: # ms\tPhase: init\tStatus: timeout';
    expect(lines(log)).toEqual([timeout, ...startEndReport(requestId)]);
  });

  it("holds one that is started over to the function's timeout", async () => {
    const source = `${inits()} if (inits === 1) throw new TypeError('at start'); await new Promise(() => setInterval(() => {}, 1000));
      export const handler = async () => inits;`;
    await api.createFunction('longer-init', source, { timeout: 2 });
    const { payload, requestId, log } = await api.invoke('longer-init', {});
    expect(payload).toMatchObject({ errorType: 'Sandbox.Timedout' });
    const [start = '', ...rest] = startEndReport(requestId, 'timeout');
    expect(lines(log).slice(1)).toEqual([
      'INIT_REPORT Init Duration: # ms\tPhase: init\tStatus: error\tError Type: TypeError',
      'INIT_REPORT Init Duration: # ms\tPhase: invoke\tStatus: timeout',
      start,
      expect.stringMatching(/Task timed out after 2\.00 seconds$/),
      ...rest,
    ]);
  });

  /** Source that counts in `inits` how often it has been loaded. */
  const inits = () => `import { appendFileSync, readFileSync } from 'node:fs';
    const file = ${JSON.stringify(join(folder, 'inits'))};
    appendFileSync(file, 'x');
    const inits = readFileSync(file, 'utf8').length;`;

  it('reports a process that ends in the middle, and starts another for the next invocation', async () => {
    const source = `let count = 0;
      export const handler = async (event) => {
        count += 1;
        if (event.exit) { console.log('last words'); process.exit(3); }
        if (event.signal) process.kill(process.pid, 'SIGKILL');
        return count;
      };`;
    await api.createFunction('exiting', source);
    expect((await api.invoke('exiting', {})).payload).toBe(1);
    const exited = await api.invoke('exiting', { exit: true });
    expect(exited.payload).toEqual({
      errorType: 'Runtime.ExitError',
      errorMessage: `RequestId: ${exited.requestId} Error: Runtime exited with error: exit status 3`,
    });
    expect(exited.log).toContain(
      `last words\nRequestId: ${exited.requestId} Error: Runtime exited with error: exit status 3\n`,
    );
    expect(exited.log).toMatch(/^REPORT .*\tStatus: error\tError Type: Runtime\.ExitError$/m);
    expect((await api.invoke('exiting', { signal: true })).payload).toMatchObject({
      errorMessage: expect.stringMatching(/signal: SIGKILL$/),
    });
    const again = await api.invoke('exiting', {});
    expect(again.payload).toBe(1);
    // Its init phase is part of the invocation.
    expect(lines(again.log)).toEqual(startEndReport(again.requestId));
  });

  it("kills what exceeds the function's timeout, with the processes that it started", async () => {
    const source = `import { spawn } from 'node:child_process';
      export const handler = async (event) => {
        if (!event.hang) return 'fresh';
        const child = spawn('sleep', ['600'], { stdio: 'inherit' });
        console.log('grandchild ' + child.pid);
        for (;;);
      };`;
    await api.createFunction('hanging', source, { timeout: 2 });
    const { payload, functionError, requestId, log } = await api.invoke('hanging', { hang: true });
    expect(functionError).toBe('Unhandled');
    expect(payload).toEqual({
      errorType: 'Sandbox.Timedout',
      errorMessage: `RequestId: ${requestId} Error: Task timed out after 2.00 seconds`,
    });
    expect(log).toContain(`${requestId} Task timed out after 2.00 seconds\n`);
    expect(log).toMatch(/^REPORT .*\tDuration: 2000\.00 ms\t.*\tStatus: timeout$/m);
    const grandchild = Number(/grandchild (\d+)/.exec(log)?.[1]);
    expect(grandchild).toBeGreaterThan(1);
    await expect.poll(() => isRunning(grandchild), { timeout: 10_000 }).toBe(false);
    expect((await api.invoke('hanging', {})).payload).toBe('fresh');
  });

  const orNotHere = process.platform === 'linux' ? orNoProc : ' (skipped: only Linux finds it again)';
  describe.skipIf(process.platform !== 'linux' || !hasProc)(`a process that has left its family${orNotHere}`, () => {
    // In a session of its own, with nothing of the function's environment, and orphaned: its parent has ended.
    const leave = () => `import { execFileSync } from 'node:child_process';
      import { readFileSync } from 'node:fs';
      const file = ${JSON.stringify(join(folder, 'pid'))};
      execFileSync('sh', ['-c', 'setsid env -i sleep 600 </dev/null >/dev/null 2>&1 & echo $! > "$0"', file]);
      const pid = Number(readFileSync(file, 'utf8'));`;
    const started = (): number => {
      const pid = Number(readFileSync(join(folder, 'pid'), 'utf8'));
      expect(pid).toBeGreaterThan(1);
      return pid;
    };

    it.each([
      ['times out', 'for (;;);', 'Sandbox.Timedout'],
      ['exits', 'process.exit(3);', 'Runtime.ExitError'],
    ])('is killed when its function %s', async (how, end, errorType) => {
      const name = `leaving-${how.replace(' ', '-')}`;
      await api.createFunction(name, `${leave()} export const handler = async () => { ${end} };`, { timeout: 2 });
      expect((await api.invoke(name, {})).payload).toMatchObject({ errorType });
      expect(isRunning(started())).toBe(false);
    });

    it('runs on between invocations, and is killed when its function is updated', async () => {
      const source = `${leave()} export const handler = async () => { process.kill(pid, 0); return 'it runs'; };`;
      await api.createFunction('leaving', source);
      expect((await api.invoke('leaving', {})).payload).toBe('it runs');
      expect((await api.invoke('leaving', {})).payload).toBe('it runs');
      const pid = started();
      await api.updateCode('leaving', 'export const handler = async () => null;');
      await expect.poll(() => isRunning(pid), { timeout: 20_000 }).toBe(false);
    });
  });

  it('brings logs to CloudWatch Logs, in their order, with the lines that Lambda adds', async () => {
    const source = `console.log('at init');
      export const handler = async (event) => { console.log('one'); console.error('two'); process.stdout.write('three'); return null; };`;
    await api.createFunction('logging', source);
    const first = await api.invoke('logging', {});
    const second = await api.invoke('logging', {});
    const wanted = ({ requestId }: { requestId: string }) => [
      `START RequestId: ${requestId} Version: $LATEST`,
      'one',
      'two',
      'three',
      `END RequestId: ${requestId}`,
      expect.stringMatching(
        new RegExp(
          `^REPORT RequestId: ${requestId}\tDuration: [\\d.]+ ms\tBilled Duration: \\d+ ms\tMemory Size: 256 MB`,
        ),
      ),
    ];
    await expect
      .poll(async () => (await api.logEvents('logging')).map(({ message }) => message.trimEnd()), { timeout: 20_000 })
      .toEqual(['at init', ...wanted(first), ...wanted(second)]);
    expect(first.log).toMatch(/\tInit Duration: [\d.]+ ms$/m);
    expect(second.log).not.toContain('Init Duration');
    const streams = new Set((await api.logEvents('logging')).map(({ logStreamName }) => logStreamName));
    expect([...streams]).toEqual([expect.stringMatching(/^\d{4}\/\d\d\/\d\d\/\[\$LATEST\][0-9a-f]{32}$/)]);
  });

  describe('with functions that wait at a door', () => {
    let door: Door;
    let url: string;
    beforeEach(async () => {
      door = new Door();
      url = await door.hang();
    });
    afterEach(() => door.remove());

    it('runs concurrent invocations in environments of their own, and uses those again', async () => {
      const source = `let running = 0;
        export const handler = async (url) => {
          running += 1;
          await fetch(url);
          const together = running;
          running -= 1;
          return { together, pid: process.pid };
        };`;
      await api.createFunction('concurrent', source);
      const both = async () => {
        const running = [1, 2].map(() => api.invoke('concurrent', url));
        await door.knockedBy(2);
        door.open();
        return (await Promise.all(running)).map((each) => each.payload as { together: number; pid: number });
      };
      const first = await both();
      const second = await both();
      const pids = first.map(({ pid }) => pid).sort();
      expect(new Set(pids).size).toBe(2);
      expect(second.map(({ pid }) => pid).sort()).toEqual(pids);
      expect([...first, ...second].map(({ together }) => together)).toEqual([1, 1, 1, 1]);
    });

    it('lets a running invocation end when the function is updated', async () => {
      const version = (n: number) =>
        `export const handler = async (url) => { if (url !== null) await fetch(url); return ${n}; };`;
      await api.createFunction('updated', version(1));
      const running = api.invoke('updated', url);
      await door.knockedBy(1);
      await api.updateCode('updated', version(2));
      expect((await api.invoke('updated', null)).payload).toBe(2);
      door.open();
      expect((await running).payload).toBe(1);
    });
  });

  it('is driven by a queue, with partial batch failures', async () => {
    const source = `export const handler = async ({ Records }) => ({
      batchItemFailures: Records.filter(({ body }) => body === 'bad').map(({ messageId }) => ({ itemIdentifier: messageId })) });`;
    await api.createFunction('consumer', source, { timeout: 5 });
    const sqs = new SQSClient({
      region,
      endpoint: localStack.endpoint,
      credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
      useQueueUrlAsEndpoint: false,
    });
    const { QueueUrl: dead = '' } = await sqs.send(new CreateQueueCommand({ QueueName: 'dead' }));
    const { Attributes } = await sqs.send(
      new GetQueueAttributesCommand({ QueueUrl: dead, AttributeNames: ['QueueArn'] }),
    );
    const RedrivePolicy = JSON.stringify({ deadLetterTargetArn: Attributes?.QueueArn, maxReceiveCount: 2 });
    const { QueueUrl: source1 = '' } = await sqs.send(
      new CreateQueueCommand({ QueueName: 'source', Attributes: { VisibilityTimeout: '5', RedrivePolicy } }),
    );
    await api.mapQueue(`arn:aws:sqs:${region}:000000000000:source`, 'consumer');
    const Entries = ['good', 'bad', 'good'].map((MessageBody, index) => ({ Id: `m${index}`, MessageBody }));
    await sqs.send(new SendMessageBatchCommand({ QueueUrl: source1, Entries }));

    const received: (string | undefined)[] = [];
    await expect
      .poll(
        async () => {
          const { Messages = [] } = await sqs.send(
            new ReceiveMessageCommand({ QueueUrl: dead, WaitTimeSeconds: 1, VisibilityTimeout: 600 }),
          );
          received.push(...Messages.map(({ Body }) => Body));
          return received;
        },
        { timeout: 60_000 },
      )
      .toEqual(['bad']);
    const names = ['ApproximateNumberOfMessages', 'ApproximateNumberOfMessagesNotVisible'] as const;
    const left = await sqs.send(new GetQueueAttributesCommand({ QueueUrl: source1, AttributeNames: [...names] }));
    expect(left.Attributes).toEqual({ [names[0]]: '0', [names[1]]: '0' });
    sqs.destroy();
  });

  it("takes a standard queue's message that names a fleet, and hands the fleet on (docs/capacity.md)", async () => {
    const sqs = new SQSClient({
      region,
      endpoint: localStack.endpoint,
      credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
      useQueueUrlAsEndpoint: false,
    });
    const { QueueUrl: url = '' } = await sqs.send(new CreateQueueCommand({ QueueName: 'fair' }));
    const request = { deviceId: 'door-7', requestId: 'request-1', profile: 'device-tls', csr: 'MIIB' };
    const [sent] = await sendRequests(sqs, url, [request], { fleet: 'doors-north' });
    const { Messages: [received] = [] } = await sqs.send(
      new ReceiveMessageCommand({ QueueUrl: url, MessageSystemAttributeNames: ['All'], WaitTimeSeconds: 5 }),
    );
    expect(received).toMatchObject({ MessageId: sent?.messageId, Attributes: { MessageGroupId: 'doors-north' } });
    sqs.destroy();
  });
});

/** What is in a log, with a # for each duration. */
const lines = (log: string): string[] =>
  log
    .trimEnd()
    .split('\n')
    .map((line) => line.replace(/(?<=Init Duration: )[\d.]+/, '#'));

/**
 * What Lambda logs of an invocation that begins with an environment that has been initialised before.
 * @param status `timeout`, or the type of the error that it failed with
 */
function startEndReport(requestId: string, status?: string): unknown[] {
  const failed =
    status === undefined ? '' : status === 'timeout' ? '\tStatus: timeout' : `\tStatus: error\tError Type: ${status}`;
  const report = `^REPORT RequestId: ${requestId}\tDuration: [\\d.]+ ms\tBilled Duration: \\d+ ms\tMemory Size: 256 MB(\tMax Memory Used: \\d+ MB)?${failed}$`;
  return [
    `START RequestId: ${requestId} Version: $LATEST`,
    `END RequestId: ${requestId}`,
    expect.stringMatching(new RegExp(report)),
  ];
}

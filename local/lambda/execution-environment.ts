import { randomBytes, randomUUID } from 'node:crypto';
import type { FunctionError, InvocationOutcome } from './protocol.ts';
import type { Exit, RuntimeEvent } from './runtime-process.ts';
import { RuntimeProcess } from './runtime-process.ts';

export interface FunctionConfiguration {
  readonly functionName: string;
  readonly functionArn: string;
  /** As in functions.yml: path without extension from the task root, a dot, the export's name. */
  readonly handler: string;
  /** Folder that `handler` is relative to; LAMBDA_TASK_ROOT and the working directory. */
  readonly taskRoot: string;
  /** Seconds. */
  readonly timeout: number;
  /** MiB; told to the function, not enforced. */
  readonly memorySize: number;
  /** The function's own variables; those that Lambda sets are added and win. */
  readonly environment: Readonly<Record<string, string>>;
  readonly region: string;
}

export interface Surroundings {
  /** Milliseconds since the epoch. */
  now(): number;
  onLog(line: { readonly pid: number; readonly text: string }): void;
  /** Milliseconds that the init phase may take before it is started over on the invocation's time. */
  readonly initLimit?: number;
}

/** AWS Lambda, "Understanding the Lambda execution environment lifecycle": the init phase is limited to 10 seconds. */
const defaultInitLimit = 10_000;

/**
 * One execution environment of a function: a process from the first invocation (the cold start) until it ends, one
 * invocation at a time. A process that exceeds the function's timeout is killed with all it started; the next
 * invocation gets a new one.
 */
export class ExecutionEnvironment {
  /**
   * Its session token: at AWS, too, every environment has credentials of its own, so a call tells who makes it. What is
   * before the colon is the name of the session (local/stub/cloudtrail/caller.ts), which Lambda calls as the function.
   */
  readonly id: string;
  readonly #configuration: FunctionConfiguration;
  readonly #surroundings: Surroundings;
  #runtime: RuntimeProcess | undefined;
  /** Whose log it is when the process is already gone. */
  #lastPid: number | undefined;

  constructor(configuration: FunctionConfiguration, surroundings: Surroundings) {
    this.id = `${configuration.functionName}:${randomUUID()}`;
    this.#configuration = configuration;
    this.#surroundings = surroundings;
  }

  get pid(): number | undefined {
    return this.#runtime?.pid;
  }

  /**
   * @param event JSON text
   * @returns what the function answered or how it failed; rejects for nothing that the function does
   */
  async invoke(requestId: string, event: string): Promise<InvocationOutcome> {
    const outcome = await this.#invoke(requestId, event);
    if ('error' in outcome) this.#log(`${requestId}\tERROR\tInvoke Error\t${JSON.stringify(outcome.error)}`);
    return outcome;
  }

  /** SIGKILL, to its process and all that it started; resolves when that has ended. */
  async kill(): Promise<void> {
    await this.#runtime?.kill();
  }

  async #invoke(requestId: string, event: string): Promise<InvocationOutcome> {
    const timeout = this.#configuration.timeout * 1000;
    let end = performance.now() + timeout;
    let runtime = this.#runtime;
    if (runtime === undefined) {
      runtime = this.#start();
      let first = await within(runtime.next(), this.#surroundings.initLimit ?? defaultInitLimit);
      // An init phase within its limit is not on the invocation's time; one beyond it is started over, and is.
      end = performance.now() + timeout;
      if (first === 'late') {
        await runtime.kill();
        this.#log('INIT_REPORT Phase: init Status: timeout');
        runtime = this.#start();
        first = await within(runtime.next(), end - performance.now());
      }
      const failure = await this.#failure(first, 'ready', requestId, runtime);
      if (failure !== undefined) return { error: failure };
    }

    runtime.send({
      type: 'invoke',
      requestId,
      invokedFunctionArn: this.#configuration.functionArn,
      event,
      remainingTime: Math.max(0, end - performance.now()),
    });
    const next = await within(runtime.next(), end - performance.now());
    if (next !== 'late' && 'message' in next && next.message.type === 'result')
      return { payload: next.message.payload };
    return { error: (await this.#failure(next, undefined, requestId, runtime)) ?? protocolBroken(requestId) };
  }

  /** How `event` fails the invocation, unless it is what was wanted. What cannot be used again is gone afterwards. */
  async #failure(
    event: RuntimeEvent | 'late',
    wanted: 'ready' | undefined,
    requestId: string,
    runtime: RuntimeProcess,
  ): Promise<FunctionError | undefined> {
    if (event !== 'late' && 'message' in event) {
      if (event.message.type === wanted) return undefined;
      if (event.message.type === 'error') return event.message.error;
    }
    await runtime.kill();
    if (event === 'late') return timedOut(requestId, this.#configuration.timeout);
    if ('exit' in event) return exited(requestId, event.exit);
    const { message } = event;
    return message.type === 'init-error' || message.type === 'fatal' ? message.error : protocolBroken(requestId);
  }

  #start(): RuntimeProcess {
    const { taskRoot } = this.#configuration;
    const onLine = (pid: number, text: string) => this.#surroundings.onLog({ pid, text });
    const started = new RuntimeProcess(this.#variables(), taskRoot, onLine);
    this.#runtime = started;
    this.#lastPid = started.pid;
    void started.exited.then(() => {
      if (this.#runtime === started) this.#runtime = undefined;
    });
    return started;
  }

  /** AWS Lambda, "Defined runtime environment variables". */
  #variables(): Record<string, string> {
    const { functionName, handler, memorySize, region, taskRoot, environment } = this.#configuration;
    const day = new Date(this.#surroundings.now()).toISOString().slice(0, 10).replaceAll('-', '/');
    return {
      ...environment,
      _HANDLER: handler,
      AWS_DEFAULT_REGION: region,
      AWS_EXECUTION_ENV: 'AWS_Lambda_nodejs24.x',
      AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(memorySize),
      AWS_LAMBDA_FUNCTION_NAME: functionName,
      AWS_LAMBDA_FUNCTION_VERSION: '$LATEST',
      AWS_LAMBDA_INITIALIZATION_TYPE: 'on-demand',
      AWS_LAMBDA_LOG_GROUP_NAME: `/aws/lambda/${functionName}`,
      AWS_LAMBDA_LOG_STREAM_NAME: `${day}/[$LATEST]${randomBytes(16).toString('hex')}`,
      AWS_REGION: region,
      AWS_SESSION_TOKEN: this.id,
      LAMBDA_TASK_ROOT: taskRoot,
      LANG: 'en_US.UTF-8',
      PATH: '/usr/local/bin:/usr/bin:/bin',
      TZ: 'UTC',
    };
  }

  #log(text: string): void {
    const time = new Date(this.#surroundings.now()).toISOString();
    this.#surroundings.onLog({ pid: this.#lastPid ?? process.pid, text: `${time}\t${text}` });
  }
}

/** What `promise` gives within `limit` milliseconds, else 'late'. */
async function within<T>(promise: Promise<T>, limit: number): Promise<T | 'late'> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => resolve('late'), Math.max(0, limit));
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

function timedOut(requestId: string, timeout: number): FunctionError {
  return {
    errorType: 'Sandbox.Timedout',
    errorMessage: `RequestId: ${requestId} Error: Task timed out after ${timeout.toFixed(2)} seconds`,
  };
}

function exited(requestId: string, { code, signal, spawnError }: Exit): FunctionError {
  const how =
    spawnError !== undefined
      ? `Runtime could not be started: ${spawnError.message}`
      : signal !== null
        ? `Runtime exited with error: signal: ${signal}`
        : code === 0
          ? 'Runtime exited without providing a reason'
          : `Runtime exited with error: exit status ${code}`;
  return { errorType: 'Runtime.ExitError', errorMessage: `RequestId: ${requestId} Error: ${how}` };
}

function protocolBroken(requestId: string): FunctionError {
  return { errorType: 'Runtime.Unknown', errorMessage: `RequestId: ${requestId} Error: Runtime broke its protocol` };
}

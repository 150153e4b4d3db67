import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { FunctionError, InvokeMessage, RuntimeMessage } from './protocol.ts';

/**
 * One Lambda execution environment: loads the handler that `_HANDLER` and `LAMBDA_TASK_ROOT` name, then answers one
 * invocation at a time. Everything a function may see of its surroundings is in the environment variables.
 */

/** What Node.js handlers are given (AWS Lambda, "Using the Lambda context object to retrieve Node.js function information"). */
interface LambdaContext {
  readonly awsRequestId: string;
  readonly callbackWaitsForEmptyEventLoop: boolean;
  readonly functionName: string;
  readonly functionVersion: string;
  readonly invokedFunctionArn: string;
  readonly logGroupName: string;
  readonly logStreamName: string;
  readonly memoryLimitInMB: string;
  getRemainingTimeInMillis(): number;
}

type Handler = (event: unknown, context: LambdaContext) => unknown;

class InitError extends Error {
  constructor(errorType: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = errorType;
  }
}

function describe(error: unknown): FunctionError {
  if (!(error instanceof Error)) return { errorType: typeof error, errorMessage: String(error), trace: [] };
  return { errorType: error.name, errorMessage: error.message, trace: (error.stack ?? '').split('\n') };
}

function required(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new InitError('Runtime.ConfigurationError', `${name} is not set`);
  return value;
}

async function loadHandler(): Promise<Handler> {
  const handler = required('_HANDLER');
  const folder = join(required('LAMBDA_TASK_ROOT'), dirname(handler));
  const [moduleName = '', ...exportPath] = basename(handler).split('.');
  const file = ['.mjs', '.js', '.cjs'].map((extension) => join(folder, moduleName + extension)).find(existsSync);
  if (file === undefined) {
    throw new InitError('Runtime.ImportModuleError', `Error: Cannot find module '${moduleName}' in ${folder}`);
  }
  let found: unknown = await importBundle(file);
  for (const name of exportPath) found = (found as Record<string, unknown> | undefined)?.[name];
  if (typeof found !== 'function') {
    throw new InitError('Runtime.HandlerNotFound', `${handler} is undefined or not exported`);
  }
  return found as Handler;
}

async function importBundle(file: string): Promise<unknown> {
  try {
    return await import(pathToFileURL(file).href);
  } catch (error) {
    if (error instanceof SyntaxError) {
      throw new InitError('Runtime.UserCodeSyntaxError', `SyntaxError: ${error.message}`, { cause: error });
    }
    const code = (error as { code?: unknown } | null)?.code;
    if (code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND') {
      throw new InitError('Runtime.ImportModuleError', `Error: ${(error as Error).message}`, { cause: error });
    }
    throw error;
  }
}

function contextOf(message: InvokeMessage): LambdaContext {
  // Monotonic, so the time left is right whatever happens to the clock.
  const end = performance.now() + message.remainingTime;
  return {
    awsRequestId: message.requestId,
    callbackWaitsForEmptyEventLoop: true,
    functionName: required('AWS_LAMBDA_FUNCTION_NAME'),
    functionVersion: required('AWS_LAMBDA_FUNCTION_VERSION'),
    invokedFunctionArn: message.invokedFunctionArn,
    logGroupName: required('AWS_LAMBDA_LOG_GROUP_NAME'),
    logStreamName: required('AWS_LAMBDA_LOG_STREAM_NAME'),
    memoryLimitInMB: required('AWS_LAMBDA_FUNCTION_MEMORY_SIZE'),
    getRemainingTimeInMillis: () => Math.max(0, Math.floor(end - performance.now())),
  };
}

const say = (message: RuntimeMessage): Promise<void> =>
  new Promise((resolve) => {
    // A parent that is gone hears nothing, and the lifeline ends this process.
    process.send?.(message, () => resolve());
  });

/** The invocation that is running; Lambda never has two in one environment. */
let current: InvokeMessage | undefined;

async function answer(handler: Handler, message: InvokeMessage): Promise<void> {
  current = message;
  const requestId = message.requestId;
  try {
    const result = await handler(JSON.parse(message.event), contextOf(message));
    await say({ type: 'result', requestId, payload: JSON.stringify(result) ?? 'null' });
  } catch (error) {
    await say({ type: 'error', requestId, error: describe(error) });
  } finally {
    current = undefined;
  }
}

/** Node.js's own answer to these is an exit, and so is Lambda's, with these codes; the invocation is told why first. */
function exitOn(event: 'uncaughtException' | 'unhandledRejection', exitCode: number): void {
  const tellAndExit = async (reason: unknown): Promise<never> => {
    const described = describe(reason);
    const error: FunctionError =
      event === 'uncaughtException'
        ? described
        : {
            ...described,
            errorType: 'Runtime.UnhandledPromiseRejection',
            errorMessage: reason instanceof Error ? `${reason.name}: ${reason.message}` : String(reason),
          };
    console.error(JSON.stringify(error));
    if (current !== undefined) await say({ type: 'fatal', requestId: current.requestId, error });
    process.exit(exitCode);
  };
  process.on(event, (reason: unknown) => void tellAndExit(reason));
}

async function main(): Promise<void> {
  const lifeline = new Worker(new URL('./lifeline.ts', import.meta.url), { env: {} });
  // Before any of the function's code can run and keep this thread to itself.
  await once(lifeline, 'message');
  lifeline.unref();

  exitOn('unhandledRejection', 128);
  exitOn('uncaughtException', 129);

  let handler: Handler;
  try {
    handler = await loadHandler();
  } catch (error) {
    await say({ type: 'init-error', error: describe(error) });
    process.exit(1);
  }
  process.on('message', (message: InvokeMessage) => void answer(handler, message));
  await say({ type: 'ready' });
}

await main();

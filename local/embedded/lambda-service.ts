import * as z from 'zod';
import type { FunctionPool } from '../lambda/function-pool.ts';
import type { Answer } from './aws-error.ts';
import { awsError } from './aws-error.ts';
import type { EventSourceMapping } from './event-source-mapping.ts';
import type { Service } from './gateway.ts';
import { invoke, isCalled } from './lambda-invoke.ts';

const update = z.strictObject({ Enabled: z.boolean().optional(), FunctionName: z.string().optional() });

const path = /^\/2015-03-31\/event-source-mappings\/?(?<uuid>[^/]+)?\/?$/;

const configurations = /^\/2015-03-31\/functions\/(?<name>[^/]+)\/configuration\/?$/;

const invocations = /^\/2015-03-31\/functions\/(?<name>[^/]+)\/invocations\/?$/;

/**
 * The part of Lambda's API that the project itself calls: Invoke; GetFunctionConfiguration; GetEventSourceMapping, ListEventSourceMappings, and
 * UpdateEventSourceMapping as far as pausing and resuming goes (AWS Lambda API reference).
 *
 * @param mappings may be filled later, as may `pools`
 */
export function lambdaService(mappings: readonly EventSourceMapping[], pools: readonly FunctionPool[]): Service {
  return async (request) => {
    const { method, url, body } = request;
    const { pathname, searchParams } = new URL(url, 'http://localhost');
    const invoked = invocations.exec(pathname)?.groups?.['name'];
    if (invoked !== undefined && method === 'POST') return invoke(pools, decodeURIComponent(invoked), request);
    const described = configurations.exec(pathname)?.groups?.['name'];
    if (described !== undefined && method === 'GET') return functionConfiguration(pools, decodeURIComponent(described));
    const found = path.exec(pathname);
    const uuid = found?.groups?.['uuid'];

    if (found !== null && uuid === undefined && method === 'GET') {
      const [eventSource, functionName] = [searchParams.get('EventSourceArn'), searchParams.get('FunctionName')];
      const listed = mappings.filter(
        ({ options }) =>
          (eventSource === null || options.eventSourceArn === eventSource) &&
          (functionName === null || isCalled(options.functionArn, functionName)),
      );
      return json(200, { EventSourceMappings: listed.map(configuration) });
    }
    if (uuid === undefined || (method !== 'GET' && method !== 'PUT')) {
      const message = `The embedded cloud does not implement ${method} ${pathname} of Lambda's API.`;
      return awsError('restJson', 501, 'NotImplemented', message);
    }
    const mapping = mappings.find(({ options }) => options.uuid === uuid);
    if (mapping === undefined) {
      return awsError('restJson', 404, 'ResourceNotFoundException', 'The resource you requested does not exist.');
    }
    return method === 'GET' ? json(200, configuration(mapping)) : updateMapping(mapping, body);
  };
}

function updateMapping(mapping: EventSourceMapping, body: Buffer): Answer {
  const asked = update.safeParse(parseJson(body));
  if (!asked.success) {
    const message = `The embedded cloud changes nothing of a mapping but Enabled: ${z.prettifyError(asked.error)}`;
    return awsError('restJson', 400, 'InvalidParameterValueException', message);
  }
  const { Enabled: enabled, FunctionName: functionName } = asked.data;
  if (functionName !== undefined && !isCalled(mapping.options.functionArn, functionName)) {
    const message = 'The embedded cloud does not give a mapping another function.';
    return awsError('restJson', 400, 'InvalidParameterValueException', message);
  }
  if (mapping.state === 'Disabling') {
    const message = `Cannot update the event source mapping with UUID ${mapping.options.uuid} because it is in use.`;
    return awsError('restJson', 400, 'ResourceInUseException', message);
  }
  if (enabled === true) mapping.enable();
  if (enabled === false) mapping.disable();
  return json(202, configuration(mapping));
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString());
  } catch {
    // Not an object either, which the caller answers for.
    return undefined;
  }
}

/** As far as there is such a thing here. The role has the name that the stub's CloudTrail gives whoever has its keys. */
function functionConfiguration(pools: readonly FunctionPool[], nameOrArn: string): Answer {
  const pool = pools.find(({ configuration: { functionArn } }) => isCalled(functionArn, nameOrArn));
  if (pool === undefined) {
    return awsError('restJson', 404, 'ResourceNotFoundException', `Function not found: ${nameOrArn}`);
  }
  const { functionName, functionArn, handler, timeout, memorySize, environment } = pool.configuration;
  const accountId = functionArn.split(':')[4];
  return json(200, {
    FunctionName: functionName,
    FunctionArn: functionArn,
    Handler: handler,
    MemorySize: memorySize,
    Role: `arn:aws:iam::${accountId}:role/${environment['AWS_ACCESS_KEY_ID']}`,
    Timeout: timeout,
    Version: '$LATEST',
  });
}

function configuration(mapping: EventSourceMapping): Record<string, unknown> {
  const { uuid, eventSourceArn, functionArn, batchSize, maximumConcurrency, reportBatchItemFailures } = mapping.options;
  return {
    UUID: uuid,
    BatchSize: batchSize,
    MaximumBatchingWindowInSeconds: 0,
    EventSourceArn: eventSourceArn,
    FunctionArn: functionArn,
    FunctionResponseTypes: reportBatchItemFailures ? ['ReportBatchItemFailures'] : [],
    LastModified: mapping.lastModified / 1000,
    LastProcessingResult: mapping.lastProcessingResult,
    ScalingConfig: { MaximumConcurrency: maximumConcurrency },
    State: mapping.state,
    StateTransitionReason: 'USER_INITIATED',
  };
}

function json(status: number, content: unknown): Answer {
  return { status, headers: { 'content-type': 'application/json' }, body: Buffer.from(JSON.stringify(content)) };
}

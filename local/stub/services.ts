import { AwsError } from './aws-error.ts';
import { cloudHsmOperations } from './cloudhsm/index.ts';
import type { Context } from './context.ts';
import { kmsOperations } from './kms/index.ts';
import type { Operation } from './operation.ts';
import { settle } from './settle.ts';
import type { Fault, StubState } from './state.ts';

interface Service {
  /** The service's name in a credential's scope (Signature Version 4). */
  readonly signingName: string;
  readonly operations: Readonly<Record<string, Operation>>;
  /** The name of an error's message in the service's model. */
  readonly messageMember: 'message' | 'Message';
  readonly internalError: string;
}

/** By the prefix of X-Amz-Target. */
export const services: Readonly<Record<string, Service>> = {
  TrentService: {
    signingName: 'kms',
    operations: kmsOperations,
    messageMember: 'message',
    internalError: 'KMSInternalException',
  },
  BaldrApiService: {
    signingName: 'cloudhsm',
    operations: cloudHsmOperations,
    messageMember: 'Message',
    internalError: 'CloudHsmInternalFailureException',
  },
};

export interface Target {
  /** As in X-Amz-Target, such as `TrentService.Decrypt`. */
  readonly name: string;
  readonly service: Service;
  readonly operation: Operation;
}

/** @throws AwsError UnknownOperationException, as AWS answers a target that it does not know */
export function findTarget(name: string): Target {
  const [prefix = '', operationName = '', ...rest] = name.split('.');
  const service = own(services, prefix);
  const operation = service && own(service.operations, operationName);
  if (service === undefined || operation === undefined || rest.length > 0) {
    throw new AwsError('UnknownOperationException');
  }
  return { name, service, operation };
}

function own<Value>(record: Readonly<Record<string, Value>>, name: string): Value | undefined {
  return Object.hasOwn(record, name) ? record[name] : undefined;
}

/** Runs an operation as of now, or fails it as the state's faults say. */
export function perform(target: Target, state: StubState, input: unknown, context: Context): object | undefined {
  settle(state, context);
  const fault = state.faults.find((candidate) => candidate.operation === target.name);
  if (fault === undefined) return target.operation(state, input, context);
  spend(state, fault);
  if (fault.when === 'after') target.operation(state, input, context);
  throw new AwsError(fault.code, fault.message ?? defaultMessage(fault.code), isServiceFault(fault.code) ? 500 : 400);
}

function spend(state: StubState, fault: Fault): void {
  fault.remaining -= 1;
  if (fault.remaining === 0) state.faults = state.faults.filter((candidate) => candidate !== fault);
}

const serviceFaults: readonly string[] = [
  'CloudHsmInternalFailureException',
  'DependencyTimeoutException',
  'InternalFailure',
  'KMSInternalException',
  'KeyUnavailableException',
  'ServiceUnavailable',
];

function isServiceFault(code: string): boolean {
  return serviceFaults.includes(code);
}

function defaultMessage(code: string): string {
  return code === 'ThrottlingException' ? 'Rate exceeded' : 'The request failed as the stub was told.';
}

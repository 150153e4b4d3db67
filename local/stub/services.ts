import { AwsError } from './aws-error.ts';
import { cloudHsmOperations } from './cloudhsm/index.ts';
import { type Caller, cloudTrailOperations, recordCall } from './cloudtrail/index.ts';
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
  CloudTrail_20131101: {
    signingName: 'cloudtrail',
    operations: cloudTrailOperations,
    messageMember: 'message',
    internalError: 'InternalFailure',
  },
};

/** The services whose calls CloudTrail is asked about: of the others nobody does. */
const recorded: readonly string[] = ['kms'];

/** Every operation that the stub has, as in X-Amz-Target. */
export function operationNames(): string[] {
  return Object.entries(services).flatMap(([prefix, { operations }]) =>
    Object.keys(operations).map((name) => `${prefix}.${name}`),
  );
}

export interface Target {
  /** As in X-Amz-Target, such as `TrentService.Decrypt`. */
  readonly name: string;
  readonly operationName: string;
  readonly service: Service;
  readonly operation: Operation;
}

/** A target as AWS's newer clients write it: the older ones put the namespace of CloudTrail's Java class before it. */
export const shortTarget = (target: string): string => target.replace(/^com\.amazonaws\.cloudtrail\.v20131101\./, '');

/** @throws AwsError UnknownOperationException, as AWS answers a target that it does not know */
export function findTarget(name: string): Target {
  const [prefix = '', operationName = '', ...rest] = name.split('.');
  const service = own(services, prefix);
  const operation = service && own(service.operations, operationName);
  if (service === undefined || operation === undefined || rest.length > 0) {
    throw new AwsError('UnknownOperationException');
  }
  return { name, operationName, service, operation };
}

function own<Value>(record: Readonly<Record<string, Value>>, name: string): Value | undefined {
  return Object.hasOwn(record, name) ? record[name] : undefined;
}

/** The connection is to be closed without an answer, as a fault says. */
export class ConnectionDropped extends Error {}

/** What `perform` needs from outside. */
export interface Surroundings {
  readonly state: StubState;
  /** The context as of now, made anew by every call. */
  readonly context: () => Context;
  readonly wait: (milliseconds: number) => Promise<void>;
  readonly caller: Caller;
  readonly requestId: string;
}

/**
 * Runs an operation, or fails it as the state's faults say.
 * @throws AwsError, ConnectionDropped
 */
export async function perform(target: Target, input: unknown, around: Surroundings): Promise<object | undefined> {
  const { state } = around;
  const run = (): object | undefined => {
    const context = around.context();
    settle(state, context);
    try {
      const answer = target.operation(state, input, context);
      record(answer, context);
      return answer;
    } catch (error) {
      if (error instanceof AwsError) record(error, context);
      throw error;
    }
  };
  const record = (outcome: object | undefined | AwsError, context: Context): void => {
    if (!recorded.includes(target.service.signingName)) return;
    const { caller, requestId } = around;
    recordCall(state, { operation: target.operationName, input, caller, requestId, outcome }, context);
  };
  const fault = takeFault(state, target.name);
  switch (fault?.effect) {
    case undefined:
      return run();
    case 'error': {
      const status = isServiceFault(fault.code) ? 500 : 400;
      const error = new AwsError(fault.code, fault.message ?? defaultMessage(fault.code), status);
      // What was done stays done, and is recorded as that.
      if (fault.when === 'after') run();
      else record(error, around.context());
      throw error;
    }
    case 'connection-dropped':
      if (fault.when === 'after') run();
      throw new ConnectionDropped('The connection is dropped as the stub was told.');
    case 'corrupt-signature':
      return withCorruptSignature(run());
    case 'slow':
      await around.wait(fault.milliseconds);
      return run();
  }
}

/** The first fault that is pending for the operation, one call of it spent. */
function takeFault(state: StubState, operationName: string): Fault | undefined {
  const fault = state.faults.find((candidate) => candidate.operation === operationName);
  if (fault !== undefined && fault.remaining !== -1) {
    fault.remaining -= 1;
    if (fault.remaining === 0) state.faults = state.faults.filter((candidate) => candidate !== fault);
  }
  return fault;
}

/** The last bit is one of the signature's numbers, in the encoding of RSA and of ECDSA. */
function withCorruptSignature(answer: object | undefined): object {
  if (answer === undefined || !('Signature' in answer) || typeof answer.Signature !== 'string') {
    throw new Error('An answer without a Signature cannot be corrupted.');
  }
  const signature = Buffer.from(answer.Signature, 'base64');
  const last = signature.length - 1;
  signature.writeUInt8(signature.readUInt8(last) ^ 1, last);
  return { ...answer, Signature: signature.toString('base64') };
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

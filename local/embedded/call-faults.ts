import type { ApiCall, AroundCall } from './api-call.ts';
import { type Answer, awsError, protocolOf } from './aws-error.ts';

/**
 * What goes wrong with a call. `before`: it is not carried out. `after`: it is, and its caller does not hear of it. The
 * two cannot be told apart from where the call was made, which is what they are for.
 */
export type CallEffect =
  | {
      readonly effect: 'error';
      readonly status: number;
      readonly code: string;
      readonly when: 'before' | 'after';
    }
  | { readonly effect: 'connection-dropped'; readonly when: 'before' | 'after' };

export type CallFault = CallEffect & {
  /** As in ApiCall. */
  readonly service: string;
  readonly operation: string;
  /** How many calls it is for; -1: until the faults are set again. */
  readonly count: number;
};

/** The errors of AWS's services that are worth being ready for, each as the service gives it. */
export const callErrors = {
  /** Amazon DynamoDB developer guide, "Error handling with DynamoDB": both are retried by the SDK. */
  provisionedThroughputExceeded: { effect: 'error', status: 400, code: 'ProvisionedThroughputExceededException' },
  throttled: { effect: 'error', status: 400, code: 'ThrottlingException' },
  /** That of a conditional write which another writer came before. */
  conditionalCheckFailed: { effect: 'error', status: 400, code: 'ConditionalCheckFailedException' },
  internal: { effect: 'error', status: 500, code: 'InternalServerError' },
  /** Amazon SNS API reference, "Common error types". */
  serviceUnavailable: { effect: 'error', status: 503, code: 'ServiceUnavailable' },
  refused: { effect: 'error', status: 403, code: 'AuthorizationError' },
} as const;

/** Faults of the functions' calls of AWS, on demand. Calls of others (tests, drills, the cloud itself) pass. */
export class CallFaults {
  readonly #onHappened: (fault: CallFault) => void;
  #pending: { readonly fault: CallFault; left: number }[] = [];
  #happened = 0;

  /** @param onHappened hears of each call that went wrong */
  constructor(onHappened: (fault: CallFault) => void = () => undefined) {
    this.#onHappened = onHappened;
  }

  /** How many calls went wrong so far. */
  get happened(): number {
    return this.#happened;
  }

  /** In place of those that are pending; none ends them. */
  set(...faults: readonly CallFault[]): void {
    this.#pending = [];
    this.add(...faults);
  }

  /** Besides those that are pending; of several for a call the first that is left applies. */
  add(...faults: readonly CallFault[]): void {
    for (const fault of faults) {
      if (!Number.isInteger(fault.count) || fault.count < -1 || fault.count === 0) {
        throw new RangeError(`Not a count of calls: ${fault.count}`);
      }
      this.#pending.push({ fault, left: fault.count });
    }
  }

  readonly around: AroundCall = async (call, perform) => {
    const fault = call.caller === undefined ? undefined : this.#take(call);
    if (fault === undefined) return perform();
    if (fault.when === 'after') await perform();
    return fault.effect === 'connection-dropped' ? undefined : errorOf(call, fault);
  };

  #take({ service, operation }: ApiCall): CallFault | undefined {
    const pending = this.#pending.find(({ fault }) => fault.service === service && fault.operation === operation);
    if (pending === undefined) return undefined;
    if (pending.left > 0) pending.left -= 1;
    if (pending.left === 0) this.#pending = this.#pending.filter((other) => other !== pending);
    this.#happened += 1;
    this.#onHappened(pending.fault);
    return pending.fault;
  }
}

function errorOf({ service, request }: ApiCall, fault: CallFault & { readonly effect: 'error' }): Answer {
  const message = `A drill's fault: ${fault.code}, ${fault.when === 'after' ? 'carried out' : 'not carried out'}.`;
  return awsError(protocolOf(service, request.headers), fault.status, fault.code, message);
}

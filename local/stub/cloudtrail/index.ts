import type { Operation } from '../operation.ts';
import { lookupEvents } from './lookup-events.ts';

export { type Caller, callerOf } from './caller.ts';
export { recordCall } from './record.ts';

/** CloudTrail's operations by name (`X-Amz-Target: CloudTrail_20131101.<name>`). */
export const cloudTrailOperations: Readonly<Record<string, Operation>> = {
  LookupEvents: lookupEvents,
};

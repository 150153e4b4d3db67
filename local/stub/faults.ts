import * as z from 'zod';
import { AdminError } from './admin-error.ts';
import { findTarget } from './services.ts';
import type { StubState } from './state.ts';

const common = {
  operation: z.string(),
  count: z
    .int()
    .min(-1)
    .refine((count) => count !== 0, 'is a number of calls, or -1 for all until the faults are set again')
    .default(1),
};
const when = z.enum(['before', 'after']).default('before');

/** A fault as it is asked for; without an effect, an error. */
export const faultSchema = z.discriminatedUnion('effect', [
  z.strictObject({
    ...common,
    effect: z.literal('error').optional(),
    code: z.string().min(1),
    message: z.string().optional(),
    when,
  }),
  z.strictObject({ ...common, effect: z.literal('connection-dropped'), when }),
  z.strictObject({ ...common, effect: z.literal('corrupt-signature'), operation: z.literal('TrentService.Sign') }),
  z.strictObject({ ...common, effect: z.literal('slow'), milliseconds: z.int().min(0) }),
]);

export type FaultRequest = z.input<typeof faultSchema>;

/**
 * All pending faults, in place of those there were.
 * @throws AdminError for an operation that the stub does not have
 */
export function setFaults(state: StubState, faults: readonly z.output<typeof faultSchema>[]): void {
  for (const fault of faults) requireOperation(fault.operation);
  state.faults = faults.map(({ count, ...fault }) => {
    if ('code' in fault) return { ...fault, effect: 'error', remaining: count };
    return { ...fault, remaining: count };
  });
}

function requireOperation(name: string): void {
  try {
    findTarget(name);
  } catch (error) {
    throw new AdminError(`No operation ${name}; write it as in X-Amz-Target, such as TrentService.Decrypt`, {
      cause: error,
    });
  }
}

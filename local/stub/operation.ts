import * as z from 'zod';
import { AwsError } from './aws-error.ts';
import type { Context } from './context.ts';
import type { StubState } from './state.ts';

/** An operation of a service: a function of state, input and context; throws AwsError. `undefined` is an empty body. */
export type Operation = (state: StubState, input: unknown, context: Context) => object | undefined;

/**
 * An operation whose input is checked first.
 * @param constraintCode the service's error for an input that breaks a constraint of its model
 */
export function operation<Schema extends z.ZodType>(
  constraintCode: string,
  schema: Schema,
  run: (state: StubState, input: z.output<Schema>, context: Context) => object | undefined,
): Operation {
  return (state, input, context) => {
    const parsed = schema.safeParse(withoutNulls(input), { reportInput: true });
    if (!parsed.success) throw inputError(constraintCode, parsed.error.issues);
    return run(state, parsed.data, context);
  };
}

/** AWS JSON 1.1 takes a null member for an absent one. */
function withoutNulls(input: unknown): unknown {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) return input;
  return Object.fromEntries(Object.entries(input).filter(([, value]) => value !== null));
}

/**
 * AWS's two answers to a bad input: SerializationException where a member has the wrong JSON type, else the
 * constraint error in the form "N validation errors detected: Value at 'member' failed to satisfy constraint: ...".
 * The values themselves are left out, since some are secret.
 */
function inputError(constraintCode: string, issues: readonly z.core.$ZodIssue[]): AwsError {
  const mistyped = issues.find((issue) => isWrongType(issue));
  if (mistyped) {
    return new AwsError('SerializationException', `Member ${memberPath(mistyped.path)} has the wrong type`);
  }
  const failures = issues.map(
    (issue) => `Value at '${memberPath(issue.path)}' failed to satisfy constraint: ${constraint(issue)}`,
  );
  const count = failures.length === 1 ? '1 validation error' : `${failures.length} validation errors`;
  return new AwsError(constraintCode, `${count} detected: ${failures.join('; ')}`);
}

function isWrongType(issue: z.core.$ZodIssue): boolean {
  if (issue.code === 'invalid_format') return issue.format === 'base64';
  return issue.code === 'invalid_type' && issue.input !== undefined;
}

/** `KeyId` → `keyId`, `Tags[0].TagKey` → `tags.1.member.tagKey`. */
function memberPath(path: readonly PropertyKey[]): string {
  return path
    .map((part) => {
      if (typeof part === 'number') return `${part + 1}.member`;
      const name = String(part);
      return name.charAt(0).toLowerCase() + name.slice(1);
    })
    .join('.');
}

function constraint(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return 'Member must not be null';
    case 'too_small':
      return issue.origin === 'string' || issue.origin === 'array'
        ? `Member must have length greater than or equal to ${issue.minimum}`
        : `Member must have value greater than or equal to ${issue.minimum}`;
    case 'too_big':
      return issue.origin === 'string' || issue.origin === 'array'
        ? `Member must have length less than or equal to ${issue.maximum}`
        : `Member must have value less than or equal to ${issue.maximum}`;
    case 'invalid_value':
      return `Member must satisfy enum value set: [${issue.values.map(String).join(', ')}]`;
    case 'invalid_format':
      return `Member must satisfy regular expression pattern: ${issue.pattern ?? issue.format}`;
    default:
      return issue.message;
  }
}

/** A blob member: base64 on the wire; the length is of the decoded bytes. */
export function blob(minimum: number, maximum: number): z.ZodType<Buffer> {
  return z.base64().transform((text, context) => {
    const bytes = Buffer.from(text, 'base64');
    if (bytes.length < minimum) {
      context.addIssue({ code: 'too_small', origin: 'array', minimum, inclusive: true, input: text });
    }
    if (bytes.length > maximum) {
      context.addIssue({ code: 'too_big', origin: 'array', maximum, inclusive: true, input: text });
    }
    return bytes;
  });
}

/** A timestamp member: seconds since the epoch, with a fraction. */
export function timestamp(milliseconds: number): number {
  return milliseconds / 1000;
}

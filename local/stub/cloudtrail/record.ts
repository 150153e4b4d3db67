import { AwsError } from '../aws-error.ts';
import type { Context } from '../context.ts';
import { uuid } from '../identifiers.ts';
import { resolveKey } from '../kms/resolve.ts';
import type { KmsCall, StubState } from '../state.ts';
import type { Caller } from './caller.ts';

/** A call of KMS that was carried out or refused. */
export interface CallMade {
  /** `Sign` */
  readonly operation: string;
  readonly input: unknown;
  readonly caller: Caller;
  readonly requestId: string;
  /** The answer, or how it was refused. */
  readonly outcome: object | undefined | AwsError;
}

/**
 * Records a call as CloudTrail would ("Logging AWS KMS API calls with AWS CloudTrail", AWS KMS developer guide). What was
 * to be signed, encrypted or decrypted, and what came of it, is not in it.
 */
export function recordCall(state: StubState, call: CallMade, context: Context): void {
  const { operation, input, caller, requestId, outcome } = call;
  const keyArn = keyArnOf(state, input, outcome, context);
  state.kmsCalls.push({
    eventId: uuid(context.randomBytes),
    requestId,
    at: context.now,
    eventName: operation,
    readOnly: readOnlyOperations.test(operation),
    caller,
    requestParameters: parametersOf(input),
    ...(keyArn === undefined ? {} : { keyArn }),
    ...(outcome instanceof AwsError ? { errorCode: outcome.code, errorMessage: outcome.message } : {}),
  } satisfies KmsCall);
}

/** As KMS's examples of CloudTrail entries have it: cryptographic operations change nothing. */
const readOnlyOperations = /^(Decrypt|Describe|Encrypt|Get|List|Sign|Verify)/;

/** Of a call's members, those that say what it is about and hold no secret. */
const told = [
  'AliasName',
  'CloudHsmClusterId',
  'CustomKeyStoreId',
  'CustomKeyStoreName',
  'Description',
  'EncryptionAlgorithm',
  'EncryptionContext',
  'KeyId',
  'KeySpec',
  'KeyUsage',
  'Limit',
  'MessageType',
  'Origin',
  'PendingWindowInDays',
  'SigningAlgorithm',
  'TargetKeyId',
];

function parametersOf(input: unknown): Readonly<Record<string, unknown>> | null {
  if (typeof input !== 'object' || input === null) return null;
  const members = Object.entries(input).filter(([name, value]) => told.includes(name) && value !== null);
  if (members.length === 0) return null;
  return Object.fromEntries(members.map(([name, value]) => [name.charAt(0).toLowerCase() + name.slice(1), value]));
}

/** The key that the call was about: the answer says it, else the input, if it names one that there is. */
function keyArnOf(
  state: StubState,
  input: unknown,
  outcome: CallMade['outcome'],
  context: Context,
): string | undefined {
  const { KeyId: answered, KeyMetadata: metadata } = (outcome ?? {}) as {
    KeyId?: unknown;
    KeyMetadata?: { Arn?: string };
  };
  if (metadata?.Arn !== undefined) return metadata.Arn;
  if (typeof answered === 'string' && answered.startsWith('arn:')) return answered;
  const { KeyId: named } = (input ?? {}) as { KeyId?: unknown };
  if (typeof named !== 'string') return undefined;
  try {
    return resolveKey(state, named, context).arn;
  } catch (error) {
    if (error instanceof AwsError) return undefined;
    throw error;
  }
}

import * as z from 'zod';

/** A call of kms:Sign, as CloudTrail has it: with which key, when, by whom. What was signed is not in it. */
export interface SignEvent {
  readonly eventId: string;
  /** Milliseconds since the epoch, in whole seconds. */
  readonly at: number;
  readonly keyArns: readonly string[];
  /** As the caller named the key; a name of its own where `keyArns` is empty. */
  readonly keyId: string | undefined;
  readonly caller: Caller;
  /** Of a call that was refused, or failed: nothing was signed. */
  readonly errorCode: string | undefined;
}

export interface Caller {
  /** Who it was: a user's ARN, a role's session's; for what has none, its type and what else is known. */
  readonly arn: string;
  /** Of a role's session: the role's. */
  readonly roleArn: string | undefined;
  /** Of a role's session: its name, which with a Lambda function's role is the function's. */
  readonly sessionName: string | undefined;
  /** Of a Lambda function's credentials, where CloudTrail says so: the function's. */
  readonly functionArn: string | undefined;
}

/** An assumed role's ARN ends in the role's name and the session's (IAM user guide, "IAM identifiers"). */
const assumedRole = /^arn:[^:]+:sts::[0-9]*:assumed-role\/[^/]+\/([^/]+)$/;

/** CloudTrail record contents (AWS CloudTrail user guide), as far as it is read. */
const record = z.looseObject({
  eventID: z.string(),
  eventTime: z.iso.datetime(),
  errorCode: z.string().optional(),
  userIdentity: z.looseObject({
    type: z.string().default('Unknown'),
    arn: z.string().optional(),
    accountId: z.string().optional(),
    invokedBy: z.string().optional(),
    sessionContext: z
      .looseObject({ sessionIssuer: z.looseObject({ arn: z.string().optional() }).optional() })
      .optional(),
    // "CloudTrail userIdentity element": of requests in the scope of a service such as Lambda.
    inScopeOf: z
      .looseObject({ issuerType: z.string().optional(), credentialsIssuedTo: z.string().optional() })
      .optional(),
  }),
  requestParameters: z.looseObject({ keyId: z.string().optional() }).nullish(),
  resources: z.array(z.looseObject({ ARN: z.string().optional() })).nullish(),
});

/**
 * @param text `CloudTrailEvent` of LookupEvents: a JSON object
 * @throws Error for what is no such record: an event that cannot be read is not to be left out of an audit
 */
export function readSignEvent(text: string): SignEvent {
  const read = record.safeParse(JSON.parse(text));
  if (!read.success) {
    throw new Error(`CloudTrail has an event that cannot be read: ${z.prettifyError(read.error)}`, {
      cause: read.error,
    });
  }
  const { eventID, eventTime, errorCode, userIdentity, requestParameters, resources } = read.data;
  const { type, arn, invokedBy, accountId, sessionContext, inScopeOf } = userIdentity;
  return {
    eventId: eventID,
    at: Date.parse(eventTime),
    keyArns: (resources ?? []).flatMap(({ ARN }) => ARN ?? []),
    keyId: requestParameters?.keyId,
    caller: {
      arn: arn ?? [type, invokedBy ?? accountId].filter((part) => part !== undefined).join(' '),
      roleArn: sessionContext?.sessionIssuer?.arn,
      sessionName: assumedRole.exec(arn ?? '')?.[1],
      functionArn: inScopeOf?.issuerType === 'AWS::Lambda::Function' ? inScopeOf.credentialsIssuedTo : undefined,
    },
    errorCode,
  };
}

/**
 * Whether it is of this key.
 * @param keyId an ARN, or the id alone of a key of the Region that is looked at
 */
export function isOfKey({ keyArns, keyId: named }: SignEvent, keyId: string): boolean {
  const isArn = keyId.startsWith('arn:');
  return (
    keyArns.some((arn) => (isArn ? arn === keyId : arn.endsWith(`:key/${keyId}`))) ||
    // A refused call may come without resources.
    (keyArns.length === 0 && named !== undefined && (named === keyId || (isArn && keyId.endsWith(`:key/${named}`))))
  );
}

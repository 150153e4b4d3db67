import { principalOf } from '../shared/issuance/index.ts';
import { UsageError } from './errors.ts';

/** A sender as it is named on the command line. */
export type SenderName = PrincipalId | PrincipalArn;

export interface PrincipalId {
  readonly by: 'id';
  readonly principalId: string;
  /** What is worth knowing of such an id, a sentence; undefined for a role's or a user's. */
  readonly note: string | undefined;
}

export interface PrincipalArn {
  readonly by: 'arn';
  /** As it was given. */
  readonly arn: string;
  readonly kind: 'role' | 'user';
  readonly partition: string;
  readonly accountId: string;
  /** Begins and ends with a slash; undefined for a role that was named by one of its sessions, whose ARN has none. */
  readonly path: string | undefined;
  readonly name: string;
}

/** IAM user guide, "IAM ARNs"; names as in the IAM API reference, GetRole and GetUser. */
const iamArn = /^arn:(aws[a-z-]*):iam::(\d{12}):(role|user)(\/(?:[\x21-\x7e]+\/)?)([\w+=,.@-]{1,64})$/;
const sessionArn = /^arn:(aws[a-z-]*):sts::(\d{12}):assumed-role\/([\w+=,.@-]{1,64})\/[\w+=,.@-]+$/;

/** What is no sender, by how it is written, and what to name instead. */
const others: readonly (readonly [RegExp, what: string, cure: string])[] = [
  [
    /^arn:[^:]+:iam::\d{12}:root$/,
    'That ARN is an account, of which SQS attests the id for its root user alone.',
    'Name each role or user that sends; where the root user does, the id of the account.',
  ],
  [
    /^arn:[^:]+:sts::\d{12}:federated-user\//,
    'A federated user chooses its name; SQS attests the id of the account before it.',
    'Let it send as a role, and name that.',
  ],
  [/^arn:[^:]+:iam::\d{12}:group\/|^AGPA/, 'That is a group, and SQS attests users and roles.', 'Name its users.'],
  [
    /^arn:[^:]+:iam::\d{12}:instance-profile\/|^AIPA/,
    'That is an instance profile, and SQS attests the role in it.',
    'Name the role.',
  ],
  [
    /^(?:AKIA|ASIA)/,
    'That is an access key, and SQS attests whose it is.',
    'Name the user or role; of an access key, aws sts get-caller-identity says it.',
  ],
  [/^arn:/, 'That ARN is neither of a role nor of a user.', 'Such are arn:aws:iam::<account>:role/<name> and :user/.'],
];

/** Longest ids of IAM (IAM API reference, Role). */
const longestId = 128;

/**
 * Understands a role's or a user's ARN, that of a role's session, and ids: of role, user or account; with a session or
 * without, as SQS's SenderId has it and a row of the failures table shows it.
 * @throws UsageError for anything else, with what to name instead
 */
export function senderNamed(text: string): SenderName {
  const [, partition = '', accountId = '', kind = '', path = '', name = ''] = iamArn.exec(text) ?? [];
  if (name !== '') return { by: 'arn', arn: text, kind: kind as 'role' | 'user', partition, accountId, path, name };
  const [, ofSession = '', account = '', role = ''] = sessionArn.exec(text) ?? [];
  if (role !== '') {
    return {
      by: 'arn',
      arn: text,
      kind: 'role',
      partition: ofSession,
      accountId: account,
      path: undefined,
      name: role,
    };
  }
  const [, what, cure] = others.find(([pattern]) => pattern.test(text)) ?? [];
  if (what !== undefined && cure !== undefined) throw new UsageError(`${what} (${text})`, cure);
  const principalId = principalOf(text);
  if (!/^\w+$/.test(principalId) || principalId.length > longestId) {
    throw new UsageError(
      `${text} is neither the ARN of a role or user nor the id of one.`,
      'Ids are as in AROAEXAMPLE, AIDAEXAMPLE or 123456789012; ARNs as in arn:aws:iam::123456789012:role/gateway.',
    );
  }
  return { by: 'id', principalId, note: noteOn(principalId) };
}

function noteOn(principalId: string): string | undefined {
  if (/^(?:AROA|AIDA)/.test(principalId)) return undefined;
  if (/^\d{12}$/.test(principalId)) {
    return `${principalId} is an account's id: SQS attests it for the account's root user and for federated users (GetFederationToken), whatever they call themselves; not for its roles and users.`;
  }
  return `${principalId} does not begin as IAM's ids of roles (AROA) and users (AIDA) do: AWS attests no such sender, a local cloud may.`;
}

/** Whether an ARN as IAM has it is that of the named one; a session's ARN says nothing of its role's path. */
export function isArnOf({ kind, partition, accountId, path, name }: PrincipalArn, arn: string): boolean {
  const [, ...parts] = iamArn.exec(arn) ?? [];
  const [ofPartition, ofAccount, ofKind, ofPath, ofName] = parts;
  return (
    ofKind === kind &&
    ofPartition === partition &&
    ofAccount === accountId &&
    ofName === name &&
    (path === undefined || path === ofPath)
  );
}

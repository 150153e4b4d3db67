import type { IncomingHttpHeaders } from 'node:http';

/** Who makes a call, as far as its headers say: there are no identities here, so an access key id is its owner's name. */
export interface Caller {
  readonly accessKeyId: string;
  /** Whether the credentials are temporary, which at AWS is those of a role's session. */
  readonly isOfRole: boolean;
  readonly sourceIpAddress: string;
  readonly userAgent: string;
}

const accessKeyIdForm = /Credential=([^/,\s]+)\//;

/** @param remoteAddress of the connection */
export function callerOf(headers: IncomingHttpHeaders, remoteAddress: string | undefined): Caller {
  return {
    accessKeyId: accessKeyIdForm.exec(headers.authorization ?? '')?.[1] ?? 'anonymous',
    isOfRole: headers['x-amz-security-token'] !== undefined,
    sourceIpAddress: remoteAddress ?? '127.0.0.1',
    userAgent: headers['user-agent'] ?? '',
  };
}

/** CloudTrail userIdentity element (AWS CloudTrail user guide). */
export function userIdentity({ accessKeyId, isOfRole }: Caller, accountId: string): object {
  const name = accessKeyId;
  if (!isOfRole) {
    const arn = `arn:aws:iam::${accountId}:user/${name}`;
    return { type: 'IAMUser', principalId: name, arn, accountId, accessKeyId, userName: name };
  }
  return {
    type: 'AssumedRole',
    principalId: `${name}:${name}`,
    arn: `arn:aws:sts::${accountId}:assumed-role/${name}/${name}`,
    accountId,
    accessKeyId,
    sessionContext: {
      sessionIssuer: {
        type: 'Role',
        principalId: name,
        arn: `arn:aws:iam::${accountId}:role/${name}`,
        accountId,
        userName: name,
      },
    },
  };
}

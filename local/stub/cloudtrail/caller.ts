import type { IncomingHttpHeaders } from 'node:http';

/** Who makes a call, as far as its headers say: there are no identities here, so an access key id is its owner's name. */
export interface Caller {
  readonly accessKeyId: string;
  /** Of temporary credentials, which at AWS are those of a role's session: the session's name. */
  readonly sessionName: string | undefined;
  readonly sourceIpAddress: string;
  readonly userAgent: string;
}

const accessKeyIdForm = /Credential=([^/,\s]+)\//;

/** What a session may be called (AssumeRole, AWS STS API reference), as our own tokens begin; a token of AWS's has no colon. */
const sessionNameForm = /^([\w+=,.@-]{2,64}):/;

/** @param remoteAddress of the connection */
export function callerOf(headers: IncomingHttpHeaders, remoteAddress: string | undefined): Caller {
  const accessKeyId = accessKeyIdForm.exec(headers.authorization ?? '')?.[1] ?? 'anonymous';
  const token = headers['x-amz-security-token'];
  return {
    accessKeyId,
    sessionName: token === undefined ? undefined : (sessionNameForm.exec(String(token))?.[1] ?? accessKeyId),
    sourceIpAddress: remoteAddress ?? '127.0.0.1',
    userAgent: headers['user-agent'] ?? '',
  };
}

/** CloudTrail userIdentity element (AWS CloudTrail user guide). */
export function userIdentity({ accessKeyId, sessionName }: Caller, accountId: string): object {
  const name = accessKeyId;
  if (sessionName === undefined) {
    const arn = `arn:aws:iam::${accountId}:user/${name}`;
    return { type: 'IAMUser', principalId: name, arn, accountId, accessKeyId, userName: name };
  }
  return {
    type: 'AssumedRole',
    principalId: `${name}:${sessionName}`,
    arn: `arn:aws:sts::${accountId}:assumed-role/${name}/${sessionName}`,
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

import { GetRoleCommand, GetUserCommand, type IAMClient, NoSuchEntityException } from '@aws-sdk/client-iam';
import { isArnOf, type PrincipalArn } from './sender-name.ts';

/** What IAM says of an ARN today. */
export type IamAnswer =
  | {
      readonly found: 'principal';
      /** Unique for all time: one that is deleted and made again under its name has another (IAM user guide, "IAM identifiers"). */
      readonly principalId: string;
      /** With the path. */
      readonly arn: string;
    }
  /** The account of the credentials has one of this name, of another ARN: it is another account, or the path differs. */
  | { readonly found: 'another'; readonly arn: string }
  | { readonly found: 'nothing' };

/**
 * Asks IAM by name, which is all that it can be asked by, and of the account of the credentials alone; a name is there once,
 * whatever its path (IAM API reference, GetRole, GetUser).
 * @throws the client's error when IAM does not say
 */
export async function askIam(client: IAMClient, named: PrincipalArn, signal: AbortSignal): Promise<IamAnswer> {
  try {
    const { arn, principalId } = await lookUp(client, named, signal);
    if (arn === undefined || principalId === undefined) throw new Error(`IAM says no id of ${named.arn}.`);
    return isArnOf(named, arn) ? { found: 'principal', principalId, arn } : { found: 'another', arn };
  } catch (error) {
    if (error instanceof NoSuchEntityException) return { found: 'nothing' };
    throw error;
  }
}

async function lookUp(client: IAMClient, { kind, name }: PrincipalArn, abortSignal: AbortSignal) {
  if (kind === 'role') {
    const { Role: role } = await client.send(new GetRoleCommand({ RoleName: name }), { abortSignal });
    return { arn: role?.Arn, principalId: role?.RoleId };
  }
  const { User: user } = await client.send(new GetUserCommand({ UserName: name }), { abortSignal });
  return { arn: user?.Arn, principalId: user?.UserId };
}

import { AwsError } from '../aws-error.ts';
import type { Context } from '../context.ts';
import { kmsArn } from '../identifiers.ts';
import type { Key, StubState } from '../state.ts';

const keyIdForm = /^(mrk-[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;
const arnForm = /^arn:[a-z-]+:kms:([a-z0-9-]*):([0-9]*):(key|alias)\/(.+)$/;

/**
 * The key that a KeyId member names: key id, key ARN, alias name or alias ARN (KMS API reference, KeyId of Encrypt).
 * @throws AwsError NotFoundException, InvalidArnException, AccessDeniedException (a key of another account)
 */
export function resolveKey(state: StubState, identifier: string, context: Context): Key {
  if (!identifier.startsWith('arn:')) return resolveLocal(state, identifier, context);
  const [, region, accountId, kind, name] = arnForm.exec(identifier) ?? [];
  if (kind === undefined || name === undefined) throw new AwsError('InvalidArnException', `Invalid arn ${identifier}`);
  if (region !== context.region) throw new AwsError('NotFoundException', `Invalid arn ${region}`);
  if (accountId !== context.accountId) {
    throw new AwsError('AccessDeniedException', `No resource-based policy allows access to ${identifier}`);
  }
  return resolveLocal(state, kind === 'alias' ? `alias/${name}` : name, context);
}

function resolveLocal(state: StubState, identifier: string, context: Context): Key {
  if (identifier.startsWith('alias/')) {
    const alias = state.aliases.get(identifier);
    const target = alias && state.keys.get(alias.targetKeyId);
    if (target === undefined) {
      throw new AwsError('NotFoundException', `Alias ${kmsArn(context, identifier)} is not found.`);
    }
    return target;
  }
  if (!keyIdForm.test(identifier)) throw new AwsError('NotFoundException', `Invalid keyId '${identifier}'`);
  const key = state.keys.get(identifier);
  if (key === undefined) {
    throw new AwsError('NotFoundException', `Key '${kmsArn(context, `key/${identifier}`)}' does not exist`);
  }
  return key;
}

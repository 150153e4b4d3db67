import * as z from 'zod';
import { AwsError } from '../aws-error.ts';
import type { Context } from '../context.ts';
import { kmsArn } from '../identifiers.ts';
import { operation, timestamp } from '../operation.ts';
import { page } from '../paging.ts';
import type { Alias, Key, StubState } from '../state.ts';
import { validation, validationError } from './errors.ts';
import { invalidState } from './key-state.ts';
import { resolveKey } from './resolve.ts';

/** CreateAlias (KMS API reference). */
export const createAlias = operation(
  validation,
  z.object({ AliasName: z.string().min(1).max(256), TargetKeyId: z.string().min(1).max(2048) }),
  (state, input, context) => {
    requireAliasName(input.AliasName);
    if (/(^|:)alias\//.test(input.TargetKeyId)) throw validationError('Aliases must refer to keys. Not aliases');
    const key = resolveKey(state, input.TargetKeyId, context);
    if (state.aliases.has(input.AliasName)) {
      const arn = kmsArn(context, input.AliasName);
      throw new AwsError('AlreadyExistsException', `An alias with the name ${arn} already exists`);
    }
    if (key.deletionDate !== undefined) throw invalidState(`${key.arn} is pending deletion.`);
    addAlias(state, input.AliasName, key, context);
    return undefined;
  },
);

function requireAliasName(name: string): void {
  if (!name.startsWith('alias/')) throw validationError('Alias must start with the prefix "alias/".');
  if (name.startsWith('alias/aws/')) {
    throw new AwsError('InvalidAliasNameException', 'The prefix alias/aws/ is reserved for AWS managed keys.');
  }
  if (!/^alias\/[a-zA-Z0-9/_-]+$/.test(name)) {
    throw new AwsError('InvalidAliasNameException', `${name} contains invalid characters for an alias`);
  }
}

export function addAlias(state: StubState, aliasName: string, key: Key, context: Context): Alias {
  const alias: Alias = {
    aliasName,
    aliasArn: kmsArn(context, aliasName),
    targetKeyId: key.keyId,
    createdAt: context.now,
    lastUpdatedAt: context.now,
  };
  state.aliases.set(aliasName, alias);
  return alias;
}

/** ListAliases (KMS API reference); the stub has no AWS managed keys, so none of their aliases. */
export const listAliases = operation(
  validation,
  z.object({
    KeyId: z.string().min(1).max(2048).optional(),
    Limit: z.int().min(1).max(100).optional(),
    Marker: z.string().min(1).max(1024).optional(),
  }),
  (state, input, context) => {
    const key = input.KeyId === undefined ? undefined : resolveKey(state, input.KeyId, context);
    const aliases = [...state.aliases.values()].filter((alias) => !key || alias.targetKeyId === key.keyId);
    const found = page(aliases, (alias) => alias.aliasName, {
      list: 'aliases',
      limit: input.Limit ?? 50,
      marker: input.Marker,
    });
    if (found === undefined) throw new AwsError('InvalidMarkerException', 'The marker is not valid.');
    return {
      Aliases: found.items.map(aliasShape),
      Truncated: found.next !== undefined,
      ...(found.next === undefined ? {} : { NextMarker: found.next }),
    };
  },
);

function aliasShape(alias: Alias): object {
  return {
    AliasName: alias.aliasName,
    AliasArn: alias.aliasArn,
    TargetKeyId: alias.targetKeyId,
    CreationDate: timestamp(alias.createdAt),
    LastUpdatedDate: timestamp(alias.lastUpdatedAt),
  };
}

import { randomUUID } from 'node:crypto';
import { type Answer, awsError, escapeXml } from './aws-error.ts';
import type { Service } from './gateway.ts';

/** A role or user of the account. */
export interface Principal {
  readonly kind: PrincipalKind;
  readonly name: string;
  /** Begins and ends with a slash. */
  readonly path: string;
  /** RoleId or UserId: what SQS attests of a sender. */
  readonly id: string;
}

type PrincipalKind = 'Role' | 'User';

export interface IamServiceOptions {
  readonly accountId: string;
  /** Those that are there from the start. */
  readonly principals: readonly Principal[];
  /** A new id's, of which there are never two. */
  readonly randomBytes: (count: number) => Uint8Array;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** What IAM's unique ids begin with (IAM user guide, "Understanding unique ID prefixes"). */
const prefixes: Readonly<Record<PrincipalKind, string>> = { Role: 'AROA', User: 'AIDA' };

/** Base 32 of RFC 4648: what the ids are written with. */
const digits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

const namespace = 'https://iam.amazonaws.com/doc/2010-05-08/';

/**
 * The part of IAM's API that says who a role or user is: Get, Create and Delete of both (IAM API reference), in the query
 * protocol. There are no policies, and no access keys: whoever signs with a role's or user's id as the access key is it.
 */
export function iamService({ accountId, principals, randomBytes, now }: IamServiceOptions): Service {
  const created = (principal: Principal) => ({ ...principal, createdAt: now() });
  const known = new Map(principals.map((principal) => [keyOf(principal.kind, principal.name), created(principal)]));

  const newId = (kind: PrincipalKind): string =>
    prefixes[kind] + Array.from(randomBytes(17), (byte) => digits[byte % digits.length]).join('');

  return async ({ body }) => {
    const asked = new URLSearchParams(body.toString());
    const action = asked.get('Action') ?? '';
    const [, verb, kind] = /^(Get|Create|Delete)(Role|User)$/.exec(action) ?? [];
    if (verb === undefined || kind === undefined) {
      return awsError('query', 501, 'NotImplemented', `The embedded cloud does not implement ${action} of IAM's API.`);
    }
    return answer(verb as 'Get' | 'Create' | 'Delete', kind as PrincipalKind, asked);
  };

  function answer(verb: 'Get' | 'Create' | 'Delete', kind: PrincipalKind, asked: URLSearchParams): Answer {
    const name = asked.get(`${kind}Name`) ?? '';
    const path = asked.get('Path') ?? '/';
    if (!/^[\w+=,.@-]{1,64}$/.test(name)) return invalid(`${kind.toLowerCase()}Name`, name);
    if (!/^\/(?:[\x21-\x7e]{1,510}\/)?$/.test(path)) return invalid('path', path);
    const key = keyOf(kind, name);
    const found = known.get(key);
    if (verb === 'Create') {
      if (found !== undefined) {
        return awsError('query', 409, 'EntityAlreadyExists', `${kind} with name ${name} already exists.`);
      }
      const made = created({ kind, name, path, id: newId(kind) });
      known.set(key, made);
      return result(verb, kind, describe(made));
    }
    if (found === undefined) {
      return awsError('query', 404, 'NoSuchEntity', `The ${kind.toLowerCase()} with name ${name} cannot be found.`);
    }
    if (verb === 'Get') return result(verb, kind, describe(found));
    known.delete(key);
    return result(verb, kind, '');
  }

  function describe({ kind, name, path, id, createdAt }: Principal & { readonly createdAt: number }): string {
    const created = new Date(createdAt).toISOString().replace(/\.\d+Z$/, 'Z');
    return (
      `<${kind}><Path>${escapeXml(path)}</Path><${kind}Name>${name}</${kind}Name><${kind}Id>${id}</${kind}Id>` +
      `<Arn>arn:aws:iam::${accountId}:${kind.toLowerCase()}${escapeXml(path)}${name}</Arn>` +
      `<CreateDate>${created}</CreateDate></${kind}>`
    );
  }
}

/** Names are the same whatever their case (IAM user guide, "IAM identifiers"). */
const keyOf = (kind: PrincipalKind, name: string): string => `${kind} ${name.toLowerCase()}`;

const invalid = (name: string, value: string): Answer =>
  awsError('query', 400, 'ValidationError', `The specified value for ${name} is invalid: ${JSON.stringify(value)}`);

function result(verb: string, kind: PrincipalKind, content: string): Answer {
  const action = `${verb}${kind}`;
  const body = content === '' ? '' : `<${action}Result>${content}</${action}Result>`;
  const requestId = randomUUID();
  return {
    status: 200,
    headers: { 'content-type': 'text/xml', 'x-amzn-requestid': requestId },
    body: Buffer.from(
      `<${action}Response xmlns="${namespace}">${body}` +
        `<ResponseMetadata><RequestId>${requestId}</RequestId></ResponseMetadata></${action}Response>`,
    ),
  };
}

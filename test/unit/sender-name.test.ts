import { describe, expect, it } from 'vitest';
import { UsageError } from '../../cli/errors.ts';
import { isArnOf, senderNamed } from '../../cli/sender-name.ts';

describe('a sender is named', () => {
  it.each([
    ['arn:aws:iam::123456789012:role/gateway', 'role', 'aws', '/', 'gateway'],
    ['arn:aws:iam::123456789012:role/service-role/iot/gateway', 'role', 'aws', '/service-role/iot/', 'gateway'],
    ['arn:aws-cn:iam::123456789012:role/gateway', 'role', 'aws-cn', '/', 'gateway'],
    ['arn:aws-us-gov:iam::123456789012:user/a/fleet+1=,.@-_', 'user', 'aws-us-gov', '/a/', 'fleet+1=,.@-_'],
    ['arn:aws:sts::123456789012:assumed-role/gateway/session-1', 'role', 'aws', undefined, 'gateway'],
    ['arn:aws-cn:sts::123456789012:assumed-role/gateway/i-0123', 'role', 'aws-cn', undefined, 'gateway'],
  ])('by ARN: %s', (arn, kind, partition, path, name) => {
    expect(senderNamed(arn)).toEqual({ by: 'arn', arn, kind, partition, accountId: '123456789012', path, name });
  });

  it.each([
    ['AROAEXAMPLE', 'AROAEXAMPLE'],
    ['AROAEXAMPLE:any-session', 'AROAEXAMPLE'],
    ['AIDAEXAMPLE', 'AIDAEXAMPLE'],
  ])('by id: %s', (text, principalId) => {
    expect(senderNamed(text)).toEqual({ by: 'id', principalId, note: undefined });
  });

  it.each([
    ['123456789012', /root user and for federated users/],
    ['123456789012:federated', /root user and for federated users/],
    ['LOCALOPERATOR', /a local cloud may/],
    ['aroaexample', /a local cloud may/],
  ])('by an id of another kind, of which something is said: %s', (text, note) => {
    expect(senderNamed(text)).toMatchObject({ by: 'id', note: expect.stringMatching(note) });
  });

  it.each([
    ['arn:aws:iam::123456789012:root', /an account/],
    ['arn:aws:sts::123456789012:federated-user/somebody', /federated user/],
    ['arn:aws:iam::123456789012:group/fleet', /a group/],
    ['AGPAEXAMPLE', /a group/],
    ['arn:aws:iam::123456789012:instance-profile/gateway', /instance profile/],
    ['AKIAEXAMPLE', /an access key/],
    ['ASIAEXAMPLE', /an access key/],
    ['arn:aws:s3:::bucket', /neither of a role nor of a user/],
    ['arn:aws:iam::12345678901:role/gateway', /neither of a role nor of a user/],
    ['arn:aws:iam::123456789012:role/gate way', /neither of a role nor of a user/],
    [`arn:aws:iam::123456789012:role/${'x'.repeat(65)}`, /neither of a role nor of a user/],
    ['arn:aws:iam::123456789012:role/', /neither of a role nor of a user/],
    ['gate-way', /neither the ARN .* nor the id/],
    ['x'.repeat(129), /neither the ARN .* nor the id/],
    ['', /neither the ARN .* nor the id/],
    [':session', /neither the ARN .* nor the id/],
  ])('and not so: %j', (text, said) => {
    expect(() => senderNamed(text)).toThrow(UsageError);
    expect(() => senderNamed(text)).toThrow(said);
  });
});

describe('an ARN that IAM gives', () => {
  const isOf = (given: string, arn: string): boolean => {
    const named = senderNamed(given);
    if (named.by === 'id') throw new Error('not an ARN');
    return isArnOf(named, arn);
  };
  const role = 'arn:aws:iam::123456789012:role/path/gateway';

  it.each([
    [role, role],
    ['arn:aws:sts::123456789012:assumed-role/gateway/session', role],
    ['arn:aws:sts::123456789012:assumed-role/gateway/session', 'arn:aws:iam::123456789012:role/gateway'],
  ])('is that of %s: %s', (given, arn) => expect(isOf(given, arn)).toBe(true));

  it.each([
    ['the path', 'arn:aws:iam::123456789012:role/gateway', role],
    ['another path', 'arn:aws:iam::123456789012:role/other/gateway', role],
    ['the account', 'arn:aws:iam::210987654321:role/path/gateway', role],
    ['the partition', 'arn:aws-cn:iam::123456789012:role/path/gateway', role],
    ["a session's account", 'arn:aws:sts::210987654321:assumed-role/gateway/session', role],
    ['the kind', 'arn:aws:iam::123456789012:user/path/gateway', role],
    ['the case', 'arn:aws:iam::123456789012:role/path/Gateway', role],
  ])('is another when %s differs', (_, given, arn) => expect(isOf(given, arn)).toBe(false));
});

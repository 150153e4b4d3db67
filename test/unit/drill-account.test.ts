import { expect, it } from 'vitest';
import { keyProblems } from '../drills/account.ts';
import { faultKinds, faultProblems } from '../drills/soak.ts';

const issuers = [
  { issuerId: { S: 'devices' }, signerUri: { S: 'pkcs11:token=devices;object=devices;type=private' } },
  { issuerId: { S: 'kms' }, signerUri: { S: 'awskms:key-id=1234' } },
  { issuerId: { S: '#canary#eu-central-1' }, signerUri: { S: 'pkcs11:token=canary;object=canary;type=private' } },
  { issuerId: { S: '#breaker#devices' } },
];

it('each key signs what it is for, and nothing else', () => {
  const problems = (digest: string, keyLabel: string) =>
    keyProblems([{ digest, keyLabel }], new Set(['certificate']), new Set(['text']), issuers);
  expect([...problems('certificate', 'devices'), ...problems('text', 'canary'), ...problems('other', '')]).toEqual([]);
  expect(problems('text', 'devices')).toEqual(["The key devices signed the canary's text text."]);
  expect(problems('certificate', 'canary')).toEqual(['The key canary signed the certificate certificate.']);
  expect(problems('certificate', '')).toHaveLength(1);
});

it('a soak that is long enough must have had every kind of fault', () => {
  const all = new Map(faultKinds.map((kind) => [kind, 1]));
  expect(new Set(faultKinds).size).toBe(faultKinds.length);
  expect(faultProblems(5, all)).toEqual([]);
  all.set('hsm hang-initialize', 0);
  all.delete('killed worker');
  expect(faultProblems(5, all)).toEqual([
    'No fault of this kind happened: hsm hang-initialize.',
    'No fault of this kind happened: killed worker.',
  ]);
  expect(faultProblems(4.9, new Map())).toEqual([]);
});

import { describe, expect, it } from 'vitest';
import { drainedAt, judgeRotation, type RotationEvidence } from '../../cli/rotation-evidence.ts';
import { absentRecord } from '../../shared/breaker/record.ts';
import type { IssuerPins, PinRotation, SealedPin } from '../../shared/ledger/sealed-pins.ts';

const minute = 60_000;
const startedAt = Date.parse('2026-11-22T12:00:00Z');

const sealedFor = (userName: string): SealedPin => ({
  envelope: Uint8Array.of(1),
  seal: { userName, keyArn: 'arn', clusterId: 'cluster-a', sealedAt: startedAt },
});
const rotation: PinRotation = {
  fromUser: 'user_1',
  toUser: 'user_2',
  startedAt,
  previous: { 'eu-west-1': sealedFor('user_1') },
};
const row: IssuerPins & { readonly rotation: PinRotation } = {
  issuerId: 'devices',
  state: 'active',
  signerUri: 'pkcs11:object=devices',
  clusterId: 'cluster-a',
  pins: { 'eu-west-1': sealedFor('user_2') },
  rotation,
  revision: 1,
};
const updated = (functionName: string, minutes: number | undefined) => ({
  functionName,
  updatedAt: minutes === undefined ? undefined : startedAt + minutes * minute,
});
const proving: RotationEvidence = {
  functions: [updated('issue', 5), updated('reconcile', 6)],
  breaker: absentRecord('devices'),
  signatures: 3,
  alsoOf: [],
};
const later = startedAt + 60 * minute;
const judge = (over: Partial<RotationEvidence> = {}, now = later, of = row) =>
  judgeRotation(of, { ...proving, ...over }, now);

describe('when everybody has the new PIN', () => {
  it('is when the last function was updated, and what ran before it has ended', () => {
    expect(drainedAt(rotation, proving.functions)).toBe(startedAt + 8 * minute);
  });

  it.each([
    ['one was updated before', [updated('issue', 5), updated('reconcile', -5)]],
    ['one was updated in the same minute, by another clock', [updated('issue', 0.5), updated('reconcile', 5)]],
    ['of one it is not known', [updated('issue', 5), updated('reconcile', undefined)]],
    ['there is none', []],
  ])('is never where %s', (_, functions) => {
    expect(drainedAt(rotation, functions)).toBeUndefined();
  });
});

describe('a rotation', () => {
  it('is proved by signatures of environments that began after it', () => {
    expect(judge()).toEqual({
      isProved: true,
      facts: [
        'The PIN of user_2 is sealed in eu-west-1.',
        'No PIN is in doubt: none that was tried was refused.',
        'Every environment that can sign began after the PIN was sealed, by 2026-11-22T12:08:00Z.',
        'Such environments have made 3 signatures for devices, as user_2.',
      ],
      missing: [],
    });
  });

  it.each([
    ['nothing was signed', judge({ signatures: 0 }), 'Nothing was signed for devices since then'],
    [
      'it is not known whether anything was signed',
      judge({ signatures: undefined }),
      'Nothing was signed for devices since then',
    ],
    [
      'a function runs that began before',
      judge({ functions: [updated('issue', 5), updated('reconcile', -1)], signatures: undefined }),
      'reconcile was last updated 2026-11-22T11:59:00Z: environments of before may run, logged in as user_1',
    ],
    [
      'a function was updated nobody knows when',
      judge({ functions: [updated('issue', undefined), updated('reconcile', 5)], signatures: undefined }),
      'issue was last updated at a time that Lambda does not say',
    ],
    [
      'what ran before the deployment may still run',
      judge({}, startedAt + 7 * minute),
      'What ran before the deployment has ended by 2026-11-22T12:08:00Z',
    ],
    [
      'the new PIN was refused',
      judge({
        breaker: {
          ...absentRecord('devices'),
          state: 'open',
          held: true,
          isPinDoubtful: true,
          detail: 'CKR_PIN_INCORRECT',
        },
      }),
      'A PIN was refused (CKR_PIN_INCORRECT): see that user_2 has that password',
    ],
    [
      'another PIN is in the row',
      judge({}, later, { ...row, pins: { 'eu-west-1': sealedFor('user_3') } }),
      'In eu-west-1 the row has another PIN than that of user_2',
    ],
    [
      'a PIN was sealed by hand',
      judge({}, later, { ...row, pins: { 'eu-west-1': { envelope: Uint8Array.of(1) } } }),
      'In eu-west-1 the row has another PIN than that of user_2',
    ],
  ])('is not proved while %s', (_, { isProved, missing }, sentence) => {
    expect(isProved).toBe(false);
    expect(missing).toEqual([expect.stringContaining(sentence)]);
  });

  it('says who else signs as the old user', () => {
    expect(judge({ alsoOf: ['gateways'] })).toMatchObject({
      isProved: true,
      facts: expect.arrayContaining([
        'user_1 is the crypto user of gateways, too: change its password when those are rotated.',
      ]),
    });
  });
});

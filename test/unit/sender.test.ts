import { describe, expect, it } from 'vitest';
import type { Profile } from '../../shared/issuance/profile.ts';
import { authoriseSender, principalOf, refuseUnlisted, type SenderClaim } from '../../shared/issuance/sender.ts';
import type { Device } from '../../shared/ledger/index.ts';
import { refusalOf } from '../fixtures/csr/refusal.ts';
import { deviceTls } from '../support/profile.ts';

describe('principalOf', () => {
  it.each([
    ['AROAEXAMPLE:session', 'AROAEXAMPLE'],
    ['AROAEXAMPLE:AIDAEXAMPLE:x', 'AROAEXAMPLE'],
    ['AIDAEXAMPLE', 'AIDAEXAMPLE'],
    ['123456789012:federated', '123456789012'],
    ['AROAEXAMPLE:', 'AROAEXAMPLE'],
    ['', ''],
  ])('%j is %j', (senderId, principal) => {
    expect(principalOf(senderId)).toBe(principal);
  });
});

/** Whoever may be let in, of no row and no list, unless told otherwise. */
const claim = (fields: Partial<SenderClaim> = {}): SenderClaim => ({
  principal: 'AROAONE',
  sender: undefined,
  profile: deviceTls,
  deviceId: 'door-7',
  device: { deviceId: 'door-7', state: 'active' },
  ...fields,
});

const refused = (fields: Partial<SenderClaim>) => refusalOf(() => authoriseSender(claim(fields)));

describe('lists of allowedSenders', () => {
  const listed: Profile = { ...deviceTls, allowedSenders: ['AROAONE', 'AROATWO'] };
  const device = (...allowedSenders: readonly string[]): Device => ({
    deviceId: 'door-7',
    state: 'active',
    allowedSenders,
  });
  const open: Device = { deviceId: 'door-7', state: 'active' };

  it.each<readonly [string, string, Profile, Device | undefined]>([
    ['anyone, where neither lists anyone', 'AROATHREE', deviceTls, open],
    ['anyone, for a device that is not registered', 'AROATHREE', deviceTls, undefined],
    ['one whom the profile lists', 'AROATWO', listed, open],
    ['one whom the device lists', 'AROATHREE', deviceTls, device('AROATHREE')],
    ['one whom both list', 'AROAONE', listed, device('AROAONE')],
  ])('allow %s', (_, principal, profile, registered) => {
    expect(() => authoriseSender(claim({ principal, profile, device: registered }))).not.toThrow();
  });

  it.each<readonly [string, string, Profile, Device | undefined]>([
    ['one whom the profile does not list', 'AROATHREE', listed, open],
    ['one whom the device alone lists', 'AROATHREE', listed, device('AROATHREE')],
    ['one whom the profile alone lists', 'AROAONE', listed, device('AROATWO')],
    ['one whose id begins like a listed one', 'AROAON', listed, open],
    ['one whose id is longer than a listed one', 'AROAONEX', listed, open],
    ['everyone, where the device lists nobody', 'AROAONE', deviceTls, device()],
    ['the word any', 'any', listed, open],
    ['nobody', '', deviceTls, device('AROAONE')],
  ])('refuse %s', (_, principal, profile, registered) => {
    expect(refused({ principal, profile, device: registered }).code).toBe('SENDER_NOT_ALLOWED');
  });

  it('of the profile are asked before anything is read', () => {
    expect(() => refuseUnlisted('AROATWO', listed)).not.toThrow();
    expect(refusalOf(() => refuseUnlisted('AROATHREE', listed)).message).toContain(
      'is not among the allowedSenders of the profile device-tls',
    );
    // Whether it is registered takes its row.
    expect(() => refuseUnlisted('AROATHREE', { ...deviceTls, allowedSenders: 'registered' })).not.toThrow();
  });
});

describe('a registered sender', () => {
  const registered: Profile = { ...deviceTls, allowedSenders: 'registered' };
  const listing: Profile = { ...deviceTls, allowedSenders: ['AROAONE'] };
  const sender = (fleets: readonly string[] | '*', profiles: readonly string[] | '*' = '*') => ({
    principalId: 'AROAONE',
    fleets,
    profiles,
  });
  const of = (fleet: string): Device => ({ deviceId: 'door-7', state: 'active', fleet });

  it.each<readonly [string, Partial<SenderClaim>]>([
    ['its fleet', { sender: sender(['doors']), device: of('doors') }],
    ['one of its fleets', { sender: sender(['gates', 'doors']), device: of('doors') }],
    ['its profile', { sender: sender('*', ['other', 'device-tls']) }],
    ['a device without a fleet, where it is registered for all', { sender: sender('*') }],
    ['a device that is not registered, where it is registered for all', { sender: sender('*'), device: undefined }],
    ['a profile that asks for registered ones', { sender: sender('*'), profile: registered }],
    ['a profile and a device that list it too', { sender: sender('*'), profile: listing }],
  ])('may enrol: %s', (_, fields) => {
    expect(() => authoriseSender(claim(fields))).not.toThrow();
  });

  // Each under a profile that lets anyone in, one that asks for registered ones and one that lists it: what is registered counts.
  describe.each([
    ['any', deviceTls],
    ['registered', registered],
    ['a list with it', listing],
  ] as const)('where allowedSenders is %s', (_, profile) => {
    it.each<readonly [string, Partial<SenderClaim>, string]>([
      [
        'another fleet',
        { sender: sender(['gates']), device: of('doors') },
        'The sender AROAONE is not registered for the fleet doors of the device door-7.',
      ],
      [
        'a fleet whose name begins like its own',
        { sender: sender(['door']), device: of('doors') },
        'The sender AROAONE is not registered for the fleet doors of the device door-7.',
      ],
      [
        'a device without a fleet',
        { sender: sender(['doors']) },
        'The sender AROAONE is registered for certain fleets only, and the device door-7 is of none.',
      ],
      [
        'a device that is not registered',
        { sender: sender(['doors']), device: undefined },
        'The sender AROAONE is registered for certain fleets only, and the device door-7 is not registered.',
      ],
      [
        'a fleet, where it has none',
        { sender: sender([]), device: of('doors') },
        'is not registered for the fleet doors',
      ],
      [
        'a device whose fleet is called *, by a list',
        { sender: sender(['doors']), device: of('*') },
        'is not registered for the fleet * of',
      ],
      [
        'another profile',
        { sender: sender('*', ['gate-tls']) },
        'The sender AROAONE is not registered for the profile device-tls.',
      ],
      ['a profile, where it has none', { sender: sender('*', []) }, 'is not registered for the profile device-tls'],
      [
        'a device that lists others',
        { sender: sender('*'), device: { ...of('doors'), allowedSenders: ['AROATWO'] } },
        'The sender AROAONE is not among the allowedSenders of the device door-7.',
      ],
    ])('may not enrol %s', (__, fields, sentence) => {
      const error = refused({ ...fields, profile });
      expect(error.code).toBe('SENDER_NOT_ALLOWED');
      expect(error.message).toContain(sentence);
    });
  });

  it('is what a profile asks for that says so, whoever the device lists', () => {
    const device: Device = { deviceId: 'door-7', state: 'active', allowedSenders: ['AROAONE'] };
    expect(refused({ profile: registered, device }).message).toBe(
      'The sender AROAONE is not registered, and the profile device-tls takes registered senders only.',
    );
  });

  it('the cure names the command', () =>
    expect(refused({ profile: registered }).cure).toContain('mintmark senders add'));
});

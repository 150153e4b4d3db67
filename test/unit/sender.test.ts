import { describe, expect, it } from 'vitest';
import type { Profile } from '../../shared/issuance/profile.ts';
import { authoriseSender, principalOf } from '../../shared/issuance/sender.ts';
import type { Device } from '../../shared/ledger/devices.ts';
import { refusalOf } from '../fixtures/csr/refusal.ts';
import { deviceTls } from '../support/profile.ts';

describe('principalOf', () => {
  it.each([
    ['AROAEXAMPLE:session', 'AROAEXAMPLE'],
    ['AROAEXAMPLE:AIDAEXAMPLE:x', 'AROAEXAMPLE'],
    ['AIDAEXAMPLE', 'AIDAEXAMPLE'],
    ['AROAEXAMPLE:', 'AROAEXAMPLE'],
    ['', ''],
  ])('%j is %j', (senderId, principal) => {
    expect(principalOf(senderId)).toBe(principal);
  });
});

describe('authoriseSender', () => {
  const listed: Profile = { ...deviceTls, allowedSenders: ['AROAONE', 'AROATWO'] };
  const device = (...allowedSenders: readonly string[]): Device => ({ deviceId: 'd', state: 'active', allowedSenders });
  const open: Device = { deviceId: 'd', state: 'active' };

  it.each<readonly [string, string, Profile, Device | undefined]>([
    ['anyone, where neither lists anyone', 'AROATHREE', deviceTls, open],
    ['anyone, for a device that is not registered', 'AROATHREE', deviceTls, undefined],
    ['one whom the profile lists', 'AROATWO', listed, open],
    ['one whom the device lists', 'AROATHREE', deviceTls, device('AROATHREE')],
    ['one whom both list', 'AROAONE', listed, device('AROAONE')],
  ])('allows %s', (_, principal, profile, registered) => {
    expect(() => authoriseSender(principal, profile, registered)).not.toThrow();
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
  ])('refuses %s', (_, principal, profile, registered) => {
    expect(refusalOf(() => authoriseSender(principal, profile, registered)).code).toBe('SENDER_NOT_ALLOWED');
  });
});

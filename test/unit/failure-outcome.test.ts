import { describe, expect, it } from 'vitest';
import { answerOf } from '../../cli/failure-outcome.ts';
import { requestHashOf, unreadableRequestHashOf } from '../../shared/issuance/request-hash.ts';
import type { IssuanceRecord } from '../../shared/ledger/index.ts';
import { newPrivateKey, readRequest } from '../support/csr.ts';

const profile = 'device-tls';
const csr = readRequest(newPrivateKey());

/** A message of door-7's request `first`. */
const bodyOf = (text: string, over: object = {}): string =>
  JSON.stringify({ version: 1, requestId: 'first', deviceId: 'door-7', profile, csr: text, ...over });
const body = bodyOf(Buffer.from(csr.der).toString('base64'));

const row = (over: Partial<IssuanceRecord>): IssuanceRecord => ({
  deviceId: 'door-7',
  requestId: 'first',
  state: 'issued',
  requestHash: requestHashOf(csr, profile),
  attempt: 1,
  serialNumber: '0a'.repeat(16),
  ignored: [],
  abandonedSerialNumbers: [],
  conflicts: 0,
  ...over,
});
const rejected = { state: 'rejected', code: 'NAME_NOT_ALLOWED', detail: 'No.', reopenable: false } as const;
const ofAnother = { requestHash: requestHashOf(readRequest(newPrivateKey()), profile) };

describe('the answer to a message that was redriven', () => {
  it.each<[string, IssuanceRecord | undefined, string]>([
    ['none', undefined, 'waiting'],
    ['its certificate', row({}), 'issued'],
    ['its refusal', row(rejected), 'rejected'],
    ['its intent', row({ state: 'intent' }), 'waiting'],
    ["another request's certificate", row(ofAnother), 'conflict'],
    ['the certificate of its CSR under another profile', row({ requestHash: requestHashOf(csr, 'other') }), 'conflict'],
    ["another request's final refusal", row({ ...ofAnother, ...rejected }), 'conflict'],
    ["another request's intent", row({ ...ofAnother, state: 'intent' }), 'conflict'],
    [
      "another request's refusal that holds the id for nobody",
      row({ ...ofAnother, ...rejected, reopenable: true, attempt: 0 }),
      'waiting',
    ],
    [
      "another request's refusal that was an intent before",
      row({ ...ofAnother, ...rejected, reopenable: true, attempt: 1 }),
      'conflict',
    ],
  ])('%s', (_, standing, status) => {
    const outcome = answerOf(standing, body, 'message');
    expect(outcome).toMatchObject({ messageId: 'message', status });
    expect('serialNumber' in outcome).toBe(status === 'issued');
    expect('code' in outcome).toBe(status === 'rejected');
  });

  it("says of another request's certificate that it is that", () => {
    expect(answerOf(row(ofAnother), body, 'message').sentence).toBe(
      'the request of this id has a certificate, of another request: mintmark certificates show --device door-7 --request-id first',
    );
  });

  it('is the refusal of a CSR that nobody can read', () => {
    const requestHash = unreadableRequestHashOf('AAAA', profile);
    expect(answerOf(row({ ...rejected, requestHash }), bodyOf('AAAA'), 'message').status).toBe('rejected');
  });

  it('is no row, where the message is none', () => {
    expect(answerOf(row({}), bodyOf('AAAA', { version: 2 }), 'message').status).toBe('conflict');
    expect(answerOf(row({}), '', 'message').status).toBe('conflict');
  });
});

import { describe, expect, it } from 'vitest';
import { describe as describeRecord } from '../../cli/certificate-view.ts';
import { renewalAdvice } from '../../cli/renew-after.ts';
import { requestJson, type SentFile } from '../../cli/request-view.ts';
import { bitString, sequence } from '../../shared/asn1/index.ts';
import { readIssuedCertificate } from '../../shared/issuance/issued-certificate.ts';
import { renewAfterOf } from '../../shared/issuance/renewal.ts';
import { issuedAt, newLinted } from '../support/linted.ts';
import { deviceTls } from '../support/profile.ts';

/** What it is signed with is nobody's business here. */
const sha256WithRsa = Buffer.from('300d06092a864886f70d01010b0500', 'hex');
const certificate = sequence(newLinted().tbsCertificate, sha256WithRsa, bitString(new Uint8Array(256)));
const renewAfter = renewAfterOf(deviceTls, readIssuedCertificate(certificate)) ?? Number.NaN;
const told = new Date(renewAfter).toISOString();

describe('renewalAdvice', () => {
  const advice = renewalAdvice();

  it("is by the profile of the checkout, and the announcement's", () => {
    expect(advice('device-tls', certificate)).toBe(renewAfter);
  });

  it.each([
    ['of a profile that is not here', 'elsewhere', certificate],
    ['of a row that names no profile', undefined, certificate],
    ['of what is no certificate', 'device-tls', Uint8Array.of(0x30, 0)],
  ])('is none %s', (_, profile, der) => {
    expect(advice(profile, der)).toBeUndefined();
  });
});

describe('what mintmark shows', () => {
  const sent: SentFile = {
    file: 'door-7.csr',
    deviceId: 'door-7',
    requestId: 'r',
    messageId: 'm',
    answer: {
      status: 'issued',
      issuerId: 'devices',
      serialNumber: '7f',
      crlShard: 0,
      certificate,
      notAfter: issuedAt + 86_400_000,
      issuedAt,
      stoodAlready: false,
    },
    isRevoked: false,
    renewAfter,
    certificateFile: undefined,
  };
  const view = { now: issuedAt, unanswered: 'waiting', anew: '--again' } as const;

  it('has it for a request that was issued a good certificate, and for no other', () => {
    expect(requestJson(sent, view)).toMatchObject({ status: 'issued', renewAfter: told });
    expect(requestJson({ ...sent, isRevoked: true }, view)).not.toHaveProperty('renewAfter');
    expect(requestJson({ ...sent, renewAfter: undefined }, view)).not.toHaveProperty('renewAfter');
  });

  it('has it beside the end of a certificate', () => {
    const record = {
      deviceId: 'door-7',
      requestId: 'r',
      state: 'issued',
      notAfter: issuedAt,
      ignored: [],
      abandonedSerialNumbers: [],
      conflicts: 0,
    };
    expect(describeRecord(record, false, renewAfter)).toContainEqual(expect.stringMatching(/^renew after +2027-/));
    expect(describeRecord(record, false, undefined).join('\n')).not.toContain('renew after');
  });
});

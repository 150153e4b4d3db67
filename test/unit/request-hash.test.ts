import { describe, expect, it } from 'vitest';
import { parseCertificationRequest } from '../../shared/issuance/certification-request.ts';
import { requestHashOf, unreadableRequestHashOf } from '../../shared/issuance/request-hash.ts';
import { dNSName, makeRequest, newPrivateKey, readRequest } from '../support/csr.ts';

const key = newPrivateKey();
const profile = 'device-tls';

describe('requestHashOf', () => {
  it('is the same for a CSR that was signed anew', () => {
    const [first, second] = [makeRequest(key), makeRequest(key)];
    expect(first).not.toEqual(second);
    expect(requestHashOf(parseCertificationRequest(first), profile)).toBe(
      requestHashOf(parseCertificationRequest(second), profile),
    );
  });

  it('is another for another key, name or profile', () => {
    const hashes = [
      requestHashOf(readRequest(key), profile),
      requestHashOf(readRequest(newPrivateKey()), profile),
      requestHashOf(readRequest(key, { subject: [['2.5.4.3', 'device-1']] }), profile),
      requestHashOf(readRequest(key, { names: [dNSName('device-1')] }), profile),
      requestHashOf(readRequest(key), 'device-tl'),
    ];
    expect(new Set(hashes).size).toBe(hashes.length);
    for (const hash of hashes) expect(hash).toMatch(/^[0-9a-f]{64}$/);
  });
});

describe('unreadableRequestHashOf', () => {
  it('is of the field as it came, and never that of a CSR', () => {
    const csr = readRequest(key);
    const info = Buffer.from(csr.certificationRequestInfo);
    const hashes = [
      unreadableRequestHashOf('', profile),
      unreadableRequestHashOf('AAAA', profile),
      unreadableRequestHashOf('AAAA\n', profile),
      unreadableRequestHashOf('AAAA', 'other'),
      unreadableRequestHashOf('AAA', 'Adevice-tls'),
      unreadableRequestHashOf(info.toString('base64'), profile),
      requestHashOf(csr, profile),
    ];
    expect(new Set(hashes).size).toBe(hashes.length);
    expect(unreadableRequestHashOf('AAAA', profile)).toBe(hashes[1]);
  });
});

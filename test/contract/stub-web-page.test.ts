import { EncryptCommand } from '@aws-sdk/client-kms';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ask, fromPage } from '../support/web-page.ts';
import { region, startTestStub, type TestStub } from './stub-fixture.ts';

let stub: TestStub;
/** A request for kms:Decrypt of a PIN that was sealed here. */
let decrypt: { readonly method: string; readonly path: string; readonly headers: Record<string, string>; body: string };
const clock = {
  method: 'POST',
  path: '/_stub/clock',
  headers: { 'content-type': 'application/json' },
  body: '{"offsetSeconds": 0}',
};

beforeAll(async () => {
  stub = await startTestStub();
  const Plaintext = Buffer.from('crypto_user:pin');
  const { CiphertextBlob } = await stub.kms.send(new EncryptCommand({ KeyId: stub.sealingKeyId, Plaintext }));
  decrypt = {
    method: 'POST',
    path: '/',
    headers: {
      'content-type': 'application/x-amz-json-1.1',
      'x-amz-target': 'TrentService.Decrypt',
      authorization: `AWS4-HMAC-SHA256 Credential=AKIA/20261122/${region}/kms/aws4_request, SignedHeaders=host, Signature=0`,
    },
    body: JSON.stringify({ CiphertextBlob: Buffer.from(CiphertextBlob ?? []).toString('base64') }),
  };
});
afterAll(() => stub.stop());

const port = () => new URL(stub.endpoint).port;
const calls = () => [decrypt, clock, { method: 'GET', path: '/_stub/state', headers: {} }];

describe('a web page', () => {
  it.each<[string, () => Record<string, string>]>([
    ['of another site', () => fromPage],
    ['that shows its origin only', () => ({ origin: 'null' })],
    ['that shows its site only', () => ({ 'sec-fetch-site': 'same-site' })],
    ['served from this very address', () => ({ 'sec-fetch-site': 'same-origin' })],
    ['whose name was rebound to this machine', () => ({ host: `page.example:${port()}` })],
    ['whose name was rebound, with another port', () => ({ host: 'localhost:1' })],
    ['at the address for every address', () => ({ host: `0.0.0.0:${port()}` })],
  ])('%s gets nothing', async (_, more) => {
    for (const call of calls()) {
      const answer = await ask(stub.endpoint, { ...call, headers: { ...call.headers, ...more() } });
      expect(answer.status).toBe(403);
      expect(JSON.parse(answer.body)).toEqual({
        __type: 'AccessDeniedException',
        message: expect.stringMatching(/.{10}/),
      });
      expect(Object.keys(answer.headers).filter((name) => name.startsWith('access-control-'))).toEqual([]);
    }
    expect(stub.log.at(-1)).toMatchObject({ httpStatus: 403, errorCode: 'AccessDeniedException' });
  });

  it('is not given leave when it asks first', async () => {
    const headers = { ...fromPage, 'access-control-request-method': 'POST' };
    const answer = await ask(stub.endpoint, { method: 'OPTIONS', path: '/_stub/clock', headers });
    expect(answer.status).toBe(403);
  });
});

it.each<[string, () => Record<string, string>]>([
  ['a program', () => ({})],
  ['a program that says localhost', () => ({ host: `localhost:${port()}` })],
  ['an address typed into a browser', () => ({ 'sec-fetch-site': 'none' })],
])('%s is served', async (_, more) => {
  for (const call of calls()) {
    const answer = await ask(stub.endpoint, { ...call, headers: { ...call.headers, ...more() } });
    expect(answer.status).toBe(200);
  }
});

import { UpdateItemCommand } from '@aws-sdk/client-dynamodb';
import { KMSClient } from '@aws-sdk/client-kms';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Fault, readFaults } from '../../local/pkcs11-shim/faults.ts';
import { Breakers } from '../../shared/breaker/breakers.ts';
import { Issuers } from '../../shared/ledger/issuers.ts';
import { unsealPin } from '../../shared/signer/pin.ts';
import { generateEcKey } from '../fixtures/csr/make.ts';
import { bodyOf, TestCloud, type TestRequest } from '../support/embedded-cloud.ts';
import { makePemCsr, verifyChain } from '../support/embedded-openssl.ts';
import { MintmarkCommand } from '../support/mintmark-command.ts';

/**
 * What stands between a cold start and a signature: what the operator reads of it in the function's log, and that requests are
 * issued once it is over, none lost. Each begins with new environments, which have no session yet.
 */

const key = generateEcKey('P-256');
const issuerId = 'devices';

let cloud: TestCloud;
let signerUri: string;
let pin: string;

beforeAll(async () => {
  // Of an environment that is ended here, what it had is back soon.
  cloud = await TestCloud.start({ visibilityTimeout: '6', giveUpAfterSeconds: '3600', maxReceiveCount: '1000' });
  const { clients, cloud: started, stubEndpoint } = cloud.local;
  const issuer = await new Issuers(clients.dynamoDB, started.resources['IssuersTable']?.ref ?? '').read(issuerId);
  if (issuer?.clusterId === undefined) throw new Error('The issuer has no key in a cluster.');
  signerUri = issuer.signerUri;
  const region = started.environment['AWS_REGION'] ?? '';
  const credentials = { accessKeyId: 'TEST', secretAccessKey: 'local' };
  const kms = new KMSClient({ endpoint: stubEndpoint, region, credentials });
  const purpose = { clusterId: issuer.clusterId, issuerId, stage: 'local' };
  pin = Buffer.from(await unsealPin(kms, issuer.sealedPins[region] ?? new Uint8Array(), purpose)).toString('utf8');
  kms.destroy();
});
afterAll(() => cloud?.stop());

const issuingPids = () => cloud.local.cloud.functions['issue']?.pids() ?? [];

/** The next request meets a new one. */
async function endEnvironments(): Promise<void> {
  const pids = issuingPids();
  for (const pid of pids) process.kill(pid, 'SIGKILL');
  await cloud.until(() => !issuingPids().some((pid) => pids.includes(pid)), 'end of the environments');
}

async function newRequest(name: string) {
  const deviceId = await cloud.newDevice(name);
  return { deviceId, requestId: 'r', csr: makePemCsr(key, deviceId) };
}

/** Of calls of KMS's Decrypt, by which a PIN is unsealed. */
const decrypt = (count: number, fault: object) =>
  cloud.drill('faults', { faults: [{ operation: 'TrentService.Decrypt', count, ...fault }] });

interface Trouble {
  readonly name: string;
  readonly begin: () => unknown;
  readonly end: () => unknown;
  /** Undefined where no delivery is spent. */
  readonly code: string | undefined;
  /** What the operator reads. */
  readonly says?: RegExp;
}

const hsm = (...faults: Fault[]) => ({ begin: () => cloud.faults(...faults), end: () => cloud.faults() });

const setSignerUri = (signerUri: string) =>
  cloud.local.clients.dynamoDB.send(
    new UpdateItemCommand({
      TableName: cloud.local.cloud.resources['IssuersTable']?.ref ?? '',
      Key: { issuerId: { S: issuerId } },
      UpdateExpression: 'SET signerUri = :uri',
      ExpressionAttributeValues: { ':uri': { S: signerUri } },
    }),
  );

const troubles: readonly Trouble[] = [
  {
    name: 'the key store FAILED',
    begin: () => cloud.drill('custom-key-store', { connectionState: 'FAILED', connectionErrorCode: 'USER_LOCKED_OUT' }),
    end: async () => {
      // As AWS has it: a FAILED one is disconnected before it is connected again.
      await cloud.drill('custom-key-store', { connectionState: 'DISCONNECTED' });
      await cloud.drill('custom-key-store', { connectionState: 'CONNECTED' });
    },
    code: 'PIN_UNSEAL_FAILED',
    says: /KMSInvalidStateException|CloudHsm/,
  },
  {
    name: 'KMS throttles twice',
    begin: () => decrypt(2, { code: 'ThrottlingException' }),
    end: () => undefined,
    code: undefined,
  },
  {
    name: 'KMS throttles on and on',
    begin: () => decrypt(-1, { code: 'ThrottlingException' }),
    end: () => cloud.drill('faults', { faults: [] }),
    code: 'PIN_UNSEAL_FAILED',
    says: /ThrottlingException/,
  },
  {
    name: 'KMS does not answer',
    begin: () => decrypt(-1, { effect: 'connection-dropped', when: 'before' }),
    end: () => cloud.drill('faults', { faults: [] }),
    code: 'PIN_UNSEAL_FAILED',
    says: /The PIN of the issuer devices cannot be unsealed/,
  },
  {
    name: 'the key is not on every HSM yet: the next environment or try finds it',
    ...hsm({ fault: 'key-absent', count: 1 }),
    code: 'SIGNER_MISCONFIGURED',
    says: /The private key that the signer URI names is not on the token, or this user may not use it\./,
  },
  {
    name: 'the key is missing',
    ...hsm({ fault: 'key-absent', count: -1 }),
    code: 'SIGNER_MISCONFIGURED',
    says: /The private key that the signer URI names is not on the token, or this user may not use it\./,
  },
  {
    name: 'no key is where the row says',
    begin: () => setSignerUri('pkcs11:token=devices;object=nobody;type=private'),
    end: () => setSignerUri(signerUri),
    code: 'SIGNER_MISCONFIGURED',
    says: /not on the token, or this user may not use it/,
  },
  {
    name: 'no token is where the row says',
    begin: () => setSignerUri('pkcs11:token=nowhere;object=devices;type=private'),
    end: () => setSignerUri(signerUri),
    code: 'SIGNER_MISCONFIGURED',
    says: /has no token that the signer URI names/,
  },
  {
    name: 'the HSMs are gone',
    ...hsm({ fault: 'down', count: -1 }),
    code: 'SIGNER_UNAVAILABLE',
    says: /CKR_DEVICE_REMOVED/,
  },
];

describe('between a cold start and a signature', () => {
  for (const [index, { name, begin, end, code, says }] of troubles.entries()) {
    it(`${name}: ${code ?? 'issued at once'}`, async () => {
      await cloud.drained();
      await begin();
      await endEnvironments();
      const request = await newRequest(`trouble-${index}`);
      const messageId = await cloud.request(request);
      if (code !== undefined) {
        const retry = await cloud.until(() => cloud.outcomesOf(messageId)[0], `look at ${messageId}`);
        expect(retry).toMatchObject({ message: 'retry', code });
        expect(retry.detail).toMatch(says ?? /$^/);
        // Nothing is recorded of what nobody can sign.
        expect(await cloud.row(request)).toBeUndefined();
      }
      await end();
      // An issuer's row may be remembered for a minute, but not by an environment that is new.
      if (code === 'SIGNER_MISCONFIGURED') await endEnvironments();
      await expectIssued(request);
      await cloud.ended(messageId);
      const ends = cloud.outcomesOf(messageId).map(({ message }) => message);
      if (code === undefined) expect(ends).toEqual(['issued']);
    });
  }

  it('the crypto user is locked: one login, and no other until an operator has unlocked it and says so', async () => {
    const { clients, cloud: started, shim } = cloud.local;
    const breakers = new Breakers(clients.dynamoDB, started.resources['IssuersTable']?.ref ?? '');
    const command = new MintmarkCommand(() => started.environment);
    await cloud.drained();
    cloud.faults({ fault: 'user-locked', count: 100 });
    await endEnvironments();
    const requests = await Promise.all(['locked-1', 'locked-2'].map(newRequest));
    const [messageId = ''] = await cloud.sendAll(requests.map(bodyOf));
    await cloud.until(
      () =>
        cloud.lines.some((line) =>
          line.includes('The crypto user is locked out; an HSM administrator must unlock it. (CKR_PIN_LOCKED)'),
        ),
      'the reason',
    );
    await cloud.until(() => cloud.outcomesOf(messageId).some(({ code }) => code === 'SIGNER_PAUSED'), 'the pause');
    expect(await breakers.read(issuerId)).toMatchObject({ state: 'open', held: true, reason: 'SIGNER_PIN_REFUSED' });
    expect(readFaults(shim.faults)).toMatchObject([{ fault: 'user-locked', count: 99 }]);
    const { stdout } = await command.run(['queue', 'status']);
    expect(stdout).toContain('SIGNER_PIN_REFUSED');

    cloud.faults();
    expect(await command.run(['queue', 'resume'])).toMatchObject({ code: 0 });
    for (const request of requests) await expectIssued(request);
  });

  // After all of the above.
  it('of all that, the PIN is in no line of any log', () => {
    const [user = '', password = ''] = pin.split(':');
    expect(user.length > 0 && password.length > 8).toBe(true);
    const bytes = Buffer.from(pin);
    const forms = [
      password,
      Buffer.from(password).toString('hex'),
      bytes.toString('base64'),
      bytes.toJSON().data.join(),
    ];
    expect(cloud.lines.length).toBeGreaterThan(troubles.length);
    // Never the texts themselves: a failing test must not be the one that prints the secret.
    expect(cloud.lines.some((line) => forms.some((form) => line.includes(form)))).toBe(false);
  });
});

async function expectIssued(request: TestRequest): Promise<void> {
  const { certificate } = await cloud.issued(request);
  const { issuingCertificate: issuing, rootCertificate: root } = cloud.local;
  expect(verifyChain({ leaf: certificate, issuing, root })).toMatch(/: OK\n$/);
  expect(await cloud.failures()).toEqual([]);
}

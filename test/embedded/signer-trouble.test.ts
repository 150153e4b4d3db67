import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { FaultName } from '../../local/pkcs11-shim/faults.ts';
import { generateEcKey } from '../fixtures/csr/make.ts';
import { bodyOf, TestCloud } from '../support/embedded-cloud.ts';
import { makePemCsr, verifyChain } from '../support/embedded-openssl.ts';
import { until } from '../support/embedded-until.ts';
import { MintmarkCommand } from '../support/mintmark-command.ts';

const key = generateEcKey('P-256');

async function newRequest(cloud: TestCloud, name: string) {
  const deviceId = await cloud.newDevice(name);
  return { deviceId, requestId: 'r', csr: makePemCsr(key, deviceId) };
}

function expectGood(cloud: TestCloud, leaf: Uint8Array): void {
  const { issuingCertificate: issuing, rootCertificate: root } = cloud.local;
  expect(verifyChain({ leaf, issuing, root })).toMatch(/: OK\n$/);
}

describe('an HSM in trouble for a while', () => {
  let cloud: TestCloud;
  beforeAll(async () => {
    cloud = await TestCloud.start({ visibilityTimeout: '60', issueConcurrency: '2' });
  });
  afterAll(() => cloud?.stop());

  it('the custom key store is disconnected at cold start: requests wait, and are issued when it is back', async () => {
    await cloud.drill('custom-key-store', { connectionState: 'DISCONNECTED' });
    const requests = await Promise.all(['a', 'b'].map((name) => newRequest(cloud, name)));
    const messageIds = await cloud.sendAll(requests.map(bodyOf));
    for (const messageId of messageIds) {
      const retry = await until(() => cloud.outcomesOf(messageId)[0], `look at ${messageId}`);
      expect(retry).toMatchObject({ message: 'retry', code: 'PIN_UNSEAL_FAILED' });
    }
    expect(await Promise.all(requests.map((request) => cloud.row(request)))).toEqual([undefined, undefined]);

    await cloud.drill('custom-key-store', { connectionState: 'CONNECTED' });
    for (const request of requests) expectGood(cloud, (await cloud.issued(request)).certificate);
    expect(await cloud.failures()).toEqual([]);
  });

  /** What a fault leaves in the record of signatures besides the one that is stored. */
  const faults: readonly { fault: FaultName; count: number; retried: string | undefined; signatures: number }[] = [
    // Asked again, after a pause, in the same delivery: four times, and then in the next one.
    { fault: 'busy', count: 2, retried: undefined, signatures: 1 },
    { fault: 'busy', count: 6, retried: 'SIGNER_UNAVAILABLE', signatures: 1 },
    // Opened again and signed in the same delivery.
    { fault: 'session-lost', count: 1, retried: undefined, signatures: 1 },
    { fault: 'session-lost', count: 3, retried: 'SIGNER_UNAVAILABLE', signatures: 1 },
    { fault: 'device-removed', count: 3, retried: 'SIGNER_UNAVAILABLE', signatures: 1 },
    { fault: 'reply-lost', count: 1, retried: undefined, signatures: 2 },
    { fault: 'reply-lost', count: 6, retried: 'SIGNER_UNAVAILABLE', signatures: 7 },
    { fault: 'corrupt', count: 1, retried: 'SIGNATURE_WRONG', signatures: 2 },
  ];

  for (const { fault, count, retried, signatures } of faults) {
    it(`${fault}, ${count} times: ${retried === undefined ? 'issued at once' : 'tried again'}, and one certificate`, async () => {
      const request = await newRequest(cloud, fault);
      const before = cloud.signatures().length;
      cloud.faults({ fault, count });
      const messageId = await cloud.request(request);
      const { certificate, serialNumber, attempt } = await cloud.issued(request);

      expectGood(cloud, certificate);
      expect(attempt).toBe(1);
      const made = cloud.signatures().slice(before);
      expect(made).toHaveLength(signatures);
      expect(new Set(made.map(({ digest }) => digest)).size).toBe(1);
      expect(await cloud.ended(messageId)).toMatchObject({ message: 'issued', serialNumber });
      const tries = cloud.outcomesOf(messageId).filter(({ message }) => message === 'retry');
      expect(new Set(tries.map(({ code }) => code))).toEqual(new Set(retried === undefined ? [] : [retried]));
    });
  }
});

describe('a custom key store that is disconnected under environments that run', () => {
  let cloud: TestCloud;
  beforeAll(async () => {
    cloud = await TestCloud.start({ visibilityTimeout: '60', issueConcurrency: '1' });
  });
  afterAll(() => cloud?.stop());

  const pidOf = async (messageId: string) => (await cloud.ended(messageId)).pid;

  it('they sign on, whoever starts waits with the reason, and the watch rings with what to do', async () => {
    const [warm, during, cold] = await Promise.all(['warm', 'during', 'cold'].map((name) => newRequest(cloud, name)));
    if (warm === undefined || during === undefined || cold === undefined) throw new Error('Three requests');
    const first = await pidOf(await cloud.request(warm));
    // It is free for the next request when it has answered for this one.
    await cloud.drained();

    await cloud.drill('custom-key-store', { connectionState: 'DISCONNECTED' });
    const second = await cloud.request(during);
    expectGood(cloud, (await cloud.issued(during)).certificate);
    expect(await pidOf(second)).toBe(first);
    expect(cloud.outcomesOf(second).map(({ message }) => message)).toEqual(['issued']);

    const mintmark = new MintmarkCommand(() => cloud.local.cloud.environment);
    const { code, value } = await mintmark.json('health');
    expect(code).toBe(1);
    expect(value).toMatchObject({
      findings: expect.arrayContaining([
        expect.objectContaining({
          rule: 'key-store-state',
          severity: 'critical',
          observed: 'DISCONNECTED',
          sentence: expect.stringMatching(
            /those that run sign on until they end\. Somebody disconnected it.*connect it\.$/,
          ),
          runbook: 'docs/runbook.md#key-store-state',
        }),
      ]),
    });
    // What the alarm key-store-state-critical is on (deploy/watch-alarms.yml): it rings at 2.
    const gauges = cloud.local.cloud.metrics.filter(({ name }) => name === 'KeyStoreStateFinding');
    expect(gauges.at(-1)?.value).toBe(2);

    await cloud.drained();
    process.kill(first, 'SIGKILL');
    await cloud.until(() => !(cloud.local.cloud.functions['issue']?.pids() ?? []).includes(first), 'end of it');
    const third = await cloud.request(cold);
    const retry = await until(() => cloud.outcomesOf(third)[0], `look at ${third}`);
    expect(retry).toMatchObject({
      message: 'retry',
      code: 'PIN_UNSEAL_FAILED',
      detail: expect.stringContaining('its custom key store is not connected'),
      cure: expect.stringContaining('Check that the custom key store is CONNECTED'),
    });
    expect(retry.pid).not.toBe(first);
    expect(await cloud.row(cold)).toBeUndefined();

    await cloud.drill('custom-key-store', { connectionState: 'CONNECTED' });
    expectGood(cloud, (await cloud.issued(cold)).certificate);
    expect((await mintmark.json('health')).code).toBe(0);
    expect(await cloud.failures()).toEqual([]);
  });
});

describe('a function that dies with its batch', () => {
  let cloud: TestCloud;
  beforeAll(async () => {
    // What a dead function leaves behind is visible again after 4 s, and given up by SQS after the second time.
    cloud = await TestCloud.start({ visibilityTimeout: '4', maxReceiveCount: '2', issueConcurrency: '1' });
  });
  afterAll(() => cloud?.stop());

  it('costs nobody a certificate; what was signed before it died is signed again, the same TBS', async () => {
    const requests = await Promise.all(['x', 'y', 'z'].map((name) => newRequest(cloud, name)));
    cloud.faults({ fault: 'crash-after-sign', count: 1 });
    await cloud.sendAll(requests.map(bodyOf));
    for (const request of requests) {
      const { certificate, attempt } = await cloud.issued(request);
      expectGood(cloud, certificate);
      expect(attempt).toBe(1);
    }
    const digests = cloud.signatures().map(({ digest }) => digest);
    expect(digests).toHaveLength(4);
    expect(new Set(digests).size).toBe(3);
  });

  it('again and again: the dead-letter queue, then a row in failures; the next request is none the wiser', async () => {
    const poison = await newRequest(cloud, 'poison');
    cloud.faults({ fault: 'crash-before-sign', count: -1 });
    const messageId = await cloud.request(poison);
    const failure = await cloud.failure(messageId);
    cloud.faults();

    expect(failure).toMatchObject({
      failureClass: 'crashed',
      code: 'MESSAGE_KILLED_FUNCTION',
      sender: 'LOCALOPERATOR',
      body: bodyOf(poison),
    });
    expect(failure.detail).toMatch(/\.$/);
    await cloud.drained('DeadLetterQueue');
    await cloud.drained();
    expect(await cloud.row(poison)).toMatchObject({ state: 'intent', attempt: 1 });

    const next = await newRequest(cloud, 'next');
    await cloud.request(next);
    expectGood(cloud, (await cloud.issued(next)).certificate);
  });
});

describe('an HSM in trouble for longer than a request may wait', () => {
  let cloud: TestCloud;
  beforeAll(async () => {
    // Nobody looks after the breaker, which the third try opens: a mapping that is paused delivers nothing that could be given
    // up.
    cloud = await TestCloud.start({ giveUpAfterSeconds: '3', issueConcurrency: '1' }, false);
    // The function's cold start is not to use up the time of a request.
    const first = await newRequest(cloud, 'first');
    await cloud.request(first);
    await cloud.issued(first);
  });
  afterAll(() => cloud?.stop());

  it('the request is given up with its reason, and can be sent again', async () => {
    const request = await newRequest(cloud, 'waits');
    const before = cloud.signatures().length;
    cloud.faults({ fault: 'busy', count: -1 });
    const messageId = await cloud.request(request);
    const failure = await cloud.failure(messageId);

    expect(failure).toMatchObject({
      failureClass: 'transient-exhausted',
      body: bodyOf(request),
    });
    // The third try opens the breaker, and the next is turned away by it, with the reason.
    expect(['SIGNER_UNAVAILABLE', 'SIGNER_PAUSED']).toContain(failure.code);
    expect(failure.detail).toContain('CKR_FUNCTION_FAILED');
    expect(failure.tries).toBeGreaterThan(1);
    expect(failure.failedAt - failure.sentAt).toBeGreaterThanOrEqual(3000);
    await cloud.drained();
    expect(cloud.signatures()).toHaveLength(before);

    cloud.faults();
    cloud.lookAfterBreakers();
    await cloud.request(request);
    expectGood(cloud, (await cloud.issued(request)).certificate);
  });

  it('an HSM that signs wrongly every time: nothing of it is ever stored', async () => {
    const request = await newRequest(cloud, 'corrupt');
    cloud.faults({ fault: 'corrupt', count: -1 });
    const messageId = await cloud.request(request);
    const { code, detail } = await cloud.failure(messageId);
    expect(['SIGNATURE_WRONG', 'SIGNER_PAUSED']).toContain(code);
    if (code === 'SIGNER_PAUSED') expect(detail).toContain('SIGNATURE_WRONG');
    expect((await cloud.row(request))?.state).toBe('abandoned');
  });
});

describe('a PKCS#11 library that does not return', () => {
  let cloud: TestCloud;
  beforeAll(async () => {
    cloud = await TestCloud.start({ visibilityTimeout: '60', giveUpAfterSeconds: '110' });
  });
  afterAll(() => cloud?.stop());

  it('costs its environment, and no request', async () => {
    const request = await newRequest(cloud, 'hang');
    cloud.faults({ fault: 'hang-initialize', count: 1, milliseconds: 100_000 });
    const messageId = await cloud.request(request);
    // The batch is answered by its deadline, with the thread left in the library ...
    const retry = await until(() => cloud.outcomesOf(messageId)[0], `look at ${messageId}`, 60_000);
    expect(retry).toMatchObject({ message: 'retry', code: 'SIGNER_DEADLINE' });
    // ... and whatever the environment is given next ends it, and is issued by another.
    expectGood(cloud, (await cloud.issued(request)).certificate);
    expect(cloud.lines.some((line) => line.includes('The PKCS#11 library does not return'))).toBe(true);
    expect(cloud.signatures()).toHaveLength(1);
    expect(await cloud.failures()).toEqual([]);
  });

  it('in the middle, when a session is opened again, likewise', async () => {
    const warm = await newRequest(cloud, 'warm');
    await cloud.request(warm);
    await cloud.issued(warm);
    const ends = cloud.lines.filter((line) => line.includes('The PKCS#11 library does not return')).length;
    const request = await newRequest(cloud, 'middle');
    cloud.faults({ fault: 'session-lost', count: 1 }, { fault: 'hang-initialize', count: 1, milliseconds: 100_000 });
    const messageId = await cloud.request(request);
    const retry = await until(() => cloud.outcomesOf(messageId)[0], `look at ${messageId}`, 60_000);
    expect(retry).toMatchObject({ message: 'retry', code: 'SIGNER_DEADLINE' });
    const { certificate, attempt } = await cloud.issued(request);
    expectGood(cloud, certificate);
    expect(attempt).toBe(1);
    expect(cloud.lines.filter((line) => line.includes('The PKCS#11 library does not return'))).toHaveLength(ends + 1);
    expect(await cloud.failures()).toEqual([]);
  }, 90_000);
});

describe('a configuration that cannot be', () => {
  let cloud: TestCloud;
  beforeAll(async () => {
    cloud = await TestCloud.start({
      retryBaseSeconds: 'soon',
      giveUpAfterSeconds: '-1',
      visibilityTimeout: '1',
      maxReceiveCount: '2',
    });
  });
  afterAll(() => cloud?.stop());

  it('every problem is listed at cold start, and the message is not lost', async () => {
    const request = await newRequest(cloud, 'waits');
    const messageId = await cloud.request(request);
    await until(
      () =>
        cloud.lines.some((line) =>
          ['RETRY_BASE_SECONDS', 'GIVE_UP_AFTER_SECONDS'].every((name) => line.includes(name)),
        ),
      'line that lists both problems',
    );
    expect(await cloud.failure(messageId)).toMatchObject({ code: 'MESSAGE_KILLED_FUNCTION', body: bodyOf(request) });
  });
});

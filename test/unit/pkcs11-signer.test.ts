import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { openPkcs11Signer, type Pkcs11Signer } from '../../shared/signer/pkcs11.ts';

const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const spki = publicKey.export({ type: 'spki', format: 'der' }).toString('base64');

/**
 * A worker that answers each request by the next step of a script, for what no HSM does on demand. What it is asked to
 * open beyond its script it opens, so that one login too many shows.
 */
function scriptedWorker(steps: readonly string[]): URL {
  const source = `
    import { parentPort } from 'node:worker_threads';
    const publicKey = Buffer.from('${spki}', 'base64');
    const session = { name: 'CKR_SESSION_CLOSED', value: 0xb0, kind: 'session', sentence: '' };
    const pin = { name: 'CKR_PIN_INCORRECT', value: 0xa0, kind: 'misconfiguration', sentence: '' };
    const answers = {
      opened: () => parentPort.postMessage({ type: 'opened', publicKey }),
      signed: (request) => {
        request.digests.forEach((_, index) => parentPort.postMessage({ type: 'signed', index, signature: Buffer.of(1) }));
        parentPort.postMessage({ type: 'batch-ended', lost: [] });
      },
      lost: () => parentPort.postMessage({
        type: 'batch-ended',
        lost: [{ index: 0, failure: { code: 'SIGNER_UNAVAILABLE', message: 'lost', returnValue: session } }],
      }),
      'pin-refused': () => parentPort.postMessage({
        type: 'refused',
        failure: { code: 'SIGNER_PIN_REFUSED', message: 'pin', returnValue: pin },
      }),
      dies: () => process.exit(1),
      throws: () => { throw new Error('a defect'); },
      first: (request) => {
        parentPort.postMessage({ type: 'signed', index: 0, signature: Buffer.of(1) });
        process.exit(1);
      },
    };
    const steps = ${JSON.stringify(steps)};
    parentPort.on('message', (request) => {
      if (request.type === 'close') {
        parentPort.postMessage({ type: 'closed' });
        parentPort.close();
        return;
      }
      const rest = request.type === 'open' ? 'opened' : 'signed';
      answers[steps.shift() ?? rest](request);
    });
  `;
  return new URL(`data:text/javascript,${encodeURIComponent(source)}`);
}

const soon = (): number => Date.now() + 10_000;
const digest = new Uint8Array(32);

function open(steps: readonly string[]): Promise<Pkcs11Signer> {
  return openPkcs11Signer({
    uri: 'pkcs11:object=ca',
    library: `/scripted/${steps.join('-')}.so`,
    pin: Buffer.from('user:password'),
    certificatePublicKey: publicKey,
    workerUrl: scriptedWorker(steps),
    deadline: soon(),
    now: Date.now,
    random: Math.random,
  });
}

describe('a pkcs11: signer whose PIN is refused', () => {
  it('logs in no second time, ever', async () => {
    const signer = await open(['opened', 'lost', 'pin-refused']);
    const refused = [{ error: { code: 'SIGNER_PIN_REFUSED' } }];
    expect(await signer.sign([digest], soon())).toMatchObject(refused);
    expect(await signer.sign([digest], soon())).toMatchObject(refused);
    await signer.close();
  });

  it('is not opened, and not tried again', async () => {
    await expect(open(['pin-refused'])).rejects.toMatchObject({ code: 'SIGNER_PIN_REFUSED' });
  });
});

describe('a pkcs11: signer whose worker', () => {
  it.each(['dies', 'throws'])('%s answers, and goes on with a new one', async (way) => {
    const signer = await open(['opened', way]);
    expect(await signer.sign([digest, digest], soon())).toMatchObject([
      { error: { code: 'SIGNER_UNAVAILABLE' } },
      { error: { code: 'SIGNER_UNAVAILABLE' } },
    ]);
    expect(signer.stuck).toBe(false);
    // The new worker follows the same script, so it dies again: each call has its answer.
    expect(await signer.sign([digest], soon())).toMatchObject([{ error: { code: 'SIGNER_UNAVAILABLE' } }]);
    await signer.close();
  });

  it('dies in the middle of a batch keeps what was signed', async () => {
    const signer = await open(['opened', 'first']);
    expect(await signer.sign([digest, digest], soon())).toMatchObject([
      { signature: Uint8Array.of(1) },
      { error: { code: 'SIGNER_UNAVAILABLE' } },
    ]);
    await signer.close();
  });

  it('cannot be loaded is not opened', async () => {
    const options = {
      uri: 'pkcs11:object=ca',
      library: '/none.so',
      pin: Buffer.from('user:password'),
      certificatePublicKey: publicKey,
      workerUrl: new URL('./no-such-worker.ts', import.meta.url),
      deadline: soon(),
      now: Date.now,
      random: Math.random,
    };
    await expect(openPkcs11Signer(options)).rejects.toMatchObject({ code: 'SIGNER_UNAVAILABLE' });
  });
});

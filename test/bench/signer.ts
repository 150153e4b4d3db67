import { fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createLocalKeysInChild } from '../../local/ca/child.ts';
import { readInstalled } from '../../local/setup/installed.ts';
import { pkcs11Shim } from '../../local/setup/pkcs11-shim.mjs';
import { tokenEnvironment } from '../../local/softhsm/token.ts';
import { startStub } from '../../local/stub/index.ts';
import type { SignerBenchMessage, SignerBenchOptions, SignerFigures, ThreadFigures } from './signer-worker.ts';

/** What is measured, and for how long. */
export const signerBench = {
  latencies: [0, 2, 15],
  sessions: [1, 2, 4, 8],
  batches: [1, 10, 100],
  rounds: 5,
  milliseconds: 400,
} as const;

export interface SignerBench {
  readonly figures: readonly SignerFigures[];
  readonly thread: readonly ThreadFigures[];
}

/** libuv's threads, as deploy/functions.yml sets them. */
const threads = '16';

/**
 * Signatures a second (ECDSA P-256) of each signer: `pkcs11:` with SoftHSM2, `awskms:` with the stub, which are no HSM and no
 * KMS: what is to be seen is what sessions and batches are worth where each signature takes so many milliseconds more.
 * @param onProgress a sentence now and then
 */
export async function benchSigner(onProgress: (what: string) => unknown): Promise<SignerBench> {
  const directory = mkdtempSync(join(tmpdir(), 'mintmark-bench-'));
  const { softhsm2Library: library } = readInstalled();
  const tokens = join(directory, 'ca');
  const { localCa } = await createLocalKeysInChild({
    directory: tokens,
    library,
    baseUrl: 'http://127.0.0.1',
    issuerId: 'devices',
    crlShardCount: 4,
    now: Date.now(),
  });
  const stub = await startStub({
    token: { library, directory: join(directory, 'kms') },
    port: 0,
    region: 'eu-central-1',
    accountId: '111122223333',
    now: Date.now,
    randomBytes,
  });
  const faults = join(directory, 'faults');
  const child = fork(fileURLToPath(new URL('./signer-worker.ts', import.meta.url)), [], {
    serialization: 'advanced',
    execArgv: [],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    env: {
      ...process.env,
      ...tokenEnvironment(tokens),
      UV_THREADPOOL_SIZE: threads,
      PKCS11_SHIM_LIBRARY: library,
      PKCS11_SHIM_RECORD: join(directory, 'record'),
      PKCS11_SHIM_FAULTS: faults,
    },
  });
  try {
    return await new Promise<SignerBench>((resolve, reject) => {
      child.on('message', (message: SignerBenchMessage) =>
        'progress' in message ? onProgress(message.progress) : resolve(message),
      );
      child.once('error', reject);
      // After its figures nothing of this is heard.
      child.once('exit', (status, signal) => reject(new Error(`The bench's process ended (${signal ?? status}).`)));
      child.send({
        signerUri: localCa.signerUri,
        pin: localCa.pin ?? '',
        certificate: localCa.issuingCertificate,
        library,
        shim: pkcs11Shim,
        faults,
        kmsEndpoint: stub.endpoint,
        ...signerBench,
      } satisfies SignerBenchOptions);
    });
  } finally {
    child.kill('SIGKILL');
    await stub.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

/**
 * A process of its own that opens a pkcs11: signer and signs: stdin says how, stdout how many or which error. It ends
 * itself with SIGKILL when opening failed: the worker may be blocked, and process.exit would wait for it.
 */
import { createPublicKey } from 'node:crypto';
import { text } from 'node:stream/consumers';
import { MintmarkError } from '../../shared/errors.ts';
import { openPkcs11Signer } from '../../shared/signer/pkcs11.ts';

const options = JSON.parse(await text(process.stdin)) as {
  uri: string;
  library: string;
  pin: string;
  publicKey: string;
  count: number;
};

try {
  const signer = await openPkcs11Signer({
    uri: options.uri,
    library: options.library,
    pin: Buffer.from(options.pin),
    certificatePublicKey: createPublicKey(options.publicKey),
    workerUrl: new URL('../../shared/signer/pkcs11-worker.ts', import.meta.url),
    deadline: Date.now() + 3_000,
    now: Date.now,
    random: Math.random,
  });
  const digests = Array.from({ length: options.count }, (_, index) => new Uint8Array(32).fill(index));
  const results = await signer.sign(digests, Date.now() + 3_000);
  console.log(results.filter((result) => 'signature' in result).length);
  await signer.close();
} catch (error) {
  console.log(error instanceof MintmarkError ? error.code : String(error));
  process.kill(process.pid, 'SIGKILL');
}

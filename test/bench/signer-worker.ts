/** The process of the signer bench: its options come, and its figures go, over IPC (signer.ts). */
import { createHash, createPublicKey, randomBytes, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { setTimeout as delay } from 'node:timers/promises';
import { CreateKeyCommand, GetPublicKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { writeFaults } from '../../local/pkcs11-shim/faults.ts';
import { openAwsKmsSigner } from '../../shared/signer/awskms.ts';
import { openPkcs11Signer } from '../../shared/signer/pkcs11.ts';
import { mechanismOf, signInput } from '../../shared/signer/pkcs11-mechanism.ts';
import { openSessions, type Pkcs11Binding, slotsOf } from '../../shared/signer/pkcs11-session.ts';
import { parsePkcs11Uri } from '../../shared/signer/pkcs11-uri.ts';
import type { Signer } from '../../shared/signer/port.ts';
import { rateOf, type Spread, spreadOf } from './measure.ts';

export interface SignerBenchOptions {
  readonly signerUri: string;
  readonly pin: string;
  /** DER */
  readonly certificate: Uint8Array;
  /** Path of the PKCS#11 library. */
  readonly library: string;
  /** Path of the shim before it, which makes signatures slow, and its faults file. */
  readonly shim: string;
  readonly faults: string;
  /** Of a stub for KMS. */
  readonly kmsEndpoint: string;
  readonly latencies: readonly number[];
  readonly sessions: readonly number[];
  readonly batches: readonly number[];
  readonly rounds: number;
  /** Of each measurement. */
  readonly milliseconds: number;
}

/** Signatures a second. */
export interface SignerFigures {
  readonly signer: 'pkcs11' | 'awskms';
  /** Milliseconds that each signature takes longer. */
  readonly latency: number;
  /** Of a `pkcs11:` signer. */
  readonly sessions?: number;
  readonly batch: number;
  readonly signatures: Spread;
}

/** Microseconds that a batch takes: by the signer, in a thread of its own, and by the library's calls in the caller's. */
export interface ThreadFigures {
  readonly batch: number;
  readonly inWorker: Spread;
  readonly inLine: Spread;
}

export type SignerBenchMessage =
  | { readonly progress: string }
  | { readonly figures: readonly SignerFigures[]; readonly thread: readonly ThreadFigures[] };

const far = (): number => Date.now() + 3_600_000;
const send = (message: SignerBenchMessage): void => void process.send?.(message);
const workerUrl = new URL('../../shared/signer/pkcs11-worker.ts', import.meta.url);

const digestsOf = (count: number): Uint8Array[] =>
  Array.from({ length: count }, () => createHash('sha256').update(randomBytes(600)).digest());

function signing(signer: Signer, batch: number): () => Promise<number> {
  const digests = digestsOf(batch);
  return async () => {
    for (const result of await signer.sign(digests, far())) if ('error' in result) throw result.error;
    return batch;
  };
}

async function measured(options: SignerBenchOptions, step: () => number | Promise<number>): Promise<number[]> {
  await step();
  const rates: number[] = [];
  for (let round = 0; round < options.rounds; round++) rates.push(await rateOf(options.milliseconds, step));
  return rates;
}

function openPkcs11(options: SignerBenchOptions, latency: number, sessions: number): Promise<Signer> {
  // Without the shim where it has nothing to do: its record costs more than a signature of SoftHSM2's.
  if (latency > 0) writeFaults(options.faults, [{ fault: 'slow', count: -1, milliseconds: latency }]);
  return openPkcs11Signer({
    uri: options.signerUri,
    library: latency > 0 ? options.shim : options.library,
    pin: Buffer.from(options.pin),
    certificatePublicKey: new X509Certificate(options.certificate).publicKey,
    sessions,
    workerUrl,
    deadline: far(),
    now: Date.now,
    random: Math.random,
  });
}

/** The client waits before each call, as for a network that is so much slower. */
async function openAwsKms(options: SignerBenchOptions, latency: number): Promise<Signer> {
  const credentials = { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: 'any' };
  const kms = new KMSClient({ region: 'eu-central-1', credentials, endpoint: options.kmsEndpoint });
  kms.middlewareStack.add(
    (next) => async (args) => {
      if (latency > 0) await delay(latency);
      return next(args);
    },
    { name: 'latency', step: 'deserialize', priority: 'low' },
  );
  const { KeyMetadata: created } = await kms.send(
    new CreateKeyCommand({ KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' }),
  );
  const keyId = created?.Arn ?? '';
  const { PublicKey: spki = new Uint8Array() } = await kms.send(new GetPublicKeyCommand({ KeyId: keyId }));
  return openAwsKmsSigner({
    kms,
    uri: `awskms:key-id=${keyId}`,
    certificatePublicKey: createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' }),
    deadline: far(),
    now: Date.now,
    onAskedAgain: () => {
      throw new Error('The stub of KMS had to be asked again.');
    },
  });
}

async function signatureRates(options: SignerBenchOptions): Promise<SignerFigures[]> {
  const figures: SignerFigures[] = [];
  const measure = async (signer: Signer, of: Pick<SignerFigures, 'signer' | 'latency' | 'sessions'>) => {
    for (const batch of options.batches) {
      send({ progress: `${of.signer}, ${of.latency} ms, ${of.sessions ?? 'no'} sessions, batches of ${batch}` });
      figures.push({ ...of, batch, signatures: spreadOf(await measured(options, signing(signer, batch))) });
    }
    await signer.close();
  };
  for (const latency of options.latencies) {
    for (const sessions of options.sessions) {
      await measure(await openPkcs11(options, latency, sessions), { signer: 'pkcs11', latency, sessions });
    }
    await measure(await openAwsKms(options, latency), { signer: 'awskms', latency });
  }
  return figures;
}

/** The same key by the library's own calls, one after the other, in this thread, which can do nothing else meanwhile. */
function inLine({ library, signerUri, pin }: SignerBenchOptions, batch: number) {
  const binding = createRequire(import.meta.url)('pkcs11js') as Pkcs11Binding;
  const pkcs11 = new binding.PKCS11();
  pkcs11.load(library);
  pkcs11.C_Initialize({ flags: binding.CKF_OS_LOCKING_OK });
  const uri = parsePkcs11Uri(signerUri);
  const [slot] = slotsOf(pkcs11, uri);
  if (slot === undefined) throw new Error('The token is not there.');
  const { sessions, privateKey, signatureLength } = openSessions(binding, pkcs11, slot, uri, Buffer.from(pin), 1);
  const [session] = sessions;
  if (session === undefined) throw new Error('There is no session.');
  const scheme = { algorithm: 'ecdsa', hash: 'sha256' } as const;
  const digests = digestsOf(batch);
  return {
    step: () => {
      for (const digest of digests) {
        pkcs11.C_SignInit(session, mechanismOf(scheme), privateKey);
        pkcs11.C_Sign(session, Buffer.from(signInput(scheme, digest)), Buffer.alloc(signatureLength));
      }
      return batch;
    },
    close: () => {
      pkcs11.C_Finalize();
      pkcs11.close();
    },
  };
}

async function threadCosts(options: SignerBenchOptions): Promise<ThreadFigures[]> {
  const figures: ThreadFigures[] = [];
  for (const batch of options.batches) {
    send({ progress: `in the worker and in line, batches of ${batch}` });
    const microseconds = (rates: readonly number[]) => spreadOf(rates.map((rate) => (1e6 * batch) / rate));
    const signer = await openPkcs11(options, 0, 1);
    const inWorker = microseconds(await measured(options, signing(signer, batch)));
    await signer.close();
    const direct = inLine(options, batch);
    figures.push({ batch, inWorker, inLine: microseconds(await measured(options, direct.step)) });
    direct.close();
  }
  return figures;
}

const [options] = (await once(process, 'message')) as [SignerBenchOptions];
send({ figures: await signatureRates(options), thread: await threadCosts(options) });
process.disconnect();

/**
 * The thread that the PKCS#11 library may block. It does what it is told (pkcs11-messages.ts) and decides nothing:
 * deadlines, retries and who may still log in are the signer's business (pkcs11.ts).
 */
import { createRequire } from 'node:module';
import { setTimeout as wait } from 'node:timers/promises';
import { parentPort } from 'node:worker_threads';
import type { PKCS11 } from 'pkcs11js';
import { MintmarkError } from '../errors.ts';
import type {
  CloseRequest,
  LostDigest,
  OpenRequest,
  SignRequest,
  WorkerPart,
  WorkerReply,
  WorkerRequest,
} from './pkcs11-messages.ts';
import {
  failureOf,
  numberOf,
  openSessions,
  type Pkcs11Binding,
  type Pkcs11Sessions,
  signDigest,
  slotsOf,
} from './pkcs11-session.ts';

/** SoftHSM2 may miss a token while another process opens it: this often is the search repeated, and so far apart. */
const TOKEN_SEARCHES = 5;
const TOKEN_SEARCH_PAUSE_MILLISECONDS = 40;

interface Loaded {
  readonly binding: Pkcs11Binding;
  readonly pkcs11: PKCS11;
}

if (parentPort === null) throw new Error('pkcs11-worker runs as a worker thread only');
const port = parentPort;
let loaded: Loaded | undefined;
let open: Pkcs11Sessions | undefined;

port.on('message', (request: WorkerRequest) => {
  void handle(request).then((reply) => {
    port.postMessage(reply);
    if (reply.type === 'closed') port.close();
  });
});

async function handle(request: WorkerRequest): Promise<WorkerReply> {
  switch (request.type) {
    case 'open':
      try {
        return await openKey(request);
      } catch (error) {
        return { type: 'refused', failure: failureOf(error) };
      } finally {
        request.pin.fill(0);
      }
    case 'sign':
      return signBatch(request);
    case 'close':
      close(request);
      return { type: 'closed' };
  }
}

async function openKey({ library, key, pin, restart, sessions }: OpenRequest): Promise<WorkerReply> {
  loaded ??= load(library);
  const { binding, pkcs11 } = loaded;
  open = undefined;
  if (restart) finalize(pkcs11);
  initialize(loaded);
  for (let search = 1; ; search += 1) {
    const [slot, other] = slotsOf(pkcs11, key);
    if (other !== undefined) {
      throw new MintmarkError('SIGNER_MISCONFIGURED', 'The signer URI names more than one token; add its serial.');
    }
    if (slot !== undefined) {
      open = openSessions(binding, pkcs11, slot, key, pin, sessions);
      return { type: 'opened', publicKey: open.publicKey };
    }
    if (search === TOKEN_SEARCHES) throw noToken(pkcs11);
    await wait(TOKEN_SEARCH_PAUSE_MILLISECONDS);
    finalize(pkcs11);
    initialize(loaded);
  }
}

/** A library that shows other tokens is not the one that was meant; one that shows none has lost its HSM. */
function noToken(pkcs11: PKCS11): MintmarkError {
  return pkcs11.C_GetSlotList(true).length === 0
    ? new MintmarkError('SIGNER_UNAVAILABLE', 'The PKCS#11 library shows no token at all: the HSM cannot be reached.')
    : new MintmarkError('SIGNER_MISCONFIGURED', 'The PKCS#11 library has no token that the signer URI names.');
}

/** @throws MintmarkError SIGNER_MISCONFIGURED; what the dynamic loader says is worth reading, and holds no secret */
function load(library: string): Loaded {
  try {
    const binding = createRequire(import.meta.url)('pkcs11js') as Pkcs11Binding;
    const pkcs11 = new binding.PKCS11();
    pkcs11.load(library);
    return { binding, pkcs11 };
  } catch (error) {
    const reason = error instanceof Error ? error.message.split('\n', 1)[0] : String(error);
    throw new MintmarkError('SIGNER_MISCONFIGURED', `The PKCS#11 library cannot be loaded: ${reason}`, {
      cause: error,
    });
  }
}

function initialize({ binding, pkcs11 }: Loaded): void {
  try {
    pkcs11.C_Initialize({ flags: binding.CKF_OS_LOCKING_OK });
  } catch (error) {
    // The library is the process's, not the thread's: another signer, or an earlier worker, has initialised it.
    if (numberOf(error) !== binding.CKR_CRYPTOKI_ALREADY_INITIALIZED) throw error;
  }
}

/** A library that cannot even shut down is judged by what comes next, C_Initialize and C_OpenSession. */
function finalize(pkcs11: PKCS11): void {
  try {
    pkcs11.C_Finalize();
  } catch (error) {
    if (numberOf(error) === undefined) throw error;
  }
}

/** Each session takes the next digest when it has answered one, until the time is over or a session has gone. */
async function signBatch({ scheme, digests, milliseconds }: SignRequest): Promise<WorkerReply> {
  if (loaded === undefined || open === undefined) throw new Error('No PKCS#11 session is open');
  const [{ binding, pkcs11 }, keyAndSessions] = [loaded, open];
  const end = performance.now() + milliseconds;
  const waiting = digests.entries();
  const lost: LostDigest[] = [];
  const signIn = async (session: Buffer): Promise<void> => {
    while (lost.length === 0 && performance.now() < end) {
      const next = waiting.next();
      if (next.done === true) return;
      const [index, digest] = next.value;
      try {
        const signature = await signDigest(binding, pkcs11, keyAndSessions, session, scheme, digest);
        port.postMessage({ type: 'signed', index, signature } satisfies WorkerPart);
      } catch (error) {
        const failure = failureOf(error);
        if (failure.returnValue?.kind === 'session') lost.push({ index, failure });
        else port.postMessage({ type: 'not-signed', index, failure } satisfies WorkerPart);
      }
    }
  };
  await Promise.all(keyAndSessions.sessions.map(signIn));
  return { type: 'batch-ended', lost };
}

function close({ finalize: last }: CloseRequest): void {
  if (loaded === undefined) return;
  for (const session of open?.sessions ?? []) {
    try {
      loaded.pkcs11.C_CloseSession(session);
    } catch (error) {
      // A session that is gone is closed.
      if (numberOf(error) === undefined) throw error;
    }
  }
  if (last) finalize(loaded.pkcs11);
  loaded.pkcs11.close();
}

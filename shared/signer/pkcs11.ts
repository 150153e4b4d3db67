import { createPublicKey, type KeyObject } from 'node:crypto';
import { MintmarkError } from '../errors.ts';
import { Pkcs11Library } from './pkcs11-library.ts';
import type { Failure, WorkerPart, WorkerReply } from './pkcs11-messages.ts';
import { refusesPin } from './pkcs11-return-values.ts';
import { Pkcs11Thread } from './pkcs11-thread.ts';
import { type Pkcs11Uri, parsePkcs11Uri } from './pkcs11-uri.ts';
import type { SignatureScheme, Signer, SignResult } from './port.ts';
import { refuseDigest, schemeOf } from './scheme.ts';

export interface Pkcs11SignerOptions {
  /** `pkcs11:token=...;object=...;type=private` */
  readonly uri: string;
  /** The PKCS#11 library's path. */
  readonly library: string;
  /**
   * UTF-8 (CloudHSM: `user:password`). Copied, and kept while the signer is open: a session that is lost after an idle
   * time is opened again without asking KMS. The caller may overwrite its own.
   */
  readonly pin: Uint8Array;
  /** The issuer certificate's public key; the HSM must hold its private key. */
  readonly certificatePublicKey: KeyObject;
  /** Default: ECDSA with the hash of the curve's size, RSA PKCS#1 v1.5 with SHA-256. */
  readonly scheme?: SignatureScheme;
  /** pkcs11-worker.ts, or its bundle. */
  readonly workerUrl: URL;
  /**
   * The PIN is sent to the HSM whatever this process has sent before: a login is the process's, so where another signer of the
   * same token has logged in, a wrong PIN would go unnoticed. Other signers of the library lose their sessions by it, and
   * open new ones at their next signature.
   */
  readonly logsInAnew?: boolean;
  /**
   * How many digests the HSM signs at a time, a session each; default: one. Each keeps one of libuv's threads for as long as the
   * HSM takes (UV_THREADPOOL_SIZE), which the process has other use for.
   */
  readonly sessions?: number;
  /**
   * Told before digests are handed to the HSM once more that it was busy with, or lost the session at: that many signatures more
   * are asked for than `sign` was, and it may have made them the first time.
   */
  readonly onAskedAgain?: (signatures: number) => void;
  /** Told when a session that was lost has been opened again, with how often by now. */
  readonly onRecovered?: (recoveries: number) => void;
  /** When opening must be done, in milliseconds since the epoch. */
  readonly deadline: number;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** From 0 to 1, 1 excluded. */
  readonly random: () => number;
}

export interface Pkcs11Signer extends Signer {
  /**
   * The HSM has been asked something whose deadline is past, and has not answered yet. Until it does, `sign` answers
   * SIGNER_UNAVAILABLE at once. A thread that is blocked in a PKCS#11 call cannot be ended, and process.exit waits for
   * it: a process that will not wait ends itself with SIGKILL.
   */
  readonly stuck: boolean;
  /** How often the session was lost and opened again. */
  readonly recoveries: number;
}

/**
 * Milliseconds, at most and half of it at least, before a digest that a busy HSM refused is handed to it again: AWS advises
 * exponential backoff with jitter (AWS CloudHSM User Guide, "HSM throttling"). What is refused once more after these is for the
 * queue, whose messages wait longer, and for the breaker.
 */
const busyPauses: readonly number[] = [100, 200, 400, 800];
/** Longest time that closing waits for C_Finalize before it leaves the thread behind. */
const CLOSE_MILLISECONDS = 5_000;
/** The longest delay that setTimeout takes. */
const TIMER_LIMIT_MILLISECONDS = 2 ** 31 - 1;

/**
 * Loads the library, logs in and finds the key, all in a worker.
 *
 * @throws MintmarkError SIGNER_MISCONFIGURED (URI, library, key, certificate), SIGNER_PIN_REFUSED, SIGNER_UNAVAILABLE,
 *   SIGNER_DEADLINE (the thread is left behind in the library, see `stuck`). After a refused PIN do not open
 *   again with the same one: HSMs lock users out after a few.
 */
export async function openPkcs11Signer(options: Pkcs11SignerOptions): Promise<Pkcs11Signer> {
  const key = parsePkcs11Uri(options.uri);
  if (key.object === undefined && key.id === undefined) {
    throw new MintmarkError('SIGNER_MISCONFIGURED', 'The signer URI must name the key by object, id or both.');
  }
  if (key.type !== undefined && key.type !== 'private') {
    throw new MintmarkError('SIGNER_MISCONFIGURED', 'The signer URI must have type=private, or no type.');
  }
  const scheme = schemeOf(options.certificatePublicKey, options.scheme);

  const signer = new OpenPkcs11Signer(options, key, scheme);
  const failure = await signer.open(options.deadline);
  if (failure !== undefined) {
    await signer.close();
    throw failure;
  }
  return signer;
}

/**
 * Whether a thread of this process is in the library beyond its deadline, that of a signer that never opened included.
 * Such a thread cannot be ended; only the process can, and not by process.exit, which waits for it.
 */
export function isPkcs11LibraryStuck(path: string): boolean {
  return Pkcs11Library.at(path).overdue.size > 0;
}

/** A promise for a moment, with a way to forget it. */
function expiry(milliseconds: number): { readonly expired: Promise<'expired'>; readonly cancel: () => void } {
  const { promise: expired, resolve } = Promise.withResolvers<'expired'>();
  const delay = Math.min(Math.max(milliseconds, 0), TIMER_LIMIT_MILLISECONDS);
  const timer = setTimeout(() => resolve('expired'), delay);
  return { expired, cancel: () => clearTimeout(timer) };
}

class OpenPkcs11Signer implements Pkcs11Signer {
  readonly uri: string;
  readonly scheme: SignatureScheme;
  readonly publicKey: KeyObject;

  readonly #key: Pkcs11Uri;
  readonly #path: string;
  readonly #library: Pkcs11Library;
  readonly #workerUrl: URL;
  readonly #now: () => number;
  readonly #random: () => number;
  readonly #sessions: number;
  readonly #onAskedAgain: (signatures: number) => void;
  readonly #onRecovered: (recoveries: number) => void;
  readonly #pin: Uint8Array;
  readonly #logsInAnew: boolean;
  #thread: Pkcs11Thread;
  #sessionOpen = false;
  /** The library's initialisation that the session belongs to, or was tried in. */
  #initialisation: number | undefined;
  #overdue = false;
  #recoveries = 0;
  /** Why there will be no further login, where another could lock the user out. */
  #pinRefused: MintmarkError | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: Pkcs11SignerOptions, key: Pkcs11Uri, scheme: SignatureScheme) {
    this.uri = options.uri;
    this.scheme = scheme;
    this.publicKey = options.certificatePublicKey;
    this.#key = key;
    this.#path = options.library;
    this.#library = Pkcs11Library.at(options.library);
    this.#workerUrl = options.workerUrl;
    this.#now = options.now;
    this.#random = options.random;
    this.#sessions = options.sessions ?? 1;
    this.#onAskedAgain = options.onAskedAgain ?? (() => undefined);
    this.#onRecovered = options.onRecovered ?? (() => undefined);
    this.#pin = Uint8Array.from(options.pin);
    this.#logsInAnew = options.logsInAnew ?? false;
    this.#library.enter();
    this.#thread = new Pkcs11Thread(options.workerUrl);
  }

  get stuck(): boolean {
    return this.#overdue;
  }

  get recoveries(): number {
    return this.#recoveries;
  }

  /** @returns why it could not be opened */
  open(deadline: number): Promise<MintmarkError | undefined> {
    return this.#inTurn(deadline, (expired) => this.#openSession(expired));
  }

  async sign(digests: readonly Uint8Array[], deadline: number): Promise<SignResult[]> {
    const results: (SignResult | undefined)[] = digests.map((digest) => {
      const error = refuseDigest(this.scheme.hash, digest);
      return error === undefined ? undefined : { error };
    });
    const failure = await this.#inTurn(deadline, (expired) => this.#signAll(digests, results, deadline, expired));
    // A copy: what a late worker still puts into `results` is nobody's answer any more.
    return results.map(
      (result) => result ?? { error: failure ?? unavailable('The PKCS#11 worker left a digest out.') },
    );
  }

  close(): Promise<void> {
    this.#closing ??= this.#shutDown();
    return this.#closing;
  }

  /**
   * Run something against the library when it is free, unless there is a reason not to, or the deadline comes first.
   *
   * @returns the reason, the lateness or what `run` says went wrong
   */
  async #inTurn(
    deadline: number,
    run: (expired: Promise<'expired'>) => Promise<MintmarkError | undefined>,
  ): Promise<MintmarkError | undefined> {
    const refusal = this.#refusal(deadline);
    if (refusal !== undefined) return refusal;
    const { expired, cancel } = expiry(deadline - this.#now());
    try {
      const release = await this.#library.takeTurn(expired);
      if (release === undefined) return pastDeadline();
      try {
        // Much may have happened in the meantime.
        return this.#refusal(deadline) ?? (await run(expired));
      } finally {
        release();
      }
    } finally {
      cancel();
    }
  }

  #refusal(deadline: number): MintmarkError | undefined {
    if (this.#closing !== undefined) return unavailable('The signer is closed.');
    if (this.#pinRefused !== undefined) return this.#pinRefused;
    if (this.#overdue) return unavailable('The HSM has still not answered an earlier call.');
    if (deadline <= this.#now()) return pastDeadline();
    return undefined;
  }

  /** @returns the error of every digest that has no result of its own */
  async #signAll(
    digests: readonly Uint8Array[],
    results: (SignResult | undefined)[],
    deadline: number,
    expired: Promise<'expired'>,
  ): Promise<MintmarkError | undefined> {
    const lostBefore = new Set<number>();
    let busyRounds = 0;
    for (;;) {
      const left = [...digests.keys()].filter((index) => results[index] === undefined);
      if (left.length === 0) return undefined;
      // A session of an earlier initialisation is gone; its handles may be another signer's by now.
      const isStale = this.#initialisation !== this.#library.initialisation;
      if (!this.#sessionOpen || this.#thread.dead || isStale) {
        const failure = await this.#openSession(expired);
        if (failure !== undefined) return failure;
      }
      const busy = new Map<number, SignResult>();
      const reply = await this.#askToSign(digests, left, results, busy, deadline, expired);
      if (reply instanceof MintmarkError || reply.type !== 'batch-ended') {
        giveUp(busy, results);
        return reply instanceof MintmarkError ? reply : unexpected(reply);
      }
      const lost = reply.lost.map(({ index, failure }) => ({ index: left[index] as number, failure }));
      // Each digest is tried once more in a new session; one that loses that too speaks for all that are left.
      const lostAgain = lost.find(({ index }) => lostBefore.has(index));
      if (lostAgain !== undefined) {
        giveUp(busy, results);
        return errorOf(lostAgain.failure);
      }
      for (const { index } of lost) lostBefore.add(index);
      if (busy.size > 0 && !(await this.#pauses(busyRounds++, deadline, expired))) {
        giveUp(busy, results);
        busy.clear();
      }
      const again = lost.length + busy.size;
      if (again > 0) this.#onAskedAgain(again);
      else if (left.some((index) => results[index] === undefined)) return pastDeadline();
    }
  }

  /** @param busy gets those that a busy HSM refused, with the error that they have if nobody asks again */
  #askToSign(
    digests: readonly Uint8Array[],
    left: readonly number[],
    results: (SignResult | undefined)[],
    busy: Map<number, SignResult>,
    deadline: number,
    expired: Promise<'expired'>,
  ): Promise<WorkerReply | MintmarkError> {
    const onPart = (part: WorkerPart) => {
      const index = left[part.index] as number;
      if (part.type === 'signed') results[index] = { signature: part.signature };
      else if (part.failure.returnValue?.kind === 'transient') busy.set(index, { error: errorOf(part.failure) });
      else results[index] = { error: errorOf(part.failure) };
    };
    const milliseconds = deadline - this.#now();
    return this.#ask(expired, () =>
      this.#thread.ask(
        {
          type: 'sign',
          scheme: this.scheme,
          digests: left.map((index) => digests[index] as Uint8Array),
          milliseconds,
        },
        { onPart },
      ),
    );
  }

  /** Waits for an HSM that is busy. @returns whether it is to be asked again */
  async #pauses(round: number, deadline: number, expired: Promise<'expired'>): Promise<boolean> {
    const longest = busyPauses[round];
    if (longest === undefined) return false;
    const pause = (longest * (1 + this.#random())) / 2;
    if (this.#now() + pause >= deadline) return false;
    const { expired: over, cancel } = expiry(pause);
    await Promise.race([over, expired]);
    cancel();
    return true;
  }

  /**
   * A new session, in a library that is initialised anew when this signer has tried its present initialisation before:
   * only that brings back a connection that died. Or when it is to log in itself: finalising ends every login.
   * @returns why there is none
   */
  async #openSession(expired: Promise<'expired'>): Promise<MintmarkError | undefined> {
    if (this.#thread.dead) this.#thread = new Pkcs11Thread(this.#workerUrl);
    const again = this.#initialisation !== undefined;
    const restart = again ? this.#initialisation === this.#library.initialisation : this.#logsInAnew;
    if (restart) this.#library.initialisation += 1;
    this.#initialisation = this.#library.initialisation;
    const pin = Uint8Array.from(this.#pin);
    const reply = await this.#ask(expired, () =>
      this.#thread.ask(
        { type: 'open', library: this.#path, key: this.#key, pin, restart, sessions: this.#sessions },
        { transfer: [pin.buffer] },
      ),
    );
    if (reply instanceof MintmarkError) return reply;
    if (reply.type === 'opened') {
      if (again) {
        this.#recoveries += 1;
        this.#onRecovered(this.#recoveries);
      }
      return undefined;
    }
    return reply.type === 'refused' ? errorOf(reply.failure) : unexpected(reply);
  }

  /**
   * Ask the thread and wait until `expired`. What the reply says of the session is noted whenever it comes, so that a
   * thread that was late can be used again.
   */
  async #ask(expired: Promise<'expired'>, ask: () => Promise<WorkerReply>): Promise<WorkerReply | MintmarkError> {
    const thread = this.#thread;
    const replied = ask().then(
      (reply) => {
        this.#library.overdue.delete(thread);
        return this.#note(reply);
      },
      (error: unknown) => {
        this.#library.overdue.delete(thread);
        this.#overdue = false;
        this.#sessionOpen = false;
        return error instanceof MintmarkError ? error : unavailable('The PKCS#11 worker could not be asked.', error);
      },
    );
    const outcome = await Promise.race([replied, expired]);
    if (outcome !== 'expired') return outcome;
    this.#overdue = thread.busy;
    if (this.#overdue) this.#library.overdue.add(thread);
    return pastDeadline();
  }

  #note(reply: WorkerReply): WorkerReply | MintmarkError {
    this.#overdue = false;
    switch (reply.type) {
      case 'opened':
        if (!isSameKey(reply.publicKey, this.publicKey)) {
          const message = "The HSM's key is not the one in the issuer's certificate.";
          return new MintmarkError('SIGNER_MISCONFIGURED', message);
        }
        this.#sessionOpen = true;
        return reply;
      case 'refused': {
        this.#sessionOpen = false;
        const { returnValue } = reply.failure;
        if (returnValue !== undefined && refusesPin(returnValue)) {
          this.#pinRefused = errorOf(reply.failure);
          this.#pin.fill(0);
        }
        return reply;
      }
      case 'batch-ended':
        if (reply.lost.length > 0) this.#sessionOpen = false;
        return reply;
      case 'closed':
        return reply;
    }
  }

  async #shutDown(): Promise<void> {
    const { expired, cancel } = expiry(CLOSE_MILLISECONDS);
    try {
      const release = this.#overdue ? undefined : await this.#library.takeTurn(expired);
      const last = this.#library.leave();
      if (release !== undefined) {
        if (!this.#thread.dead && !this.#thread.busy) {
          const closed = this.#thread.ask({ type: 'close', finalize: last }).then(() => this.#thread.ended);
          // A thread that dies while it closes has closed.
          await Promise.race([closed.catch(() => undefined), expired]);
        }
        release();
      }
      // Not waited for: when it is blocked in the library, that may take as long as the library likes.
      if (!this.#thread.dead) this.#thread.abandon();
    } finally {
      this.#pin.fill(0);
      cancel();
    }
  }
}

/** Those keep the error that they have. */
function giveUp(busy: ReadonlyMap<number, SignResult>, results: (SignResult | undefined)[]): void {
  for (const [index, result] of busy) results[index] = result;
}

function isSameKey(subjectPublicKeyInfo: Uint8Array, publicKey: KeyObject): boolean {
  return createPublicKey({ key: Buffer.from(subjectPublicKeyInfo), format: 'der', type: 'spki' }).equals(publicKey);
}

function errorOf({ code, message }: Failure): MintmarkError {
  return new MintmarkError(code, message);
}

function pastDeadline(): MintmarkError {
  return new MintmarkError('SIGNER_DEADLINE', 'The HSM did not answer by the deadline.');
}

function unavailable(message: string, cause?: unknown): MintmarkError {
  return new MintmarkError('SIGNER_UNAVAILABLE', message, { cause });
}

function unexpected(reply: WorkerReply): MintmarkError {
  return new MintmarkError('INTERNAL', `The PKCS#11 worker answered ${reply.type} to something else.`);
}

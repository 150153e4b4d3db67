import { Worker } from 'node:worker_threads';
import { MintmarkError } from '../errors.ts';
import type { WorkerPart, WorkerReply, WorkerRequest } from './pkcs11-messages.ts';

interface Question {
  readonly onPart: (part: WorkerPart) => void;
  readonly resolve: (reply: WorkerReply) => void;
  readonly reject: (error: Error) => void;
}

/**
 * The worker as the signer sees it: one question at a time, answered by one reply, with its parts before it.
 *
 * There is no way to end a thread that is blocked in a PKCS#11 call: `terminate` takes effect when the call returns, and
 * so does `process.exit`, which waits for its threads. So nobody here waits for a thread to end without a limit, and
 * only SIGKILL ends a process with a blocked one.
 */
export class Pkcs11Thread {
  readonly #worker: Worker;
  readonly #ended: Promise<void>;
  #question: Question | undefined;
  #dead: MintmarkError | undefined;

  /** @param workerUrl pkcs11-worker.ts, or the bundle made of it */
  constructor(workerUrl: URL) {
    // No inherited options: those of a debugger or a test runner have no business in this thread.
    this.#worker = new Worker(workerUrl, { name: 'pkcs11', execArgv: [] });
    // It must not keep a process alive that has nothing else to do; whoever waits for an answer has a timer.
    this.#worker.unref();
    this.#worker.on('message', (message: WorkerPart | WorkerReply) => this.#receive(message));
    this.#worker.on('error', (error) => this.#die(`failed: ${error.message}`, error));
    this.#ended = new Promise((resolve) => {
      this.#worker.on('exit', (status) => {
        this.#die(`ended with status ${status}`);
        resolve();
      });
    });
  }

  /** Whether a question is out that has no reply yet. */
  get busy(): boolean {
    return this.#question !== undefined;
  }

  get dead(): boolean {
    return this.#dead !== undefined;
  }

  /** @throws MintmarkError SIGNER_UNAVAILABLE when the thread is dead or dies before it replies */
  ask(
    request: WorkerRequest,
    options: { readonly transfer?: ArrayBuffer[]; readonly onPart?: (part: WorkerPart) => void } = {},
  ): Promise<WorkerReply> {
    if (this.#dead !== undefined) return Promise.reject(this.#dead);
    if (this.busy) throw new Error('The PKCS#11 worker is asked one thing at a time');
    const { transfer = [], onPart = () => undefined } = options;
    return new Promise((resolve, reject) => {
      this.#question = { onPart, resolve, reject };
      this.#worker.postMessage(request, transfer);
    });
  }

  /** Let go of it: it ends now, or when the PKCS#11 call that it is in returns. */
  abandon(): void {
    void this.#worker.terminate();
  }

  get ended(): Promise<void> {
    return this.#ended;
  }

  #receive(message: WorkerPart | WorkerReply): void {
    const question = this.#question;
    if (question === undefined) return this.#die('answered what it was not asked');
    if (message.type === 'signed' || message.type === 'not-signed') return question.onPart(message);
    this.#question = undefined;
    question.resolve(message);
  }

  #die(how: string, cause?: Error): void {
    if (this.#dead !== undefined) return;
    this.#dead = new MintmarkError('SIGNER_UNAVAILABLE', `The PKCS#11 worker ${how}.`, { cause });
    this.#question?.reject(this.#dead);
    this.#question = undefined;
  }
}

import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { InvokeMessage, RuntimeMessage } from './protocol.ts';
import { lifelineDescriptor } from './protocol.ts';

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** The process could not be started at all. */
  readonly spawnError?: Error;
}

/** What the other side does next: says something, or ends. A process says nothing after its end. */
export type RuntimeEvent = { readonly message: RuntimeMessage } | { readonly exit: Exit };

const entry = fileURLToPath(new URL('./runtime.ts', import.meta.url));

/** The process of one execution environment: leader of its own group, ended with its parent (lifeline.ts). */
export class RuntimeProcess {
  /** Undefined when the process could not be started. */
  readonly pid: number | undefined;
  readonly exited: Promise<Exit>;
  readonly #child: ChildProcess;
  readonly #said: RuntimeMessage[] = [];
  #heard: (() => void) | undefined;

  /** @param environment all of the process's environment variables; nothing else is inherited */
  constructor(environment: Readonly<Record<string, string>>, cwd: string, onLine: (pid: number, text: string) => void) {
    this.#child = spawn(process.execPath, [entry], {
      cwd,
      env: environment,
      detached: true,
      // 3 is the IPC channel, 4 the lifeline (protocol.ts).
      stdio: ['ignore', 'pipe', 'pipe', 'ipc', 'pipe'],
      serialization: 'json',
    });
    const pid = this.#child.pid;
    this.pid = pid;
    if (pid !== undefined) {
      for (const stream of [this.#child.stdout, this.#child.stderr]) {
        if (stream !== null) onLines(stream, (text) => onLine(pid, text));
      }
      // A killed child resets its end; its death is what `exited` tells.
      this.#child.stdio[lifelineDescriptor]?.on('error', () => {});
    }
    this.#child.on('message', (message) => {
      this.#said.push(message as RuntimeMessage);
      this.#heard?.();
    });
    this.exited = this.#watch();
  }

  /** Waits for what comes next; to be called by one at a time. */
  async next(): Promise<RuntimeEvent> {
    for (;;) {
      const message = this.#said.shift();
      if (message !== undefined) return { message };
      const heard = new Promise<undefined>((resolve) => {
        this.#heard = () => resolve(undefined);
      });
      const exit = await Promise.race([heard, this.exited]);
      if (exit !== undefined && this.#said.length === 0) return { exit };
    }
  }

  send(message: InvokeMessage): void {
    // A channel that is closed belongs to a process that has ended or is about to: `next` says so.
    this.#child.send(message, () => {});
  }

  /** Kills the process and all that it started; resolves when it is gone. */
  async kill(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#killGroup();
    await this.exited;
  }

  #watch(): Promise<Exit> {
    const child = this.#child;
    return new Promise((resolve) => {
      let exit: Exit | undefined;
      let disconnected = false;
      // The channel's end comes after everything that was said on it; 'exit' alone may come before.
      const settle = () => {
        if (exit !== undefined && disconnected) resolve(exit);
      };
      child.once('exit', (code, signal) => {
        exit = { code, signal };
        this.#killGroup();
        settle();
      });
      child.once('disconnect', () => {
        disconnected = true;
        settle();
      });
      child.once('error', (spawnError) => {
        if (this.pid === undefined) resolve({ code: null, signal: null, spawnError });
      });
    });
  }

  #killGroup(): void {
    if (this.pid === undefined) return;
    try {
      process.kill(-this.pid, 'SIGKILL');
    } catch (error) {
      // ESRCH: nothing of the group is left, which is what was wanted.
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
}

function onLines(stream: Readable, onLine: (text: string) => void): void {
  createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY }).on('line', onLine);
}

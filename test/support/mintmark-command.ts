import { type ChildProcessByStdio, type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

const command = fileURLToPath(new URL('../../local/setup/mintmark.mjs', import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The mintmark command as a process, with an environment of its own: nothing of this process's AWS settings. */
export class MintmarkCommand {
  readonly #environment: () => NodeJS.ProcessEnv;

  /** @param environment asked for at each start */
  constructor(environment: () => NodeJS.ProcessEnv) {
    this.#environment = environment;
  }

  start(args: readonly string[], over: NodeJS.ProcessEnv = {}): ChildProcessByStdio<null, Readable, Readable> {
    return spawn(process.execPath, [command, ...args], { env: this.#all(over), stdio: ['ignore', 'pipe', 'pipe'] });
  }

  /** With a pipe to its stdin, which whoever starts it ends. */
  startPiped(args: readonly string[], over: NodeJS.ProcessEnv = {}): ChildProcessWithoutNullStreams {
    return spawn(process.execPath, [command, ...args], { env: this.#all(over) });
  }

  #all(over: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
    return { PATH: process.env['PATH'], AWS_EC2_METADATA_DISABLED: 'true', ...this.#environment(), ...over };
  }

  async run(args: readonly string[], over?: NodeJS.ProcessEnv): Promise<Ended> {
    const child = this.start(args, over);
    const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
    return { code: code as number | null, stdout, stderr };
  }

  /** With --json: stdout is one JSON value whatever happens. */
  async json(...args: readonly string[]): Promise<{ readonly code: number | null; readonly value: unknown }> {
    const { code, stdout } = await this.run([...args, '--json']);
    return { code, value: JSON.parse(stdout) as unknown };
  }
}

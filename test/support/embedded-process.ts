import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { until } from './embedded-until.ts';

const project = fileURLToPath(new URL('../../', import.meta.url));

/** Milliseconds that a start may take on a machine that is busy with other things. */
const startLimit = 60_000;

export interface RunningProcess {
  readonly pid: number;
  readonly commandLine: string;
  /** NUL between variables. */
  readonly environment: string;
}

/** A temporary folder of its own for `node local/start.ts`: what is in it, and who speaks of it, is that start's. */
export class StartFolder {
  /** Where the system's temporary folder is for the starts. */
  readonly temporary = mkdtempSync(join(tmpdir(), 'mintmark-start-'));
  readonly #started: ChildProcess[] = [];

  start(...args: readonly string[]): StartedProcess {
    return this.startWith({}, ...args);
  }

  /** @param environment over this process's */
  startWith(environment: NodeJS.ProcessEnv, ...args: readonly string[]): StartedProcess {
    const child = spawn(process.execPath, ['local/start.ts', ...args], {
      cwd: project,
      env: { ...process.env, ...environment, TMPDIR: this.temporary },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#started.push(child);
    return new StartedProcess(child);
  }

  /** The state folders that are there now. */
  states(): string[] {
    return readdirSync(this.temporary)
      .filter((name) => name.startsWith('mintmark-local-'))
      .map((name) => join(this.temporary, name));
  }

  /** Every process that was started from here, whoever its parent is by now: the folder is in its environment. */
  processes(): RunningProcess[] {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .flatMap((pid): RunningProcess[] => {
        const [commandLine, environment] = [procFile(pid, 'cmdline'), procFile(pid, 'environ')];
        const isOurs = `${commandLine}${environment}`.includes(this.temporary);
        return isOurs ? [{ pid: Number(pid), commandLine, environment }] : [];
      });
  }

  async withoutProcesses(limit?: number): Promise<void> {
    await until(() => this.processes().length === 0, 'end of every process', limit);
  }

  async remove(): Promise<void> {
    for (const child of this.#started) child.kill('SIGKILL');
    await this.withoutProcesses();
    rmSync(this.temporary, { recursive: true, force: true });
  }
}

/** Empty for a process that is gone. */
function procFile(pid: string, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'latin1');
  } catch (error) {
    if (['ENOENT', 'ESRCH', 'EACCES'].includes((error as NodeJS.ErrnoException).code ?? '')) return '';
    throw error;
  }
}

export class StartedProcess {
  readonly exited: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
  readonly #child: ChildProcess;
  #output = '';
  #errors = '';

  constructor(child: ChildProcess) {
    this.#child = child;
    child.stdout?.on('data', (data: Buffer) => (this.#output += data.toString()));
    child.stderr?.on('data', (data: Buffer) => (this.#errors += data.toString()));
    // 'close' comes after the last output.
    this.exited = once(child, 'close').then(([code, signal]) => ({ code, signal }));
  }

  get output(): string {
    return this.#output;
  }

  get errors(): string {
    return this.#errors;
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Resolves when the process has written this. */
  async says(text: string, limit = startLimit): Promise<void> {
    await until(
      () => {
        if (this.#output.includes(text)) return true;
        if (this.#child.exitCode === null && this.#child.signalCode === null) return false;
        throw new Error(`It ended without saying "${text}": ${this.#output}${this.#errors}`);
      },
      `"${text}"`,
      limit,
    );
  }
}

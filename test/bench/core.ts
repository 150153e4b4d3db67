import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createLocalKeysInChild } from '../../local/ca/child.ts';
import { readInstalled } from '../../local/setup/installed.ts';
import { tokenEnvironment } from '../../local/softhsm/token.ts';
import type { CorePhase, CoreRate, CoreWorkerOptions } from './core-worker.ts';
import { type Spread, spreadOf } from './measure.ts';

/** Each a second, by all workers together. */
export interface CoreFigures {
  readonly workers: number;
  readonly verifications: Spread;
  readonly signatures: Spread;
  /** B = 1 / (2 / verify + 1 / sign): what a process could do that did nothing but the arithmetic, one after the other. */
  readonly bound: Spread;
  readonly certificates: Spread;
  /** Certificates against the bound, round by round. */
  readonly ratio: Spread;
  /** Certificates with the work of AWS's clients and the announcement, up to the network. */
  readonly certificatesWithClients: Spread;
}

/** As Lambda hands messages over. */
export const batchSize = 10;
export const rounds = 5;
/** Of each phase of a round, as long for what is measured as for what it is measured against. */
export const milliseconds = 1500;

/**
 * Certificates a second of the issuing core: shared/issuance and shared/ledger from the message to the stored certificate,
 * with the HSM's worker and SoftHSM2 behind it, as Lambda's process does it. Not in it: the network, and the function's
 * log lines. AWS's clients are left out in one figure, and in the other answered where they would go to the network.
 * @param workerCounts processes, one measurement for each number of them
 * @param onProgress a sentence now and then
 */
export async function benchCore(
  workerCounts: readonly number[],
  onProgress: (what: string) => unknown,
): Promise<CoreFigures[]> {
  const directory = mkdtempSync(join(tmpdir(), 'mintmark-bench-'));
  try {
    const { softhsm2Library: library } = readInstalled();
    const baseUrl = 'http://127.0.0.1';
    const crlShardCount = 4;
    const { localCa } = await createLocalKeysInChild({
      directory,
      library,
      baseUrl,
      issuerId: 'devices',
      crlShardCount,
      now: Date.now(),
    });
    const options: CoreWorkerOptions = {
      issuer: {
        issuerId: 'devices',
        state: 'active',
        certificate: localCa.issuingCertificate,
        chain: [localCa.rootCertificate],
        signerUri: localCa.signerUri,
        sealedPins: {},
        baseUrl,
        crlShardCount,
      },
      pin: localCa.pin ?? '',
      library,
      batchSize,
    };
    const figures: CoreFigures[] = [];
    for (const count of workerCounts) figures.push(await benchWorkers(count, options, directory, onProgress));
    return figures;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function benchWorkers(
  count: number,
  options: CoreWorkerOptions,
  directory: string,
  onProgress: (what: string) => unknown,
): Promise<CoreFigures> {
  const workers = Array.from({ length: count }, () => new CoreWorker(directory));
  try {
    await Promise.all(workers.map((worker) => worker.start(options)));
    const measured = { verify: [] as number[], sign: [] as number[], core: [] as number[], clients: [] as number[] };
    const bounds: number[] = [];
    const ratios: number[] = [];
    for (let round = 1; round <= rounds; round++) {
      onProgress(`${count} worker${count === 1 ? '' : 's'}, round ${round} of ${rounds}`);
      const verify = await measure(workers, 'verify');
      const sign = await measure(workers, 'sign');
      const core = await measure(workers, 'core');
      const clients = await measure(workers, 'clients');
      // Each worker's own bound, for each has its own share of the machine.
      const bound = sum(workers.map((_, index) => 1 / (2 / (verify[index] ?? 0) + 1 / (sign[index] ?? 0))));
      measured.verify.push(sum(verify));
      measured.sign.push(sum(sign));
      measured.core.push(sum(core));
      measured.clients.push(sum(clients));
      bounds.push(bound);
      ratios.push(sum(core) / bound);
    }
    await Promise.all(workers.map((worker) => worker.end()));
    return {
      workers: count,
      verifications: spreadOf(measured.verify),
      signatures: spreadOf(measured.sign),
      bound: spreadOf(bounds),
      certificates: spreadOf(measured.core),
      ratio: spreadOf(ratios),
      certificatesWithClients: spreadOf(measured.clients),
    };
  } finally {
    for (const worker of workers) worker.kill();
  }
}

/** All workers begin together. */
async function measure(workers: readonly CoreWorker[], phase: CorePhase['phase']): Promise<CoreRate[]> {
  await Promise.all(workers.map((worker) => worker.prepare({ phase, milliseconds })));
  return Promise.all(workers.map((worker) => worker.measure()));
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

class CoreWorker {
  readonly #child: ChildProcess;
  readonly #failed: Promise<never>;

  constructor(directory: string) {
    this.#child = fork(fileURLToPath(new URL('./core-worker.ts', import.meta.url)), [], {
      serialization: 'advanced',
      execArgv: ['--expose-gc'],
      env: { ...process.env, ...tokenEnvironment(directory) },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    this.#failed = once(this.#child, 'exit').then(([code, signal]) => {
      throw new Error(`A worker of the bench ended (${signal ?? code}); what it said is above.`);
    });
    // Whoever waits for an answer hears of it.
    this.#failed.catch(() => undefined);
  }

  async start(options: CoreWorkerOptions): Promise<void> {
    await this.#ask(options);
  }

  async prepare(phase: CorePhase): Promise<void> {
    await this.#ask(phase);
  }

  async measure(): Promise<CoreRate> {
    return (await this.#ask('go')) as CoreRate;
  }

  async end(): Promise<void> {
    this.#child.send('end');
    await once(this.#child, 'exit');
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  async #ask(message: CoreWorkerOptions | CorePhase | 'go'): Promise<unknown> {
    const answered = once(this.#child, 'message');
    this.#child.send(message);
    const [answer] = await Promise.race([answered, this.#failed]);
    return answer;
  }
}

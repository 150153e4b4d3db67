import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The SoftHSM2 stub (local/stub), running, with what it was seeded with. */
export interface RunningStub {
  readonly endpoint: string;
  readonly clusterId: string;
  readonly customKeyStoreId: string;
  /** The key store's symmetric key that seals PINs. */
  readonly sealingKeyArn: string;
  readonly stop: () => Promise<void>;
}

export interface StubSettings {
  /** Lets the custom key store take signing keys, which AWS's do not; false when absent. */
  readonly allowAsymmetricKeysInCustomKeyStores?: boolean;
}

/**
 * The stub, in a process group of its own: a Ctrl-C is for this process, which ends the stub when it is done with it.
 * @param directory for its token; made here
 */
export async function startStub(directory: string, region: string, settings: StubSettings = {}): Promise<RunningStub> {
  mkdirSync(directory);
  const options = ['--directory', directory, '--region', region];
  if (settings.allowAsymmetricKeysInCustomKeyStores === true) options.push('--allow-asymmetric-custom-key-store-keys');
  const child = spawn(process.execPath, [fileURLToPath(new URL('./stub/main.ts', import.meta.url)), ...options], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    detached: true,
  });
  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
  });
  const ready = await new Promise<Omit<RunningStub, 'stop'>>((resolve, reject) => {
    child.once('message', (message) => resolve(message as Omit<RunningStub, 'stop'>));
    child.once('error', reject);
    void exited.then(() => reject(new Error('The SoftHSM2 stub ended before it was ready.')));
  });
  return { ...ready, stop: () => ended(child, exited) };
}

async function ended(child: ChildProcess, exited: Promise<void>): Promise<void> {
  child.kill('SIGTERM');
  await exited;
}

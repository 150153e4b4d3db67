/** A process that makes a local CA and canary. Options come, and the result with its PINs goes, over IPC only (child.ts). */
import { randomBytes } from 'node:crypto';
import { createLocalCanary, type LocalCanary } from './canary.ts';
import { createLocalCa, type LocalCa, type LocalCaOptions } from './local-ca.ts';

/** The CA's keys, and the one that the watch signs with. */
export interface LocalKeys {
  readonly localCa: LocalCa;
  readonly canary: LocalCanary;
}

export type LocalKeysAnswer = LocalKeys | { readonly error: string };

const send = process.send?.bind(process);
if (send === undefined) throw new Error('local/ca/main.ts is started by local/ca/child.ts');

process.once('message', (options: LocalCaOptions) => {
  send(answer(options), () => process.disconnect());
});

function answer(options: LocalCaOptions): LocalKeysAnswer {
  try {
    return { localCa: createLocalCa(options, randomBytes), canary: createLocalCanary(options, randomBytes) };
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
}

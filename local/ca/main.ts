/** A process that makes a local CA. Options come, and the result with its PINs goes, over IPC only (child.ts). */
import { randomBytes } from 'node:crypto';
import { createLocalCa, type LocalCa, type LocalCaOptions } from './local-ca.ts';

export type LocalCaAnswer = { readonly localCa: LocalCa } | { readonly error: string };

const send = process.send?.bind(process);
if (send === undefined) throw new Error('local/ca/main.ts is started by local/ca/child.ts');

process.once('message', (options: LocalCaOptions) => {
  send(answer(options), () => process.disconnect());
});

function answer(options: LocalCaOptions): LocalCaAnswer {
  try {
    return { localCa: createLocalCa(options, randomBytes) };
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
}

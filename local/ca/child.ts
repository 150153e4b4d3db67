import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { LocalCaOptions } from './local-ca.ts';
import type { LocalKeys, LocalKeysAnswer } from './main.ts';

/**
 * A local CA and the canary's key, made in a process of its own: PKCS#11 calls block, and SOFTHSM2_CONF belongs to the process. PINs cross
 * between the two over IPC only.
 *
 * @throws Error with the reason
 */
export function createLocalKeysInChild(options: LocalCaOptions): Promise<LocalKeys> {
  return new Promise((resolve, reject) => {
    const child = fork(fileURLToPath(new URL('./main.ts', import.meta.url)), [], {
      serialization: 'advanced',
      execArgv: [],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    let answer: LocalKeysAnswer | undefined;
    child.once('message', (message) => {
      answer = message as LocalKeysAnswer;
    });
    child.once('error', reject);
    child.once('exit', (status, signal) => {
      if (answer === undefined) {
        reject(new Error(`The process that makes the local CA ended without an answer (${signal ?? status})`));
      } else if ('error' in answer) {
        reject(new Error(`The local CA could not be made: ${answer.error}`));
      } else {
        resolve(answer);
      }
    });
    child.send(options);
  });
}

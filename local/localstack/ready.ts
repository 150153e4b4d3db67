import { setTimeout as after } from 'node:timers/promises';
import type { LocalStackDied } from './died.ts';

export interface Awaited {
  readonly endpoint: string;
  /** What only the LocalStack that is waited for knows (executor/mintmark_localstack/identity.py). */
  readonly identity: string;
  /** Milliseconds. */
  readonly limit: number;
  readonly exited: Promise<LocalStackDied | undefined>;
  readonly signal: AbortSignal | undefined;
}

/** Milliseconds between two questions. */
const interval = 100;

/**
 * Waits until this very LocalStack answers: another program may have taken the port since it was found free.
 *
 * @returns false when it does not within the limit
 * @throws LocalStackDied when it ends
 * @throws the signal's reason
 */
export async function untilReady({ endpoint, identity, limit, exited, signal }: Awaited): Promise<boolean> {
  const deadline = performance.now() + limit;
  while (performance.now() < deadline) {
    const died = await Promise.race([exited, pause(signal)]);
    if (died !== undefined) throw died;
    if ((await answerOf(`${endpoint}/_localstack/mintmark`, signal)) === identity) return true;
    signal?.throwIfAborted();
  }
  return false;
}

async function pause(signal: AbortSignal | undefined): Promise<undefined> {
  try {
    await after(interval, undefined, signal === undefined ? {} : { signal });
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
}

/** @returns undefined for no answer, or none in time */
async function answerOf(url: string, signal: AbortSignal | undefined): Promise<string | undefined> {
  const patience = AbortSignal.timeout(5_000);
  try {
    const response = await fetch(url, {
      signal: signal === undefined ? patience : AbortSignal.any([patience, signal]),
    });
    return await response.text();
  } catch {
    // Not yet: refused, or too slow; or nothing that speaks HTTP.
    return undefined;
  }
}
